"""What a reader must know of how hard settings were searched, in full sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from harness.analysis.arms.table import Sides
from harness.analysis.statistics.repeats import searches_tested
from harness.analysis.wording import number
from harness.answers.metrics import is_share
from harness.findings import ArmSummary, EdgeSetting, RisingSearch, SearchSummary
from harness.spec import Experiment
from harness.spec.kinds import kind_info
from harness.wording import agreeing, listed, plural

# A prompt arm that tried less of a finite space is named.
LEAST_SHARE = 1 / 3
FEWEST_SEARCHES = 3
# Standard deviation of an arm's test score over searches, beyond what seeds explain, of a score
# from 0 to 1; its source stands in docs/method.md.
TUNING_SPREAD = 0.028


def search_caveats(
    searches: Sequence[SearchSummary],
    arms: Mapping[str, ArmSummary],
    sides: Sides,
    experiment: Experiment,
    winner: str,
) -> list[str]:
    """Sentences on searches: of all arms where forgetting decided, else of those that decide.

    These are the two compared first, and the winner where it is neither of them.
    """
    compared = [
        name for name in dict.fromkeys((sides.fine_tuned, sides.against, winner)) if name in arms
    ]
    of_compared = [search for search in searches if search.arm in compared]
    return [
        *_forgetting(searches),
        *_passed_over(searches),
        *_few_settings([arms[name] for name in compared]),
        *_few_searches([arms[name] for name in compared], experiment),
        *(_edge(search, edge) for search in of_compared for edge in search.edges),
        *(_rising(search, search.rising, experiment) for search in of_compared if search.rising),
    ]


def _forgetting(searches: Sequence[SearchSummary]) -> list[str]:
    lost = [
        search.title for search in searches if search.choice is not None and not search.choice.kept
    ]
    if not lost:
        return []
    return [
        f"No setting of {', '.join(lost)} kept general abilities within the margin on the search's "
        "items; the one that lost least was tested."
    ]


def _passed_over(searches: Sequence[SearchSummary]) -> Iterator[str]:
    """Arms whose best setting on validation forgot too much to be tested."""
    for search in searches:
        choice = search.choice
        if choice is None or not choice.kept or choice.best_change is None:
            continue
        if choice.best_forgot:
            yield (
                f"{search.title}: the setting with the best validation score was passed over, as "
                f"it lost {number(-choice.best_change, 100)} percentage points of general ability "
                "on the search's items; the appendix has both."
            )


def _few_settings(compared: Sequence[ArmSummary]) -> Iterator[str]:
    for arm in compared:
        whole = None if kind_info(arm.kind).fine_tuned else arm.settings
        if whole and arm.settings_tried < LEAST_SHARE * whole:
            yield (
                f"{arm.arm} tried {arm.settings_tried} of its {whole:,} settings: a better prompt "
                "may be among the others; raise budget.trials."
            )


def _few_searches(compared: Sequence[ArmSummary], experiment: Experiment) -> Iterator[str]:
    tested = {arm.arm: _tested(arm, experiment) for arm in compared if arm.settings != 1}
    twice = [name for name, searches in tested.items() if searches == 2]
    if twice:
        yield (
            f"Tuned twice only: {listed(twice)}. Two searches say little of how much tuning "
            f"anew changes; at least {FEWEST_SEARCHES} (search.repeats) are needed."
        )
    once = [name for name, searches in tested.items() if searches == 1]
    if not once:
        return
    size = ""
    if is_share(experiment.task.primary_metric):
        size = (
            " In one study of a prompt that was tuned four times, scores differed by "
            f"{number(TUNING_SPREAD, 100)} percentage points (standard deviation) for that."
        )
    yield (
        f"Tuned once: {listed(once)}. The interval does not cover that another setting may win "
        f"where an arm is tuned anew; search.repeats: {FEWEST_SEARCHES} covers it.{size}"
    )


def _tested(arm: ArmSummary, experiment: Experiment) -> int:
    """Searches whose setting was tested; those that are declared where none was."""
    return searches_tested(experiment, arm.arm, arm.seeds) if arm.seeds else arm.searches


def _edge(row: SearchSummary, edge: EdgeSetting) -> str:
    towards = "up" if edge.upper else "down"
    return (
        f"{row.title}: the selected {edge.name}, {edge.value:g}, lies at the edge of what "
        f"was searched ({edge.low:g} to {edge.high:g}), so a better one may lie beyond; search "
        f"{towards} to {edge.beyond:g}."
    )


def _rising(row: SearchSummary, rising: RisingSearch, experiment: Experiment) -> str:
    shares = is_share(experiment.task.primary_metric)
    gain = number(rising.gain, 100 if shares else 1)
    limit = row.limit or "trials"
    late = agreeing(rising.late, "trial", f"{rising.late} trials")
    more = plural(rising.more, "trial")
    budget = f": {row.budget_trials + rising.more}" if limit == "trials" else ""
    return (
        f"{row.title}: the search was still rising, its last {late} brought "
        f"{gain}{' percentage points' if shares else ''} on validation, more than the margin; add "
        f"{more} (budget.{limit}{budget})."
    )


__all__ = ["search_caveats"]
