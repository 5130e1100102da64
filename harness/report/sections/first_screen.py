"""What is enough to decide by: one picture, what each arm costs and how hard it was tried, and what
to do next."""

from __future__ import annotations

from collections.abc import Sequence

from harness import wording
from harness.findings import ArmSummary, Forgetting, NextStep
from harness.report.chart_records import ScaleChart, ScaleRow
from harness.report.document import Column, Figure, FirstScreen, Step, Table
from harness.report.sections.forgetting import FORGETTING
from harness.report.sections.material import BASE, Material
from harness.spec.kinds import kind_info
from harness.wording import PER_CENT

UNTOUCHED = "base, untouched"


def first_screen(material: Material) -> FirstScreen:
    """Pictures, table and next steps; what was not measured is left out."""
    return FirstScreen(
        pictures=tuple(
            figure for figure in (_scores(material), _abilities(material)) if figure is not None
        ),
        table=_table(material),
        steps=tuple(_step(step) for step in material.findings.next_steps),
    )


def _scores(material: Material) -> Figure | None:
    """Every arm with a test score on one scale, the best first, the base last."""
    scale, contrast = material.scale, material.findings.primary
    sign = -1 if material.experiment.task.higher_is_better else 1
    scored = [(value, row) for row in material.findings.arms
              if (value := _value(material, row)) is not None]  # fmt: skip
    rows = [_row(material, value, row) for value, row in sorted(scored, key=lambda p: sign * p[0])]
    base = scale.scaled(material.baseline_scores().get(material.metric))
    if base is not None and BASE not in {row.arm for row in material.findings.arms}:
        rows.append(ScaleRow(UNTOUCHED, BASE, base, None, None))
    if not rows:
        return None
    axis = scale.axis(wording.capitalised(material.metric_name))
    band = None
    against = material.summary(contrast.b) if contrast else None
    middle = _value(material, against) if against else None
    if contrast is not None and middle is not None:
        margin = scale.scaled(contrast.margin) or 0.0
        band = (middle - margin, middle + margin)
        axis += f"\nshaded: within ±{scale.margin(contrast.margin)} of {wording.short(contrast.b)}"
    return Figure(
        key="glance",
        title=f"{wording.capitalised(material.metric_name)} on unseen data",
        see=_see(material, scored),
        chart=ScaleChart(axis, tuple(rows), band, None),
        link="arms",
    )


def _value(material: Material, row: ArmSummary) -> float | None:
    """The arm's score as it is drawn; what people would say where they correct a judge."""
    contrast = material.findings.primary
    if contrast is not None and contrast.corrected and row.arm in (contrast.a, contrast.b):
        mean = contrast.mean_a if row.arm == contrast.a else contrast.mean_b
        return material.scale.scaled(mean)
    return material.scale.scaled(row.test)


def _row(material: Material, value: float, row: ArmSummary) -> ScaleRow:
    contrast, scale, bounds = material.findings.primary, material.scale, row.test_interval
    corrected = contrast is not None and contrast.corrected and row.arm in (contrast.a, contrast.b)
    shown = None if corrected else bounds
    return ScaleRow(
        label=wording.short(row.arm) + (", corrected by people's marks" if corrected else ""),
        arm=row.arm,
        value=value,
        low=scale.scaled(shown.low) if shown else None,
        high=scale.scaled(shown.high) if shown else None,
        strong=row.arm == material.findings.verdict.winner,
    )


def _see(material: Material, scored: list[tuple[float, ArmSummary]]) -> str:
    if not scored:
        return "No arm has a score yet."
    better = max if material.experiment.task.higher_is_better else min
    value, best = better(scored, key=lambda pair: pair[0])
    shown = material.scale.score(value / material.scale.factor)
    turned = "" if material.experiment.task.higher_is_better else " (lower is better)"
    level = wording.confidence(material.experiment.contrast.level)
    return f"Best: {wording.cell(best.arm)}, {shown}{turned}. Bars are {level} intervals."


def _abilities(material: Material) -> Figure | None:
    """What training changed of the general abilities, with the worst of each arm."""
    measured = [row for row in material.findings.forgetting if wording.is_number(row.mean_change)]
    if not measured:
        return None
    scale, margin = PER_CENT, measured[0].margin
    rows = tuple(
        ScaleRow(
            label=_worst(row),
            arm=row.arm,
            value=row.mean_change * scale.factor,
            low=scale.scaled(row.interval.low),
            high=scale.scaled(row.interval.high),
            strong=row.arm == material.findings.verdict.winner,
        )
        for row in measured
    )
    lost = [row for row in measured if row.outcome in ("forgot", "lost_ability")]
    see = (
        f"Lost more than the accepted {scale.margin(margin)}: "
        f"{wording.listed([wording.cell(row.arm) for row in lost])}."
        if lost
        else f"No arm is shown to have lost more than the accepted {scale.margin(margin)}."
    )
    return Figure(
        key="kept",
        title="General ability against the base",
        see=see,
        chart=ScaleChart(
            f"Change ({scale.difference_unit.strip()})\nshaded: loss accepted",
            rows,
            (-margin * scale.factor, 0.0),
            0.0,
            narrow=True,
        ),
        link="general",
    )


