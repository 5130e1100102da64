"""The story of writing one instruction: is it worth it, what is proposed, what is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np

from harness.records import Example, Headroom, Wording, Writing, WritingTask
from harness.writing.account import Account
from harness.writing.copying import quoted
from harness.writing.headroom import LEVEL, as_matrix, chance_of, wordings_of
from harness.writing.optimiser import optimise
from harness.writing.proposals import Proposals
from harness.writing.reflection import Write
from harness.writing.rows import Answer, Pools, UnusableError, divided

# Of a budget, what it may take to see whether wording matters: a share of the rows, over as many
# wordings as are tried; and the rows below which nothing could be seen.
HEADROOM_SHARE, WORDINGS, LEAST_ROWS = 0.5, 5, 8


@dataclass(frozen=True, slots=True)
class Ground:
    """What an instruction is written for."""

    own: str
    """The user's instruction."""
    plain: str
    """A first wording for answers of this kind."""
    train: tuple[Example, ...]
    """The training rows, and nothing else."""
    sign: float
    """1, or -1 where less of the metric is better."""
    perfect: float
    """The best value of the metric times ``sign``; infinite where there is none."""
    writer: str
    """Name of the model that writes."""
    seed: int
    """Of all that is drawn."""


def write_instruction(
    ground: Ground,
    task: WritingTask,
    answer: Answer,
    write: Write,
    seconds: Callable[[], float] | None = None,
) -> Writing:
    """Write an instruction from training rows, where wording is seen to matter.

    The best of what was tried on the rows that are compared is handed on; whether it is kept is
    decided elsewhere, on validation rows that nothing here has seen.

    Args:
        answer: answers rows under an instruction.
        write: asks the model that writes.
        seconds: tells how long it has taken, where it did not begin in this process.

    Raises:
        UnusableError: nobody can be asked by the user's own instruction.
    """
    account = Account(task) if seconds is None else Account(task, seconds=seconds)
    proposals = Proposals(ground.own, answer, write, account, ground.sign)
    rows = min(task.rows, int(HEADROOM_SHARE * task.most_rows / WORDINGS))
    pools = divided(ground.train, rows, np.random.default_rng([ground.seed, 3]))
    if len(pools.compared) < LEAST_ROWS or not pools.shown:
        why = (
            f"{len(pools.compared)} rows could be compared, of which {LEAST_ROWS} are the least: "
            "it takes more training rows, or a larger budget"
        )
        return _written(
            ground, proposals, _Tried({}, Headroom((), len(pools.compared), 1.0, False)), why
        )
    tried = _headroom(ground, task, pools, proposals)
    start = max(tried.scores, key=lambda text: tried.scores[text])
    ended = proposals.given_up or account.spent()
    if tried.scores[start] >= ground.perfect:
        ended = "every row that is compared is answered right"
    elif not tried.headroom.moves and not account.spent():
        ended = "no wording moved the score by more than chance, so nothing more was spent"
    if ended:
        return _written(ground, proposals, tried, ended)
    scores = optimise(
        start, pools, task, proposals, perfect=ground.perfect, seed=ground.seed % 2**31
    )
    whole = replace(tried, scores={**tried.scores, **scores})
    return _written(ground, proposals, whole, proposals.given_up or account.spent())


@dataclass(frozen=True, slots=True)
class _Tried:
    """What was tried on the rows that are compared."""

    scores: dict[str, float]
    """Instruction -> mean there, times the sign; the user's own first."""
    headroom: Headroom
    """Whether wording matters."""


def _headroom(ground: Ground, task: WritingTask, pools: Pools, proposals: Proposals) -> _Tried:
    """Try distinct wordings on the rows that are compared; one of them is the writer's.

    What tokens or minutes leave no room for is not tried.
    """
    account, columns = proposals.account, dict[str, list[float]]()
    for wording in wordings_of(ground.own, ground.plain):
        if columns and account.spent():
            break
        try:
            rows = proposals.answered(wording, pools.compared)
        except UnusableError:
            if wording == ground.own.strip():
                raise
            continue
        if not columns:
            account.tokens_a_row = fmean(row.tokens for row in rows)
        columns[wording] = [row.value for row in rows]
    first = None if account.spent() else _first_proposal(ground, task, pools, proposals)
    if first is not None:
        text, values = first
        columns[text] = values
        proposals.taken_up(text, fmean(values))
    proposals.close()
    matrix = as_matrix(list(columns.values()))
    p_value = chance_of(matrix, np.random.default_rng([ground.seed, 4]))
    scores = {text: fmean(column) for text, column in columns.items()}
    wordings = tuple(Wording(text, ground.sign * score) for text, score in scores.items())
    moves = p_value <= LEVEL
    return _Tried(scores, Headroom(wordings, len(pools.compared), p_value, moves))


def _first_proposal(
    ground: Ground, task: WritingTask, pools: Pools, proposals: Proposals
) -> tuple[str, list[float]] | None:
    """What the writer makes of the first rows; its values on the rows that are compared."""
    shown: Sequence[Example] = pools.shown[: task.minibatch]
    before = proposals.answered(ground.own.strip(), shown)
    text = proposals.propose(ground.own.strip(), before)
    if text is None:
        return None
    try:
        proposals.tried(text, proposals.answered(text, shown))
        return text, [row.value for row in proposals.answered(text, pools.compared)]
    except UnusableError as fault:
        proposals.unusable(fault)
        return None


def _written(ground: Ground, proposals: Proposals, tried: _Tried, ended: str) -> Writing:
    scores, account, own = tried.scores, proposals.account, ground.own.strip()
    best = max(scores, key=lambda text: scores[text], default=own)
    # The user's own comes first among equals.
    text = best if tried.headroom.moves and scores[best] > scores[own] else None
    return Writing(
        writer=ground.writer,
        own=ground.own,
        headroom=tried.headroom,
        proposals=tuple(proposals.history),
        text=text,
        score=None if text is None else ground.sign * scores[text],
        own_score=ground.sign * scores[own] if own in scores else None,
        quoted=quoted(text or "", ground.own, ground.train),
        ended=ended,
        rows_answered=account.rows,
        answering_tokens=account.answering_tokens,
        writing_tokens=account.writing_tokens,
        tokens_a_row=account.tokens_a_row,
    )


__all__ = ["Ground", "write_instruction"]
