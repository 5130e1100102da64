"""What a kind of answer knows of itself: how it is read, written, kept to, scored, recognised."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self, get_args

from pydantic import Field

from harness.answers.answer_column import AnswerColumn
from harness.answers.extract import Extract
from harness.answers.json_text import JsonObject
from harness.answers.metrics import Classes, MetricInfo
from harness.answers.row_reader import ExtractedRows, RowReader, answer_part, extracted, with_part
from harness.errors import DataError
from harness.records import Example
from harness.records.frozen_spec import FrozenSpec
from harness.records.guess import Guess

# Valid answers of a closed list at most.
MAX_CHOICES = 256
# Different numbers at most of a column that is a scale, such as a rating, and no measure.
SCALE = 20
# Rows of each label, on average, from which a column of texts is taken for labels.
REPEATS = 3
INVALID = "<invalid>"
"""The class of a reply that is none of those that a task allows."""
_NO_LIST = (
    "cannot be meant with task.answer.extract: the answer is a part of a reply whose other words "
    "are free, so valid replies can neither be listed nor kept to; use answering: generate, or "
    "give the answer a column of its own"
)


@dataclass(frozen=True, slots=True)
class Reading:
    """One reply against its target."""

    metrics: dict[str, float]
    """Metric with a value per item -> the value."""
    classes: Classes
    """For macro F1; the single field of a label is ``label``."""


ReplyReader = Callable[[str, str], Reading]
"""The function (target, reply) -> reading."""


class Answer(FrozenSpec, ABC):
    """The answer of a task: its part of the experiment, and all that its kind decides.

    A kind is a subclass; its fields are the keys of ``task.answer``.
    """

    kind: str
    extract: Extract | None = Field(
        None,
        description="Where the answer itself stands in a longer one, such as a number after a "
        "calculation; all of the column's text if not given.",
    )

    metrics: ClassVar[tuple[MetricInfo, ...]]
    """Those that it has, in the order in which they are reported by default; the first is primary
    and has a value per item."""
    metrics_reason: ClassVar[str]
    """Why the first one decides: a sentence beside a drafted experiment's metrics."""
    form_metric: ClassVar[MetricInfo]
    """Tells whether a reply has the form that was asked for; of free text, the style."""
    is_free_text: ClassVar[bool] = False
    """Whether a right answer may be worded in many ways, so that it has no form to keep to and
    equal texts with different answers are no contradiction."""
    holds_json: ClassVar[bool] = False
    """Whether its cells are read as JSON, in whatever notation."""
    only_score: ClassVar[frozenset[str]] = frozenset()
    """Its fields that say how a reply is scored, and nothing of what is asked or learnt."""
    draft_notes: ClassVar[Mapping[str, str]] = {}
    """Key of the experiment -> what ``init`` says above it."""

    @classmethod
    def name(cls) -> str:
        """The kind, as the experiment writes it."""
        return str(get_args(cls.model_fields["kind"].annotation)[0])

    # ---------------------------------------------------------------------- from data

    @property
    @abstractmethod
    def columns_read(self) -> tuple[str, ...]:
        """Data columns that hold the answer."""

    def row_reader(self) -> RowReader:
        """What reads the rows of one source."""
        if self.extract is None:
            return self._row_reader()
        (column,) = self.columns_read
        return ExtractedRows(self._row_reader(), column, self.extract)

    @abstractmethod
    def _row_reader(self) -> RowReader:
        """What reads rows whose column holds the answer alone."""

    def final(self, answer: str) -> str:
        """The part of an answer of the data that is scored."""
        if self.extract is None:
            return answer
        part = extracted(self.extract, answer)
        if part is None:
            raise ValueError(f"no answer stands {self.extract.place} in {answer!r:.200}")
        return part

    def meaning(self, answer: str) -> str:
        """A text that answers of the data share exactly where they mean the same."""
        return self.final(answer)

    def respelt(self, answers: Iterable[str]) -> dict[str, str]:
        """Answers of all sources together that are to be written otherwise -> how.

        Raises:
            DataError: they cannot be read together.
        """
        final_of = {answer: self.final(answer) for answer in answers}
        written = self._respelt(final_of.values())
        return {
            answer: written[final]
            if self.extract is None
            else with_part(self.extract, answer, written[final])
            for answer, final in final_of.items()
            if final in written
        }

    def _respelt(self, answers: Iterable[str]) -> dict[str, str]:
        """Likewise, of answers that stand alone."""
        return {}

    def count_classes(self, answers: Iterable[str]) -> dict[str, Counter[str]]:
        """Field with few possible values -> value -> number of answers that have it."""
        return self._count_classes(map(self.final, answers))

    def _count_classes(self, answers: Iterable[str]) -> dict[str, Counter[str]]:
        """Likewise, of answers that stand alone."""
        return {}

    def notes(self, answers: Iterable[str]) -> Iterator[str]:
        """What a user should know of how answers of the data are read, a sentence each."""
        return iter(())

    def judged_by(self) -> dict[str, Any]:
        """The keys that decide what a right answer is: all but where the data hold it."""
        return self.model_dump(mode="json", by_alias=True, exclude={"column", "columns"})

    def as_asked(self) -> dict[str, Any]:
        """The keys that what is asked or learnt may depend on."""
        return self.model_dump(mode="json", by_alias=True, exclude=set(self.only_score))

    def as_scored(self) -> dict[str, Any]:
        """The keys that only the scores of replies depend on; none of most kinds."""
        return self.model_dump(mode="json", by_alias=True, include=set(self.only_score))

    @property
    def row_tools(self) -> str | None:
        """Data column with the tools of each row; None where all rows have the same, or none."""
        return None

    @property
    def functions(self) -> tuple[JsonObject, ...]:
        """The tools that all rows have, in OpenAI's form; none of most kinds."""
        return ()

    def with_files(self, folder: Path) -> Answer:
        """The answer with what the files that it names hold.

        Args:
            folder: where relative paths start.

        Raises:
            ValueError: one cannot be read.
        """
        return self

    def target_of(self, example: Example) -> str:
        """What a reader of replies holds them against."""
        return example.answer

    # ---------------------------------------------------------------------- valid answers

    def finite_answers(self) -> tuple[str, ...] | None:
        """All valid answers, where the experiment alone gives a short closed list; else None."""
        return None

    def labels_of(self, train: Iterable[Example]) -> tuple[str, ...] | None:
        """Valid labels: as declared, else those of training; None for kinds that have none."""
        return None

    def labels_in(self, answer: str) -> tuple[str, ...]:
        """The labels in an answer of the data, of kinds that have labels."""
        return (self.final(answer),)

    def valid_answers(self, train: Iterable[Example]) -> tuple[str, ...] | None:
        """The closed list of valid replies, with the help of training; None if there is none."""
        if self.extract is not None or not self.is_closed:
            return None
        finite = self.finite_answers()
        return self.labels_of(train) if finite is None else finite

    def known_from(self, train: Iterable[Example]) -> tuple[str, ...]:
        """What a reader of replies has to know of training, such as the labels; see `reader`."""
        return self.labels_of(train) or ()

    @property
    def is_closed(self) -> bool:
        """Whether there will be a closed list of valid answers once the data are read."""
        return self.finite_answers() is not None

    def reply_schema(self) -> JsonObject | None:
        """What constrains a reply where no closed list does; None where nothing could."""
        return None

    def why_not_chosen(self) -> str:
        """Why no reply can be chosen among all valid ones, and what to do; empty where it can."""
        return _NO_LIST if self.extract is not None else self._why_not_chosen()

    def _why_not_chosen(self) -> str:
        """Likewise, of answers that stand alone."""
        if self.is_closed:
            return ""
        return (
            "needs a short closed list of valid answers; use labels or a schema of enumerations, "
            "or answering: generate"
        )

    def why_not_constrained(self) -> str:
        """Why no reply can be kept to valid answers, and what to do; empty where it can."""
        return _NO_LIST if self.extract is not None else self._why_not_constrained()

    def _why_not_constrained(self) -> str:
        """Likewise, of answers that stand alone."""
        if self.is_closed or self.reply_schema() is not None:
            return ""
        return (
            f"needs labels or a JSON schema, which answers of kind {self.kind} have not; use "
            "answering: generate"
        )

    # ---------------------------------------------------------------------- as classes

    def why_not_classified(self) -> str:
        """Why no classifier can give such answers, and what to do; empty where one can."""
        if self.extract is not None:
            return "cannot give a reply of which task.answer.extract takes a part; leave it out"
        return self._why_not_classified()

    def _why_not_classified(self) -> str:
        """Likewise, of answers that stand alone."""
        return f"needs answers that are classes; those of kind {self.kind} are not, leave it out"

    def as_classes(self, answer: str) -> dict[str, str]:
        """Part of an answer of the data -> its class; a part that it lacks is left out."""
        raise NotImplementedError(self.why_not_classified())

    def of_classes(self, classes: Mapping[str, str]) -> str:
        """The answer of these classes, as a reply."""
        raise NotImplementedError(self.why_not_classified())

    # ---------------------------------------------------------------------- from replies

    def reader(self, labels: Sequence[str] = ()) -> ReplyReader:
        """What reads replies; of target and reply counts what follows a thought.

        Where a part is extracted it alone counts, and a reply that has none is as an empty one.

        Each reply is read leniently, in the same way for every arm, so that a chatty model is not
        punished for its manners in the primary metric; the strict reading has metrics of its own.

        Args:
            labels: what training tells (`known_from`), where the experiment does not list it.
        """
        read = self._reader(labels)
        if self.extract is not None:
            return lambda target, reply: read(self.final(target), self.found_in(reply) or "")
        return lambda target, reply: read(answer_part(target) or target, answer_part(reply))

    def found_in(self, reply: str) -> str | None:
        """The part of a reply that is read; None where nothing could be extracted."""
        return answer_part(reply) if self.extract is None else extracted(self.extract, reply)

    def answer_in(self, reply: str, labels: Sequence[str] = ()) -> str | None:
        """What a reply answers, as data would write it (labels as of `reader`); None if nothing."""
        return self.found_in(reply)

    @abstractmethod
    def _reader(self, labels: Sequence[str]) -> ReplyReader:
        """What reads replies without a thought."""

    # ---------------------------------------------------------------------- for init

    @classmethod
    @abstractmethod
    def recognise(cls, columns: Sequence[AnswerColumn]) -> Guess[Self] | None:
        """The answer that these columns hold; None where they do not look like this kind's.

        The kinds are asked in their order, and the first that says yes is taken.
        """

    @classmethod
    @abstractmethod
    def of_columns(cls, columns: Sequence[AnswerColumn]) -> Self:
        """The answer in these columns, which the user says is of this kind.

        Raises:
            DataError: it cannot be.
        """

    def beside(self, columns: Sequence[AnswerColumn]) -> Self:
        """The answer with what other columns of the file say of it."""
        return self

    @abstractmethod
    def instruction(self, subject: str, *, is_reply: bool, is_told: bool) -> str:
        """A first wording that tells the form of the answer; the task itself the user knows.

        Args:
            subject: the name of its first column.
            is_reply: whether that is a name for any reply, and says nothing of its content.
            is_told: whether each row says what is to be done.
        """

    def without_examples(self, instruction: str) -> str | None:
        """The instruction for a prompt without examples, where it must say more; else None."""
        return None

    def drafted(self) -> dict[str, Any]:
        """Its keys as ``init`` writes them."""
        keys = self.model_dump(mode="json", by_alias=True)
        if self.extract is not None:
            keys["extract"] = self.extract.model_dump(exclude_none=True, exclude_defaults=True)
        return {key: value for key, value in keys.items() if value is not None}


def only_column(kind: type[Answer], columns: Sequence[AnswerColumn]) -> AnswerColumn:
    """The column of a kind that has one.

    Raises:
        DataError: there are several.
    """
    if len(columns) > 1:
        raise DataError(
            f"answers of kind {kind.name()} stand in one column, not in {len(columns)}; several "
            "make a JSON object: --kind json"
        )
    return columns[0]
