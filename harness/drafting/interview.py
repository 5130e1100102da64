"""Makes a request from a data file: what the user did not say is guessed, and may be asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from harness.answers import KINDS, Answer
from harness.answers.recognise import recognise_answer
from harness.data.chat import PROMPT
from harness.data.columns import Column, columns_of
from harness.data.encoding import UTF8, guess_encoding
from harness.data.infer import gives_away, guess_answer, instructions_of
from harness.data.infer_groups import guess_group, guess_id
from harness.data.infer_texts import guess_texts, may_be_text
from harness.data.read import content_of, read_rows
from harness.drafting.answers import NONE, Answers, Ask
from harness.drafting.conversations import ConversationDraft, conversations_of
from harness.drafting.files_beside import TEST_NAMES, VALIDATION_NAMES, file_beside
from harness.drafting.instruction import guess_instruction
from harness.drafting.machine import Machine, ModelSize, look_at_model
from harness.drafting.parsers import (
    answer_kind,
    existing_file,
    filled,
    given_id,
    given_instruction,
    known_encoding,
    number_between,
    shown_by_templates,
)
from harness.drafting.request import DraftRequest
from harness.errors import DataError
from harness.records.guess import Guess
from harness.spec.data import has_no_path

V = TypeVar("V")
_FEWEST_ROWS = 3
_MOST_NAMED = 30
_TEXT_FILES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json")


class Interview:
    """Asks, or guesses, what a draft needs; :meth:`request` gives it.

    Args:
        data: file, packaged or hub name, as the user wrote it.
        ask: asks the user, or takes the default.

    Raises:
        InputError: a file cannot be read, or what was said does not fit it.
    """

    def __init__(self, data: str, given: Answers, ask: Ask) -> None:
        self._given = given
        self._ask = ask
        self._data = data
        self._source = _absolute(data)
        self.reasons: dict[str, str] = {}
        encoding = self._encoding()
        self._test, self._validation = self._files(data)
        sources = [self._source, *filter(None, (self._test, self._validation))]
        self.tables = [read_rows(source, encoding) for source in sources]
        unreadable = [problem for table in self.tables for problem in table.problems]
        if not all(table.rows for table in self.tables):
            raise DataError(unreadable)
        rows = sum(len(table.rows) + len(table.problems) for table in self.tables)
        if rows < _FEWEST_ROWS:
            names = ", ".join(f"`{name:.40}`" for name in self.tables[0].columns[:10])
            raise DataError(
                f"{data} holds {rows} row(s), with the columns {names or 'none'}; a data set needs "
                f"at least {_FEWEST_ROWS}, each with a text and its answer"
            )
        self._read_as = encoding
        self._columns = columns_of(self.tables)
        named = (*given.texts, *given.answers, given.group, given.id)
        self._check_columns([name for name in named if name not in (None, NONE)])

    def request(self, machine: Callable[[], Machine], folder: Path) -> DraftRequest:
        """Ask, or guess, what is left.

        Args:
            machine: looks at the machine, once all is asked: it takes seconds to load torch.
            folder: where the relative path of a model starts.
        """
        answers = self._answers()
        texts = self._texts(answers)
        form = self._form(answers)
        talks = None
        if not self._given.texts:
            talks = conversations_of(self.tables, texts, answers, form)
        if talks is not None:
            texts = (talks.spec.column + PROMPT,)
            self.reasons["conversations"] = talks.why
        taken = (*texts, *answers)
        identity = self._identity(taken)
        group = self._group(texts, (*taken, *filter(None, (identity,))))
        return DraftRequest(
            source=self._source,
            test=self._test,
            validation=self._validation,
            encoding=self._read_as,
            columns=self._columns,
            texts=texts,
            answers=answers,
            form=form,
            id=identity,
            group=group,
            instruction=self._instruction(form, answers, texts, talks),
            conversations=talks,
            model=self._model(folder),
            minutes=self._number(
                "minutes",
                "How many minutes may the first run take?",
                Guess(60.0, "an hour"),
                1,
                1e6,
            ),
            margin=self._margin(),
            bad_rows="drop",
            reasons=self.reasons,
            machine=machine(),
        )

    def _settled(
        self,
        name: str,
        given: V | None,
        guess: Callable[[], Guess[V]],
        question: str,
        show: Callable[[V], str],
        parse: Callable[[str], V],
    ) -> V:
        """What was said, else what is answered; the guess is the default."""
        if given is not None:
            self.reasons[name] = "as you said"
            return given
        guessed = guess()
        default = show(guessed.value)
        typed = self._ask(question, default, guessed.why, parse).strip()
        kept = typed == default.strip()
        self.reasons[name] = guessed.why if kept else "as you said"
        return guessed.value if kept else parse(typed)

    def _encoding(self) -> str:
        if self._given.encoding or not self._source.lower().endswith(_TEXT_FILES):
            self.reasons["encoding"] = "as you said"
            return known_encoding(self._given.encoding or UTF8)
        guessed = guess_encoding(content_of(self._source))
        if guessed.encoding == UTF8:
            return UTF8
        shown = (
            f"the file is not UTF-8; as {guessed.encoding} a line of it reads: {guessed.sample:.80}"
        )
        return self._settled(
            "encoding",
            None,
            lambda: Guess(guessed.encoding, shown),
            "In which encoding is the file?",
            str,
            known_encoding,
        )

    def _files(self, data: str) -> tuple[str | None, str | None]:
        test, validation = self._given.test, self._given.validation
        self.reasons |= {"files": "as you said", "validation": "as you said"}
        if validation not in (None, NONE) and test is None:
            raise DataError("--validation needs --test: give both, or DATA alone to be divided")
        if test is None and (beside := file_beside(data, TEST_NAMES)):
            test = self._file("files", beside, "test rows? (none: divide the one file)")
        test = None if test == NONE else test
        if validation is None and test and (beside := file_beside(data, VALIDATION_NAMES)):
            rest = "validation rows? (none: a share of the training file)"
            validation = self._file("validation", beside, rest)
        validation = None if validation == NONE else validation
        return _absolute(test) if test else None, _absolute(validation) if validation else None

    def _file(self, name: str, beside: str, question: str) -> str:
        """A file that lies beside the training file; ``none`` where it is not to be used."""
        guess = Guess(beside, "it lies beside the training file")
        asked = f"Which file holds the {question}"
        return self._settled(name, None, lambda: guess, asked, str, existing_file)

    def _answers(self) -> tuple[str, ...]:
        def guess() -> Guess[tuple[str, ...]]:
            column = guess_answer(self._columns, self._given.texts)
            return Guess((column.value,), column.why)

        return self._settled(
            "answer",
            self._given.answers or None,
            guess,
            f"The columns are {self._named()}.\nWhich one holds the right answer? (several, with "
            "commas: fields of a JSON object)",
            ", ".join,
            self._several,
        )

    def _texts(self, answers: tuple[str, ...]) -> tuple[str, ...]:
        twice = sorted(set(self._given.texts) & set(answers))
        if twice:
            raise DataError(
                f"column {twice[0]!r} cannot be both the text and the answer; name two columns"
            )
        leaks = gives_away(self._columns, self._columns[answers[0]]) if len(answers) == 1 else {}
        self.leaks = leaks
        # What is to be done is known when the model is asked.
        known = {column.name for column in instructions_of(self._columns, answers)}
        shown = {n: c for n, c in self._columns.items() if n not in leaks or n in known}
        texts = self._settled(
            "texts",
            self._given.texts or None,
            lambda: self._guess_texts(shown, answers),
            "Which column does the model see? (several, with commas)",
            ", ".join,
            self._several,
        )
        for name in texts:
            shown_by_templates(name)
        return texts

    def _guess_texts(
        self, shown: dict[str, Column], answers: tuple[str, ...]
    ) -> Guess[tuple[str, ...]]:
        try:
            guessed = guess_texts(shown, answers)
        except DataError:
            guessed = None
        if guessed is None or not any(
            shown[name].distinct > 1 and may_be_text(shown[name]) for name in guessed.value
        ):
            # Of texts that all give the answer away one is shown, with a caution.
            return guess_texts(self._columns, answers)
        return guessed

    def _form(self, answers: tuple[str, ...]) -> Answer:
        columns = [self._columns[name] for name in answers]
        kind = self._given.kind
        recognised = recognise_answer(columns, kind)
        if kind is None:
            *names, last = KINDS
            typed = self._ask(
                f"What kind of answer is it: {', '.join(names)} or {last}?",
                recognised.value.kind,
                recognised.why,
                lambda typed: recognise_answer(columns, answer_kind(typed)),
            )
            if typed != recognised.value.kind:
                recognised = recognise_answer(columns, answer_kind(typed))
        self.reasons["kind"] = recognised.why
        form = recognised.value.beside([c for n, c in self._columns.items() if n not in answers])
        finite = form.finite_answers()
        if all(column.distinct == 1 for column in columns) or (finite and len(finite) == 1):
            raise DataError(
                f"every answer in column {answers[0]!r} is {columns[0].values[0]!r:.60}, so there "
                "is nothing to tell apart; name another column with --answer, or bring rows with "
                "other answers"
            )
        return form

    def _identity(self, taken: tuple[str, ...]) -> str | None:
        if self._given.id is not None:
            self.reasons["id"] = "as you said"
            return given_id(self._given, self._columns)
        guessed = guess_id(self._columns, taken)
        self.reasons["id"] = guessed.why
        return guessed.value

    def _group(self, texts: tuple[str, ...], taken: tuple[str, ...]) -> str | None:
        name = self._settled(
            "group",
            self._given.group,
            lambda: _shown_none(guess_group(self._columns, texts, taken)),
            "Which column says what rows belong together: a customer, a document? (none: no such)",
            str,
            lambda typed: typed if typed == NONE else self._several(typed)[0],
        )
        return None if name == NONE else name

    def _instruction(
        self,
        form: Answer,
        answers: tuple[str, ...],
        texts: tuple[str, ...],
        talks: ConversationDraft | None,
    ) -> str:
        columns = instructions_of(self._columns, answers)
        drafted = guess_instruction(columns, form, answers, texts, talks)
        return self._settled(
            "instruction",
            given_instruction(self._given, may_be_empty=talks is not None),
            lambda: drafted,
            "What is the model asked to do?",
            str,
            filled if talks is None else str,
        )

    def _model(self, folder: Path) -> ModelSize:
        name = self._settled(
            "model",
            self._given.model,
            lambda: Guess("smollm2-135m-instruct", "It needs no hub and is very small."),
            "Which model? (packaged name, folder, .gguf file or hub id)",
            str,
            lambda typed: look_at_model(typed, folder).reference,
        )
        model = look_at_model(name, folder)
        size = f"{model.parameters / 1e6:,.0f} million weights, " if model.parameters else "Size: "
        self.reasons["model"] = f"{size}{model.how}."
        return model

    def _margin(self) -> float:
        points = self._number(
            "margin",
            "From how many percentage points of difference on would you act?",
            Guess(2.0, "differences below it count as none"),
            0.01,
            99,
        )
        return round(points / 100, 6)

    def _number(
        self, name: str, question: str, guess: Guess[float], low: float, high: float
    ) -> float:
        parse = number_between(low, high)
        given = getattr(self._given, name)
        checked = None if given is None else parse(str(given))
        return self._settled(name, checked, lambda: guess, question, "{:g}".format, parse)

    def _named(self) -> str:
        """The columns of the file, as many as can be taken in."""
        names = [name for name, column in self._columns.items() if name and not column.part]
        return ", ".join(names[:_MOST_NAMED]) + (" and more" if names[_MOST_NAMED:] else "")

    def _several(self, typed: str) -> tuple[str, ...]:
        if typed in self._columns:
            return (typed,)
        names = tuple(dict.fromkeys(part.strip() for part in typed.split(",") if part.strip()))
        if not names:
            raise DataError("name a column")
        self._check_columns(names)
        return names

    def _check_columns(self, names: Any) -> None:
        for name in names:
            if name not in self._columns:
                raise DataError(
                    f"{self._data} has no column {name!r}; it has {', '.join(self._columns)}"
                )


def _shown_none(guess: Guess[str | None]) -> Guess[str]:
    return Guess(guess.value or NONE, guess.why)


def _absolute(source: str) -> str:
    if has_no_path(source):
        return source
    return str(Path(source).expanduser().absolute())
