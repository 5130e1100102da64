"""A study of pretended trials with every way in which a search trial can end."""

from __future__ import annotations

import pytest

from harness.study.run import StudyRun, run_study
from tests.fake_trial import Watching, experiment

# The search tries all of them, and so meets each end.
WORDINGS = ["plain", "broken [fail]", "hopeless [prune]", "forgets [lose=0.7] [gain=0.2]"]


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> StudyRun:
    folder = tmp_path_factory.mktemp("exported")
    arms = {
        "few-shot": {"kind": "prompt", "shots": {"low": 0, "high": 4}},
        "lora": {
            "kind": "lora",
            "instruction": {"choices": WORDINGS},
            "targets": {"choices": ["all-linear", ["q_proj", "v_proj"]]},
        },
    }
    spec = experiment(
        folder,
        arms=arms,
        budget={"trials": 2 * len(WORDINGS)},
        general={"limit": 8, "search_limit": 4},
    )
    return run_study(spec, folder / "results", open_with=Watching)
