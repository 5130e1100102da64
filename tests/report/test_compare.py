"""Experiments side by side: only what can be compared is."""

from __future__ import annotations

from dataclasses import replace

from harness.findings import Findings
from harness.records import JsonValue, Study
from harness.report import ComparisonView, build_comparison
from harness.report.compare import flatten
from harness.report.document import Prose, Table

from .example_study import NOW, contrast, findings, no_findings, study, unfinished_study


def named(name: str, spec: dict[str, JsonValue] | None = None, **data: JsonValue) -> Study:
    whole = study()
    record = replace(
        whole.experiment,
        name=name,
        experiment_id=name + "-id",
        spec={**whole.experiment.spec, **(spec or {}), "name": name},
        data={**whole.experiment.data, **data},
    )
    return replace(whole, experiment=record)


def compare(*pairs: tuple[Study, Findings]) -> ComparisonView:
    return build_comparison(pairs, now=NOW)


def blocks(view: ComparisonView, key: str) -> tuple[list[Table], list[str]]:
    found = next(section for section in view.sections if section.key == key).blocks
    return (
        [block for block in found if isinstance(block, Table)],
        [block.text for block in found if isinstance(block, Prose)],
    )


def test_differing_settings_stand_beside_scores() -> None:
    changed = named("more-trials", {"budget": {"trials": 16}})
    view = compare((named("first"), findings()), (changed, findings()))
    settings, _ = blocks(view, "settings")
    assert settings[0].rows == (("budget.trials", "8", "16"),)
    scores, sentences = blocks(view, "scores")
    assert scores[0].rows[3] == ("lora", "0.695 (0.654 to 0.736)", "0.695 (0.654 to 0.736)")
    assert sentences == []


def test_other_test_items_are_not_compared() -> None:
    other = named("other", fingerprint="0" * 64)
    scores, sentences = blocks(compare((named("first"), findings()), (other, findings())), "scores")
    assert scores == []
    assert len(sentences) == 2
    assert all("not compared: no other experiment" in text for text in sentences)


def test_another_metric_is_not_compared() -> None:
    changed = replace(contrast("lora", "few-shot", 0.1, 0.01), metric="exact_match")
    pairs = (
        (named("first"), findings()),
        (named("second"), replace(findings(), primary=changed)),
    )
    scores, sentences = blocks(compare(*pairs), "scores")
    assert scores == []
    assert "its primary metric is exact match" in sentences[1]


def test_a_study_without_items_or_name_of_its_own_is_told_apart() -> None:
    view = compare((study(), findings()), (unfinished_study(), no_findings()))
    _, sentences = blocks(view, "scores")
    assert any("does not say which test items" in text for text in sentences)
    verdicts, _ = blocks(view, "verdicts")
    assert [row[0] for row in verdicts[0].rows] == ["feedback (a1b2c3d4e5f6)"] * 2


def test_nested_settings_become_dotted_keys() -> None:
    assert flatten({"a": {"b": 1, "c": {"d": [1, 2]}}, "e": None, "f": {}}) == {
        "a.b": "1",
        "a.c.d": "1, 2",
        "e": "-",
        "f": "{}",
    }
