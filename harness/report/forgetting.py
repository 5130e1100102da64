"""What fine-tuning does beside the task: forgetting, and the task on other data."""

from __future__ import annotations

from harness.findings import Forgetting, GeneralDelta
from harness.report import wording
from harness.report.document import (
    Block,
    Column,
    Figure,
    Prose,
    Section,
    Table,
    TradeOffChart,
    TradePoint,
)
from harness.report.material import Material
from harness.report.scales import PER_CENT, scale_of

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
        f"({material.scale.difference(best.domain_gain)}), with a general change of "
        f"{PER_CENT.difference(best.general_change)}"
    )
    if front:
        names = sorted({wording.cell(point.arm) for point in front})
        see += (
            f"; on the front, where nothing else is better in both, "
            f"{'is' if len(names) == 1 else 'are'} {wording.listed(names)}"
        )
    stated = material.declared("general", "margin")
    margin = float(stated) if isinstance(stated, int | float) else None
    figure = Figure(
        key="trade-off",
        title="What was learned against what was forgotten",
        see=f"{see}.",
        chart=TradeOffChart(
            x_axis=material.scale.axis(
                f"Gain in {material.metric_name} over the untouched base", True
            ),
            y_axis=PER_CENT.axis("Change on the general suite", difference=True),
            points=tuple(
                TradePoint(
                    point.arm,
                    point.domain_gain * material.scale.factor,
                    point.general_change * PER_CENT.factor,
                    point.on_front,
                )
                for point in points
            ),
            margin=margin * PER_CENT.factor if margin is not None else None,
            margin_text=PER_CENT.gap(margin),
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
                material.scale.difference(point.domain_gain),
                PER_CENT.difference(point.general_change),
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
                f"A loss of up to {PER_CENT.gap(found[0].margin)} is accepted; ability counts as "
                "kept only where the whole interval stays within it. Positive is better."
            )
        )
        quantised = [arm.arm for arm in material.findings.arms if arm.kind == "qlora"]
        if quantised:
            names = wording.listed([wording.cell(name) for name in quantised])
            blocks.append(
                Prose(
                    f"The base here is in full precision, so the change of {names} holds both what "
                    "training and what the 4-bit weights cost."
                )
            )
        blocks += [_general_summary(found), _general_tasks(material, found)]
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
                PER_CENT.difference(row.mean_change),
                PER_CENT.difference_interval(row.interval),
                FORGETTING.get(row.outcome, row.outcome),
                wording.cell(row.worst_task) or wording.NOT_APPLICABLE,
                wording.p_value(row.pooled_p),
            )
            for row in found
        ),
        ("The mean is over tasks scored in accuracy. The p-value asks whether more answers turned "
         "from right to wrong than the other way, over all tasks.",),
    )  # fmt: skip


def _task_row(material: Material, task: GeneralDelta) -> tuple[str, ...]:
    read = material.study.experiment.general_tasks.get(task.task)
    scale = scale_of(task.metric, read.accuracy if read else task.kept is not None)
    return (
        wording.cell(task.task),
        wording.cell(task.arm),
        wording.metric(task.metric),
        scale.score(task.base),
        scale.score(task.after),
        scale.difference(task.change),
        scale.difference_interval(task.interval),
        _kept(task),
        wording.decimal(task.right_to_wrong, wording.NOT_APPLICABLE),
        wording.decimal(task.wrong_to_right, wording.NOT_APPLICABLE),
        scale.score(task.chance, wording.NOT_APPLICABLE),
        wording.count(task.items),
    )


def _kept(task: GeneralDelta) -> str:
    if task.kept is None:
        return "no margin"
    if task.kept:
        return "kept"
    return "lost" if task.interval.high < -task.margin else "not shown"


def _general_tasks(material: Material, found: tuple[Forgetting, ...]) -> Table:
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
        tuple(_task_row(material, task) for row in found for task in row.tasks),
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
                material.scale.score(row.test),
                *(material.scale.score(row.out_of_domain.get(name)) for name in names),
            )
            for row in rows
        ),
    )
    text = "Text of another kind, which no arm was tuned or trained for: does the skill carry over?"
    return Section("out-of-domain", heading, (Prose(text), table))
