"""Learning against forgetting: every candidate, and which settings went with what."""

from __future__ import annotations

from harness import wording
from harness.findings import SettingEffect, TradeOffPoint
from harness.report.chart_records import TradeOffChart, TradePoint
from harness.report.document import Figure, Section, Table, Unmeasured
from harness.report.sections.material import Material
from harness.report.tables import ARM, Field, table
from harness.spec import PromptArm
from harness.wording import CORRELATION, PER_CENT

WITH_FORGETTING = "Which settings went with forgetting"


def trade_off_section(material: Material) -> Section:
    """Every candidate in the plane of learning against forgetting."""
    heading = "Learning against forgetting"
    points = [
        point
        for point in material.findings.trade_off
        if wording.is_number(point.domain_gain) and wording.is_number(point.general_change)
    ]
    if not points:
        return Section("trade-off", heading, ())
    front = [point for point in points if point.on_front]
    # The best of many search trials is a lucky one; what is said rests on the final runs.
    final = [point for point in points if point.phase == "finalist"]
    best = max(final or points, key=lambda point: point.domain_gain)
    see = (
        f"{wording.cell(best.arm)} learned most ({material.scale.difference(best.domain_gain)}; "
        f"general change {PER_CENT.difference(best.general_change)})"
    )
    if front:
        names = sorted({wording.cell(point.arm) for point in front})
        see += f"; on the front, where nothing else is better in both: {wording.listed(names)}"
    others = [
        wording.cell(arm)
        for arm, declared in material.experiment.arms.items()
        if isinstance(declared, PromptArm) and declared.asks_another_model
    ]
    if others:
        see += f"; arms that ask another model have no place here ({wording.listed(others)})"
    general = material.experiment.general
    margin = general.margin if general else None
    figure = Figure(
        key="trade-off",
        title="What was learned against what was forgotten",
        see=f"{see}.",
        chart=TradeOffChart(
            x_axis=material.scale.axis(
                f"Gain in {material.metric_name} on validation over the untouched base", True
            ),
            y_axis=PER_CENT.axis("Change on the general suite", difference=True),
            points=tuple(
                TradePoint(
                    point.arm,
                    point.domain_gain * material.scale.factor,
                    point.general_change * PER_CENT.factor,
                    on_front=point.on_front,
                    on_arm_front=point.on_arm_front,
                    final=point.phase == "finalist",
                )
                for point in points
            ),
            margin=margin * PER_CENT.factor if margin is not None else None,
            margin_text=PER_CENT.margin(margin),
        ),
    )
    return Section(
        "trade-off", heading, (figure, _candidates(material, points), _effects(material))
    )


def _candidates(material: Material, points: list[TradeOffPoint]) -> Table:
    searched = any(point.phase == "search" for point in points)
    fields: tuple[Field[TradeOffPoint], ...] = (
        ARM,
        *((Field("Run", _run, numeric=False),) if searched else ()),
        Field("Seed", lambda row: str(row.seed)),
        Field("Gain on the task", lambda row: material.scale.difference(row.domain_gain)),
        Field("General change", lambda row: PER_CENT.difference(row.general_change)),
        Field("On the front", _front, numeric=False),
        *((Field("Setting", _setting, numeric=False, brief=False),) if searched else ()),
    )
    return table(
        "Each candidate: gain on the task and change on the general suite",
        fields,
        sorted(points, key=lambda point: point.phase == "search"),
        folded=True,
    )


def _run(row: TradeOffPoint) -> str:
    return "search" if row.phase == "search" else "final"


def _front(row: TradeOffPoint) -> str:
    if row.on_front:
        return "yes"
    return "of its arm" if row.on_arm_front else "no"


def _setting(row: TradeOffPoint) -> str:
    shown = (f"{wording.cell(k, 60)} {wording.setting(v)}" for k, v in row.params.items())
    return ", ".join(shown) or wording.NOT_APPLICABLE


def _effects(material: Material) -> Table | Unmeasured:
    effects, searched = material.findings.effects, material.findings.trade_off
    if not effects:
        if any(point.phase == "search" and point.general_change for point in searched):
            return Unmeasured(
                WITH_FORGETTING,
                "It takes six trials of an arm: `trials: 6` or more under `budget:`.",
            )
        return Unmeasured(
            WITH_FORGETTING,
            "`search_limit: 16` under `general:` scores the trials of each fine-tuned arm's search "
            "on the general suite, too; it takes six of an arm.",
        )
    fields: tuple[Field[SettingEffect], ...] = (
        ARM,
        Field("Setting", lambda row: wording.cell(row.parameter, 60), numeric=False),
        Field("Trials", lambda row: wording.count(row.trials)),
        Field("Rank correlation", lambda row: CORRELATION.difference(row.correlation)),
        Field("Interval", _interval, brief=False),
        Field("In words", _in_words, numeric=False),
    )
    return table(
        WITH_FORGETTING,
        fields,
        effects,
        notes=(
            "Rank correlation of the setting with the general change, from −1 to 1, over the "
            "trials of the search. It is an association over few trials, no experiment: settings "
            "that moved together cannot be told apart.",
        ),
        folded=True,
    )


def _interval(row: SettingEffect) -> str:
    return CORRELATION.difference_interval(row.interval)


def _in_words(row: SettingEffect) -> str:
    name, strength = wording.cell(row.parameter, 60), CORRELATION.difference(row.correlation)
    if row.interval.high < 0:
        return f"higher {name} went with more forgetting ({strength})"
    if row.interval.low > 0:
        return f"higher {name} went with less forgetting ({strength})"
    return "no direction can be told"
