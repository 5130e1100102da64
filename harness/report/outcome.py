"""The decision and the evidence next to it: verdict, primary contrast, arms, other contrasts."""

from __future__ import annotations

from harness.findings import ArmSummary, Contrast, CostSummary
from harness.report import wording
from harness.report.document import (
    Column,
    Facts,
    Figure,
    ForestChart,
    ForestRow,
    Prose,
    Section,
    Table,
    VerdictView,
)
from harness.report.material import BASE, Material

LABELS = {
    "fine_tune": "Fine-tune",
    "prompt": "Prompt, do not fine-tune",
    "equivalent": "Either works: take the cheaper",
    "forgets_too_much": "Fine-tuning works, but forgets too much",
    "inconclusive": "Not decided yet",
}
FORGETTING = {"kept": "kept", "forgot": "lost", "inconclusive": "undecided"}


def verdict_view(material: Material) -> VerdictView:
    """The verdict with the few numbers that carry it."""
    verdict = material.findings.verdict
    label = LABELS.get(verdict.outcome, wording.cell(verdict.outcome))
    return VerdictView(
        outcome=verdict.outcome,
        label=label,
        sentence=wording.cell(verdict.sentence, limit=600),
        reasons=tuple(wording.cell(text, limit=600) for text in verdict.reasons),
        caveats=tuple(wording.cell(text, limit=600) for text in verdict.caveats),
        figures=_key_figures(material),
    )


def _key_figures(material: Material) -> tuple[tuple[str, str], ...]:
    tuned, prompt = material.best(prompt=False), material.best(prompt=True)
    contrast = material.findings.primary
    name = material.metric_name
    figures = []
    for title, row in (("Best fine-tuned arm", tuned), ("Best prompt arm", prompt)):
        if row is not None:
            figures.append((f"{title} ({wording.cell(row.arm)})", wording.score(row.test)))
    if contrast is not None:
        figures.append((f"Difference in {name}", wording.difference(contrast.difference)))
    for found in material.findings.forgetting:
        if tuned is not None and found.arm == tuned.arm:
            state = FORGETTING.get(found.outcome, found.outcome)
            term = f"Change in general ability of {wording.cell(found.arm)}"
            figures.append((term, f"{wording.difference(found.mean_change)} ({state})"))
    if material.findings.verdict.items_needed is not None:
        needed = wording.count(material.findings.verdict.items_needed)
        figures.append(("Test items that would settle it", f"about {needed}"))
    return tuple(figures)


def primary_section(material: Material) -> Section:
    """The contrast that was declared before the run."""
    contrast = material.findings.primary
    if contrast is None:
        text = (
            "The primary contrast was not measured: it needs a fine-tuned arm and a prompt arm "
            "that were both scored on the test set."
        )
        return Section("primary", "The question that was asked", (Prose(text),))
    a, b = wording.cell(contrast.a), wording.cell(contrast.b)
    facts = [
        ("Compared", f"{_named(material, contrast.a)} against {_named(material, contrast.b)}"),
        ("Measure", f"{wording.metric(contrast.metric)} on the {wording.cell(contrast.split)} set"),
        ("Scores", f"{a} {wording.score(contrast.mean_a)}, {b} {wording.score(contrast.mean_b)}"),
        ("Difference", _difference_words(contrast)),
        ("Margin", f"differences within ±{wording.score(contrast.margin)} count as none"),
        ("Reading", _reading(contrast)),
        ("p-value", f"{wording.p_value(contrast.p_value)} ({wording.cell(contrast.test)})"),
        ("Based on", _basis(contrast)),
        (
            "Smallest difference this test can find",
            f"{wording.score(contrast.minimum_detectable)} (with 80 % power)",
        ),
    ]
    if contrast.outcome == "inconclusive":
        facts.append(("Items needed to settle it", wording.count(contrast.items_needed)))
    intro = (
        "Declared before anything ran: the best fine-tuned arm against the best prompt arm, "
        "compared item by item on data that no arm had seen. Positive is better for "
        f"{a}."
    )
    return Section("primary", "The question that was asked", (Prose(intro), Facts(tuple(facts))))


