"""What the report says came of an instruction that was written."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from harness.analysis.searches.summary import summarise_searches
from harness.analysis.statistics.scores import Scores
from harness.findings import Findings, SearchSummary
from harness.records import Confirmation, Writing
from harness.records.writing import Headroom
from harness.report.document import Bullets
from harness.report.sections.material import Material
from harness.report.sections.writing import writing_section
from tests.analysis.study_builder import StudyBuilder, experiment

TEXT = "Say which."
WRITING = Writing(
    "w",
    "Name it.",
    Headroom((), 0, 1.0, moves=True),
    (),
    TEXT,
    0.8,
    0.5,
    (),
    "a phrase",
    9,
    9,
    9,
    9,
)
KEPT = Confirmation(TEXT, 40, 0.8, 0.5, 0.01, kept=True)
ARM = {"kind": "prompt", "instruction": {"optimise": {"by": "gepa"}}}
BUILT = StudyBuilder(experiment({"written": ARM}, budget={"trials": 4}), {}).search(
    "written", [0.5, 0.8], params=[{"instruction": None}, {"instruction": TEXT}]
)
WROTE = replace(BUILT.trials[0], phase="writing", trial_id="wrote", aggregates=(), writing=WRITING)
STUDY = replace(BUILT.build(), trials=(*BUILT.trials, WROTE))


def told(row: SearchSummary) -> str:
    """The sentence on the writing, of a study with this search and no finalist."""
    findings = cast("Findings", SimpleNamespace(searches=(row,)))
    blocks = writing_section(Material(STUDY, BUILT.experiment, findings)).blocks
    (said,) = next(block.items for block in blocks if isinstance(block, Bullets))
    return said


@pytest.fixture(scope="module")
def row() -> SearchSummary:
    (found,) = summarise_searches(Scores(STUDY), BUILT.experiment)
    return found


def test_before_it_is_known_and_where_it_cannot_be_nothing_is_claimed(row: SearchSummary) -> None:
    assert "is not known yet" in told(row)
    ended = replace(row, ended="budget_spent")
    assert "could not be held against your own, which has no score" in told(ended)
    assert "is no longer asked for" in told(replace(row, repeat=1))


def test_what_is_kept_is_selected_where_validation_says_so(row: SearchSummary) -> None:
    kept = replace(row, ended="budget_spent", confirmation=KEPT)
    assert "what was written is kept: 80.0 % on 40 validation rows" in told(kept)
    # Also before a finalist has run.
    assert "yet validation selected your own" not in told(kept)
    assert kept.choice is not None
    own = replace(kept, choice=replace(kept.choice, params={"instruction": None}))
    assert "yet validation selected your own, with other settings" in told(own)
