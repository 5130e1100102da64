"""Several studies in one report: what was changed beside what came of it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from harness import wording
from harness.findings import (
    OUTCOME_LABELS,
    ArmSummary,
    ComparedStudy,
    Forgetting,
    PairedAcross,
    Part,
    SettingDifference,
    StudyComparison,
    UnpairedAcross,
)
from harness.report.chart_records import ForestChart
from harness.report.compare_verdict import LABELS_OF_REFUSAL, comparison_verdict
from harness.report.document import Block, Column, ComparisonView, Figure, Prose, Section, Table
from harness.report.scales import scale_of
from harness.report.sections.contrasts import forest_row
from harness.report.sections.outcome import FORGETTING, SENTENCE_LIMIT, not_compared
from harness.report.tables import Field, table
from harness.wording import PER_CENT, Scale

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


def build_comparison(comparison: StudyComparison, *, now: datetime | None = None) -> ComparisonView:
    """The contents of the report on several studies: every number rounded, every sentence final."""
    written = (now or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M %Z").strip()
    arms = dict.fromkeys(row.arm for study in comparison.studies for row in study.arms)
    return ComparisonView(
        title=f"Comparison of {wording.plural(len(comparison.studies), 'experiment')}",
        about=(
            ("Experiments", ", ".join(wording.cell(study.label) for study in comparison.studies)),
            ("Compared with", wording.cell(comparison.studies[0].label)),
            ("Report written", written),
        ),
        verdict=comparison_verdict(comparison),
        sections=(
            _differences(comparison),
            _settings(comparison),
            _scores(comparison),
            _general(comparison),
            _refusals(comparison),
            _verdicts(comparison),
        ),
        arms=tuple(arms),
    )


def _verdicts(comparison: StudyComparison) -> Section:
    fields: tuple[Field[ComparedStudy], ...] = (
        Field("Experiment", lambda study: wording.cell(study.label), numeric=False),
        Field("Id", lambda study: wording.cell(study.experiment_id[:12]), numeric=False),
        Field("Declared", lambda study: wording.cell(study.created_at, 40), numeric=False),
        Field("Verdict", lambda study: OUTCOME_LABELS[study.verdict.outcome], numeric=False),
        Field(
            "In a sentence",
            lambda study: wording.cell(study.verdict.sentence, SENTENCE_LIMIT),
            numeric=False,
        ),
    )
    rows = table("Verdict of each experiment", fields, comparison.studies)
    return Section("verdicts", "What each experiment says", (rows,))


def _settings(comparison: StudyComparison) -> Section:
    heading = "What was changed"
    if not comparison.settings:
        return Section("settings", heading, (Prose("The experiments have the same settings."),))
    names = [wording.cell(study.label) for study in comparison.studies]
    columns = (Column("Setting"), *(Column(name) for name in names))
    blocks = tuple(
        Table(caption, columns, tuple(_setting(row) for row in rows))
        for part, caption in PARTS.items()
        if (rows := [setting for setting in comparison.settings if setting.part == part])
    )
    return Section("settings", heading, blocks)


def _setting(row: SettingDifference) -> tuple[str, ...]:
    limit = 12 if row.setting.endswith("fingerprint") else None
    return (
        wording.cell(row.setting, 100),
        *(wording.cell(wording.setting(value)[:limit], 600) for value in row.values),
    )


def _differences(comparison: StudyComparison) -> Section:
    heading = "What changed in the score"
    blocks: list[Block] = []
    scale = scale_of(comparison.studies[0].metric)
    if comparison.paired:
        blocks += [*_forest(comparison, scale), _paired(comparison)]
    if comparison.unpaired:
        blocks.append(_unpaired(comparison, scale))
    if not blocks:
        text = "No score of one experiment can be compared with one of another; see below why."
        blocks.append(Prose(text))
    return Section("differences", heading, tuple(blocks))


def _forest(comparison: StudyComparison, scale: Scale) -> list[Block]:
    rows = [(pair, forest_row(pair.contrast, _label(pair), pair.arm)) for pair in comparison.paired]
    drawn = tuple(row for _, row in rows if row is not None)
    if not drawn:
        return []
    settled = [pair for pair in comparison.paired if pair.contrast.outcome != "inconclusive"]
    better = sum(pair.contrast.outcome == "better" for pair in settled)
    worse = sum(pair.contrast.outcome == "worse" for pair in settled)
    equal = len(settled) - better - worse
    see = (
        f"Of {wording.plural(len(comparison.paired), 'difference')} to "
        f"{wording.cell(comparison.studies[0].label)}: {better} better, {worse} worse, {equal} "
        f"equivalent, {len(comparison.paired) - len(settled)} undecided."
    )
    axis = f"Difference in {wording.clean(comparison.studies[0].metric_label, 60)}"
    chart = ForestChart(scale.axis(axis, difference=True), scale.margin(comparison.margin), drawn)
    return [Figure("forest", "Paired differences between experiments", see, chart)]


def _label(pair: PairedAcross) -> str:
    arm, study, other = map(wording.short, (pair.arm, pair.study, pair.reference))
    if pair.arm == pair.reference_arm:
        return f"{arm}: {study} − {other}"
    return f"{arm} of {study} − {wording.short(pair.reference_arm)} of {other}"


def _arm(pair: PairedAcross | UnpairedAcross) -> str:
    arm, other = wording.cell(pair.arm), wording.cell(pair.reference_arm)
    return arm if arm == other else f"{arm} against {other}"


def _pair(pair: PairedAcross | UnpairedAcross) -> str:
    return f"{wording.cell(pair.study)} against {wording.cell(pair.reference)}"


def _paired(comparison: StudyComparison) -> Table:
    left_out: Field[PairedAcross] = Field(
        "Not compared", lambda row: not_compared(row.contrast, "none"), numeric=False, brief=False
    )
    fields: tuple[Field[PairedAcross], ...] = (
        Field("Arm", _arm, numeric=False),
        Field("Experiments", _pair, numeric=False, brief=len(comparison.studies) > 2),
        Field("Score", lambda row: _scale(row).score(row.contrast.mean_a)),
        Field("Reference", lambda row: _scale(row).score(row.contrast.mean_b)),
        *Field[PairedAcross].change(
            "Difference",
            scale_of(comparison.studies[0].metric),
            lambda row: row.contrast.difference,
            lambda row: row.contrast.interval,
        ),
        Field("p, Holm-adjusted", lambda row: wording.p_value(row.contrast.p_adjusted)),
        Field("Reading", lambda row: READINGS[row.contrast.outcome], numeric=False),
        Field("Items", lambda row: wording.count(row.contrast.items)),
        left_out,
    )
    notes = (
        "Taken item by item on the test items that both answered; positive is better for the "
        "first-named. Nothing of this was declared before the experiments ran, so p-values are "
        "adjusted (Holm) over the whole table. Differences within "
        f"±{scale_of(comparison.studies[0].metric).margin(comparison.margin)} count as none.",
    )
    strong = tuple(place for place, row in enumerate(comparison.paired) if row.leading)
    return table("Paired differences", fields, comparison.paired, notes=notes, strong=strong)


def _scale(pair: PairedAcross) -> Scale:
    return scale_of(pair.contrast.metric)


def _unpaired(comparison: StudyComparison, scale: Scale) -> Table:
    common: Field[UnpairedAcross] = Field(
        "In both", lambda row: wording.count(row.common_items), brief=False
    )
    fields: tuple[Field[UnpairedAcross], ...] = (
        Field("Arm", _arm, numeric=False),
        Field("Experiments", _pair, numeric=False, brief=len(comparison.studies) > 2),
        Field("Score", lambda row: scale.score(row.mean)),
        Field("Reference", lambda row: scale.score(row.reference_mean)),
        *Field[UnpairedAcross].change(
            "Difference", scale, lambda row: row.difference, lambda row: row.interval
        ),
        Field("p, Holm-adjusted", lambda row: wording.p_value(row.p_adjusted)),
        Field("Items", lambda row: wording.count(row.items)),
        Field("Items of the reference", lambda row: wording.count(row.reference_items)),
        common,
    )
    notes = (
        "Each on its own test items, as two samples. What other items changed and what other "
        "settings changed is in the difference together, so it does not say that one setting is "
        "better.",
    )
    strong = tuple(place for place, row in enumerate(comparison.unpaired) if row.leading)
    caption = "Unpaired differences: other test items"
    return table(caption, fields, comparison.unpaired, notes=notes, strong=strong)


def _scores(comparison: StudyComparison) -> Section:
    heading = "Scores side by side"
    apart = {
        label
        for refusal in comparison.refusals
        if refusal.what == "scores" and refusal.reason in ("unfinished", "metric", "task")
        for label in refusal.studies
        if label != comparison.studies[0].label or len(refusal.studies) == 1
    }
    together = [study for study in comparison.studies if study.label not in apart]
    if len(together) < 2:
        text = "The scores are not set side by side: they are of different kinds."
        return Section("scores", heading, (Prose(text),))
    arms = dict.fromkeys(row.arm for study in together for row in study.arms)
    rows = [{row.arm: row for row in study.arms} for study in together]
    scale = scale_of(together[0].metric)
    shown = Table(
        f"Test score ({wording.clean(together[0].metric_label, 60)}), each on its own test items",
        (Column("Arm"), *(Column(wording.cell(study.label), numeric=True) for study in together)),
        (
            *((wording.cell(arm), *(_score(row.get(arm), scale) for row in rows)) for arm in arms),
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


def _general(comparison: StudyComparison) -> Section:
    heading = "General abilities side by side"
    together = [study for study in comparison.studies if study.label in comparison.general]
    rows = [{forgetting.arm: forgetting for forgetting in study.forgetting} for study in together]
    arms = dict.fromkeys(arm for row in rows for arm in row)
    if len(together) < 2 or not arms:
        text = "What was forgotten is not set side by side: no two experiments measured it alike."
        return Section("general", heading, (Prose(text),))
    shown = Table(
        "Mean change of the general tasks, each against the base of its own experiment",
        (Column("Arm"), *(Column(wording.cell(study.label), numeric=True) for study in together)),
        tuple((wording.cell(arm), *(_change(row.get(arm)) for row in rows)) for arm in arms),
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
        f"{wording.cell(study.label)} {PER_CENT.margin(study.forgetting[0].margin)}"
        for study in studies
        if study.forgetting
    ]


def _refusals(comparison: StudyComparison) -> Section:
    heading = "What is not compared, and why"
    if not comparison.refusals:
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
            wording.listed([wording.cell(label) for label in refusal.studies]),
            LABELS_OF_REFUSAL[refusal.what],
            wording.cell(refusal.sentence, 600),
            wording.cell(refusal.remedy, 600),
        )
        for refusal in comparison.refusals
    )
    return Section("refusals", heading, (Table("Refused comparisons", columns, rows),))


__all__ = ["build_comparison"]
