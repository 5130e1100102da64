"""From the rows of a source to answers, with or without words around what is scored."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from harness.answers.cells import AnswerError, scalar_text
from harness.answers.extract import Extract
from harness.answers.thoughts import without_thought
from harness.records import JsonValue


class RowReader(ABC):
    """Turns the rows of one source into answers, checking them against the task."""

    def __init__(self) -> None:
        self.spellings: dict[str, set[str]] = {}
        """Answer -> how else the source writes it; only of kinds that unify spellings."""

    @abstractmethod
    def read(self, values: Mapping[str, JsonValue]) -> str:
        """The canonical answer of a row: the text that training learns to write.

        Args:
            values: column -> value.

        Raises:
            AnswerError: there is no answer, or the task does not allow it.
        """


class ExtractedRows(RowReader):
    """Reads whole answers; the extracted part of each is written as its kind writes it."""

    def __init__(self, reader: RowReader, column: str, extract: Extract) -> None:
        super().__init__()
        self._reader, self._column, self._extract = reader, column, extract
        self.spellings = reader.spellings

    def read(self, values: Mapping[str, JsonValue]) -> str:
        whole = scalar_text(values.get(self._column), self._column).strip()
        part = extracted(self._extract, whole)
        if part is None:
            raise AnswerError(
                f"{self._column}: no answer stands {self._extract.place} (task.answer.extract); "
                "correct the row, or say otherwise where the answer stands"
            )
        written = self._reader.read({self._column: part})
        answer = with_part(self._extract, whole, written)
        if extracted(self._extract, answer) != written:
            raise AnswerError(
                f"{self._column}: the extracted answer is written {written!r:.60}, of which "
                "task.answer.extract would take another part; let it take all of the answer"
            )
        return answer


def answer_part(reply: str) -> str:
    """The part of a reply that is read as its answer: what follows a thought."""
    return without_thought(reply).answer.strip()


def extracted(extract: Extract, text: str) -> str | None:
    """What is extracted from a text, what follows a thought alone looked at."""
    return extract.of(answer_part(text))


def with_part(extract: Extract, whole: str, part: str) -> str:
    """An answer whose extracted part is written otherwise."""
    bare = whole.rstrip()
    start = len(bare) - len(answer_part(whole))
    span = extract.span(bare[start:])
    if span is None:
        raise ValueError(f"no answer stands {extract.place} in {whole!r:.200}")
    return bare[: start + span[0]] + part + bare[start + span[1] :]