def arms_section(material: Material) -> Section:
    """What each arm scored, and what it takes."""
    rows = material.findings.arms
    if not rows:
        text = "No arm was scored on the test set yet."
        return Section("arms", "The arms", (Prose(text),))
    winner = material.findings.verdict.winner
    strong = tuple(index for index, row in enumerate(rows) if row.arm == winner)
    others = [
        name
        for name in dict.fromkeys(name for row in rows for name in row.metrics)
        if name != material.metric
    ]
    quality = [
        (
            wording.cell(row.arm),
            wording.kind(row.kind),
            wording.score(row.test),
            wording.score_interval(row.test_interval),
            *(wording.score(row.metrics.get(name)) for name in others),
            wording.plural(len(row.seeds), "seed") if row.seeds else wording.NOT_MEASURED,
        )
        for row in rows
    ]
    base = material.baseline_scores()
    if base and BASE not in {row.arm for row in rows}:
        shown = (wording.score(base.get(name)) for name in (material.metric, *others))
        first, *rest = shown
        quality.append(
            (BASE, wording.kind(BASE), first, wording.NOT_MEASURED, *rest, wording.NOT_APPLICABLE)
        )
    effort = [
        (
            wording.cell(row.arm),
            _tuning(row),
            _trials(row),
            wording.money(row.cost.per_thousand_requests, material.currency),
            _latency(row.cost),
            _memory(row.cost),
            wording.parameters(row.cost.trainable_parameters, row.cost.total_parameters),
        )
        for row in rows
    ]
    settings = tuple(
        (wording.cell(row.arm), wording.cell(name, 60), wording.setting(value))
        for row in rows
        for name, value in row.params.items()
    )
    untuned = [wording.cell(row.arm) for row in rows if not row.tuned and row.kind == "prompt"]
    notes = ["Test scores are means over seeds; the interval is for the mean over items."]
    effort_notes = ["Latency is for one request at a time, on the machine that ran the study."]
    if untuned:
        effort_notes.append(
            f"Not tuned: {wording.listed(untuned)} had nothing to search, so a better prompt may "
            "exist."
        )
    name = material.metric_name
    tables = [
        Table(
            "Quality on the test set",
            (
                Column("Arm"),
                Column("Kind"),
                Column(f"Test score ({name})", numeric=True),
                Column("Interval", numeric=True),
                *(Column(wording.metric(other), numeric=True, brief=False) for other in others),
                Column("Repeats", numeric=True, brief=False),
            ),
            tuple(quality),
            tuple(notes),
            strong,
        ),
        Table(
            "Effort and running cost",
            (
                Column("Arm"),
                Column("Tuning"),
                Column("Trials spent"),
                Column("Cost per 1,000 requests", numeric=True),
                Column("Latency (median / 95th percentile)", numeric=True, brief=False),
                Column("Peak memory", numeric=True, brief=False),
                Column("Trainable parameters", numeric=True, brief=False),
            ),
            tuple(effort),
            tuple(effort_notes),
            strong,
        ),
    ]
    tables.append(_tuning_gain(material))
    if settings:
        columns = (Column("Arm"), Column("Setting"), Column("Value"))
        tables.append(Table("Setting that validation selected", columns, settings, folded=True))
    return Section("arms", "The arms", tuple(tables))


def _tuning_gain(material: Material) -> Table:
    """What searching brought over the default setting, on the data that chose it."""
    return Table(
        "What tuning gained on validation data",
        (
            Column("Arm"),
            Column("Default setting", numeric=True),
            Column("Selected setting", numeric=True),
        ),
        tuple(
            (
                wording.cell(row.arm),
                wording.score(row.default_validation),
                wording.score(row.validation),
            )
            for row in material.findings.arms
        ),
        ("The best of several validation scores flatters; only the test score is a result.",),
        folded=True,
    )


def forest_section(material: Material) -> Section:
    """All differences at a glance, then the secondary ones in numbers."""
    contrasts = [c for c in (material.findings.primary, *material.findings.secondary) if c]
    rows = tuple(
        ForestRow(
            label=f"{wording.short(found.a)} − {wording.short(found.b)}",
            arm=found.a,
            difference=found.difference,
            low=found.interval.low,
            high=found.interval.high,
            margin=found.margin,
            primary=found.primary,
            text=wording.difference(found.difference),
        )
        for found in contrasts
        if found.metric == contrasts[0].metric
        and all(
            wording.is_number(value)
            for value in (found.difference, found.interval.low, found.interval.high)
        )
    )
    heading = "All differences between arms"
    if not rows:
        return Section("contrasts", heading, (Prose("No difference was measured."),))
    name = wording.metric(contrasts[0].metric)
    figure = Figure(
        key="forest",
        title="Paired differences between arms",
        see=_forest_sentence(contrasts),
        chart=ForestChart(f"Difference in {name} (right: first-named arm is better)", rows),
    )
    return Section("contrasts", heading, (figure, _secondary(material)))


