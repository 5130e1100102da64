"""What fine-tuning does beside the task: forgetting, other domains, overfitting."""

from __future__ import annotations

from harness.findings import Forgetting, Overfitting
from harness.records import TrialSummary
from harness.report import wording
from harness.report.document import (
    Block,
    Column,
    Figure,
    LossChart,
    LossLine,
    Prose,
    Section,
    SplitChart,
    SplitScores,
    Table,
    TradeOffChart,
    TradePoint,
)
from harness.report.material import Material

FORGETTING = {"kept": "kept", "forgot": "lost", "inconclusive": "undecided"}


def trade_off_section(material: Material) -> Section:
    """Every candidate in the plane of learning against forgetting."""
    heading = "Learning against forgetting"
    points = [
        point
        for point in material.findings.trade_off
        if wording.is_number(point.domain_gain) and wording.is_number(point.general_change)
    ]
    if not points:
        text = "No candidate was scored on both the task and the general suite."
        return Section("trade-off", heading, (Prose(text),))
    front = [point for point in points if point.on_front]
    best = max(points, key=lambda point: point.domain_gain)
    see = (
        f"The most was learned by {wording.cell(best.arm)} "
        f"({wording.difference(best.domain_gain)}), with a general change of "
        f"{wording.difference(best.general_change)}"
    )
    if front:
        names = sorted({wording.cell(point.arm) for point in front})
        see += (
            f"; on the front, where nothing else is better in both, "
            f"{'is' if len(names) == 1 else 'are'} {wording.listed(names)}"
        )
    margin = material.declared("general", "margin")
    figure = Figure(
        key="trade-off",
        title="What was learned against what was forgotten",
        see=f"{see}.",
        chart=TradeOffChart(
            x_axis=f"Gain on the task ({material.metric_name}) over the untouched base",
            y_axis="Change on the general suite",
            points=tuple(
                TradePoint(point.arm, point.domain_gain, point.general_change, point.on_front)
                for point in points
            ),
            margin=float(margin) if isinstance(margin, int | float) else None,
        ),
    )
    table = Table(
        "Each candidate: gain on the task and change on the general suite",
        (
            Column("Arm"),
            Column("Seed", numeric=True),
            Column("Gain on the task", numeric=True),
            Column("General change", numeric=True),
            Column("On the front"),
        ),
        tuple(
            (
                wording.cell(point.arm),
                str(point.seed),
                wording.difference(point.domain_gain),
                wording.difference(point.general_change),
                "yes" if point.on_front else "no",
            )
            for point in points
        ),
        folded=True,
    )
    return Section("trade-off", heading, (figure, table))


def general_section(material: Material) -> Section:
    """What the base could do, before and after."""
    heading = "What was forgotten"
    found = material.findings.forgetting
    blocks: list[Block] = []
    if not found:
        blocks.append(Prose("General ability was not measured: no fine-tuned arm was scored on "
                            "a general suite."))  # fmt: skip
    else:
        blocks.append(
            Prose(
                "Every fine-tuned arm answered the same general questions as the untouched base. "
                f"A loss of up to {wording.score(found[0].margin)} is accepted; ability counts as "
                "kept only where the whole interval stays within it. Positive is better."
            )
        )
        blocks += [_general_summary(found), _general_tasks(found)]
    if material.findings.general_unscored:
        names = wording.listed([wording.cell(name) for name in material.findings.general_unscored])
        blocks.append(Prose(f"Not scored, and so not part of the judgement: {names}."))
    return Section("general", heading, tuple(blocks))


def _general_summary(found: tuple[Forgetting, ...]) -> Table:
    return Table(
        "General ability as a whole",
        (
            Column("Arm"),
            Column("Mean change", numeric=True),
            Column("Interval", numeric=True),
            Column("Ability"),
            Column("Worst task"),
            Column("p, pooled flips", numeric=True, brief=False),
        ),
        tuple(
            (
                wording.cell(row.arm),
                wording.difference(row.mean_change),
                wording.difference_interval(row.interval),
                FORGETTING.get(row.outcome, row.outcome),
                wording.cell(row.worst_task) or wording.NOT_APPLICABLE,
                wording.p_value(row.pooled_p),
            )
            for row in found
        ),
        ("The mean is over tasks scored in accuracy. The p-value asks whether more answers turned "
         "from right to wrong than the other way, over all tasks.",),
    )  # fmt: skip


