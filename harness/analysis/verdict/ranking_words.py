"""The verdict on a study of prompts only, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from harness.analysis import wording
from harness.analysis.arms.cost import total_money
from harness.analysis.verdict.evidence import Evidence
from harness.analysis.verdict.ranking import Ranking, ranking
from harness.answers.metrics import is_share
from harness.findings import Contrast
from harness.wording import agreeing, listed, money


def alone(e: Evidence, winner: str) -> str:
    """That one arm alone is within the limits."""
    return f"Use {winner}, the only arm within the limits. {' '.join(e.excluded.values())}"


def best(e: Evidence, winner: str) -> str:
    """That the leader is the best."""
    ranked = ranking(e)
    shown = [
        *([f"is better than {_arms(ranked.beaten)}"] if ranked.beaten else []),
        *([f"does as well as {_arms(ranked.equal)} and costs no more"] if ranked.equal else []),
    ]
    return f"Use {winner}: it {listed(shown)}. {_results(e.primary)}"


def another_best(e: Evidence, winner: str) -> str:
    """That another arm than the one that validation had picked is the best."""
    ranked = ranking(e)
    rest = f", and that one is better than {_arms(ranked.beaten)}" if ranked.beaten else ""
    return (
        f"Use {winner}: it is better than {ranked.leader}, which validation had picked{rest}. "
        f"{_results(ranked.ahead[0])}"
    )


def tied(e: Evidence, winner: str) -> str:
    """That several arms are left, and which of them is named."""
    ranked = ranking(e)
    left = (*ranked.equal, *ranked.undecided)
    if ranked.ahead:
        others = listed([c.b for c in (*ranked.ahead[1:], *left)])
        opening = (
            f"No single arm is shown to be the best. {winner} is named: it is better than "
            f"{ranked.leader}, which validation had picked; how {others} "
            f"{agreeing(len(ranked.ahead[1:]) + len(left), 'compares', 'compare')} with {winner} "
            "was not tested."
        )
        return f"{opening} {_results(ranked.ahead[0])}"
    shown = [
        *([f"not shown to be better than {_arms(ranked.undecided)}"] if ranked.undecided else []),
        *([f"no better than {_arms(ranked.equal)} by the margin"] if ranked.equal else []),
    ]
    return (
        f"No single arm is shown to be the best: {ranked.leader}, which validation picked, is "
        f"{listed(shown)}. {_why_named(e, ranked, winner)} {_results(*left)} "
        f"{' '.join(map(wording.what_it_takes, ranked.undecided))}".rstrip()
    )


def reasons(e: Evidence) -> Iterator[str]:
    """Sentences on what the ranking rests on."""
    yield from e.missing
    if e.primary is None:
        return
    yield _by_test_score(e)
    for contrast in (e.primary, *e.secondary):
        yield wording.result(contrast)
    yield from e.excluded.values()
    costs = wording.costs(e.experiment, e.arms, e.fine_tuned, e.against)
    if costs:
        yield costs
    for contrast in () if e.nothing_right else ranking(e).undecided:
        yield wording.what_it_takes(contrast)


def untested(e: Evidence) -> list[str]:
    """Caveats on arms that are not in the ranking."""
    met = {e.fine_tuned, *e.excluded, *(c.b for c in (*([e.primary] if e.primary else ()),
                                                    *e.secondary))}  # fmt: skip
    absent = [name for name in e.arms if name not in met]
    if e.primary is None or not absent:
        return []
    return [
        f"{listed(absent)} {agreeing(len(absent), 'has', 'have')} no test result that could be "
        f"compared with {e.fine_tuned}'s and "
        f"{agreeing(len(absent), 'is', 'are')} not in the ranking."
    ]


def items_needed(e: Evidence) -> int | None:
    """Test items that would settle every open contrast of the leader; None if no number would."""
    needed = [contrast.items_needed for contrast in ranking(e).undecided]
    known = [items for items in needed if items is not None]
    return max(known, default=None) if len(known) == len(needed) else None


def _why_named(e: Evidence, ranked: Ranking, winner: str) -> str:
    months, currency = e.experiment.cost.months, e.experiment.cost.currency
    several = [ranked.leader, *(c.b for c in (*ranked.equal, *ranked.undecided))]
    totals = {name: total_money(e.arms[name].cost, months) for name in several}
    amounts = [amount for amount in totals.values() if amount is not None]
    if len(amounts) < len(several):
        return f"{winner} is named, as validation picked it and the costs were not all measured."
    if len(set(amounts)) == 1:
        return f"{winner} is named, as validation picked it and all cost the same."
    others = ", ".join(
        f"{name} {money(amount)}"
        for name, amount in totals.items()
        if amount is not None and name != winner
    )
    return (
        f"{winner} is named as the cheapest of them: {money(min(amounts), currency)} over "
        f"{months} months ({others})."
    )


def _by_test_score(e: Evidence) -> str:
    scores = {name: arm.test for name, arm in e.arms.items() if arm.test is not None}
    higher = e.experiment.task.higher_is_better
    ranked = sorted(scores, key=lambda name: scores[name], reverse=higher)
    metric = e.primary.metric if e.primary else ""
    scale = 100 if is_share(metric) else 1
    unit = " %" if scale == 100 else ""
    shown = ", ".join(f"{name} {wording.number(scores[name], scale)}{unit}" for name in ranked)
    return f"By test score: {shown}."


def _results(*contrasts: Contrast | None) -> str:
    return " ".join(wording.result(contrast) for contrast in contrasts if contrast is not None)


def _arms(contrasts: Iterable[Contrast]) -> str:
    return listed([contrast.b for contrast in contrasts])


__all__ = [
    "alone",
    "another_best",
    "best",
    "items_needed",
    "reasons",
    "tied",
    "untested",
]
