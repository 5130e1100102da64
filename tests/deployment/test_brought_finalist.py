"""Weights that were trained elsewhere are asked, verified and exported by their own template."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.deployment.finalist import loaded_candidate
from harness.deployment.forms import loaded_form
from harness.deployment.serve import serve_plan
from harness.deployment.verify_folder import verify_folder
from harness.errors import InputError
from harness.export.asking import Asking
from harness.export.final_run import find_final_run
from harness.export.model_folder import export_model
from tests.export.small_study import ARMS, experiment, run_small
from tests.models.test_brought import adapter
from tests.tiny_model import CHATML

pytestmark = pytest.mark.weights


def test_its_own_folder_and_template_are_used(tmp_path: Path) -> None:
    arm = {"kind": "trained", "path": str(tmp_path / "theirs"), "same_base": True}
    spec = experiment(tmp_path, {"theirs": arm, "drawn": ARMS["drawn"]})
    weights = adapter(tmp_path / "theirs", tmp_path / "model")
    (weights / "chat_template.jinja").write_text(CHATML.replace("|>{{ m", "|>now {{ m"))
    run_small(spec, tmp_path, "theirs")
    run = find_final_run(tmp_path / "results", None, "theirs")

    item = next(iter(Asking.of(run).split))
    asked = Asking.of(run).renderer.encode_prompt(item)
    with loaded_candidate(run) as candidate:
        assert candidate.renderer.encode_prompt(item) == asked
        assert "now " in candidate.renderer.prompt(item)
    with loaded_form(run, "float32") as loaded:
        assert "now " in loaded.tokenizer.chat_template
    found = verify_folder(run, weights, limit=4)
    assert (found.agreement.equal, found.culprits) == (4, ())
    plan = serve_plan(run, folder=None, host="127.0.0.1", port=1)
    assert (plan.model / "config.json").is_file()
    assert not (plan.model / "adapter_config.json").exists()
    assert "now " in (plan.model / "chat_template.jinja").read_text()
    # What is served is what was scored.
    shipped = verify_folder(run, plan.model, limit=4)
    assert (shipped.agreement.equal, shipped.culprits) == (4, ())
    # The adapter by itself lies where the user put it.
    with pytest.raises(InputError, match="its weights are yours"):
        export_model(tmp_path / "results", None, tmp_path / "copy", arm="theirs")
