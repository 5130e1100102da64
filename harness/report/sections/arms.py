"""The table of arms: what each scored, and what it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness import wording
from harness.findings import ArmSummary, CostSummary, SearchSummary
from harness.report.document import Block, Column, Section, Table, Unmeasured
from harness.report.naming import turned
from harness.report.scales import scale_of
from harness.report.sections.material import BASE, Material
from harness.report.sections.tuning import tuning_blocks
from harness.report.tables import INTERVAL, lean
from harness.spec.kinds import kind_info

UNTOUCHED = "untouched base"


def arms_section(material: Material) -> Section:
    """What each arm scored, and what it takes."""
    rows = material.findings.arms
    if not any(wording.is_number(row.test) for row in rows):
        missing = Unmeasured("Scores of the arms", "They are, once an arm was tested.")
        return Section("arms", "The arms", (missing,))
    scale = material.scale
    winner = material.findings.verdict.winner
    strong = tuple(index for index, row in enumerate(rows) if row.arm == winner)
    others = [
        name
        for name in dict.fromkeys(name for row in rows for name in row.metrics)
        if name != material.metric
    ]
    # How many seeds an arm has stands on the first screen.
    again = any(row.searches > 1 for row in rows)
    quality = [
        (
            wording.cell(row.arm),
            kind_info(row.kind).label,
            scale.score(row.test),
            scale.interval(row.test_interval),
            *(_other(row, name) for name in others),
            *((_repeats(row),) if again else ()),
        )
        for row in rows
    ]
    base = material.baseline_scores()
    if base and BASE not in {row.arm for row in rows}:
        shown = (scale_of(name).score(base.get(name)) for name in (material.metric, *others))
        first, *rest = shown
        none = (wording.NOT_APPLICABLE,) if again else ()
        quality.append((BASE, UNTOUCHED, first, wording.NOT_MEASURED, *rest, *none))
    effort = [
        (
            wording.cell(row.arm),
            _tuning(row),
            _tried(row),
            wording.money(row.cost.per_thousand_requests, material.currency),
            _latency(row.cost),
            _memory(row.cost),
            _trained(row),
        )
        for row in rows
    ]
    settings = tuple(
        (wording.cell(title), wording.cell(name, 60), wording.setting(value))
        for row in rows
        for title, params in _settings(row, material.findings.searches)
        for name, value in params.items()
    )
    untuned = [
        wording.cell(row.arm)
        for row in rows
        if (kind := kind_info(row.kind)).language_model and not (row.tuned or kind.fine_tuned)
    ]
    notes = ["Means over seeds; intervals are for the mean over items."]
    notes += [
        sentence
        for name in (material.metric, *others)
        if (sentence := turned(name, material.experiment.task))
    ]
    effort_notes = [
        f"Latency is for one request at a time, on the machine that ran the study{_measured(rows)}."
    ]
    if any(row.cost.by_token for row in rows):
        effort_notes.append(
            "Of an arm that asks a server it is the time to the whole reply as seen from here, and "
            "its cost is the price of its tokens."
        )
    if untuned:
        effort_notes.append(
            f"Not tuned: {wording.listed(untuned)} had nothing to search, so a better prompt may "
            "exist."
        )
    name = material.metric_name
    scores = Table(
        "Quality on the test set",
        (
            Column("Arm"),
            Column("Kind"),
            Column(f"Test score ({name})", numeric=True),
            Column(INTERVAL, numeric=True),
            *(Column(material.named(other), numeric=True, brief=False) for other in others),
            *((Column("Repeats", numeric=True, brief=False),) if again else ()),
        ),
        tuple(quality),
        tuple(notes),
        strong,
    )
    tables: list[Block] = [
        lean(scores),
        Table(
            "Effort and running cost",
            (
                Column("Arm"),
                Column("Tuning"),
                Column("Settings tried", numeric=True),
                Column("Cost per 1,000 requests", numeric=True),
                Column("Latency (median / 95th percentile)", numeric=True, brief=False),
                Column("Peak memory", numeric=True, brief=False),
                Column("Trainable parameters", numeric=True, brief=False),
            ),
            tuple(effort),
            tuple(effort_notes),
            strong,
            folded=True,
        ),
    ]
    tables += tuning_blocks(material)
    if settings:
        columns = (Column("Arm"), Column("Setting"), Column("Value"))
        tables.append(Table("Setting that validation selected", columns, settings, folded=True))
    return Section("arms", "The arms", tuple(tables))


def _trained(row: ArmSummary) -> str:
    if kind_info(row.kind).brought:
        return "trained elsewhere"
    return wording.parameters(row.cost.trainable_parameters, row.cost.total_parameters)


def _tuning(row: ArmSummary) -> str:
    if not row.tuned:
        return "not tuned"
    times = f" in {row.searches} searches" if row.searches > 1 else ""
    return f"tuned, {wording.plural(row.budget_trials, 'trial')}{times}"


def _tried(row: ArmSummary) -> str:
    if row.settings is None:
        return f"{row.settings_tried:,} of infinitely many"
    return f"{row.settings_tried:,} of {row.settings:,}"


def _other(row: ArmSummary, name: str) -> str:
    """A metric that is not the primary one, with its interval where it has one."""
    scale, interval = scale_of(name), row.metric_intervals.get(name)
    shown = scale.score(row.metrics.get(name))
    return f"{shown} ({scale.interval(interval)})" if interval else shown


def _repeats(row: ArmSummary) -> str:
    if not row.seeds:
        return wording.NOT_MEASURED
    seeds = wording.plural(len(row.seeds), "seed")
    return f"{seeds} in {row.searches} searches" if row.searches > 1 else seeds


def _settings(
    row: ArmSummary, searches: Sequence[SearchSummary]
) -> list[tuple[str, Mapping[str, object]]]:
    """The arm's setting, or that of each of its searches."""
    if row.searches == 1:
        return [(row.arm, row.params)]
    return [
        (search.title, search.choice.params)
        for search in searches
        if search.arm == row.arm and search.choice
    ]


def _measured(rows: tuple[ArmSummary, ...]) -> str:
    """The end of a sentence, how many requests were timed and on which days; empty where none."""
    timed = [row.cost.latency for row in rows if row.cost.latency]
    if not timed:
        return ""
    days = sorted({turn.began[:10] for latency in timed for turn in latency.turns})
    counts = [latency.requests for latency in timed]
    asked = wording.plural(max(counts), "request")
    asked = asked if min(counts) == max(counts) else f"{min(counts)} to {asked}"
    return f"; measured after all other trials, {asked} of each arm, on {wording.listed(days)}"


def _latency(cost: CostSummary) -> str:
    if cost.latency_p50 is None and cost.latency_p95 is None:
        return wording.NOT_MEASURED
    return f"{wording.seconds(cost.latency_p50)} / {wording.seconds(cost.latency_p95)}"


def _memory(cost: CostSummary) -> str:
    if cost.by_token:
        return "the server's"
    host = wording.mebibytes(cost.peak_memory_mib)
    if cost.peak_device_mib is None:
        return host
    return f"{wording.mebibytes(cost.peak_device_mib)} on the device, {host} on the host"
