"""What a kind of answer knows of itself: how it is read, written, kept to, scored, recognised."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self, get_args

from harness.answers.json_text import JsonObject
from harness.answers.metrics import Classes, MetricInfo
from harness.answers.thoughts import without_thought
from harness.errors import DataError
from harness.records import Example, JsonValue
from harness.records.frozen_spec import FrozenSpec
from harness.records.guess import Guess

# Valid answers of a closed list at most.
MAX_CHOICES = 256
# Rows of each label, on average, from which a column of texts is taken for labels.
REPEATS = 3
INVALID = "<invalid>"
"""The class of a reply that is none of those that a task allows."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One reply against its target."""

    metrics: dict[str, float]
    """Metric with a value per item -> the value."""
    classes: Classes
    """For macro F1; the single field of a label is ``label``."""


ReplyReader = Callable[[str, str], Reading]
"""The function (target, reply) -> reading."""


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


class AnswerColumn(Protocol):
    """A column of answers, as ``init`` sees it; see :class:`harness.data.columns.Column`."""

    @property
    def name(self) -> str: ...
    @property
    def missing(self) -> int: ...
    @property
    def values(self) -> Sequence[JsonValue]: ...
    @property
    def texts(self) -> Sequence[str]: ...
    @property
    def objects(self) -> Sequence[JsonObject]: ...
    @property
    def lists(self) -> Sequence[list[Any]]: ...
    @property
    def distinct(self) -> int: ...
    @property
    def is_closed(self) -> bool: ...
    @property
    def is_number(self) -> bool: ...
    @property
    def is_whole(self) -> bool: ...


class Answer(FrozenSpec, ABC):
    """The answer of a task: its part of the experiment, and all that its kind decides.

    A kind is a subclass; its fields are the keys of ``task.answer``.
    """

    kind: str

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

    @abstractmethod
    def row_reader(self) -> RowReader:
        """What reads the rows of one source."""

    def respelt(self, answers: Iterable[str]) -> dict[str, str]:
        """Answers of all sources together that are to be written otherwise -> how."""
        return {}

    def count_classes(self, answers: Iterable[str]) -> dict[str, Counter[str]]:
        """Field with few possible values -> value -> number of answers that have it."""
        return {}

    def judged_by(self) -> dict[str, Any]:
        """The keys that decide what a right answer is: all but where the data hold it."""
        return self.model_dump(mode="json", by_alias=True, exclude={"column", "columns"})

    # ---------------------------------------------------------------------- valid answers

    def finite_answers(self) -> tuple[str, ...] | None:
        """All valid answers, where the experiment alone gives a short closed list; else None."""
        return None

    def labels_of(self, train: Iterable[Example]) -> tuple[str, ...] | None:
        """Valid labels: as declared, else those of training; None for kinds that have none."""
        return None

    def valid_answers(self, train: Iterable[Example]) -> tuple[str, ...] | None:
        """The closed list of valid answers, with the help of training; None if there is none."""
        finite = self.finite_answers()
        return self.labels_of(train) if finite is None else finite

    @property
    def is_closed(self) -> bool:
        """Whether there will be a closed list of valid answers once the data are read."""
        return self.finite_answers() is not None

    def reply_schema(self) -> JsonObject | None:
        """What constrains a reply where no closed list does; None where nothing could."""
        return None

    def why_not_constrained(self) -> str:
        """Why no reply can be kept to valid answers, and what to do; empty where it can."""
        if self.is_closed or self.reply_schema() is not None:
            return ""
        return (
            f"needs labels or a JSON schema, which answers of kind {self.kind} have not; use "
            "answering: generate"
        )

    # ---------------------------------------------------------------------- from replies

    def reader(self, labels: Sequence[str] = ()) -> ReplyReader:
        """What reads replies; of target and reply counts what follows a thought.

        Each reply is read leniently, in the same way for every arm, so that a chatty model is not
        punished for its manners in the primary metric; the strict reading has metrics of its own.

        Args:
            labels: valid labels, where the experiment does not list them.
        """
        read = self._reader(labels)
        return lambda target, reply: read(answer_part(target) or target, answer_part(reply))

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
        return {key: value for key, value in keys.items() if value is not None}


def answer_part(reply: str) -> str:
    """The part of a reply that is read as its answer: what follows a thought."""
    return without_thought(reply).answer.strip()


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
