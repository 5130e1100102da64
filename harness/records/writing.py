"""Instructions that a model writes: what the writing of one is asked to do, and what it found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.records.asked import Seat

ProposalStatus = Literal["taken up", "rejected", "unusable"]


@dataclass(frozen=True, slots=True)
class WritingTask:
    """What a trial that writes an instruction is asked to do."""

    by: str
    """The method: ``gepa``."""
    writer: str
    """Name of the model that writes."""
    reflector: Seat | None
    """The model that writes; None: the one whose instruction it is."""
    asked: str
    """Hash of who answers the rows and how: a reply to the same request under it is the same."""
    asked_writer: str
    """Likewise, of the model that writes."""
    max_new_tokens: int
    """Longest reply of the model that writes, tokens."""
    minibatch: int
    """Training rows that a proposal is written from and first tried on."""
    rows: int
    """Training rows, apart from those, on which proposals are compared."""
    most_rows: int
    """Rows that may be answered in all; tokens of writing are counted as rows of equal length."""
    most_tokens: int | None = None
    """Tokens that may be spent in all; None sets no limit beside ``most_rows``."""
    most_seconds: float | None = None
    """Wall time after which nothing more is proposed; None sets no limit."""


@dataclass(frozen=True, slots=True)
class Wording:
    """An instruction and what it scored."""

    text: str
    """The instruction."""
    score: float
    """Mean of the primary metric over the rows on which wordings are compared."""


@dataclass(frozen=True, slots=True)
class Headroom:
    """Whether the wording of the instruction moves the score at all."""

    wordings: tuple[Wording, ...]
    """What was tried, the user's own first."""
    rows: int
    """Training rows that each was tried on."""
    p_value: float
    """Chance, 0 to 1, that scores which hang on no wording differ by as much."""
    moves: bool
    """Whether they differ by more than that, so that writing is worth its tokens."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """One instruction that was proposed."""

    number: int
    """In order, from 1."""
    parent: int
    """Number of the proposal that it was written from; 0: the user's own; -1: another of the
    wordings that were tried first."""
    text: str
    """The instruction; empty where none could be read from the reply."""
    status: ProposalStatus
    """What became of it: taken up among those to go on from, rejected on its first rows, or
    unusable."""
    why: str
    """Why it could not be used; empty unless it is unusable."""
    before: float | None
    """Mean of the primary metric over its first rows under its parent; None where not known."""
    after: float | None
    """The same under the proposal; None where it was not tried."""
    score: float | None
    """Mean over the rows on which proposals are compared; None unless it was taken up."""
    tokens: int
    """Tokens spent when it was done with, on everything so far."""
    feedback: str
    """What its writer was told of replies under the parent."""


@dataclass(frozen=True, slots=True)
class Writing:
    """What came of writing an instruction."""

    writer: str
    """Name of the model that wrote."""
    own: str
    """The user's instruction."""
    headroom: Headroom
    """Whether wording matters."""
    proposals: tuple[Proposal, ...]
    """What was proposed, in order."""
    text: str | None
    """The best of what was taken up; None where nothing beat the user's own on training rows."""
    score: float | None
    """Its mean on the training rows on which proposals are compared; None without it."""
    own_score: float | None
    """The same of the user's own; None where nothing was written."""
    quoted: tuple[str, ...]
    """Runs of 8 words that ``text`` shares with training rows; empty where it shares none."""
    ended: str
    """Why the writing ended, a phrase."""
    rows_answered: int
    """Rows that were answered, under whichever instruction."""
    answering_tokens: int
    """Tokens of their prompts and replies."""
    writing_tokens: int
    """Tokens that the writer read and wrote."""
    tokens_a_row: float
    """Mean tokens of a row under the user's own instruction."""
    money: float = 0.0
    """What servers charged for it, in the study's currency."""
    seconds: float = 0.0
    """Wall time that it took, also in processes that were killed at it."""

    @property
    def tokens(self) -> int:
        """All tokens spent."""
        return self.answering_tokens + self.writing_tokens

    def trials(self, validation: int) -> int:
        """Trials of a search that it stands for: those that spend as many tokens, rounded up.

        Args:
            validation: items that a trial is scored on.
        """
        a_trial = self.tokens_a_row * validation
        return -int(-self.tokens // a_trial) if a_trial else 0


__all__ = ["Headroom", "Proposal", "ProposalStatus", "Wording", "Writing", "WritingTask"]