def _general_tasks(found: tuple[Forgetting, ...]) -> Table:
    kept = {True: "kept", False: "not shown", None: "no margin"}
    return Table(
        "Each general task against the untouched base",
        (
            Column("Task"),
            Column("Arm"),
            Column("Metric", brief=False),
            Column("Base", numeric=True),
            Column("After", numeric=True),
            Column("Change", numeric=True),
            Column("Interval", numeric=True, brief=False),
            Column("Kept"),
            Column("Right to wrong", numeric=True, brief=False),
            Column("Wrong to right", numeric=True, brief=False),
            Column("Chance", numeric=True, brief=False),
            Column("Items", numeric=True, brief=False),
        ),
        tuple(
            (
                wording.cell(task.task),
                wording.cell(task.arm),
                wording.metric(task.metric),
                wording.score(task.base),
                wording.score(task.after),
                wording.difference(task.change),
                wording.difference_interval(task.interval),
                kept[task.kept],
                wording.decimal(task.right_to_wrong, wording.NOT_APPLICABLE),
                wording.decimal(task.wrong_to_right, wording.NOT_APPLICABLE),
                wording.score(task.chance, wording.NOT_APPLICABLE),
                wording.count(task.items),
            )
            for row in found
            for task in row.tasks
        ),
        ("\"Not shown\" means that a loss beyond the margin cannot be excluded, not that there is "
         "one. Right to wrong and wrong to right count items, averaged over seeds.",),
    )  # fmt: skip


def out_of_domain_section(material: Material) -> Section:
    """The same task on data from elsewhere."""
    heading = "The same task on other data"
    rows = material.findings.arms
    names = list(dict.fromkeys(name for row in rows for name in row.out_of_domain))
    if not names:
        return Section("out-of-domain", heading, (Prose("Out-of-domain data: not measured."),))
    table = Table(
        f"Out-of-domain scores ({material.metric_name})",
        (
            Column("Arm"),
            Column("In domain (test)", numeric=True),
            *(Column(wording.cell(name, 40), numeric=True) for name in names),
        ),
        tuple(
            (
                wording.cell(row.arm),
                wording.score(row.test),
                *(wording.score(row.out_of_domain.get(name)) for name in names),
            )
            for row in rows
        ),
    )
    text = "Text of another kind, which no arm was tuned or trained for: does the skill carry over?"
    return Section("out-of-domain", heading, (Prose(text), table))


def overfitting_section(material: Material) -> Section:
    """Train, validation and test side by side."""
    heading = "Overfitting"
    found = material.findings.overfitting
    if not found:
        text = "Scores by split: not measured."
        return Section("overfitting", heading, (Prose(text),))
    intervals = {row.arm: row.test_interval for row in material.findings.arms}
    groups = []
    for row in found:
        interval = intervals.get(row.arm)
        groups.append(
            SplitScores(
                arm=row.arm,
                train=row.train,
                validation=row.validation,
                test=row.test,
                test_low=interval.low if interval else None,
                test_high=interval.high if interval else None,
            )
        )
    figure = Figure(
        key="splits",
        title="Score on training, validation and test data",
        see=_splits_sentence(found),
        chart=SplitChart(axis=wording.capitalised(material.metric_name), groups=tuple(groups)),
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
                wording.score(row.train),
                wording.score(row.validation),
                wording.score(row.test),
                wording.difference(row.generalisation_gap),
                wording.difference_interval(row.gap_interval),
                wording.difference(row.selection_gap),
                wording.difference_interval(row.selection_interval),
            )
            for row in found
        ),
        ("Train minus test: what was learned by heart, on samples of equal size. Validation minus "
         "test: how much choosing the best of many settings flattered the chosen one.",),
    )  # fmt: skip
    return Section("overfitting", heading, (figure, table))


def _splits_sentence(found: tuple[Overfitting, ...]) -> str:
    gaps = [(row.generalisation_gap, row) for row in found if row.generalisation_gap is not None]
    if not gaps:
        return "No arm was scored on its training data, so memorising cannot be seen here."
    gap, row = max(gaps, key=lambda pair: pair[0])
    arm = wording.cell(row.arm)
    if row.gap_interval is not None and row.gap_interval.low > 0:
        return (
            f"The largest gap is that of {arm}: {wording.score(gap)} better on its training data "
            "than on test, more than chance explains."
        )
    return (
        f"The largest gap between training data and test is that of {arm} "
        f"({wording.difference(gap)}); it is not shown to be more than chance."
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
                wording.score(line.train[0][1]),
                wording.score(line.train[-1][1]),
                wording.score(lowest[1] if lowest else None),
                wording.count(lowest[0]) if lowest else wording.NOT_APPLICABLE,
                wording.score(line.validation[-1][1] if line.validation else None),
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
        f"({wording.score(deepest.train[-1][1])}); validation loss was not measured."
    )