def _secondary(material: Material) -> Table | Prose:
    found = material.findings.secondary
    if not found:
        return Prose("There is no secondary contrast.")
    rows = tuple(
        (
            f"{wording.cell(item.a)} against {wording.cell(item.b)}",
            wording.metric(item.metric),
            wording.difference(item.difference),
            wording.difference_interval(item.interval),
            wording.p_value(item.p_value),
            wording.p_value(item.p_adjusted),
            _short_reading(item),
            wording.count(item.items),
        )
        for item in found
    )
    return Table(
        "Secondary contrasts",
        (
            Column("Contrast"),
            Column("Metric"),
            Column("Difference", numeric=True),
            Column("Interval", numeric=True),
            Column("p", numeric=True, brief=False),
            Column("p, Holm-adjusted", numeric=True),
            Column("Reading"),
            Column("Items", numeric=True, brief=False),
        ),
        rows,
        (
            "Positive is better for the first-named arm. p-values are adjusted (Holm) because "
            "several comparisons were made; they support the primary contrast, not replace it.",
        ),
    )


def _named(material: Material, arm: str) -> str:
    kind = material.kind_of(arm)
    return f"{wording.cell(arm)} ({wording.kind(kind)})" if kind else wording.cell(arm)


def _difference_words(found: Contrast) -> str:
    interval = wording.difference_interval(found.interval)
    return (
        f"{wording.difference(found.difference)} "
        f"({wording.level(found.interval)} interval {interval})"
    )


def _reading(found: Contrast) -> str:
    a, b = wording.cell(found.a), wording.cell(found.b)
    return {
        "better": f"{a} is better than {b}",
        "worse": f"{a} is worse than {b}",
        "equivalent": f"{a} and {b} are equivalent: the interval lies within the margin",
        "inconclusive": f"undecided: the data cannot tell {a} and {b} apart, nor call them equal",
    }.get(found.outcome, found.outcome)


def _short_reading(found: Contrast) -> str:
    a, b = wording.cell(found.a), wording.cell(found.b)
    return {
        "better": f"{a} better",
        "worse": f"{b} better",
        "equivalent": "equivalent",
        "inconclusive": "undecided",
    }.get(found.outcome, found.outcome)


def _basis(found: Contrast) -> str:
    seeds = (
        wording.plural(found.seeds_a, "seed")
        if found.seeds_a == found.seeds_b
        else f"{found.seeds_a} and {found.seeds_b} seeds"
    )
    items = wording.plural(found.items, "item")
    groups = "" if found.clusters == found.items else f" in {found.clusters:,} groups"
    return f"{items}{groups}, {seeds}"


def _forest_sentence(contrasts: list[Contrast]) -> str:
    sentences = []
    secondary = [found for found in contrasts if not found.primary]
    for found in contrasts:
        if found.primary:
            sentences.append(f"Primary: {_reading(found)} ({wording.difference(found.difference)})")
    if secondary:
        settled = sum(found.outcome != "inconclusive" for found in secondary)
        sentences.append(
            f"of {wording.plural(len(secondary), 'secondary contrast')}, {settled:,} "
            f"{'is' if settled == 1 else 'are'} settled"
        )
    text = "; ".join(sentences)
    return f"{wording.capitalised(text)}."


def _tuning(row: ArmSummary) -> str:
    if not row.tuned:
        return "not tuned"
    return f"tuned, {wording.plural(row.budget_trials, 'trial')}"


def _trials(row: ArmSummary) -> str:
    failed = f", {row.failed} failed" if row.failed else ""
    return f"{row.complete} of {row.budget_trials}{failed}"


def _latency(cost: CostSummary) -> str:
    if cost.latency_p50 is None and cost.latency_p95 is None:
        return wording.NOT_MEASURED
    return f"{wording.seconds(cost.latency_p50)} / {wording.seconds(cost.latency_p95)}"


def _memory(cost: CostSummary) -> str:
    host = wording.mebibytes(cost.peak_memory_mib)
    if cost.peak_device_mib is None:
        return host
    return f"{wording.mebibytes(cost.peak_device_mib)} on the device, {host} on the host"
