"""GEPA (Agrawal et al., arXiv 2507.19457), through its library, on one text: the instruction.

The library chooses what to go on from (a Pareto front over rows) and what to take up. All that is
asked, of the model that answers and of the one that writes, goes through :class:`Proposals`, which
counts it. Nothing of the library's is kept on disk: it is deterministic, so that a run which was
killed goes the same way again, with replies that are known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.records import Example, WritingTask
from harness.writing.proposals import Proposals
from harness.writing.rows import AnsweredRow, Pools, UnusableError

_TEXT = "instruction"
# Passes over the rows that are shown in which nothing is asked or proposed: more than one, as it is
# drawn which candidate each step goes on from.
IDLE_EPOCHS = 3


def optimise(
    seed_text: str,
    pools: Pools,
    task: WritingTask,
    proposals: Proposals,
    *,
    perfect: float,
    seed: int,
) -> dict[str, float]:
    """Propose and try until the budget is spent or there is nothing more to be had.

    Args:
        seed_text: the instruction to start from.
        perfect: the best value of the metric, as rows have it (higher is better); infinite where
            there is none.
        seed: of what is drawn.

    Returns:
        Instruction -> mean on the rows that are compared, as rows have it: the seed, and whatever
        was taken up.
    """
    from gepa import optimize

    # Every row that proposals are written from is drawn once in so many steps.
    epoch = -(-len(pools.shown) // task.minibatch)
    watching = _Watching(proposals, perfect, IDLE_EPOCHS * epoch)
    adapter = _Adapter(proposals, watching)
    optimize(
        seed_candidate={_TEXT: seed_text},
        trainset=list(pools.shown),
        valset=list(pools.compared),
        adapter=adapter,
        custom_candidate_proposer=adapter.proposed,
        reflection_minibatch_size=min(task.minibatch, len(pools.shown)),
        perfect_score=perfect,
        skip_perfect_score=True,
        stop_callbacks=watching,
        callbacks=[watching],
        logger=_Silent(),
        track_best_outputs=False,
        raise_on_exception=False,
        seed=seed,
    )
    proposals.close()
    if watching.broken is not None:
        raise watching.broken
    return watching.scores


class _Adapter:
    """What the library asks for answers."""

    propose_new_texts = None

    def __init__(self, proposals: Proposals, watching: _Watching) -> None:
        self._proposals = proposals
        self._watching = watching
        self._rows: list[AnsweredRow] = []

    def evaluate(
        self, batch: list[Example], candidate: dict[str, str], capture_traces: bool = False
    ) -> Any:
        """Rows answered under a candidate."""
        from gepa import EvaluationBatch

        rows = self._proposals.answered(candidate[_TEXT], batch)
        self._proposals.tried(candidate[_TEXT], rows)
        scores = [row.value for row in rows]
        return EvaluationBatch(
            outputs=[row.reply for row in rows],
            scores=scores,
            trajectories=rows if capture_traces else None,
        )

    def make_reflective_dataset(
        self, candidate: dict[str, str], eval_batch: Any, components_to_update: list[str]
    ) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """The rows themselves: what the writer is told of them is none of the library's."""
        self._rows = list(eval_batch.trajectories)
        return {name: [{"row": place} for place in range(len(self._rows))]
                for name in components_to_update}  # fmt: skip

    def proposed(
        self,
        candidate: dict[str, str],
        reflective_dataset: Mapping[str, Sequence[Mapping[str, Any]]],
        components_to_update: list[str],
    ) -> dict[str, str]:
        """A new text; none where the proposal came to nothing."""
        try:
            text = self._proposals.propose(candidate[_TEXT], self._rows)
        except Exception as error:  # noqa: BLE001 it is raised again, outside the library
            # The library would ask again, and then go on as if nothing had been.
            self._watching.broken = error
            return {}
        return {} if text is None else {_TEXT: text}


class _Watching:
    """Hears of what the library decides, and tells it when to stop.

    Attributes:
        scores: instruction -> mean on the rows that are compared.
        broken: what went wrong that is no matter of a proposal; None where nothing did.
    """

    def __init__(self, proposals: Proposals, perfect: float, most_idle: int) -> None:
        self._proposals = proposals
        self._perfect = perfect
        self._most_idle = most_idle
        self._idle, self._done = 0, (0, 0)
        self.scores: dict[str, float] = {}
        self.broken: Exception | None = None

    def __call__(self, state: Any) -> bool:
        """Whether to stop."""
        proposals = self._proposals
        best = max(self.scores.values(), default=float("-inf"))
        if best >= self._perfect and not proposals.given_up:
            proposals.given_up = "every row that is compared is answered right"
        return bool(proposals.given_up or proposals.account.spent() or self.broken)

    def on_valset_evaluated(self, event: Mapping[str, Any]) -> None:
        """Note what a candidate does on the rows that are compared."""
        text, score = str(event["candidate"][_TEXT]), float(event["average_score"])
        self.scores[text] = score
        self._proposals.taken_up(text, score)

    def on_iteration_end(self, event: Mapping[str, Any]) -> None:
        """Whatever was open is done with.

        Where all rows that are drawn are answered right, nothing is proposed, and nothing spent.
        """
        proposals = self._proposals
        proposals.close()
        done = proposals.account.rows, len(proposals.history)
        self._idle, self._done = self._idle + 1 if done == self._done else 0, done
        if self._idle >= self._most_idle and not proposals.given_up:
            proposals.given_up = "every row that proposals are written from is answered right"

    def on_error(self, event: Mapping[str, Any]) -> None:
        """A proposal that nobody can be asked by costs itself; anything else ends the writing."""
        error = event["exception"]
        if isinstance(error, UnusableError):
            self._proposals.unusable(error)
        else:
            self.broken = error


class _Silent:
    """Takes the library's log, which repeats what is in the history."""

    def log(self, message: str) -> None:
        """Do nothing."""


__all__ = ["optimise"]
