"""Studies of prompts only: which pairs are compared, and what the leader was shown to be.

The *leader* is the arm that validation picked. It meets every other prompt arm; those contrasts are
one family, the primary one among them, and corrected together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from harness.analysis.arms.cost import total_money
from harness.analysis.arms.table import Sides
from harness.analysis.verdict.evidence import Evidence
from harness.findings import ArmSummary, Contrast
from harness.spec import Experiment


def ranking_sides(sides: Sides, arms: Mapping[str, ArmSummary], experiment: Experiment) -> Sides:
    """The leader against the second on validation, or against the arm that the experiment names.

    Where limits leave the leader alone, it meets the best of those that break them.
    """
    leader = (sides.prompts or ("",))[0]
    rest = [name for name in _met(sides, arms) if name != leader]
    named = experiment.contrast.against
    against = named if named and named != leader else (rest or [""])[0]
    return replace(sides, fine_tuned=leader, against=against, prompt=leader)


def ranking_pairs(sides: Sides, arms: Mapping[str, ArmSummary]) -> tuple[tuple[str, str], ...]:
    """The leader with every other arm that it meets, the primary pair first."""
    rest = dict.fromkeys((sides.against, *_met(sides, arms)))
    return tuple((sides.fine_tuned, name) for name in rest if name not in ("", sides.fine_tuned))


def _met(sides: Sides, arms: Mapping[str, ArmSummary]) -> list[str]:
    """Tested arms within the limits; those that break them where they leave one or none."""
    if len(sides.prompts) > 1:
        return list(sides.prompts)
    return [*sides.prompts, *(name for name in sides.excluded if arms[name].test is not None)]


@dataclass(frozen=True, slots=True)
class Ranking:
    """What the leader was shown to be, against each arm within the limits."""

    leader: str
    """The arm that validation picked."""
    beaten: tuple[Contrast, ...]
    """Contrasts with the arms that it is better than."""
    equal: tuple[Contrast, ...]
    """Contrasts with the arms that it is equivalent to."""
    undecided: tuple[Contrast, ...]
    """Contrasts in which nothing was shown."""
    ahead: tuple[Contrast, ...]
    """Contrasts with the arms that are better, the best on test first."""


def ranking(e: Evidence) -> Ranking:
    """The contrasts of the leader with the arms within the limits, by outcome."""
    contrasts = [
        contrast
        for contrast in (*([e.primary] if e.primary else []), *e.secondary)
        if contrast.b not in e.excluded
    ]

    def of(outcome: str) -> tuple[Contrast, ...]:
        return tuple(contrast for contrast in contrasts if contrast.outcome == outcome)

    return Ranking(
        leader=e.fine_tuned,
        beaten=of("better"),
        equal=of("equivalent"),
        undecided=of("inconclusive"),
        # Differences are the leader's: the smaller, the better the other arm did.
        ahead=tuple(sorted(of("worse"), key=lambda contrast: contrast.difference)),
    )


def alone_within_limits(e: Evidence) -> bool:
    """The leader breaks no limit and every other tested arm does."""
    others = [name for name, arm in e.arms.items() if name != e.fine_tuned and arm.test is not None]
    return (
        e.prompts_only
        and e.fine_tuned not in e.excluded
        and bool(others)
        and all(name in e.excluded for name in others)
    )


def leader_is_best(e: Evidence) -> bool:
    """The leader is better than every arm that it met, or as good and not dearer."""
    if not e.prompts_only:
        return False
    ranked = ranking(e)
    return not (ranked.ahead or ranked.undecided) and prompt_named(e) == ranked.leader


def another_is_best(e: Evidence) -> bool:
    """One arm is better than the leader, which is better than all others."""
    if not e.prompts_only:
        return False
    ranked = ranking(e)
    return len(ranked.ahead) == 1 and not (ranked.equal or ranked.undecided)


def prompt_named(e: Evidence) -> str:
    """The best on test of the arms ahead of the leader; else the cheapest of those not beaten."""
    ranked = ranking(e)
    if ranked.ahead:
        return ranked.ahead[0].b
    return cheapest(e, [ranked.leader, *(c.b for c in (*ranked.equal, *ranked.undecided))])


def cheapest(e: Evidence, names: Iterable[str]) -> str:
    """The cheapest arm over the horizon, the first of equals; the first where a cost is unknown."""
    several = list(names)
    money = [total_money(e.arms[name].cost, e.experiment.cost.months) for name in several]
    known = [amount for amount in money if amount is not None]
    return several[known.index(min(known))] if len(known) == len(several) else several[0]


__all__ = [
    "Ranking",
    "alone_within_limits",
    "another_is_best",
    "cheapest",
    "leader_is_best",
    "prompt_named",
    "ranking",
    "ranking_pairs",
    "ranking_sides",
]
