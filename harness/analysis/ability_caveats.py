"""What a reader must know of how the general abilities were judged, in full sentences."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence

from harness.findings import Forgetting, GeneralDelta
from harness.records import keeps_abilities
from harness.wording import PER_CENT, agreeing, per_cent, plural


def ability_caveats(forgetting: Sequence[Forgetting], unscored: Sequence[str]) -> list[str]:
    """Caveats on the general suite, the weightiest first.

    Args:
        unscored: tasks without a base score.
    """
    return [
        *_collapses(forgetting),
        *_shared(forgetting),
        *_unscored(unscored),
        *_not_counted(forgetting),
        *_searched(forgetting),
    ]


def _collapses(forgetting: Iterable[Forgetting]) -> Iterator[str]:
    """How often trainings may collapse where none of those tested did."""
    alike, collapsed = defaultdict(list), False
    for arm in forgetting:
        changes = arm.seed_changes.values()
        if not all(keeps_abilities(change, arm.margin) for change in changes):
            collapsed = True
        elif changes:
            alike[len(changes), arm.interval.level].append(arm.arm)
    limits = [
        f"{per_cent(1 - (1 - level) ** (1 / seeds))} of them, judging by {plural(seeds, 'seed')}"
        f" ({', '.join(arms)})"
        for (seeds, level), arms in sorted(alike.items())
    ]
    if limits:
        whole = sorted(name for names in alike.values() for name in names)
        which = f"of {', '.join(whole)}" if collapsed else "that were tested"
        yield (
            f"None of the trainings {which} lost more general ability than is allowed; repeated "
            f"ones may: up to {', '.join(limits)}."
        )


def _shared(forgetting: Iterable[Forgetting]) -> Iterator[str]:
    """General items that share text with training, and what is left without them."""
    for arm in forgetting:
        flagged = {delta.task: delta.flagged for delta in arm.tasks if delta.flagged}
        number = sum(flagged.values())
        shared = (
            f"{plural(number, 'item')} of the general suite ({', '.join(flagged)}) "
            f"{agreeing(number, 'shares', 'share')} text with training examples"
        )
        clean = arm.without_flagged
        if flagged and clean is None:
            yield f"{shared}; what {arm.arm} lost on average was not measured without them."
        elif clean is not None and clean.outcome == arm.outcome:
            yield f"{shared}; without them the answer for {arm.arm} is the same ({clean.outcome})."
        elif clean is not None:
            yield (
                f"{shared}; without them the answer for {arm.arm} is {clean.outcome}, "
                f"not {arm.outcome}."
            )


def _unscored(tasks: Sequence[str]) -> Iterator[str]:
    if tasks:
        yield (
            f"The untouched base has no score on {', '.join(tasks)}, so forgetting there was not "
            "measured."
        )


def _not_counted(forgetting: Sequence[Forgetting]) -> Iterator[str]:
    weak = _tasks(forgetting, lambda delta: delta.not_counted == "chance")
    if weak:
        yield (
            f"The untouched base is not clearly above chance on {weak}: what it could not do it "
            "cannot forget, so these are left out of the mean."
        )
    low = _tasks(forgetting, lambda delta: delta.not_counted == "room")
    if low:
        yield (
            f"On {low} the untouched base is above chance by no more than the "
            f"{PER_CENT.margin(forgetting[0].margin)} of loss that are allowed: a larger loss "
            "could not be seen there, so these are left out of the mean."
        )


def _searched(forgetting: Iterable[Forgetting]) -> Iterator[str]:
    tasks = _tasks(forgetting, lambda delta: delta.searched > 0)
    if tasks:
        yield (
            f"The search looked at forgetting on the items of {tasks} too, and too few others are "
            "left to judge by: settings were selected for doing well on these very items, which "
            "flatters what was kept there."
        )


def _tasks(forgetting: Iterable[Forgetting], chosen: Callable[[GeneralDelta], bool]) -> str:
    tasks = {delta.task for arm in forgetting for delta in arm.tasks if chosen(delta)}
    return ", ".join(sorted(tasks))


__all__ = ["ability_caveats"]
