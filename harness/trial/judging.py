"""The judges of a trial: they mark what it replied, after its replies are there."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from harness.answers.metrics import mean, mean_of_scored
from harness.data import read_examples_file
from harness.errors import TrialError
from harness.evaluation.judge_prompt import Case, cases_of, wanted
from harness.evaluation.judging import Mark, likely_marks, replied_marks
from harness.evaluation.known_replies import KnownReplies
from harness.measures import JudgeMetric, UnscoredError
from harness.measures.judge import PLEAS
from harness.prompting.servers_tokenizer import ServersTokenizer
from harness.records import (
    Example,
    ItemOutput,
    ItemScore,
    Reply,
    ScoreRecord,
    ScoreRequest,
    Seat,
    TrialSpec,
    Unscored,
    even_sample,
)
from harness.spec import PromptArm, TaskSpec
from harness.trial.candidate import Announce, TrialRun
from harness.trial.scoring import known_replies

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

    def marked(self, scores: Sequence[Scored], only: str | None = None) -> list[ScoreRecord]:
        """The scores, with the marks of their replies.

        Args:
            only: name of the one judge to ask; None for all.

        Raises:
            TrialError: a judge cannot be asked.
        """
        task = TaskSpec.model_validate(self.spec.task)
        seats = {seat.name: seat for seat in self.spec.judges}
        records = [record for record, _ in scores]
        requests = [request for _, request in scores]
        for metric in task.judged:
            if only is not None and metric.judge != only:
                continue
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
            size, args = runtime.score_batch_size, seat.template_args
            own = CandidateLM(loaded.model, loaded.tokenizer, size, DATE, args)
            lm = self._knowing(own, seat)
            lm.listen(partial(self.announce, "score", task=metric.as_written))
            with packed_weights(loaded.model, runtime.memory_share, loaded.packed):
                try:
                    yield partial(likely_marks, lm, loaded.tokenizer, metric, template_args=args)
                finally:
                    self.run.replies.extend(lm.fresh)
                    self._note(tokens=round(own.work.read))

    @contextmanager
    def _server(self, seat: Seat, metric: JudgeMetric) -> Iterator[Ask]:
        from harness.evaluation.endpoint.endpoint_lm import EndpointLM

        if seat.endpoint is None:
            raise TrialError("error", f"judge {seat.name} has no server")
        server = EndpointLM(seat.endpoint, self.spec.trial_id)
        server.on_progress = partial(self.announce, "score", task=metric.as_written)
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
    items = {place: _items_of(scores[place][1]) for place in asked}
    replies = {
        place: [_Judged.of(metric, output, items[place]) for output in scores[place][0].outputs]
        for place in asked
    }
    pleas = {
        place: [(one, one.pleading(metric)) for one in even_sample(tuple(replies[place]), PLEAS)]
        for place in asked
        if _is_probed(scores[place][1])
    }
    every = [*replies.values(), *([plea for _, plea in pairs] for pairs in pleas.values())]
    once = list(dict.fromkeys(case for group in every for one in group for case in one.cases))
    marks = dict(zip(once, ask(once), strict=True))
    records = []
    for place, (record, _) in enumerate(scores):
        if place not in replies:
            records.append(record)
            continue
        own = [one.mark(marks) for one in replies[place]]
        whole = _with_marks(record, items[place], metric, own)
        moved = mean_of_scored(
            [plea.mark(marks).value - one.mark(marks).value for one, plea in pleas.get(place, ())]
        )
        if not math.isnan(moved):
            whole = replace(whole, moved={**whole.moved, metric.metric_names[0]: moved})
        records.append(whole)
    return records


@dataclass(frozen=True, slots=True)
class _Judged:
    """A reply, and what is asked about it."""

    cases: tuple[Case, ...]
    """What the judge is asked; of a pair, in both orders."""
    why: str = ""
    """Why nothing can be asked."""

    @classmethod
    def of(cls, metric: JudgeMetric, output: ItemOutput, items: Mapping[str, Example]) -> Self:
        """What is asked about one reply."""
        try:
            return cls(cases_of(metric, output, items[output.item_id].columns))
        except UnscoredError as error:
            return cls((), str(error))

    def pleading(self, metric: JudgeMetric) -> _Judged:
        """The same, with a sentence in the reply that asks for the best mark."""
        return replace(self, cases=tuple(case.pleading(wanted(metric)) for case in self.cases))

    def mark(self, marks: Mapping[Case, Mark]) -> Mark:
        """The mean of what the judge made of it."""
        given = [marks[case] for case in self.cases]
        why = self.why or next((mark.why for mark in given if mark.why), "")
        return Mark(math.nan, why) if why else Mark(mean([mark.value for mark in given]))


def _items_of(request: ScoreRequest) -> dict[str, Example]:
    return {item.id: item for item in read_examples_file(Path(request.items_path))}


def _is_judged(request: ScoreRequest) -> bool:
    return request.suite in ("domain", "out_of_domain")


def _is_probed(request: ScoreRequest) -> bool:
    """Whether it is tried there if instructions in a reply move the judge."""
    return (request.suite, request.split) == ("domain", "test")


def _with_marks(
    record: ScoreRecord, items: Mapping[str, Example], metric: JudgeMetric, marks: Sequence[Mark]
) -> ScoreRecord:
    name = metric.metric_names[0]
    pairs = list(zip(record.outputs, marks, strict=True))
    value = mean_of_scored([mark.value for mark in marks])
    return replace(
        record,
        item_scores=(
            *record.item_scores,
            *(
                ItemScore(out.doc_hash, FILTER, name, None if mark.why else mark.value)
                for out, mark in pairs
            ),
        ),
        aggregates=record.aggregates | ({} if math.isnan(value) else {name: value}),
        higher_is_better={**record.higher_is_better, name: True},
        unscored=(
            *record.unscored,
            *(
                Unscored(name, out.item_id, items[out.item_id].line, mark.why)
                for out, mark in pairs
                if mark.why
            ),
        ),
    )


__all__ = ["Bench"]
