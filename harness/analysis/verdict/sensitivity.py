"""What the verdict hangs on: which assumption, moved how far, gives another one.

An assumption is a field of the experiment that only judges the results. For each, values further
and further from the declared one are tried; the verdict is compared by outcome and winner. Nothing
is measured anew, but for the mean general change where another margin or level counts other tasks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from harness.analysis.arms.table import training_memory
from harness.analysis.verdict.decision import Judgement, Measured, judge
from harness.analysis.verdict.perturbations import (
    FLAGGED_ITEMS,
    SHORTFALLS,
    WithoutSeed,
    decision_of,
    perturbations,
)
from harness.findings import (
    ArmSummary,
    Contrast,
    Flip,
    Perturbation,
    Sensitivity,
    Verdict,
    VerdictOutcome,
)
from harness.spec import Experiment
from harness.spec.kinds import kind_info
from harness.wording import confidence

Direction = Literal["down", "up"]

REACH = 100.0
STRIDE = 10  # lattice points from one trial value to the next, before bisection
LEVELS = (*(n / 100 for n in range(80, 100)), *(n / 1000 for n in range(991, 1000)))


@dataclass(frozen=True, slots=True)
class Assumption:
    """A number that only judges."""

    field: str
    """Dotted name of the field in the experiment file."""
    noun: str
    """What it is called in a sentence."""
    down: str
    """What moving it down to ``{at}`` means, as the beginning of a sentence."""
    up: str
    """What moving it up to ``{at}`` means, as the beginning of a sentence."""
    least: float = 0.0
    """The lowest value that it may have."""
    most: float = math.inf
    """The highest value that it may have."""
    whole: bool = False
    """It is a whole number."""
    zero: bool = False
    """0 is tried too."""
    start: float = 1.0
    """Value to search around where 0 is declared."""
    show: Callable[[float], str] = lambda value: f"{value:,.10g}"
    """How a value is written."""


MARGINS_AND_MONEY = (
    Assumption(
        "contrast.margin",
        "margin of the contrast",
        "If differences of {at} and more counted (now {now} and more)",
        "If only differences of {at} and more counted (now {now} and more)",
        most=0.99,
    ),
    Assumption(
        "general.margin",
        "allowed loss of general accuracy",
        "If only {at} of general accuracy might be lost (now {now})",
        "If {at} of general accuracy might be lost (now {now})",
        most=0.99,
    ),
    Assumption(
        "cost.requests_per_month",
        "number of requests a month",
        "With no more than {at} requests a month (now {now})",
        "With {at} requests a month (now {now})",
        least=1,
        whole=True,
        zero=True,
        start=1000,
    ),
    Assumption(
        "cost.machine_per_hour",
        "price of the machine for an hour",
        "If the machine cost {at} an hour (now {now})",
        "If the machine cost {at} an hour (now {now})",
        zero=True,
    ),
    Assumption(
        "cost.months",
        "number of months",
        "Over {at} months (now {now})",
        "Over {at} months (now {now})",
        least=1,
        whole=True,
    ),
)
LEVEL = Assumption(
    "contrast.level",
    "confidence level",
    "At a confidence level of {at} (now {now})",
    "At a confidence level of {at} (now {now})",
    show=confidence,
)


def _round_off(value: float) -> str:
    return f"{value:,.4g}" if value < 1000 else f"{value:,.0f}"


def _limit(name: str, noun: str, unit: str) -> Assumption:
    return Assumption(
        f"constraints.{name}",
        f"limit on {noun}",
        f"With a limit on {noun} below {{at}} {unit} (now {{now}})",
        f"With a limit on {noun} of {{at}} {unit} or more (now {{now}})",
        show=_round_off,
    )


LIMITS: tuple[tuple[Assumption, Callable[[ArmSummary], float | None]], ...] = (
    (
        _limit("latency_ms", "latency", "ms"),
        lambda arm: None if arm.cost.latency_p95 is None else arm.cost.latency_p95 * 1000,
    ),
    (
        _limit("memory_mib", "training memory", "MiB"),
        lambda arm: training_memory(arm.cost) if kind_info(arm.kind).trains else None,
    ),
    (
        _limit("artifact_mib", "what is deployed", "MiB"),
        lambda arm: arm.cost.artifact_bytes / 2**20,
    ),
)


def assess_sensitivity(
    measured: Measured, judgement: Judgement, primary: Contrast | None, without_seed: WithoutSeed
) -> Sensitivity | None:
    """What the verdict hangs on; None where nothing was compared.

    Args:
        measured: the numbers, with the experiment as declared.
        judgement: the verdict on them.
        primary: the primary contrast, with its result without flagged items where there is one.
        without_seed: the contrasts that decide and abilities again without one seed.
    """
    if primary is None:
        return None
    return Sensitivity(
        flips=tuple(_flips(measured, judgement)),
        perturbations=tuple(perturbations(measured, judgement, primary, without_seed)),
    )


def _flips(measured: Measured, judgement: Judgement) -> Iterator[Flip]:
    for assumption in _margins_and_money(measured):
        search = _Search(measured, judgement.verdict, assumption)
        for direction in ("down", "up"):
            yield from search.on_lattice(direction)
    search = _Search(measured, judgement.verdict, LEVEL)
    level = measured.experiment.contrast.level
    yield from search.along("down", [value for value in reversed(LEVELS) if value < level])
    yield from search.along("up", [value for value in LEVELS if value > level])
    for assumption, measure in LIMITS:
        search = _Search(measured, judgement.verdict, assumption)
        limit = search.declared
        measures = {measure(arm) for arm in measured.arms.values() if arm.test is not None}
        values = sorted(value for value in measures if value is not None and value > 0)
        # A limit excludes what lies above it: the loosest that excludes an arm is just below it.
        tighter = [math.nextafter(v, 0) for v in values if limit is None or v <= limit]
        yield from search.along("down", tighter[::-1])
        if limit is not None:
            yield from search.along("up", [value for value in values if value > limit])


def _margins_and_money(measured: Measured) -> Iterator[Assumption]:
    general, primary = measured.experiment.general, measured.experiment.task.primary
    for assumption in MARGINS_AND_MONEY:
        if assumption.field == "contrast.margin":
            yield replace(assumption, most=assumption.most * (primary.highest - primary.lowest))
        elif assumption.field != "general.margin":
            yield assumption
        elif general is not None and measured.experiment.trained_arms():
            widest = max(measured.widest_margin(), general.margin)
            yield replace(assumption, most=min(assumption.most, widest))


@dataclass
class _Search:
    """The search along one assumption for the nearest value with another verdict."""

    measured: Measured
    """The numbers, with the experiment as declared."""
    verdict: Verdict
    """The verdict as declared."""
    assumption: Assumption
    """The assumption that is moved."""

    def __post_init__(self) -> None:
        self._section, self._name = self.assumption.field.split(".")
        declared = getattr(getattr(self.measured.experiment, self._section), self._name)
        self.declared: float | None = None if declared is None else float(declared)

    def at(self, value: float) -> Verdict:
        """The verdict at another value of the assumption."""
        moved: float = round(value) if self.assumption.whole else value
        return judge(
            self.measured, with_field(self.measured.experiment, self.assumption.field, moved)
        ).verdict

    def changed(self, value: float) -> bool:
        """Whether the verdict there is another one."""
        return decision_of(self.at(value)) != decision_of(self.verdict)

    def along(self, direction: Direction, values: Sequence[float]) -> Iterator[Flip]:
        """The first of the values with another verdict; nothing where there are no values."""
        if values:
            at = next((value for value in values if self.changed(value)), None)
            yield self._flip(direction, at, values[-1])

    def on_lattice(self, direction: Direction) -> Iterator[Flip]:
        """The nearest value of two significant digits with another verdict, up to REACH away."""
        assumption, declared = self.assumption, self.declared or 0.0
        if declared == 0 and direction == "down":
            return
        middle, sign = declared or assumption.start, 1 if direction == "up" else -1
        bound = middle * REACH if sign > 0 else middle / REACH
        bound = min(max(bound, assumption.least), assumption.most)
        # From the lattice number at the declared value, or the one just on its other side.
        unchanged, last = (
            _index(value) if sign > 0 else _index_above(value)
            for value in (middle if declared else middle / REACH, bound)
        )
        steps = [*range(unchanged + sign, last, sign * STRIDE), last]
        at = None
        for step in steps if (last - unchanged) * sign > 0 else ():
            if self.changed(_lattice(step)):
                at = _lattice(self._bisect(unchanged, step))
                break
            unchanged = step
        searched = _lattice(last)
        if direction == "down" and assumption.zero:
            searched = 0.0
            if at is None and self.changed(0.0):
                at = 0.0
        if at is not None and assumption.whole:
            at = float(round(at))
        yield self._flip(direction, at, searched)

    def _bisect(self, unchanged: int, changed: int) -> int:
        while abs(changed - unchanged) > 1:
            middle = (changed + unchanged) // 2
            if self.changed(_lattice(middle)):
                changed = middle
            else:
                unchanged = middle
        return changed

    def _flip(self, direction: Direction, at: float | None, searched: float) -> Flip:
        assumption = self.assumption
        now = "none" if self.declared is None else assumption.show(self.declared)
        verdict = None if at is None else self.at(at)
        if at is None or verdict is None:
            reach = f"{direction} to {assumption.show(searched)}"
            origin = "" if self.declared is None else f" from {now}"
            sentence = f"No {assumption.noun}{origin} {reach} changes the verdict."
        else:
            words = assumption.up if direction == "up" else assumption.down
            moved = words.format(at=assumption.show(at), now=now)
            sentence = f"{moved}, the verdict would be: {in_words(verdict)}."
        return Flip(
            assumption=assumption.field,
            direction=direction,
            value=self.declared,
            at=at,
            searched=searched,
            outcome=verdict.outcome if verdict else None,
            winner=verdict.winner if verdict else "",
            sentence=sentence,
        )


def with_field(experiment: Experiment, path: str, value: float) -> Experiment:
    """The experiment with one field of a section, ``section.field``, at another value."""
    section, name = path.split(".")
    moved = getattr(experiment, section).model_copy(update={name: value})
    return experiment.model_copy(update={section: moved})


WORDS: dict[VerdictOutcome, str] = {
    "fine_tune": "fine-tune with {}",
    "both": "both, a written instruction and training, with {}",
    "prompt": "use prompting ({})",
    "equivalent": "either, with {} named",
    "forgets_too_much": "fine-tuning forgets too much, use {}",
    "hardly_tried": "not decided, as fine-tuning was hardly tried",
    "best_prompt": "use {}",
    "prompts_tied": "no single best prompt, with {} named",
    "inconclusive": "not decided",
}


def in_words(verdict: Verdict | Perturbation) -> str:
    """A verdict's outcome and winner, as the end of a sentence."""
    if verdict.outcome == "forgets_too_much" and not verdict.winner:
        return "fine-tuning forgets too much"
    return WORDS[verdict.outcome].format(verdict.winner)


def _lattice(index: int) -> float:
    """Numbers of two significant digits in order: index 0 is 1.0, 1 is 1.1, 90 is 10."""
    return float(f"{index % 90 + 10}e{index // 90 - 1}")


def _index(value: float) -> int:
    """Index of the largest lattice number that is not above ``value``."""
    decade = math.floor(math.log10(value))
    index = 90 * decade + int(value / 10.0 ** (decade - 1)) - 10
    while _lattice(index) > value:
        index -= 1
    while _lattice(index + 1) <= value:
        index += 1
    return index


def _index_above(value: float) -> int:
    """Index of the smallest lattice number that is not below ``value``."""
    index = _index(value)
    return index if _lattice(index) >= value else index + 1


__all__ = [
    "FLAGGED_ITEMS",
    "SHORTFALLS",
    "Assumption",
    "assess_sensitivity",
    "in_words",
    "with_field",
]
