"""The judges of a trial: they mark what it replied, after its replies are there."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.answers.metrics import mean_of_scored
from harness.data import read_examples_file
from harness.errors import TrialError
from harness.evaluation.judge_prompt import Case, case_of
from harness.evaluation.judging import Mark, likely_marks, replied_marks
from harness.evaluation.known_replies import KnownReplies
from harness.evaluation.latency import timed_items
from harness.measures import JudgeMetric
from harness.records import (
    ItemScore,
    Reply,
    ScoreRecord,
    ScoreRequest,
    Seat,
    TrialSpec,
    Unscored,
)
from harness.spec import PromptArm, TaskSpec
from harness.trial.candidate import Announce, TrialRun
from harness.trial.scoring import known_replies
from harness.trial.served import ServersTokenizer

if TYPE_CHECKING:
    from harness.models.base_cache import BaseCache

# lm-eval's word for replies that nothing was taken out of.
FILTER = "none"
Scored = tuple[ScoreRecord, ScoreRequest]
Ask = Callable[[Sequence[Case]], list[Mark]]


@dataclass(slots=True)
class Bench:
    """Asks the judges of one trial, each only for marks that are not known.

    What that takes is noted in the trial's cost, apart from all else.
    """

    spec: TrialSpec
    """The trial."""
    run: TrialRun
    """What it has so far; marks are kept among its replies."""
    bases: BaseCache
    """Lends the judges' models."""
    announce: Announce
    """Is told how far they are."""
    _known: list[Reply] | None = None
    """Marks of earlier trials, once read."""

    def marked(self, scores: Sequence[Scored]) -> list[ScoreRecord]:
        """The scores, with the marks of their replies.

        Raises:
            TrialError: a judge cannot be asked.
        """
        task = TaskSpec.model_validate(self.spec.task)
        seats = {seat.name: seat for seat in self.spec.judges}
        records = [record for record, _ in scores]
        requests = [request for _, request in scores]
        for metric in task.judged:
            with self._asking(seats[metric.judge], metric) as ask:
                marked = _marked(metric, list(zip(records, requests, strict=True)), ask)
            records = marked
        return records

    @contextmanager
    def _asking(self, seat: Seat, metric: JudgeMetric) -> Iterator[Ask]:
        began = time.perf_counter()
        asking = self._server if seat.endpoint is not None else self._local
        try:
            with asking(seat, metric) as ask:
                yield ask
        finally:
            self._note(seconds=time.perf_counter() - began)

    @contextmanager
    def _local(self, seat: Seat, metric: JudgeMetric) -> Iterator[Ask]:
        from harness.evaluation.judging import DATE
        from harness.evaluation.local.candidate_lm import CandidateLM
        from harness.models.packed_weights import packed_weights

        if seat.model is None:
            raise TrialError("error", f"judge {seat.name} has neither a model nor a server")
        runtime = self.spec.runtime
        kept = self.bases.mib
        with self.bases.lent(seat.model, runtime, PromptArm(kind="prompt").resolve({})) as loaded:
            # It lies where bases do, and is none of what the trial itself needs.
            self.run.kept_mib += max(0.0, self.bases.mib - kept)
            own = CandidateLM(loaded.model, loaded.tokenizer, runtime.score_batch_size, DATE)
            lm = self._knowing(own, seat)
            lm.listen(partial(self.announce, "score", task=metric.own_name))
            with packed_weights(loaded.model, runtime.memory_share, loaded.packed):
                try:
                    yield partial(likely_marks, lm, loaded.tokenizer, metric)
                finally:
                    self.run.replies.extend(lm.fresh)
                    self._note(tokens=round(own.work.read))

    @contextmanager
    def _server(self, seat: Seat, metric: JudgeMetric) -> Iterator[Ask]:
        from harness.evaluation.endpoint.endpoint_lm import EndpointLM

        if seat.endpoint is None:
            raise TrialError("error", f"judge {seat.name} has no server")
        server = EndpointLM(seat.endpoint, self.spec.trial_id)
        server.on_progress = partial(self.announce, "score", task=metric.own_name)
        lm, before = self._knowing(server, seat), server.spent()
        try:
            yield partial(
                replied_marks,
                lm,
                ServersTokenizer(),
                metric,
                max_new_tokens=seat.max_new_tokens,
            )
            server.ended()
        finally:
            self.run.replies.extend(lm.fresh)
            self._note(tokens=_counted(lm.fresh), money=server.spent() - before)
            notes = {f"judge_{seat.name}_{key}": note for key, note in server.notes().items()}
            self.run.environment |= notes

    def _knowing(self, lm: Any, seat: Seat) -> KnownReplies:
        if self._known is None:
            mine = {one.asked for one in self.spec.judges}
            self._known = [reply for reply in known_replies(self.spec) if reply.asked in mine]
        knowing = KnownReplies(lm, [*self._known, *self.run.replies])
        knowing.asked = seat.asked
        return knowing

    def _note(self, seconds: float = 0.0, tokens: int = 0, money: float = 0.0) -> None:
        cost = self.run.cost
        self.run.cost = replace(
            cost,
            measure_seconds=cost.measure_seconds + seconds,
            measure_tokens=cost.measure_tokens + tokens,
            measure_money=cost.measure_money + money,
        )


