"""Overfitting: scores by split, and loss while training."""

from __future__ import annotations

from harness.findings import Overfitting
from harness.records import TrialSummary
from harness.report import wording
from harness.report.document import (
    Column,
    Figure,
    LossChart,
    LossLine,
    Prose,
    Section,
    SplitChart,
    SplitScores,
    Table,
)
from harness.report.material import Material
from harness.report.scales import PLAIN, Scale


def overfitting_section(material: Material) -> Section:
    """Train, validation and test side by side."""
    heading = "Overfitting"
    found = material.findings.overfitting
    if not found:
        text = "Scores by split: not measured."
        return Section("overfitting", heading, (Prose(text),))
    scale = material.scale
    intervals = {row.arm: row.test_interval for row in material.findings.arms}
    groups = []
    for row in found:
        interval = intervals.get(row.arm)
        groups.append(
            SplitScores(
                arm=row.arm,
                train=_scaled(row.train, scale),
                validation=_scaled(row.validation, scale),
                test=_scaled(row.test, scale),
                test_low=_scaled(interval.low, scale) if interval else None,
                test_high=_scaled(interval.high, scale) if interval else None,
            )
        )
    figure = Figure(
        key="splits",
        title="Score on training, validation and test data",
        see=_splits_sentence(found, scale),
        chart=SplitChart(
            axis=scale.axis(wording.capitalised(material.metric_name)), groups=tuple(groups)
        ),
    )
    table = Table(
        "Train, validation and test score of the same candidate",
        (
            Column("Arm"),
            Column("Train", numeric=True),
            Column("Validation", numeric=True),
            Column("Test", numeric=True),
            Column("Train minus test", numeric=True),
            Column("Interval", numeric=True),
            Column("Validation minus test", numeric=True),
            Column("Interval", numeric=True),
        ),
        tuple(
            (
                wording.cell(row.arm),
                scale.score(row.train),
                scale.score(row.validation),
                scale.score(row.test),
                scale.difference(row.generalisation_gap),
                scale.difference_interval(row.gap_interval),
                scale.difference(row.selection_gap),
                scale.difference_interval(row.selection_interval),
            )
            for row in found
        ),
        ("Train minus test: what was learned by heart, on samples of equal size. Validation minus "
         "test: how much choosing the best of many settings flattered the chosen one.",),
    )  # fmt: skip
    return Section("overfitting", heading, (figure, table))


def _scaled(value: float | None, scale: Scale) -> float | None:
    return value * scale.factor if wording.is_number(value) else None


def _splits_sentence(found: tuple[Overfitting, ...], scale: Scale) -> str:
    gaps = [
        (row.generalisation_gap, row) for row in found if wording.is_number(row.generalisation_gap)
    ]
    if not gaps:
        return "No arm was scored on its training data, so memorising cannot be seen here."
    gap, row = max(gaps, key=lambda pair: pair[0])
    arm = wording.cell(row.arm)
    if row.gap_interval is not None and row.gap_interval.low > 0:
        return (
            f"The largest gap is that of {arm}: {scale.gap(gap)} better on its training data "
            "than on test, more than chance explains."
        )
    return (
        f"The largest gap between training data and test is that of {arm} "
        f"({scale.difference(gap)}); it is not shown to be more than chance."
    )


def loss_section(material: Material) -> Section:
    """Loss curves of the final training runs."""
    heading = "Loss while training"
    runs = [
        trial for trial in material.study.trials if trial.phase == "finalist" and trial.steps
    ] or [trial for trial in material.study.trials if trial.steps and trial.status == "complete"]
    lines = [_line(trial) for trial in runs]
    pairs = [pair for pair in zip(runs, lines, strict=True) if pair[1].train]
    if not pairs:
        return Section("loss", heading, (Prose("Training loss: not measured."),))
    figure = Figure(
        key="loss",
        title="Training and validation loss by step",
        see=_loss_sentence([line for _, line in pairs]),
        chart=LossChart(tuple(line for _, line in pairs)),
    )
    columns = (
        Column("Arm"),
        *(
            Column(name, numeric=True)
            for name in ("Seed", "Steps", "First loss", "Last loss", "Lowest validation loss")
        ),
        Column("at step", numeric=True),
        Column("Last validation loss", numeric=True),
    )
    rows = []
    for trial, line in pairs:
        lowest = min(line.validation, key=lambda point: point[1], default=None)
        rows.append(
            (
                wording.cell(trial.arm),
                str(trial.seed),
                wording.count(trial.steps[-1].step),
                PLAIN.score(line.train[0][1]),
                PLAIN.score(line.train[-1][1]),
                PLAIN.score(lowest[1] if lowest else None),
                wording.count(lowest[0]) if lowest else wording.NOT_APPLICABLE,
                PLAIN.score(line.validation[-1][1] if line.validation else None),
            )
        )
    note = "Loss is the mean cross-entropy per answer token, in nats; lower is better."
    table = Table("Loss of each final training run", columns, tuple(rows), (note,), folded=True)
    return Section("loss", heading, (figure, table))


def _line(trial: TrialSummary) -> LossLine:
    return LossLine(
        arm=trial.arm,
        train=tuple((s.step, s.loss) for s in trial.steps if wording.is_number(s.loss)),
        validation=tuple(
            (s.step, s.validation_loss)
            for s in trial.steps
            if s.validation_loss is not None and wording.is_number(s.validation_loss)
        ),
    )


def _loss_sentence(lines: list[LossLine]) -> str:
    rising = []
    for line in lines:
        if len(line.validation) > 1:
            lowest = min(value for _, value in line.validation)
            if line.validation[-1][1] > lowest * 1.02:
                rising.append(wording.cell(line.arm))
    if rising:
        names = wording.listed(list(dict.fromkeys(rising)))
        return f"Validation loss turns up again before the end for {names}: a sign of overfitting."
    if any(line.validation for line in lines):
        return "Validation loss does not turn up again before the end of any run."
    deepest = min(lines, key=lambda line: line.train[-1][1])
    return (
        f"Training loss ends lowest for {wording.cell(deepest.arm)} "
        f"({PLAIN.score(deepest.train[-1][1])}); validation loss was not measured."
    )
