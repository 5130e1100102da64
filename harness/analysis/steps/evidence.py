"""Next steps where the evidence does not settle the contrast, or could be luck."""

from __future__ import annotations

from dataclasses import replace

from harness.analysis.caveats import FEWEST_SEEDS, depends_on_seed
from harness.analysis.statistics.prediction_powered import FEWEST_MARKED
from harness.analysis.steps.known import Known
from harness.findings import NextStep
from harness.spec.kinds import kind_info
from harness.wording import plural

# Where items alone would not settle a difference, seeds of a full study and two more.
MANY_SEEDS = 5


def replies(known: Known) -> NextStep | None:
    """No arm has anything right."""
    if not known.nothing_right:
        return None
    return NextStep(
        "replies",
        "Read what was replied, in the report or in a table of every item, and mend what keeps it "
        "from being right: the instruction, the examples shown, how answers are read, or the model",
        (f"harness report {known.name} --format csv",),
        command=True,
        changes="Nothing that was tried does the task, so that no number of items tells arms "
        "apart.",
    )


def unscored(known: Known) -> NextStep | None:
    """The contrast rests on replies without a score."""
    contrast = known.open
    if contrast is None or not contrast.rests_on_missing:
        return None
    return NextStep(
        "unscored",
        f"Look at the {plural(contrast.unscored, 'item')} without a score, and mend the metric "
        "or judge that gave none",
        (f"harness report {known.name} --format csv",),
        command=True,
        changes="The comparison comes out otherwise with the worst value for what is missing.",
    )


def human_marks(known: Known) -> NextStep | None:
    """The verdict rests on a judge that people's marks do not correct enough."""
    for judge in known.findings.trust:
        if not judge.primary:
            continue
        found = [c for c in judge.contrasts if (c.a, c.b) == known.pair]
        needed = max((c.marks_needed for c in found), default=FEWEST_MARKED)
        if found and (known.open is None or needed <= found[0].marked):
            continue
        name = judge.metric.partition(":")[2]
        return NextStep(
            "human_marks",
            f"Have people mark the replies to {needed} items, and name the file under "
            f"judges.{name}.calibration",
            (f"harness judge {known.name} --sample {needed} --output marks.csv",),
            command=True,
            changes="The verdict rests on a model's marks; people's marks take out what the "
            "judge favours, and nothing is computed anew.",
        )
    return None


def more_items(known: Known) -> NextStep | None:
    """So many test items would settle the contrast, or arms that are tied."""
    contrast, needed = known.primary, known.findings.verdict.items_needed
    if contrast is None or contrast.rests_on_missing or known.nothing_right:
        return None
    if known.open is not None:
        needed = contrast.items_needed
    if needed is None:
        return None
    data, limit = known.scores.study.experiment.data, known.experiment.data.limits.test
    enough = data.available.get("test", 0) >= needed
    line = f"data.limits.test: {needed if enough else 'null'}"
    again = known.times.test_again()
    groups = replace(contrast, items_needed=needed).groups_needed
    what = f"{contrast.a} against {contrast.b}" if known.open else "which arm is best"
    return NextStep(
        "more_items",
        f"Test on about {needed:,} items{f' of about {groups:,} groups' if groups else ''}"
        + ("" if enough else f" in place of {contrast.items:,}: collect them first"),
        () if limit is None else (line,),
        command=False,
        changes=f"It would settle {what}, if the difference seen here is the true one.",
        seconds=None if again is None else again * needed / contrast.items,
    )


def more_seeds(known: Known) -> NextStep | None:
    """No number of items would settle the contrast."""
    contrast = known.open
    if contrast is None or contrast.items_needed is not None or contrast.rests_on_missing:
        return None
    if known.nothing_right:
        return None
    return known.with_seeds(
        "more_seeds",
        max(MANY_SEEDS, len(known.experiment.seeds) + 2),
        "More test items alone would not settle the difference; more trainings narrow it.",
    )


def seeds(known: Known) -> NextStep | None:
    """An arm that met another was tested on fewer seeds than a full study has."""
    # Where more than those of a full study are asked for, they are among them.
    if known.nothing_right or more_seeds(known) is not None:
        return None
    few = [
        arm
        for arm in known.pair
        if (row := known.arms[arm]).seeds
        and len(row.seeds) < FEWEST_SEEDS
        and depends_on_seed(row)
        and not kind_info(row.kind).brought
    ]
    if not few:
        return None
    number = len(known.arms[few[0]].seeds)
    return known.with_seeds(
        "seeds",
        FEWEST_SEEDS,
        f"{few[0]} was tested on {plural(number, 'seed')}: what another training would give "
        "is in no interval yet, and a lead may be luck.",
    )


__all__ = ["human_marks", "more_items", "more_seeds", "replies", "seeds", "unscored"]
