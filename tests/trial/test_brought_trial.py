"""A trial of weights that were trained elsewhere: it trains nothing, and scores them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harness.data.examples_file import write_examples
from harness.models.brought import fingerprint_of
from harness.records import ScoreRequest, TrialSpec, to_plain
from harness.spec import BroughtArm
from harness.trial import run_trial
from tests.models.test_brought import adapter
from tests.tiny_model import CHATML, TASK, TinyModels, messages, resolved, runtime, tiny_models

__all__ = ["tiny_models"]


def brought_trial(folder: Path, model: Path, weights: Path) -> TrialSpec:
    for name, count, start in (("train", 6, 0), ("test", 4, 30)):
        write_examples(folder / f"{name}.parquet", messages(count, start))
    arm = BroughtArm.model_validate(
        {"kind": "trained", "path": str(weights), "answering": "choice"}
    )
    path = str(folder / "test.parquet")
    return TrialSpec(
        trial_id="theirs",
        experiment_id="tiny",
        arm="theirs",
        kind="trained",
        phase="finalist",
        number=0,
        seed=1,
        params=to_plain(arm.resolve({})),
        model=resolved(model),
        task=TASK.model_dump(mode="json", by_alias=True),
        train_path=str(folder / "train.parquet"),
        scores=(ScoreRequest("test", "domain", "domain", "test", items_path=path),),
        runtime=runtime(),
        weights_id="theirs",
        trained_path=str(weights),
    )


def test_it_is_scored_as_it_is(tiny_models: TinyModels, tmp_path: Path) -> None:
    weights = adapter(tmp_path / "theirs", tiny_models.chat)
    record = run_trial(brought_trial(tmp_path, tiny_models.chat, weights), tmp_path / "trial")
    assert (record.status, record.failure_message) == ("complete", "")
    assert [score.form for score in record.scores] == ["adapter-on-float32"]
    assert record.canaries is not None
    assert record.canaries.prompt_tokens_equal
    assert record.cost is not None
    size = (weights / "adapter_model.safetensors").stat().st_size
    assert (record.cost.train_tokens, record.cost.artifact_bytes) == (0, size)
    assert record.steps == ()
    assert "told_template" not in record.environment


def test_a_folder_that_holds_something_else_by_now_is_not_scored(
    tiny_models: TinyModels, tmp_path: Path
) -> None:
    weights = adapter(tmp_path / "theirs", tiny_models.chat)
    asked = brought_trial(tmp_path, tiny_models.chat, weights)
    planned = replace(asked, identity={"weights brought": fingerprint_of(weights)})
    adapter(weights, tiny_models.chat)
    record = run_trial(planned, tmp_path / "trial")
    assert (record.status, record.failure_kind) == ("failed", "weights")
    assert "no longer holds what was planned" in record.failure_message


def test_its_own_template_is_used_and_told(tiny_models: TinyModels, tmp_path: Path) -> None:
    weights = adapter(tmp_path / "theirs", tiny_models.chat)
    plain = run_trial(brought_trial(tmp_path, tiny_models.chat, weights), tmp_path / "plain")
    (weights / "chat_template.jinja").write_text(CHATML.replace("|>{{ m", "|>now {{ m"))
    record = run_trial(brought_trial(tmp_path, tiny_models.chat, weights), tmp_path / "trial")
    assert record.status == "complete"
    assert "the chat template that its folder brings" in record.environment["told_template"]
    tokens = [one.scores[0].outputs[0].prompt_tokens for one in (plain, record)]
    assert tokens[1] > tokens[0]
