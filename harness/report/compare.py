"""Several studies side by side: what was changed, and what came of it where that can be said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from harness.findings import Findings
from harness.records import JsonValue, Study
from harness.report import wording
from harness.report.document import Block, Column, ComparisonView, Prose, Section, Table
from harness.report.material import Material
from harness.report.outcome import LABELS

ABSENT = "-"


def build_comparison(
    studies: Sequence[tuple[Study, Findings]], *, now: datetime | None = None
) -> ComparisonView:
    """Verdicts, differing settings and comparable scores of several studies.

    Scores stand side by side only where the primary metric and the test items are the same;
    otherwise a sentence says why not.
    """
    materials = [Material(study, findings) for study, findings in studies]
    names = _names(materials)
    written = (now or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M %Z").strip()
    return ComparisonView(
        title=f"Comparison of {wording.plural(len(materials), 'experiment')}",
        about=(("Experiments", ", ".join(names)), ("Report written", written)),
        sections=(
            _verdicts(materials, names),
            _settings(materials, names),
            _scores(materials, names),
        ),
    )


def _names(materials: list[Material]) -> list[str]:
    """Names of the experiments, with the id where two share a name."""
    plain = [wording.cell(found.study.experiment.name, 64) for found in materials]
    return [
        f"{name} ({wording.cell(found.study.experiment.experiment_id, 12)})"
        if plain.count(name) > 1
        else name
        for name, found in zip(plain, materials, strict=True)
    ]


def _verdicts(materials: list[Material], names: list[str]) -> Section:
    rows = tuple(
        (
            name,
            LABELS.get(found.findings.verdict.outcome, found.findings.verdict.outcome),
            wording.cell(found.findings.verdict.sentence, 600),
        )
        for name, found in zip(names, materials, strict=True)
    )
    columns = (Column("Experiment"), Column("Verdict"), Column("In a sentence"))
    return Section("verdicts", "Verdicts", (Table("Verdict of each experiment", columns, rows),))


def _settings(materials: list[Material], names: list[str]) -> Section:
    heading = "What was changed"
    flat = [flatten(found.study.experiment.spec) for found in materials]
    keys = list(dict.fromkeys(key for settings in flat for key in settings))
    shown = [[settings.get(key, ABSENT) for settings in flat] for key in keys]
    rows = tuple(
        (wording.cell(key, 100), *values)
        for key, values in zip(keys, shown, strict=True)
        if len(set(values)) > 1 and key != "name"
    )
    if not rows:
        return Section("settings", heading, (Prose("The experiments have the same settings."),))
    columns = (Column("Setting"), *(Column(name) for name in names))
    return Section("settings", heading, (Table("Settings that differ", columns, rows),))


def flatten(value: JsonValue, prefix: str = "") -> dict[str, str]:
    """Nested settings as dotted key -> value on one line; lists are values."""
    if isinstance(value, Mapping) and value:
        found: dict[str, str] = {}
        for key, part in value.items():
            found |= flatten(part, f"{prefix}.{key}" if prefix else str(key))
        return found
    return {prefix: wording.setting(value)} if prefix else {}


def _scores(materials: list[Material], names: list[str]) -> Section:
    heading = "Scores side by side"
    groups: dict[tuple[str, str], list[int]] = {}
    blocks: list[Block] = []
    for index, found in enumerate(materials):
        items = found.study.experiment.data.get("fingerprint")
        if not items:
            blocks.append(
                Prose(f"{names[index]} is not compared: it does not say which test items it used.")
            )
        elif not found.metric:
            blocks.append(Prose(f"{names[index]} is not compared: it states no primary metric."))
        else:
            groups.setdefault((str(items), found.metric), []).append(index)
    together = [members for members in groups.values() if len(members) > 1]
    for members in together:
        blocks.append(_table([materials[i] for i in members], [names[i] for i in members]))
    alone = [members[0] for members in groups.values() if len(members) == 1]
    for index in alone:
        blocks.append(Prose(_why_alone(index, materials, names)))
    return Section("scores", heading, tuple(blocks))


def _table(materials: list[Material], names: list[str]) -> Table:
    arms = list(dict.fromkeys(row.arm for found in materials for row in found.findings.arms))
    scores = [{row.arm: row for row in found.findings.arms} for found in materials]
    scale = materials[0].scale
    rows = []
    for arm in arms:
        cells = [wording.cell(arm)]
        for found in scores:
            row = found.get(arm)
            if row is None:
                cells.append(ABSENT)
            else:
                interval = scale.interval(row.test_interval, "")
                cells.append(scale.score(row.test) + (f" ({interval})" if interval else ""))
        rows.append(tuple(cells))
    return Table(
        f"Test score ({materials[0].metric_name}) on the same test items",
        (Column("Arm"), *(Column(name, numeric=True) for name in names)),
        tuple(rows),
        ("Overlapping intervals do not show that two scores are equal: the items are the same, "
         "but no paired test was made across experiments.",),
    )  # fmt: skip


def _why_alone(index: int, materials: list[Material], names: list[str]) -> str:
    own = materials[index].study.experiment.data.get("fingerprint")
    same_items = [
        names[i]
        for i, found in enumerate(materials)
        if i != index and found.study.experiment.data.get("fingerprint") == own
    ]
    if same_items:
        metric = materials[index].metric_name
        return (
            f"{names[index]} is not compared with {wording.listed(same_items)}: it was tested on "
            f"the same items, but its primary metric is {metric}."
        )
    return (
        f"{names[index]} is not compared: no other experiment here was tested on the same items, "
        "and scores on different items say nothing about the settings."
    )
