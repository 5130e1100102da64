"""Examples from rows: template fields, canonical answer, id, group; every bad row located."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from harness.answers.cells import AnswerError, scalar_text
from harness.answers.characters import trimmed
from harness.data.conversations import Asked, ConversationReader, UnusableError
from harness.data.read import read_rows
from harness.data.rows import Row, Rows
from harness.data.slices import slice_text
from harness.errors import DataError, Problem
from harness.records import Example, JsonValue
from harness.spec import Experiment
from harness.spec.task import template_fields

_SURROGATE = "holds half of a surrogate pair (\\ud800 to \\udfff), which is not text; remove it"


@dataclass(frozen=True, slots=True)
class ExamplesRead:
    """What a source gives for a task: usable examples in file order, and its bad rows."""

    source: str
    """The source as the experiment names it."""
    examples: tuple[Example, ...]
    """Usable examples in file order."""
    problems: tuple[Problem, ...]
    """Bad rows, each located, in file order."""
    spellings: dict[str, set[str]]
    """Label -> how else the source writes it."""
    notes: tuple[str, ...] = ()
    """What was read otherwise than it stands there, a sentence each."""


def read_examples(
    source: str, experiment: Experiment, *, id_prefix: str = "", sliced: bool = False
) -> ExamplesRead:
    """Read a source and turn its rows into examples of the experiment's task.

    Bad rows are collected, not raised: what becomes of them is the caller's policy. Without a
    group column each example is its own group; without an id column the id is ``id_prefix`` and
    the line number.

    Args:
        source: where to read from.
        experiment: what the rows are read for.
        id_prefix: what ids made of line numbers begin with.
        sliced: whether test examples come from it, so that it has the columns of ``data.slices``.

    Raises:
        DataError: the source cannot be read at all, lacks a column, or has no usable row.
        UnknownReferenceError: no packaged data set has this name.
        HarnessError: a packaged data set could not be fetched.
    """
    table = read_rows(source, experiment.data.encoding)
    slices = experiment.data.slices if sliced else ()
    spec = experiment.data.conversations
    conversations = ConversationReader(table, spec) if spec else None
    _check_columns(table, (*experiment.columns(), *slices))
    reader = _RowReader(table.source, experiment, id_prefix)
    examples = reader.read_all(table.rows, conversations)
    of_conversations = conversations.notes() if conversations else table.conversation_notes
    notes = (*table.notes, *of_conversations)
    problems = sorted(
        (*table.problems, *reader.problems), key=lambda problem: line_of(problem.where)
    )
    if not examples:
        raise DataError([*problems, Problem(source, "no usable row is left")])
    return ExamplesRead(source, tuple(examples), tuple(problems), reader.answers.spellings, notes)


def read_questions(table: Rows, experiment: Experiment, template: str) -> tuple[Example, ...]:
    """The rows as items of the experiment's task that have no answer yet, in their order.

    Each is its own group, under an id that no row of the data has. An item that is a conversation
    is all of it.

    Args:
        table: the rows.
        experiment: what they are asked for.
        template: that of the arm that is asked; columns of the others need not be there.

    Raises:
        DataError: a column is missing, or rows cannot be used; all of them at once.
    """
    spec = experiment.data.conversations
    conversations = ConversationReader(table, spec) if spec else None
    asked = None if conversations else template
    _check_columns(table, () if asked is None else asked_columns(experiment, asked))
    reader = _RowReader(table.source, experiment, "asked-", answered=False, template=asked)
    examples = reader.read_all(table.rows, conversations)
    problems = [*table.problems, *reader.problems]
    if problems:
        raise DataError(sorted(problems, key=lambda problem: line_of(problem.where)))
    return tuple(examples)


def asked_columns(experiment: Experiment, template: str) -> tuple[str, ...]:
    """Columns that a row must have to be asked under a template, which it may not show all."""
    tools = experiment.task.answer.row_tools
    return tuple(dict.fromkeys((*template_fields(template), *([tools] if tools else []))))


def read_inputs(source: str, experiment: Experiment, *, id_prefix: str) -> ExamplesRead:
    """Read what the rows of a source ask, whatever they answer.

    Of conversations all is read, since what was said in them is what later turns ask. Bad rows are
    collected, as by :func:`read_examples`; that none is usable is no error here.

    Raises:
        DataError: the source cannot be read at all, or lacks a column.
        UnknownReferenceError: no packaged data set has this name.
        HarnessError: a packaged data set could not be fetched.
    """
    table = read_rows(source, experiment.data.encoding)
    spec = experiment.data.conversations
    conversations = ConversationReader(table, spec) if spec else None
    _check_columns(table, experiment.columns() if spec else experiment.input_columns())
    reader = _RowReader(table.source, experiment, id_prefix, answered=spec is not None)
    examples = reader.read_all(table.rows, conversations)
    problems = (*table.problems, *reader.problems)
    return ExamplesRead(source, tuple(examples), problems, {})


def unseen_labels(
    examples: Iterable[Example],
    known: Sequence[str],
    split: str,
    source: str,
    labels_in: Callable[[str], Sequence[str]],
) -> dict[str, Problem]:
    """Example id -> problem, for the examples with a label that does not occur in training."""
    labels = set(known)
    return {
        example.id: Problem(
            place_of(source, example),
            f"label {unseen[0]!r} in {split} never occurs in training, so nothing can learn "
            "it; add training examples, raise data.limits.train, or list it in task.answer.labels",
        )
        for example in examples
        if (unseen := [label for label in labels_in(example.answer) if label not in labels])
    }


class _RowReader:
    """Reads the rows of one source; holds what must be unique over them.

    Args:
        answered: whether rows hold the answer, and the names that the data give them.
        template: the only one whose columns are read; those of the task and all arms if None.
    """

    def __init__(
        self,
        source: str,
        experiment: Experiment,
        id_prefix: str,
        *,
        answered: bool = True,
        template: str | None = None,
    ) -> None:
        self.problems: list[Problem] = []
        self._source = source
        self._data = experiment.data
        self._answered = answered
        self._fields = template_fields(template) if template else experiment.input_columns()
        self._columns = experiment.columns() if answered else self._fields
        self._whole_rows = experiment.task.reads_rows
        self._own_fields = template_fields(template or experiment.task.template)
        self._answer_kind = experiment.task.answer
        self.answers = experiment.task.answer.row_reader()
        self._id_prefix = id_prefix
        self._line_of_id: dict[str, int] = {}

    def read_all(
        self, rows: Iterable[Row], conversations: ConversationReader | None
    ) -> list[Example]:
        """The examples of rows that can be used; the problems of the others are noted."""
        if conversations is None:
            return [example for row in rows if (example := self.read(row)) is not None]
        return [example for row in rows for example in self.read_conversation(row, conversations)]

    def read(self, row: Row) -> Example | None:
        """The row's example, or None with its problems noted."""
        # Where it is known why a value is not there, that it is missing need not be said, too.
        problems = list(dict.fromkeys(row.lacking[n] for n in self._columns if n in row.lacking))
        if problems:
            self.problems.extend(Problem(f"{self._source}:{row.line}", what) for what in problems)
            return None
        inputs = self._inputs(row.values, problems)
        answer = self._answer(row.values, problems)
        identity, group = self._names(row, problems)
        slices, of_tools = self._slices(row), self._answer_kind.row_tools
        texts = (*inputs.values(), answer, identity, group, *slices.values())
        if not problems and not _encodes(*texts):
            problems.append(_SURROGATE)
        if problems:
            self.problems.extend(Problem(f"{self._source}:{row.line}", what) for what in problems)
            return None
        return Example(
            identity,
            inputs,
            answer,
            group,
            row.line,
            columns=row.values if self._whole_rows else {},
            slices=slices,
            tools="" if of_tools is None else _tools_text(row.values.get(of_tools)),
        )

    def read_conversation(self, row: Row, conversations: ConversationReader) -> Iterator[Example]:
        """The items of the row's conversation; none, with its problems noted, if one is unusable.

        All stand in one group, so that no split and no resampling divides a conversation.
        """
        problems: list[str] = []
        asked: list[Asked] = []
        try:
            asked = conversations.read(row) if self._answered else [conversations.whole(row)]
        except UnusableError as error:
            problems.append(str(error))
        identity, group = self._names(row, problems)
        examples = []
        for turn in asked:
            inputs = {conversations.text_column: turn.text}
            answer = self._answer({conversations.spec.answer_column: turn.answer}, problems)
            once = conversations.spec.turns == "last" or not self._answered
            name = identity if once else f"{identity}#{turn.number}"
            examples.append(
                Example(
                    name,
                    inputs,
                    answer,
                    group,
                    row.line,
                    columns=row.values if self._whole_rows else {},
                    slices=self._slices(row),
                    messages=turn.messages,
                    tools=turn.tools,
                    conversation=identity,
                )
            )
        said = json.dumps([turn.messages for turn in asked[-1:]], ensure_ascii=False)
        if not problems and not _encodes(said, *(e.answer for e in examples), identity, group):
            problems.append(_SURROGATE)
        self.problems.extend(Problem(f"{self._source}:{row.line}", what) for what in problems)
        yield from () if problems else examples

    def _slices(self, row: Row) -> dict[str, str]:
        return {name: slice_text(row.values.get(name)) for name in self._data.slices}

    def _names(self, row: Row, problems: list[str]) -> tuple[str, str]:
        """The row's id and group."""
        identity = f"{self._id_prefix}{row.line}"
        if not self._answered:
            return identity, identity
        if self._data.id is not None:
            identity = self._identity(row, self._data.id, problems)
        if self._data.group is None:
            return identity, identity
        # What cannot be seen divides no group.
        return identity, trimmed(_text(row.values, self._data.group, problems))

    def _inputs(self, values: dict[str, JsonValue], problems: list[str]) -> dict[str, str]:
        inputs = {}
        before = len(problems)
        for field in self._fields:
            value = values.get(field)
            if field == self._answer_kind.row_tools:
                value = _tools_text(value)
            # One field of several may be empty text, but none may be missing.
            inputs[field] = value if isinstance(value, str) else _text(values, field, problems)
        if len(problems) == before and not any(inputs[name].strip() for name in self._own_fields):
            problems.append(f"{', '.join(self._own_fields)}: the text is empty; fill it in")
        return inputs

    def _answer(self, values: dict[str, JsonValue], problems: list[str]) -> str:
        if not self._answered:
            return ""
        try:
            return self.answers.read(values)
        except AnswerError as error:
            problems.append(str(error))
            return ""

    def _identity(self, row: Row, column: str, problems: list[str]) -> str:
        identity = _text(row.values, column, problems)
        first = self._line_of_id.setdefault(identity, row.line) if identity else row.line
        if first != row.line:
            problems.append(
                f"{column}: id {identity!r} stands already on line {first}; make ids unique, or "
                "leave data.id out to use line numbers"
            )
        return identity


def _text(values: dict[str, JsonValue], column: str, problems: list[str]) -> str:
    try:
        return scalar_text(values.get(column), column)
    except AnswerError as error:
        problems.append(str(error))
        return ""


def _tools_text(value: JsonValue) -> str:
    """Tools as text: JSON, or what stands there as text of it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _encodes(*texts: str) -> bool:
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        return False
    return True


def place_of(source: str, example: Example) -> str:
    """Where an example stands: its source, and its line where it has one."""
    return f"{source}:{example.line}" if example.line else source


def line_of(where: str) -> int:
    """The line that a problem's place names; 0 where it names none."""
    line = where.rpartition(":")[2]
    return int(line) if line.isdigit() else 0


def _check_columns(table: Rows, columns: Sequence[str]) -> None:
    missing = [name for name in columns if name not in table.columns]
    if not missing or not table.columns:
        return
    parts = []
    for name in missing:
        close = difflib.get_close_matches(name, table.columns, n=1)
        parts.append(f"{name!r}" + (f" (did you mean {close[0]!r}?)" if close else ""))
    raise DataError(
        Problem(
            table.source,
            f"no column {' and no column '.join(parts)}; the columns are "
            f"{', '.join(map(repr, table.columns))}",
        )
    )
