"""Seconds of single requests, and what else the machine did meanwhile."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import fmean
from typing import Any, Protocol, TypeVar

import psutil

from harness.records import ScoreRecord, ScoreRequest

# Tokens of the reply that warms up, of a model in memory: it reads a whole prompt, and its steps
# are all alike.
WARM_UP_TOKENS = 4
T = TypeVar("T")


class Timed(Protocol):
    """An lm-eval model that can time the requests of one item."""

    def time_alone(self, requests: Sequence[Any]) -> float:
        """Seconds that the requests of one item take by themselves."""
        ...


def timed_again(items: Sequence[T], limit: int | None) -> Sequence[T]:
    """Every so-manieth of the items that are timed, ``limit`` at most; all where it is None."""
    return items if limit is None else items[:: -(-len(items) // limit) or 1]


def time_requests(
    lm: Timed, task: Any, request: ScoreRequest, form: str, warm_up_tokens: int | None = None
) -> ScoreRecord:
    """Ask for the items of an lm-eval task one at a time.

    The first is asked once more before, which warms caches up and is not counted.

    Args:
        warm_up_tokens: tokens of a generated reply to it, at most; None for a whole reply.
    """
    task.build_all_requests(limit=None, rank=0, world_size=1)
    by_doc: dict[int, list[Any]] = {}
    for instance in task.instances:
        by_doc.setdefault(instance.doc_id, []).append(instance)
    groups = list(by_doc.values())
    began = time.perf_counter()
    lm.time_alone(_fresh(groups[0], warm_up_tokens))
    others = OtherWork()
    seconds = tuple(lm.time_alone(_fresh(group)) for group in groups)
    measures = {
        "seconds": fmean(seconds),
        "other_cores": others.cores(),
        "cores": processors(),
    }
    return ScoreRecord(
        key=request.key,
        task=request.task,
        suite=request.suite,
        split=request.split,
        form=form,
        seconds=time.perf_counter() - began,
        outputs=(),
        item_scores=(),
        aggregates=measures,
        higher_is_better=dict.fromkeys(measures, False),
        latencies=seconds,
    )


class OtherWork:
    """Watches, from when it is made, what programs other than this process do."""

    def __init__(self) -> None:
        self._began, self._all, self._own = time.perf_counter(), _busy_seconds(), _own_seconds()

    def cores(self) -> float:
        """Processors that they kept busy since, on average.

        In a container it is those of the whole machine, whose other guests are other programs.
        """
        passed = time.perf_counter() - self._began
        others = (_busy_seconds() - self._all) - (_own_seconds() - self._own)
        # The kernel counts in hundredths of a second, so that a few short requests can seem to
        # have had more processors, or fewer than none, beside them.
        return min(max(0.0, others / passed), processors()) if passed > 0 else 0.0


def processors() -> float:
    """How many processors the machine has, as far as this process can see."""
    return float(psutil.cpu_count() or 1)


def _busy_seconds() -> float:
    """Processor time of the whole machine that went into work, also of other guests on it."""
    times = psutil.cpu_times()
    # Guests' times are part of user and nice already; idle and iowait are no work.
    named = ("user", "nice", "system", "irq", "softirq", "steal", "interrupt", "dpc")
    return float(sum(getattr(times, name, 0.0) for name in named))


def _own_seconds() -> float:
    own = psutil.Process().cpu_times()
    return float(own.user + own.system + own.children_user + own.children_system)


def _fresh(group: Sequence[Any], tokens: int | None = None) -> list[Any]:
    """The same requests, not yet answered; generated replies of ``tokens`` tokens at most."""
    from lm_eval.api.instance import Instance

    def arguments(each: Any) -> tuple[Any, ...]:
        if tokens is None or each.request_type != "generate_until":
            return tuple(each.arguments)
        prompt, options = each.arguments
        return prompt, {**options, "max_gen_toks": min(tokens, options["max_gen_toks"])}

    return [
        Instance(each.request_type, each.doc, arguments(each), each.idx, metadata=each.metadata)
        for each in group
    ]
