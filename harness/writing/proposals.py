"""One proposal after the other: what was asked of the writer, and what became of its reply."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

from harness.records import Example, Proposal
from harness.writing.account import Account
from harness.writing.reflection import Write, feedback_on, instruction_in, request_of
from harness.writing.rows import Answer, AnsweredRow, UnusableError

# What a server says five times in a row it will say again.
MOST_IN_A_ROW = 5
# Of the feedback, what a report shows.
KEPT_FEEDBACK = 6000


@dataclass(slots=True)
class Proposals:
    """Has instructions proposed and tried, and keeps the history of it.

    Scores in it are those of the metric: of one of which less is better they are not negated.
    """

    own: str
    """The user's instruction."""
    answer: Answer
    """Answers rows under an instruction."""
    write: Write
    """Asks the writer."""
    account: Account
    """Counts what is spent."""
    sign: float
    """1, or -1 where less of the metric is better."""
    history: list[Proposal] = field(default_factory=list)
    """What was proposed, in order."""
    given_up: str = ""
    """Why nothing more is proposed, a phrase; empty while there is no such reason."""
    _open: Proposal | None = None
    """The proposal that is being tried."""
    _answered: set[tuple[str, str]] = field(default_factory=set)
    """Instruction and id of every row that was answered."""
    _in_a_row: int = 0
    """Proposals that could not be used, since one could."""

    def answered(self, instruction: str, rows: Sequence[Example]) -> list[AnsweredRow]:
        """Rows answered under an instruction, and counted.

        Raises:
            UnusableError: nobody can be asked so.
        """
        answered = self.answer(instruction, rows)
        # What was answered before under the same instruction is known, and not asked again.
        fresh = [
            row
            for item, row in zip(rows, answered, strict=True)
            if (instruction, item.id) not in self._answered
        ]
        self._answered |= {(instruction, item.id) for item in rows}
        self.account.answered(fresh)
        return answered

    def mean(self, rows: Sequence[AnsweredRow]) -> float:
        """Mean of the metric."""
        return self.sign * fmean(row.value for row in rows)

    def propose(self, parent: str, rows: Sequence[AnsweredRow]) -> str | None:
        """An instruction written from rows that were answered under its parent.

        Returns:
            None where none could be used: that costs this proposal alone.
        """
        self.close()
        feedback = feedback_on(rows)
        self._open = Proposal(
            number=len(self.history) + 1,
            parent=self._number_of(parent),
            text="",
            status="unusable",
            why="",
            before=self.mean(rows),
            after=None,
            score=None,
            tokens=0,
            feedback=feedback[:KEPT_FEEDBACK],
        )
        try:
            written = self.write(request_of(parent, feedback))
            self.account.wrote(written.tokens)
            text = instruction_in(written.reply)
            if text.strip() == self.own.strip() or any(text == one.text for one in self.history):
                self._open = replace(self._open, text=text)
                raise UnusableError("it says again what was tried before")
        except UnusableError as fault:
            self.unusable(fault)
            return None
        self._in_a_row = 0
        self._open = replace(self._open, text=text, status="rejected")
        return text

    def tried(self, text: str, rows: Sequence[AnsweredRow]) -> None:
        """Note what the open proposal did on its first rows."""
        if self._open is not None and self._open.text == text and self._open.after is None:
            self._open = replace(self._open, after=self.mean(rows))

    def taken_up(self, text: str, score: float) -> None:
        """Note that the open proposal is among those to go on from, with its mean there."""
        if self._open is not None and self._open.text == text:
            self._open = replace(self._open, status="taken up", score=self.sign * score)

    def unusable(self, fault: UnusableError) -> None:
        """Note that the open proposal cannot be used."""
        self._in_a_row += 1
        if fault.final:
            self.given_up = str(fault)
        elif self._in_a_row >= MOST_IN_A_ROW:
            self.given_up = f"{self._in_a_row} proposals in a row could not be used ({fault})"
        if self._open is not None:
            self._open = replace(self._open, status="unusable", why=str(fault))
        self.close()

    def close(self) -> None:
        """Put the open proposal into the history, if there is one."""
        if self._open is not None:
            self.history.append(replace(self._open, tokens=self.account.tokens))
            self._open = None

    def _number_of(self, text: str) -> int:
        other = 0 if text.strip() == self.own.strip() else -1
        return next((one.number for one in self.history if one.text == text), other)


__all__ = ["Proposals"]
