"""An arm of weights that were trained elsewhere is asked with these, and with no others."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import open_result
from harness.data import read_examples_file
from harness.errors import InputError
from harness.export.final_run import find_final_run, trained_files
from harness.store import StoreReader
from tests.export.small_study import ARMS, experiment, run_small
from tests.models.test_brought import adapter

pytestmark = pytest.mark.weights


def test_it_replies_as_when_it_was_scored_and_not_with_other_weights(tmp_path: Path) -> None:
    experiment(tmp_path, {"plain": ARMS["plain"]})
    theirs = adapter(tmp_path / "theirs", tmp_path / "model")
    arms = {"plain": ARMS["plain"], "theirs": {"kind": "trained", "path": str(theirs)}}
    done = run_small(experiment(tmp_path, arms), tmp_path, "plain", "theirs")
    results = done.store.parent
    run = find_final_run(results, None, "theirs")
    request = next(one for one in run.spec.scores if one.split == "test")
    stored = StoreReader(done.store).query(
        "SELECT item_id, output FROM item_output WHERE score_key = ?", [request.key]
    )
    replies = {row["item_id"]: row["output"] for row in stored.named}
    items = read_examples_file(Path(request.items_path))
    rows = [{"text": item.inputs["text"]} for item in items]
    found = open_result(results=results).predict(rows, arm="theirs")
    assert [one.reply for one in found] == [replies[item.id] for item in items]
    with pytest.raises(InputError, match="was trained elsewhere: its weights are yours"):
        trained_files(run)
    adapter(theirs, tmp_path / "model")
    with pytest.raises(InputError, match="is not what was scored"):
        open_result(results=results).predict(rows, arm="theirs")
