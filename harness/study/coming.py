"""Which trials a declaration asks for, arm by arm and phase by phase, before any of them runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from harness.records import Phase, TrialSpec
from harness.spec import Experiment, PromptArm, TrainedArm
from harness.spec.answering import rows_reasoned, trials_of_rows
from harness.spec.kinds import PROMPT, KindInfo, kind_info
from harness.study.asked_models import BASE

# Every arm is timed in each turn; the second goes backwards, so that a drift of the machine shows.
TURNS = 2


@dataclass(frozen=True, slots=True)
class Coming:
    """Trials of one arm and phase."""

    arm: str
    """Name of the arm, or of the untouched base."""
    phase: Phase
    """What they are run for."""
    kind: KindInfo
    """What the arm's kind does."""
    number: int
    """How many of them there are, at most."""
    items: int
    """Items of the user's task that one of them is scored on."""
    trains: bool
    """Whether one of them trains weights."""


def coming_trials(experiment: Experiment, sizes: Mapping[str, int]) -> list[Coming]:
    """All trials of a study, in its order, if every arm's finalist is not its default setting.

    Args:
        sizes: name of a split, or of a set of data from elsewhere -> number of its examples.
    """
    validation = sizes["validation"]
    decided = validation + sizes["test"]
    final = decided + sum(sizes.get(name, 0) for name in experiment.data.out_of_domain)
    trains = {name: kind_info(arm.kind).trains for name, arm in experiment.arms.items()}
    gap = min(sizes["train"], experiment.train_gap_items or sizes["test"])

    def of(arm: str, phase: Phase, number: int, items: int) -> Coming:
        kind = kind_info(experiment.arms[arm].kind)
        return Coming(arm, phase, kind, number, items, kind.trains)

    def all_of_them() -> Iterator[Coming]:
        yield Coming(BASE, "baseline", PROMPT, 1, final, False)
        for arm, spec in experiment.arms.items():
            if isinstance(spec, PromptArm):
                rows = min(spec.bootstrapped, sizes["train"])
                yield of(arm, "bootstrap", len(spec.bootstraps), rows)
            if spec.optimiser is not None:
                yield of(arm, "writing", experiment.repeats_of(arm), 0)
        for arm, spec in experiment.arms.items():
            taken = trials_of_rows(rows_reasoned(spec, sizes["train"]), validation)
            trials = min(experiment.trials_of(arm), experiment.budget.trials - taken)
            yield of(arm, "search", experiment.repeats_of(arm) * trials, validation)
        for arm in experiment.arms:
            finals = of(arm, "finalist", len(experiment.seeds_of(arm)), final + gap * trains[arm])
            if trains[arm] and experiment.trains_once(arm):
                # The search's trial is the first of them: it is scored on more, not trained again.
                yield replace(finals, number=1, trains=False)
                finals = replace(finals, number=finals.number - 1)
            yield finals
        for arm in experiment.arms:
            if experiment.budget.test_default and experiment.arms[arm].search_space():
                yield of(arm, "default", len(experiment.seeds_of(arm)), decided)
        for arm in experiment.arms:
            points = len(curve_sizes(experiment, arm, sizes["train"]))
            yield of(arm, "curve", points * len(experiment.seeds_of(arm)), validation)
        timed = min(experiment.latency_items, sizes["test"])
        for arm in experiment.arms:
            yield replace(of(arm, "latency", TURNS, timed), trains=False)

    return [trials for trials in all_of_them() if trials.number]


def curve_sizes(experiment: Experiment, arm: str, train: int) -> tuple[int, ...]:
    """Sizes of the arm's learning curve, but for the whole split: that is the finalists'.

    Args:
        train: number of examples of the training split.
    """
    spec = experiment.arms[arm]
    if not isinstance(spec, TrainedArm):
        return ()
    return tuple(size for size in spec.curve if size < train)


def only_those(coming: Iterable[Coming], trials: Iterable[TrialSpec]) -> list[Coming]:
    """What of ``coming`` belongs to phases of ``trials``, in the numbers in which these have it.

    Search and base are kept as they are: they are settled before ``trials`` are known.
    """
    wanted = Counter((trial.arm, trial.phase) for trial in trials)
    kept = []
    for one in coming:
        settled = one.phase in ("baseline", "bootstrap", "writing", "search", "latency")
        number = one.number if settled else min(one.number, wanted[one.arm, one.phase])
        wanted[one.arm, one.phase] -= number
        if number:
            kept.append(replace(one, number=number))
    return kept


__all__ = ["TURNS", "Coming", "coming_trials", "curve_sizes", "only_those"]
