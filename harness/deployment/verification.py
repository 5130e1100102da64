"""What a verification found, and its trace in the store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from harness.deployment.agreement import Agreement
from harness.export.final_run import FinalRun
from harness.records import to_plain
from harness.store import STORE_FILE, StoreWriter

CulpritName = Literal[
    "template",
    "BOS twice",
    "BOS missing",
    "system prompt",
    "sampling",
    "quantisation",
    "number format",
    "arithmetic",
    "stop tokens",
    "length",
    "white space",
    "model name",
    "way of answering",
    "weights",
    "rounding",
    "not found out",
]


@dataclass(frozen=True, slots=True)
class Culprit:
    """A reason why replies differ, or will."""

    name: CulpritName
    """What it is."""
    found: str
    """What was compared, and what came of it: a sentence."""
    explains: bool = True
    """Whether it makes these replies differ; else it may make others differ, or some of these."""


def search_failed(error: Exception) -> Culprit:
    """What is said where the search for reasons did not come to its end."""
    return Culprit("not found out", f"the search for reasons stopped: {error}", explains=False)


def each_once(culprits: Iterable[Culprit]) -> tuple[Culprit, ...]:
    """The first of each name, in order; of some of a name the first that explains replies."""
    first: dict[str, Culprit] = {}
    for culprit in culprits:
        known = first.setdefault(culprit.name, culprit)
        if culprit.explains and not known.explains:
            first[culprit.name] = culprit
    return tuple(first.values())


@dataclass(frozen=True, slots=True)
class Load:
    """How fast replies come with so many requests under way."""

    at_once: int
    """Requests under way at once; of a model in memory those of a batch."""
    requests: int
    """Number of requests."""
    median: float
    """Median of a request, seconds; of a model in memory that of a batch."""
    p95: float
    """95th percentile likewise."""
    per_second: float
    """Requests answered in a second."""


def load_of(at_once: int, requests: int, seconds: Sequence[float], wall: float) -> Load:
    """What was measured of one number of requests at once.

    Args:
        seconds: what each took, at least one.
        wall: seconds that all took together.
    """
    median, p95 = np.quantile(np.array(seconds), (0.5, 0.95)).tolist()
    return Load(at_once, requests, median, p95, requests / wall)


@dataclass(frozen=True, slots=True)
class Verification:
    """What is served or shipped against what was scored."""

    run: FinalRun
    """The final run."""
    what: str
    """What was verified, in words."""
    agreement: Agreement
    """Replies and scores, item by item."""
    loads: tuple[Load, ...]
    """Speed by number of requests at once."""
    culprits: tuple[Culprit, ...]
    """Why replies differ, as far as it was found; also what will make them differ elsewhere."""
    megabytes: float | None = None
    """Size of the weights, MB; None where a server keeps them."""

    @property
    def passed(self) -> bool:
        """Whether it may stand for what was scored."""
        return self.agreement.non_inferior

    @property
    def sentence(self) -> str:
        """What came of it."""
        found, items = self.agreement, len(self.agreement.pairs)
        if found.equal == items:
            return f"Every one of the {items:,} replies is the one that was scored."
        equal = f"{found.equal:,} of {items:,} replies are those that were scored"
        contrast = found.contrast
        if found.unscored:
            equal += f"; {found.metric} could not score {found.unscored:,} of them"
        if contrast is None and found.unscored:
            return f"{equal}, which leaves too few to compare."
        if contrast is None:
            return f"{equal}; {found.metric} has no value of single replies here to compare."
        low, high = contrast.interval.low, contrast.interval.high
        spread = (
            f"{found.metric} differs by {contrast.difference:+.3f} ({low:+.3f} to {high:+.3f} at "
            f"{contrast.interval.level:.0%})"
        )
        if found.worst_case is not None:
            worst = found.worst_case
            spread += (
                f", and by {contrast.unscored_as_worst:+.3f} ({worst.low:+.3f} to "
                f"{worst.high:+.3f}) with the worst value for each of the {contrast.unscored:,} "
                "items without a score"
            )
            low, high = min(low, worst.low), min(high, worst.high)
        if found.non_inferior:
            return f"{equal}; {spread}: not worse by the margin of {contrast.margin:g}."
        if high < 0:
            return f"{equal}; {spread}: WORSE than what was scored."
        return (
            f"{equal}; {spread}: that it is not worse by the margin of {contrast.margin:g} is not "
            f"shown with {contrast.items:,} items."
        )


def log_result(found: Verification) -> None:
    """Note in the store what came of a verification, as an event ``verified``.

    Raises:
        StoreError: the store stays busy.
    """
    run, contrast = found.run, found.agreement.contrast
    detail: dict[str, Any] = {
        "trial_id": run.trial.trial_id,
        "arm": run.trial.arm,
        "what": found.what,
        "items": len(found.agreement.pairs),
        "equal": found.agreement.equal,
        "unscored": found.agreement.unscored,
        "difference": contrast.difference if contrast else None,
        "low": contrast.interval.low if contrast else None,
        "passed": found.passed,
        "culprits": ", ".join(dict.fromkeys(culprit.name for culprit in found.culprits)),
    }
    _writer(run).record_event(run.analysed.study.experiment.experiment_id, "verified", detail)


def _writer(run: FinalRun) -> StoreWriter:
    return StoreWriter(run.analysed.results / STORE_FILE)


def as_json(found: Verification) -> dict[str, Any]:
    """All of it as plain data, with the replies that differ."""
    run, contrast = found.run, found.agreement.contrast
    return {
        "study": run.analysed.study.experiment.name,
        "experiment_id": run.analysed.study.experiment.experiment_id,
        "trial_id": run.trial.trial_id,
        "arm": run.trial.arm,
        "seed": run.trial.seed,
        "what": found.what,
        "passed": found.passed,
        "sentence": found.sentence,
        "items": len(found.agreement.pairs),
        "equal": found.agreement.equal,
        "unscored": found.agreement.unscored,
        "metric": found.agreement.metric,
        "contrast": to_plain(contrast) if contrast else None,
        "megabytes": found.megabytes,
        "loads": [to_plain(load) for load in found.loads],
        "culprits": [to_plain(culprit) for culprit in found.culprits],
        "different": [
            {"item_id": pair.item.id, "scored": pair.scored, "deployed": pair.deployed}
            for pair in found.agreement.apart
        ],
    }


__all__ = [
    "Culprit",
    "CulpritName",
    "Load",
    "Verification",
    "as_json",
    "each_once",
    "load_of",
    "log_result",
]