def _counted(replies: Sequence[Reply]) -> int:
    """Tokens of a server's replies, as far as it counts them."""
    remarks = (json.loads(reply.remark) for reply in replies if reply.remark)
    return sum(sum(remark["tokens"] or ()) for remark in remarks)


def _marked(metric: JudgeMetric, scores: Sequence[Scored], ask: Ask) -> list[ScoreRecord]:
    """The scores with one judge's marks, asked for all at once."""
    asked = [place for place, (_, request) in enumerate(scores) if _is_judged(request)]
    cases = {place: [case_of(metric, out) for out in scores[place][0].outputs] for place in asked}
    pleas = {
        place: [
            (case, case.pleading(metric.marks[-1])) for case in timed_items(tuple(cases[place]))
        ]
        for place in asked
        if _is_probed(scores[place][1])
    }
    every = [case for place in asked for case in cases[place]]
    every += [plea for pairs in pleas.values() for _, plea in pairs]
    once = list(dict.fromkeys(every))
    marks = dict(zip(once, ask(once), strict=True))
    records = []
    for place, (record, request) in enumerate(scores):
        if place not in cases:
            records.append(record)
            continue
        whole = _with_marks(record, request, metric, [marks[case] for case in cases[place]])
        moves = [marks[plea].value - marks[case].value for case, plea in pleas.get(place, ())]
        moved = mean_of_scored(moves)
        if not math.isnan(moved):
            whole = replace(whole, moved={**whole.moved, metric.metric_names[0]: moved})
        records.append(whole)
    return records


def _is_judged(request: ScoreRequest) -> bool:
    return request.suite in ("domain", "out_of_domain")


def _is_probed(request: ScoreRequest) -> bool:
    """Whether it is tried there if instructions in a reply move the judge."""
    return (request.suite, request.split) == ("domain", "test")


def _with_marks(
    record: ScoreRecord, request: ScoreRequest, metric: JudgeMetric, marks: Sequence[Mark]
) -> ScoreRecord:
    name = metric.metric_names[0]
    pairs = list(zip(record.outputs, marks, strict=True))
    lines: dict[str, int] = {}
    if any(mark.why for mark in marks):
        items = read_examples_file(Path(request.items_path))
        lines = {item.id: item.line for item in items}
    mean = mean_of_scored([mark.value for mark in marks])
    return replace(
        record,
        item_scores=(
            *record.item_scores,
            *(
                ItemScore(out.doc_hash, FILTER, name, None if mark.why else mark.value)
                for out, mark in pairs
            ),
        ),
        aggregates=record.aggregates | ({} if math.isnan(mean) else {name: mean}),
        higher_is_better={**record.higher_is_better, name: True},
        unscored=(
            *record.unscored,
            *(
                Unscored(name, out.item_id, lines.get(out.item_id, 0), mark.why)
                for out, mark in pairs
                if mark.why
            ),
        ),
    )


__all__ = ["Bench"]
