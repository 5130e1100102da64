"""What searching brought: the selected setting against the default one, and the effort for it."""

from __future__ import annotations

from harness import wording
from harness.findings import ArmSummary, TuningGain
from harness.report.document import Block, Column, Table, Unmeasured
from harness.report.sections.material import Material
from harness.report.tables import ARM, Field, table

OUTCOMES = {
    "better": "better than the default",
    "worse": "worse than the default",
    "equivalent": "equal to the default within the margin",
    "inconclusive": "cannot be told",
}


def tuning_blocks(material: Material) -> list[Block]:
    """Gain on test, the settings that differ, and the flattering gain on validation."""
    return [*_on_test(material), _on_validation(material)]


def _on_test(material: Material) -> list[Block]:
    gains = material.findings.tuning
    if not gains:
        return [
            Unmeasured(
                "What tuning gained on test data",
                "`test_default: true` under `budget:` tests the default setting of each tuned arm, "
                "too.",
            )
        ]
    scale = material.scale
    fields: tuple[Field[TuningGain], ...] = (
        ARM,
        Field("Default setting", lambda row: scale.score(row.default_test)),
        Field("Selected setting", lambda row: scale.score(row.selected_test)),
        *Field[TuningGain].change("Gain", scale, lambda row: row.gain, lambda row: row.interval),
        Field("In words", _in_words, numeric=False),
    )
    note = "Both on the same test items and seeds. Tuning can also pick worse than the default."
    caption = "What tuning gained, on test data"
    blocks: list[Block] = [table(caption, fields, gains, notes=(note,), folded=True)]
    changed = [pair for row in gains for pair in _changed(row)]
    if changed:
        columns = tuple(Column(name) for name in ("Arm", "Setting", "Default", "Selected"))
        caption = "Settings that tuning changed"
        blocks.append(Table(caption, columns, tuple(changed), folded=True))
    return blocks


def _in_words(row: TuningGain) -> str:
    if row.kept_default:
        return "validation kept the default"
    if not wording.is_number(row.gain):
        return "the default was not tested"
    return OUTCOMES.get(row.outcome or "", wording.NOT_MEASURED)


def _changed(row: TuningGain) -> list[tuple[str, str, str, str]]:
    names = dict.fromkeys((*row.default_params, *row.selected_params))
    return [
        (
            wording.cell(row.arm),
            wording.cell(name, 60),
            wording.setting(row.default_params.get(name)),
            wording.setting(row.selected_params.get(name)),
        )
        for name in names
        if row.default_params.get(name) != row.selected_params.get(name)
    ]


def _on_validation(material: Material) -> Table:
    fields: tuple[Field[ArmSummary], ...] = (
        ARM,
        Field("Default setting", lambda row: material.scale.score(row.default_validation)),
        Field("Selected setting", lambda row: material.scale.score(row.validation)),
    )
    note = "The best of several validation scores flatters; only the test score is a result."
    caption = "What tuning gained on validation data"
    return table(caption, fields, material.findings.arms, notes=(note,), folded=True)
