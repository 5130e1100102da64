"""Several studies in one report: what was changed beside what came of it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from harness.findings import (
    ArmSummary,
    ComparedStudy,
    Forgetting,
    PairedAcross,
    Part,
    SettingDifference,
    StudyComparison,
    UnpairedAcross,
)
from harness.report import wording
from harness.report.compare_verdict import LABELS_OF_REFUSAL, comparison_verdict
from harness.report.contrasts import forest_row
from harness.report.document import (
    Block,
    Column,
    ComparisonView,
    Figure,
    ForestChart,
    Prose,
    Section,
    Table,
)
from harness.report.outcome import FORGETTING, LABELS, not_compared
from harness.report.scales import PER_CENT, Scale, scale_of
from harness.report.tables import Field, table

ABSENT = "-"
READINGS = {"better": "better", "worse": "worse", "equivalent": "equivalent",
            "inconclusive": "undecided"}  # fmt: skip
PARTS: dict[Part, str] = {
    "model": "Model",
    "data": "Data",
    "task": "Task",
    "arms": "Arms and what they search",
    "search": "Budgets, search and seeds",
    "measuring": "What is measured beside the task",
    "judging": "How results are judged; changes no score",
    "machine": "Versions and machine",
}


def build_comparison(found: StudyComparison, *, now: datetime | None = None) -> ComparisonView:
    """The contents of the report on several studies: every number rounded, every sentence final."""
    written = (now or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M %Z").strip()
    arms = dict.fromkeys(row.arm for study in found.studies for row in study.arms)
    return ComparisonView(
        title=f"Comparison of {wording.plural(len(found.studies), 'experiment')}",
        about=(
            ("Experiments", ", ".join(wording.cell(study.label) for study in found.studies)),
            ("Compared with", wording.cell(found.studies[0].label)),
            ("Report written", written),
        ),
        verdict=comparison_verdict(found),
        sections=(
            _differences(found),
            _settings(found),
            _scores(found),
            _general(found),
            _refusals(found),
            _verdicts(found),
        ),
        arms=tuple(arms),
    )


def _verdicts(found: StudyComparison) -> Section:
    fields: tuple[Field[ComparedStudy], ...] = (
        Field("Experiment", lambda study: wording.cell(study.label), numeric=False),
        Field("Id", lambda study: wording.cell(study.experiment_id[:12]), numeric=False),
        Field("Declared", lambda study: wording.cell(study.created_at, 40), numeric=False),
        Field("Verdict", lambda study: LABELS[study.verdict.outcome], numeric=False),
        Field(
            "In a sentence", lambda study: wording.cell(study.verdict.sentence, 600), numeric=False
        ),
    )
    rows = table("Verdict of each experiment", fields, found.studies)
    return Section("verdicts", "What each experiment says", (rows,))


def _settings(found: StudyComparison) -> Section:
    heading = "What was changed"
    if not found.settings:
        return Section("settings", heading, (Prose("The experiments have the same settings."),))
    names = [wording.cell(study.label) for study in found.studies]
    columns = (Column("Setting"), *(Column(name) for name in names))
    blocks = tuple(
        Table(caption, columns, tuple(_setting(one) for one in rows))
        for part, caption in PARTS.items()
        if (rows := [one for one in found.settings if one.part == part])
    )
    return Section("settings", heading, blocks)


def _setting(found: SettingDifference) -> tuple[str, ...]:
    limit = 12 if found.setting.endswith("fingerprint") else None
    return (
        wording.cell(found.setting, 100),
        *(wording.cell(wording.setting(value)[:limit], 600) for value in found.values),
    )


def _differences(found: StudyComparison) -> Section:
    heading = "What changed in the score"
    blocks: list[Block] = []
    scale = scale_of(found.studies[0].metric)
    if found.paired:
        blocks += [*_forest(found, scale), _paired(found)]
    if found.unpaired:
        blocks.append(_unpaired(found, scale))
    if not blocks:
        text = "No score of one experiment can be compared with one of another; see below why."
        blocks.append(Prose(text))
    return Section("differences", heading, tuple(blocks))


def _forest(found: StudyComparison, scale: Scale) -> list[Block]:
    rows = [(one, forest_row(one.contrast, _label(one), one.arm)) for one in found.paired]
    drawn = tuple(row for _, row in rows if row is not None)
    if not drawn:
        return []
    settled = [one for one in found.paired if one.contrast.outcome != "inconclusive"]
    better = sum(one.contrast.outcome == "better" for one in settled)
    worse = sum(one.contrast.outcome == "worse" for one in settled)
    equal = len(settled) - better - worse
    see = (
        f"Of {wording.plural(len(found.paired), 'difference')} to "
        f"{wording.cell(found.studies[0].label)}: {better} better, {worse} worse, {equal} "
        f"equivalent, {len(found.paired) - len(settled)} undecided."
    )
    axis = f"Difference in {wording.metric(found.studies[0].metric)}"
    chart = ForestChart(scale.axis(axis, difference=True), scale.gap(found.margin), drawn)
    return [Figure("forest", "Paired differences between experiments", see, chart)]


def _label(found: PairedAcross) -> str:
    arm, study, other = map(wording.short, (found.arm, found.study, found.reference))
    if found.arm == found.reference_arm:
        return f"{arm}: {study} − {other}"
    return f"{arm} of {study} − {wording.short(found.reference_arm)} of {other}"


def _arm(found: PairedAcross | UnpairedAcross) -> str:
    arm, other = wording.cell(found.arm), wording.cell(found.reference_arm)
    return arm if arm == other else f"{arm} against {other}"


def _pair(found: PairedAcross | UnpairedAcross) -> str:
    return f"{wording.cell(found.study)} against {wording.cell(found.reference)}"


def _paired(found: StudyComparison) -> Table:
    fields: tuple[Field[PairedAcross], ...] = (
        Field("Arm", _arm, numeric=False),
        Field("Experiments", _pair, numeric=False, brief=len(found.studies) > 2),
        Field("Score", lambda one: _scale(one).score(one.contrast.mean_a)),
        Field("Reference", lambda one: _scale(one).score(one.contrast.mean_b)),
        *Field[PairedAcross].change(
            "Difference",
            scale_of(found.studies[0].metric),
            lambda one: one.contrast.difference,
            lambda one: one.contrast.interval,
        ),
        Field("p, Holm-adjusted", lambda one: wording.p_value(one.contrast.p_adjusted)),
        Field("Reading", lambda one: READINGS[one.contrast.outcome], numeric=False),
        Field("Items", lambda one: wording.count(one.contrast.items)),
        Field[PairedAcross]("Not compared", lambda one: not_compared(one.contrast, "none"),
              numeric=False, brief=False),
    )  # fmt: skip
    notes = (
        "Taken item by item on the test items that both answered; positive is better for the "
        "first-named. Nothing of this was declared before the experiments ran, so p-values are "
        "adjusted (Holm) over the whole table. Differences within "
        f"±{scale_of(found.studies[0].metric).gap(found.margin)} count as none.",
    )
    strong = tuple(place for place, one in enumerate(found.paired) if one.leading)
    return table("Paired differences", fields, found.paired, notes=notes, strong=strong)


def _scale(found: PairedAcross) -> Scale:
    return scale_of(found.contrast.metric)


def _unpaired(found: StudyComparison, scale: Scale) -> Table:
    fields: tuple[Field[UnpairedAcross], ...] = (
        Field("Arm", _arm, numeric=False),
        Field("Experiments", _pair, numeric=False, brief=len(found.studies) > 2),
        Field("Score", lambda one: scale.score(one.mean)),
        Field("Reference", lambda one: scale.score(one.reference_mean)),
        *Field[UnpairedAcross].change(
            "Difference", scale, lambda one: one.difference, lambda one: one.interval
        ),
        Field("p, Holm-adjusted", lambda one: wording.p_value(one.p_adjusted)),
        Field("Items", lambda one: wording.count(one.items)),
        Field("Items of the reference", lambda one: wording.count(one.reference_items)),
        Field[UnpairedAcross]("In both", lambda one: wording.count(one.common_items), brief=False),
    )
    notes = (
        "Each on its own test items, as two samples. What other items changed and what other "
        "settings changed is in the difference together, so it does not say that one setting is "
        "better.",
    )
    strong = tuple(place for place, one in enumerate(found.unpaired) if one.leading)
    caption = "Unpaired differences: other test items"
    return table(caption, fields, found.unpaired, notes=notes, strong=strong)


def _scores(found: StudyComparison) -> Section:
    heading = "Scores side by side"
    apart = {
        label
        for one in found.refusals
        if one.what == "scores" and one.reason in ("unfinished", "metric", "task")
        for label in one.studies
        if label != found.studies[0].label or len(one.studies) == 1
    }
    together = [study for study in found.studies if study.label not in apart]
    if len(together) < 2:
        text = "The scores are not set side by side: they are of different kinds."
        return Section("scores", heading, (Prose(text),))
    arms = dict.fromkeys(row.arm for study in together for row in study.arms)
    rows = [{row.arm: row for row in study.arms} for study in together]
    scale = scale_of(together[0].metric)
    shown = Table(
        f"Test score ({wording.metric(together[0].metric)}), each on its own test items",
        (Column("Arm"), *(Column(wording.cell(study.label), numeric=True) for study in together)),
        (
            *((wording.cell(arm), *(_score(one.get(arm), scale) for one in rows)) for arm in arms),
            ("Test items", *(wording.count(study.items) for study in together)),
        ),
        ("Means over seeds with their intervals. Whether two differ is not seen from intervals "
         "that overlap or not, but from the differences above.",),
    )  # fmt: skip
    return Section("scores", heading, (shown,))


def _score(row: ArmSummary | None, scale: Scale) -> str:
    if row is None:
        return ABSENT
    interval = scale.interval(row.test_interval, "")
    return scale.score(row.test) + (f" ({interval})" if interval else "")


def _general(found: StudyComparison) -> Section:
    heading = "General abilities side by side"
    together = [study for study in found.studies if study.label in found.general]
    rows = [{one.arm: one for one in study.forgetting} for study in together]
    arms = dict.fromkeys(arm for one in rows for arm in one)
    if len(together) < 2 or not arms:
        text = "What was forgotten is not set side by side: no two experiments measured it alike."
        return Section("general", heading, (Prose(text),))
    shown = Table(
        "Mean change of the general tasks, each against the base of its own experiment",
        (Column("Arm"), *(Column(wording.cell(study.label), numeric=True) for study in together)),
        tuple((wording.cell(arm), *(_change(one.get(arm)) for one in rows)) for arm in arms),
        (f"The same questions in all of them. Kept or lost is judged by each experiment's own "
         f"margin: {'; '.join(_margins(together))}.",),
    )  # fmt: skip
    return Section("general", heading, (shown,))


def _change(row: Forgetting | None) -> str:
    if row is None:
        return ABSENT
    bounds = PER_CENT.difference_interval(row.interval, "")
    change = PER_CENT.difference(row.mean_change)
    return f"{change} ({bounds}), {FORGETTING[row.outcome]}" if bounds else change


def _margins(studies: Iterable[ComparedStudy]) -> list[str]:
    return [
        f"{wording.cell(study.label)} {PER_CENT.gap(study.forgetting[0].margin)}"
        for study in studies
        if study.forgetting
    ]


def _refusals(found: StudyComparison) -> Section:
    heading = "What is not compared, and why"
    if not found.refusals:
        text = "Everything that the experiments have in common was compared."
        return Section("refusals", heading, (Prose(text),))
    columns = (
        Column("Experiments"),
        Column("Not compared"),
        Column("Why"),
        Column("What to do to make them comparable"),
    )
    rows = tuple(
        (
            wording.listed([wording.cell(label) for label in one.studies]),
            LABELS_OF_REFUSAL[one.what],
            wording.cell(one.sentence, 600),
            wording.cell(one.remedy, 600),
        )
        for one in found.refusals
    )
    return Section("refusals", heading, (Table("Refused comparisons", columns, rows),))


__all__ = ["build_comparison"]