def _worst(row: Forgetting) -> str:
    change = next((task.change for task in row.tasks if task.task == row.worst_task), None)
    if not wording.is_number(change):
        return wording.short(row.arm)
    worst = f"{wording.short(row.worst_task, 20)} {PER_CENT.signed(change)}"
    return f"{wording.short(row.arm)}\nworst: {worst}"


def _table(material: Material) -> Table | None:
    rows = material.findings.arms
    if not any(row.test is not None for row in rows):
        return None
    scale, cost = material.scale, material.experiment.cost
    yearly = cost.requests_per_month > 0
    kept = {row.arm: row for row in material.findings.forgetting}
    cells = [
        (
            wording.cell(row.arm),
            _score(material, row),
            *((_kept(kept.get(row.arm), row),) if kept else ()),
            _money(material, row, yearly),
            _tried(row),
        )
        for row in rows
    ]
    base = material.baseline_scores().get(material.metric)
    if wording.is_number(base) and BASE not in {row.arm for row in rows}:
        none = wording.NOT_APPLICABLE
        cells.append((UNTOUCHED, scale.score(base), *((none,) if kept else ()), none, none))
    winner = material.findings.verdict.winner
    money = (
        f"A year at {cost.requests_per_month:,} requests a month" if yearly
        else "1,000 requests"
    )  # fmt: skip
    columns = [
        Column("Arm"),
        Column(wording.capitalised(material.metric_name), numeric=True),
        *((Column("General ability", numeric=True),) if kept else ()),
        Column(money, numeric=True),
        Column("Tried", numeric=True),
    ]
    return Table(
        "Every arm at a glance",
        tuple(columns),
        tuple(cells),
        strong=tuple(place for place, row in enumerate(rows) if row.arm == winner),
        links=("", "arms", *(("general",) if kept else ()), "cost", "search"),
    )


def _score(material: Material, row: ArmSummary) -> str:
    value = _value(material, row)
    if value is None:
        return wording.NOT_MEASURED
    shown = material.scale.score(value / material.scale.factor)
    bounds = material.scale.interval(row.test_interval, "")
    return f"{shown} ({bounds})" if bounds else shown


def _kept(row: Forgetting | None, arm: ArmSummary) -> str:
    if row is None:
        trained = kind_info(arm.kind).fine_tuned
        return wording.NOT_MEASURED if trained else wording.NOT_APPLICABLE
    change = PER_CENT.difference(row.mean_change)
    return f"{change}, {FORGETTING.get(row.outcome, row.outcome)}"


def _money(material: Material, row: ArmSummary, yearly: bool) -> str:
    amount = row.cost.first_year if yearly else row.cost.per_thousand_requests
    return wording.money(amount, material.currency)


def _tried(row: ArmSummary) -> str:
    """Settings, rows that were learnt from, and seeds."""
    parts = [wording.plural(row.settings_tried, "setting")]
    if row.cost.train_examples is not None:
        parts.append(wording.plural(row.cost.train_examples, "row"))
    parts.append(wording.plural(len(row.seeds), "seed"))
    return ", ".join(parts)


def _step(step: NextStep) -> Step:
    where = "in a terminal" if step.command else _in_file(step.lines)
    took = ""
    if wording.is_number(step.seconds):
        took = f"about {wording.rough_duration(step.seconds)} to run"
    if not took and not step.command and step.lines:
        took = "`harness plan` says how long"
    return Step(
        what=wording.cell(step.what, 300),
        lines=tuple(wording.cell(line, 300) for line in step.lines),
        command=step.command,
        where=where if step.lines else "",
        took=took,
        changes=wording.cell(step.changes, 400),
    )


def _in_file(lines: Sequence[str]) -> str:
    """Where the lines belong. Each names a field by its path, which the file does not take."""
    paths = (line.partition(":")[0].rpartition(".") for line in lines)
    above, _, field = next((path for path in paths if path[0]), ("", "", ""))
    levels = ", then ".join(above.split("."))
    below = f" ({field} stands below {levels})" if above else ""
    return f"in the experiment file{below}, then run it again"


__all__ = ["first_screen"]
