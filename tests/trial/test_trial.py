"""A trial is a function of its specification, and its failures are records."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from pydantic import TypeAdapter

import harness.models.adapters
from harness.data.examples_file import write_examples
from harness.evaluation.domain_task import build_domain_task
from harness.evaluation.local.candidate_lm import CandidateLM
from harness.evaluation.score import score_task
from harness.evaluation.suites.find import load_suite
from harness.forecast.score_load import general_loads
from harness.models import packed_weights
from harness.models.load import LoadedModel, load_base
from harness.prompting import PromptRenderer
from harness.records import (
    ItemOutput,
    ModelWork,
    Progress,
    ScoreRecord,
    ScoreRequest,
    TrialRecord,
    TrialSpec,
    to_plain,
)
from harness.spec.arms import Arm
from harness.trial import run_trial
from harness.trial.candidate import TrialRun
from harness.trial.choosing import keep_best_way
from tests.tiny_model import (
    MAX_LENGTH,
    PARAMETERS,
    TASK,
    TinyModels,
    messages,
    resolved,
    runtime,
    tiny_models,
    write_suite,
)

__all__ = ["tiny_models"]

KINDS = ["prompt", "full", "lora", "qlora"]
TRAINED = KINDS[1:]
FORMS = {
    "prompt": "base",
    "full": "full",
    "lora": "adapter-on-float32",
    "qlora": "adapter-on-nf4",
}
RATES = {"full": 2e-3, "lora": 1e-2, "qlora": 1e-2}
MakeSpec = Callable[..., TrialSpec]


@pytest.fixture
def make_spec(tiny_models: TinyModels, tmp_path: Path) -> MakeSpec:
    """A specification of a trial of ``kind`` on the tiny model; ``params`` go to its arm."""
    for name, count, start in (("train", 12, 0), ("validation", 4, 20), ("test", 4, 30)):
        write_examples(tmp_path / f"{name}.parquet", messages(count, start))
    suite = str(write_suite(tmp_path))

    def domain(split: str) -> ScoreRequest:
        path = str(tmp_path / f"{split}.parquet")
        return ScoreRequest(split, f"domain_{split}", "domain", split, items_path=path)

    def make(kind: str, *, seed: int = 0, keep: bool = False, **params: Any) -> TrialSpec:
        if kind in RATES:
            params = {"learning_rate": RATES[kind], "batch_size": 4, **params}
        if kind in ("lora", "qlora"):
            params = {"rank": 4, **params}
        arm = TypeAdapter[Any](Arm).validate_python({"kind": kind, "answering": "choice", **params})
        return TrialSpec(
            trial_id=f"{kind}-{seed}",
            experiment_id="tiny",
            arm=kind,
            kind=kind,
            phase="finalist",
            number=0,
            seed=seed,
            params=to_plain(arm.resolve({})),
            model=resolved(tiny_models.chat),
            task=TASK.model_dump(mode="json", by_alias=True),
            train_path=str(tmp_path / "train.parquet"),
            validation_path=str(tmp_path / "validation.parquet"),
            scores=(
                domain("validation"),
                domain("test"),
                ScoreRequest("sky", "sky", "general", "test", suite_path=suite, limit=3),
            ),
            runtime=runtime(),
            keep_artifact=keep,
        )

    return make


def likelihoods(loaded: LoadedModel) -> list[float]:
    """What a model in memory makes of the answers to some messages."""
    lm = CandidateLM(loaded.model, loaded.tokenizer, 4)
    render = PromptRenderer(loaded.tokenizer, TASK)
    pairs = [
        (None, *lm._encode_pair(render.prompt(item), answer + render.end))
        for item in messages(4, 30)
        for answer in ("positive", "negative")
    ]
    return [value for value, _ in lm._loglikelihood_tokens(pairs)]


def measured(record: TrialRecord) -> tuple[ScoreRecord, ...]:
    """The scores without what a clock gave."""
    return tuple(replace(score, seconds=0.0, latencies=()) for score in record.scores)


# --------------------------------------------------------------------------- what a trial finds


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_trained_and_scored(make_spec: MakeSpec, tmp_path: Path, kind: str) -> None:
    spec = make_spec(kind, shots=1)
    seen: list[Progress] = []
    record = run_trial(spec, tmp_path / "trial", seen.append)
    assert (record.status, record.failure_kind, record.failure_message) == ("complete", "", "")
    assert record.spec == spec
    assert record.started_at <= record.ended_at
    assert [(s.key, s.task, s.suite, s.split) for s in record.scores] == [
        ("validation", "domain_validation", "domain", "validation"),
        ("test", "domain_test", "domain", "test"),
        ("sky", "sky", "general", "test"),
    ]
    assert {score.form for score in record.scores} == {FORMS[kind]}
    assert [len(score.outputs) for score in record.scores] == [4, 4, 3]
    assert {score.latencies for score in record.scores} == {()}
    assert {output.output for output in record.scores[0].outputs} <= {"positive", "negative"}
    assert record.scores[2].chance == 0.5
    canaries, cost = record.canaries, record.cost
    assert canaries is not None
    assert cost is not None
    assert canaries.prompt_tokens_equal
    assert cost.total_parameters == PARAMETERS
    assert min(cost.load_seconds, cost.score_seconds, cost.peak_memory_mib) > 0
    assert record.artifacts == ()
    assert "left_out_of_training" not in record.environment
    assert ("training_memory" in record.environment) == (kind != "prompt")
    assert {p.stage for p in seen} == {"load", "score"} | ({"train"} if kind != "prompt" else set())
    if kind == "prompt":
        assert canaries.before_max_difference is canaries.after_max_difference is None
        assert (record.steps, cost.trainable_parameters, cost.train_seconds) == ((), 0, 0.0)
    else:
        assert canaries.before_max_difference == 0.0
        assert (canaries.after_max_difference or 0) > 0
        assert [step.step for step in record.steps] == [1, 2, 3, 4, 5, 6]
        first, last = record.steps[0].loss, record.steps[-1].loss
        assert first is not None
        assert last is not None
        assert last < first
        assert record.steps[-1].validation_loss is not None
        assert cost.train_tokens == record.steps[-1].tokens
        assert record.steps[-1].tokens > 0
        assert (cost.trainable_parameters == PARAMETERS) is (kind == "full")


def test_training_makes_the_task_better(make_spec: MakeSpec, tmp_path: Path) -> None:
    record = run_trial(make_spec("full", epochs=12, learning_rate=5e-3), tmp_path)
    assert record.scores[1].aggregates["exact_match"] == 1.0
    base = run_trial(make_spec("prompt"), tmp_path)
    assert base.scores[1].aggregates["exact_match"] < 1.0


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_specification_gives_the_same_scores(
    make_spec: MakeSpec, tmp_path: Path, kind: str
) -> None:
    more = {"dropout": 0.2} if kind in ("lora", "qlora") else {}
    spec = make_spec(kind, shots=2, **more)
    torch.manual_seed(123)
    first = run_trial(spec, tmp_path)
    torch.manual_seed(456)
    second = run_trial(spec, tmp_path)
    assert measured(first) == measured(second)
    assert [s.loss for s in first.steps] == [s.loss for s in second.steps]
    if kind != "prompt":
        other = run_trial(make_spec(kind, shots=2, seed=1, **more), tmp_path)
        assert [s.loss for s in first.steps] != [s.loss for s in other.steps]


def test_known_scores_are_not_scored_again(make_spec: MakeSpec, tmp_path: Path) -> None:
    spec = replace(make_spec("prompt"), known_scores=("validation", "sky", "elsewhere"))
    assert [score.key for score in run_trial(spec, tmp_path).scores] == ["test"]


def test_where_all_is_known_no_item_goes_through_the_model(
    make_spec: MakeSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = []
    forward = transformers.LlamaForCausalLM.forward

    def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        passes.append(1)
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(transformers.LlamaForCausalLM, "forward", counted)
    spec = make_spec("prompt")
    run_trial(spec, tmp_path)
    assert passes
    passes.clear()
    known = replace(spec, known_scores=tuple(request.key for request in spec.scores))
    record = run_trial(known, tmp_path)
    # Loading looks, in one pass, whether the model sees ahead.
    assert (record.status, record.scores, passes) == ("complete", (), [1])


def test_an_arms_settings_reach_the_prompt(make_spec: MakeSpec, tmp_path: Path) -> None:
    def tokens(**params: Any) -> list[int]:
        record = run_trial(make_spec("prompt", **params), tmp_path)
        return [output.prompt_tokens for output in record.scores[0].outputs]

    zero, two = tokens(), tokens(shots=2, selection="nearest")
    assert all(a < b for a, b in zip(zero, two, strict=True))
    assert tokens(instruction="Judge.") < zero


def test_a_generating_arm_writes_its_answers(make_spec: MakeSpec, tmp_path: Path) -> None:
    record = run_trial(make_spec("full", answering="generate", epochs=12), tmp_path)
    assert {output.output for output in record.scores[1].outputs} <= {"positive", "negative"}


def several_ways(spec: TrialSpec, *ways: str) -> TrialSpec:
    """A search trial of the same that tries several ways of answering, validation and all."""
    validation, _, sky = spec.scores
    asked = (replace(validation, key=f"validation-{way}", answering=way) for way in ways)
    params = {**spec.params, "answering": list(ways)}
    return replace(spec, phase="search", params=params, scores=(*asked, sky))


@pytest.mark.parametrize("kind", ["full", "lora"])
def test_trained_weights_answer_in_each_way_and_the_best_is_kept(
    make_spec: MakeSpec, tmp_path: Path, kind: str
) -> None:
    ways = ("generate", "constrained", "choice")
    alone = {
        way: run_trial(make_spec(kind, answering=way, epochs=3), tmp_path / way).scores[0]
        for way in ways
    }
    scored = {way: score.aggregates["exact_match"] for way, score in alone.items()}
    record = run_trial(several_ways(make_spec(kind, epochs=3), *ways), tmp_path / "all")
    assert record.status == "complete", record.failure_message
    noted = {one["answering"]: one["score"] for one in json.loads(record.environment["ways"])}
    assert noted == scored
    best = max(ways, key=lambda way: scored[way])
    assert record.spec.params["answering"] == best
    assert [score.key for score in record.scores] == [f"validation-{best}", "sky"]
    assert [one.key for one in record.spec.scores] == [f"validation-{best}", "sky"]
    assert record.scores[0].item_scores == alone[best].item_scores
    assert record.scores[0].outputs == alone[best].outputs
    # One training: as many steps as a trial of one way takes.
    assert len(record.steps) == record.steps[0].steps


def test_of_ways_that_score_alike_the_first_is_kept(make_spec: MakeSpec, tmp_path: Path) -> None:
    # So much training answers all four items right, in either way.
    for ways in (("constrained", "choice"), ("choice", "constrained")):
        spec = several_ways(make_spec("lora", epochs=12, learning_rate=2e-2), *ways)
        record = run_trial(spec, tmp_path / ways[0])
        scores = [one["score"] for one in json.loads(record.environment["ways"])]
        assert scores == [1.0, 1.0]
        assert record.spec.params["answering"] == ways[0]


@pytest.mark.parametrize(
    ("higher", "first", "kept"),
    [(True, 0.25, "constrained"), (False, 0.25, "generate"), (False, None, "constrained")],
)
def test_the_best_way_is_the_one_with_the_best_primary_metric(
    make_spec: MakeSpec, higher: bool, first: float | None, kept: str
) -> None:
    """One whose replies the metric could not score has no value."""
    spec = several_ways(make_spec("lora"), "generate", "constrained", "choice")
    metric = "exact_match" if higher else "absolute_error"
    if not higher:
        numbers = {"kind": "number", "column": "label"}
        spec = replace(spec, task={**spec.task, "answer": numbers, "metrics": [metric]})
    scored = (first, 0.75, 0.75, 0.0)
    values = dict(zip([one.key for one in spec.scores], scored, strict=True))
    run = TrialRun()
    run.scores = [
        ScoreRecord(
            one.key, one.task, one.suite, one.split, "full", 0.0,
            outputs=(ItemOutput("h", "i", "c", "a", "b", 30, 2),), item_scores=(),
            aggregates={
                name: value
                for name, value in ((metric, values[one.key]), ("valid", 1.0))
                if value is not None
            },
            higher_is_better={metric: higher, "valid": True},
        )
        for one in spec.scores
    ]  # fmt: skip
    keep_best_way(spec, run)
    assert run.answering == kept
    assert [score.key for score in run.scores] == [f"validation-{kept}", "sky"]
    told = [one["tokens"] for one in json.loads(run.environment["ways"])]
    assert told == [32] * (2 if first is None else 3)


def test_a_search_and_a_finalist_answer_different_general_items(
    make_spec: MakeSpec, tmp_path: Path
) -> None:
    def items(kind: str, **part: Any) -> set[str]:
        spec = make_spec(kind)
        sky = replace(spec.scores[-1], **part)
        record = run_trial(replace(spec, scores=(sky,)), tmp_path / kind)
        return {output.doc_hash for output in record.scores[0].outputs}

    shown = items("lora", limit=2, half=True)
    judging = items("lora", limit=None, skip=2)
    assert (len(shown), len(judging)) == (2, 4)
    assert shown.isdisjoint(judging)
    assert shown | judging == items("prompt", limit=None)


def test_a_model_without_a_chat_template_is_asked_chats_in_plain_text(
    make_spec: MakeSpec, tiny_models: TinyModels, tmp_path: Path
) -> None:
    request = ScoreRequest(
        "chats", "mini_instructions", "general", "test",
        suite_path=str(load_suite("general-mini").path), limit=2,
    )  # fmt: skip
    spec = replace(make_spec("prompt"), model=resolved(tiny_models.plain), scores=(request,))
    record = run_trial(spec, tmp_path / "trial")
    assert record.status == "complete", record.failure_message
    assert len(record.scores[0].outputs) == 2
    # Its work is forecast, too.
    assert general_loads(request, spec.model, 4)


@pytest.mark.parametrize("kind", TRAINED)
def test_what_is_kept_scores_as_the_trials_model_did(
    make_spec: MakeSpec, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[LoadedModel] = []
    original = harness.models.adapters.save_trained

    def keep(loaded: LoadedModel, folder: Path) -> list[Path]:
        trained.append(loaded)
        return original(loaded, folder)

    monkeypatch.setattr(harness.models.adapters, "save_trained", keep)
    spec = make_spec(kind, keep=True)
    record = run_trial(spec, tmp_path / "trial")
    assert record.status == "complete", record.failure_message
    for artifact in record.artifacts:
        content = (tmp_path / "trial" / artifact.path).read_bytes()
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (
            artifact.sha256,
            artifact.bytes,
        )
    assert record.cost is not None
    assert record.cost.artifact_bytes == sum(artifact.bytes for artifact in record.artifacts) > 0
    base = load_base(spec.model, spec.runtime, "nf4" if kind == "qlora" else "none")
    read_back = _read_back(base, kind, tmp_path / "trial" / "artifact")
    assert likelihoods(read_back) == pytest.approx(likelihoods(trained[0]), abs=1e-5)
    fresh = load_base(spec.model, spec.runtime, "nf4" if kind == "qlora" else "none")
    assert likelihoods(fresh) != pytest.approx(likelihoods(trained[0]), abs=1e-2)
    render = PromptRenderer(read_back.tokenizer, TASK)
    task = build_domain_task(
        "domain_test",
        TASK,
        messages(4, 30),
        render.prompt,
        end=render.end,
        max_new_tokens=4,
        choices={one: render.reply(one) for one in ("positive", "negative")},
    )
    lm = CandidateLM(read_back.model, read_back.tokenizer, 4)
    again = score_task(lm, task, spec.scores[1], FORMS[kind], answer_end=render.end)
    # The trial counts what a model computes, not the scorer.
    first = replace(measured(record)[1], work=ModelWork())
    assert _decided(replace(again, seconds=0.0)) == _decided(first)


def _decided(score: ScoreRecord) -> ScoreRecord:
    """Without confidence, which rests on the last digits of a likelihood."""
    kept = tuple(one for one in score.item_scores if one.metric != "confidence")
    return replace(score, item_scores=kept)


def _read_back(base: LoadedModel, kind: str, folder: Path) -> LoadedModel:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model: Any
    if kind == "full":
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    else:
        model = PeftModel.from_pretrained(base.model, folder)
    return LoadedModel(model.eval(), base.tokenizer, base.form, base.total_parameters)


@pytest.mark.parametrize("kind", KINDS)
def test_packed_weights_score_as_the_weights_do(
    make_spec: MakeSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    plain = run_trial(make_spec(kind), tmp_path / "plain")
    packed_layers = []

    def packing(layer: Any, *rest: Any) -> Any:
        packed_layers.append(layer)
        return forwards(layer, *rest)

    forwards = packed_weights._forwards
    monkeypatch.setattr(packed_weights, "SMALLEST_SIDE", 8)
    monkeypatch.setattr(packed_weights, "_forwards", packing)
    found = run_trial(make_spec(kind), tmp_path / "packed")
    assert packed_layers
    for one, other in zip(found.scores, plain.scores, strict=True):
        assert [output.output for output in one.outputs] == [o.output for o in other.outputs]
        assert [item.value for item in one.item_scores] == pytest.approx(
            [item.value for item in other.item_scores], rel=1e-4
        )


# --------------------------------------------------------------------------- beside the task


@pytest.mark.parametrize("kind", TRAINED)
def test_training_moves_the_language_from_its_own_base(
    make_spec: MakeSpec, tmp_path: Path, kind: str
) -> None:
    spec = make_spec(kind)
    general = spec.scores[2]
    prose = replace(general, key="kl", task="prose", suite="divergence", limit=None)
    own = replace(spec.scores[0], key="own", task="task_inputs", suite="divergence", limit=3)
    record = run_trial(replace(spec, scores=(prose, own, *spec.scores)), tmp_path / "trial")
    assert record.status == "complete", record.failure_message
    for moved, task in zip(record.scores, ("prose", "task_inputs"), strict=False):
        assert (moved.task, moved.suite, moved.form) == (task, "divergence", FORMS[kind])
        assert len(moved.outputs) == 3
        assert 0 < moved.aggregates["kl_to_base"] < 20
    # What it was trained to answer has moved further than other text.
    values = [score.aggregates["kl_to_base"] for score in record.scores[:2]]
    assert values[1] > values[0]
    # Looking at the base first changes nothing else.
    assert measured(record)[2:] == measured(run_trial(spec, tmp_path))
    known = replace(spec, scores=(prose, own), known_scores=("kl", "own"))
    assert run_trial(known, tmp_path).scores == ()


def test_a_trial_asks_for_the_second_half_of_texts(make_spec: MakeSpec, tmp_path: Path) -> None:
    spec = make_spec("prompt")
    asked = tuple(
        ScoreRequest(f"m-{split}", "memorisation", "memorisation", split,
                     items_path=str(tmp_path / f"{split}.parquet"))
        for split in ("train", "validation")
    )  # fmt: skip
    record = run_trial(replace(spec, scores=asked), tmp_path)
    assert [(s.key, s.split, len(s.outputs)) for s in record.scores] == [
        ("m-train", "train", 12), ("m-validation", "validation", 4),
    ]  # fmt: skip
    assert {tuple(score.aggregates) for score in record.scores} == {("verbatim", "bits_per_byte")}


def test_a_point_of_a_curve_trains_on_the_first_examples(
    make_spec: MakeSpec, tmp_path: Path
) -> None:
    spec = make_spec("lora", shots=1, selection="random")
    record = run_trial(replace(spec, train_items=4), tmp_path / "a")
    write_examples(tmp_path / "train.parquet", messages(4))
    alone = run_trial(spec, tmp_path / "b")
    assert [step.loss for step in record.steps] == [step.loss for step in alone.steps]
    assert len(record.steps) == 2
    assert measured(record) == measured(alone)


def test_labels_are_those_of_the_whole_split(make_spec: MakeSpec, tmp_path: Path) -> None:
    answer = {"kind": "label", "column": "label"}
    spec = make_spec("prompt", answering="choice")
    spec = replace(spec, task={**spec.task, "answer": answer}, scores=spec.scores[:1])
    # The prefix shows one label, which the base prefers to none of the others.
    ordered = sorted(messages(12), key=lambda item: item.answer)
    write_examples(tmp_path / "train.parquet", ordered)

    def answers(train_items: int | None) -> set[str]:
        record = run_trial(replace(spec, train_items=train_items), tmp_path)
        assert record.status == "complete", record.failure_message
        return {output.output for output in record.scores[0].outputs}

    assert ordered[1].answer == "negative"
    assert answers(2) == answers(None) == {"positive"}


# --------------------------------------------------------------------------- failures


def test_an_exploding_loss_is_recorded(make_spec: MakeSpec, tmp_path: Path) -> None:
    record = run_trial(make_spec("full", learning_rate=1e25, warmup=0.0), tmp_path)
    assert (record.status, record.failure_kind) == ("failed", "nan_loss")
    assert "at step 2 of 6 with learning rate 9.4e+24" in record.failure_message
    assert len(record.steps) >= 1
    assert record.scores == ()
    assert record.canaries is not None


def test_examples_that_are_too_long_are_reported(make_spec: MakeSpec, tmp_path: Path) -> None:
    record = run_trial(make_spec("lora", max_length=10), tmp_path)
    assert (record.status, record.failure_kind) == ("failed", "length")
    assert "every training example is longer than 10 tokens" in record.failure_message
    # "The parcel 10 was ..." is one token longer than with a single digit.
    lengths = [len(row) for row in _encoded(make_spec("lora"))]
    some = run_trial(make_spec("lora", max_length=max(lengths) - 1), tmp_path)
    left_out = sum(length == max(lengths) for length in lengths)
    assert 0 < left_out < len(lengths)
    assert some.status == "complete"
    assert some.environment["left_out_of_training"].startswith(f"{left_out} of 12 examples")
    assert some.environment["train_examples"] == str(12 - left_out)


def test_a_prompt_that_leaves_no_room_for_its_answer_is_an_error_and_not_cut(
    make_spec: MakeSpec, tmp_path: Path
) -> None:
    long = TASK.instruction + " very carefully," * 400
    record = run_trial(make_spec("prompt", instruction=long), tmp_path)
    assert (record.status, record.failure_kind) == ("failed", "length")
    assert f"more than the {MAX_LENGTH:,} that the model reads" in record.failure_message
    assert record.scores == ()


def test_a_prompt_that_is_not_what_is_meant_is_an_error_before_anything_is_trained(
    make_spec: MakeSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = PromptRenderer.prompt
    monkeypatch.setattr(
        PromptRenderer,
        "prompt",
        lambda self, item: original(self, item).replace(TASK.instruction, ""),
    )
    record = run_trial(make_spec("lora"), tmp_path)
    assert (record.failure_kind, record.steps) == ("canary", ())
    assert "does not hold the instruction" in record.failure_message


def _encoded(spec: TrialSpec) -> list[tuple[int, ...]]:
    from harness.models.load import load_tokenizer

    render = PromptRenderer(load_tokenizer(spec.model), TASK)
    return [(*e.prompt, *e.answer) for e in map(render.encode, messages(12))]


@pytest.mark.parametrize("kind", TRAINED)
def test_a_candidate_that_is_not_its_base_at_step_0_is_an_error(
    make_spec: MakeSpec, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = harness.models.adapters.make_trainable

    def perturbed(*arguments: Any) -> LoadedModel:
        loaded = original(*arguments)
        with torch.no_grad():
            next(p for p in loaded.model.parameters() if p.is_floating_point()).mul_(1.001)
        return loaded

    monkeypatch.setattr(harness.models.adapters, "make_trainable", perturbed)
    record = run_trial(make_spec(kind), tmp_path)
    assert (record.status, record.failure_kind) == ("failed", "canary")
    assert "before the first step" in record.failure_message
    assert record.canaries is not None
    assert (record.canaries.before_max_difference or 0) > 0
    assert record.steps == ()


def test_training_that_changes_nothing_is_an_error(
    make_spec: MakeSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "harness.training.loop.MasterWeightAdamW.step", lambda self, rate, limit: 1.0
    )
    record = run_trial(make_spec("lora"), tmp_path)
    assert record.failure_kind == "canary"
    assert "nothing was learnt" in record.failure_message
    assert record.canaries is not None
    assert record.canaries.after_max_difference == 0.0


def test_prompts_that_scoring_reads_differently_are_an_error(
    make_spec: MakeSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CandidateLM, "tok_encode", lambda self, text, **_: [1, 2, 3])
    record = run_trial(make_spec("prompt"), tmp_path)
    assert record.failure_kind == "canary"
    assert "tokenise the same prompt differently" in record.failure_message
    assert record.canaries is not None
    assert not record.canaries.prompt_tokens_equal


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), "out_of_memory"),
        (torch.OutOfMemoryError("CUDA out of memory"), "out_of_memory"),
        (MemoryError("12 GiB"), "out_of_memory"),
        (ZeroDivisionError("division by zero"), "error"),
    ],
)
def test_faults_are_recorded_by_kind(
    make_spec: MakeSpec,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    kind: str,
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("harness.training.loop.summed_loss", fail)
    record = run_trial(make_spec("lora"), tmp_path)
    assert (record.status, record.failure_kind) == ("failed", kind)
    assert str(error) in record.failure_message


def test_an_interrupt_is_not_swallowed(
    make_spec: MakeSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.training.loop.summed_loss", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_trial(make_spec("full"), tmp_path)


# --------------------------------------------------------------------------- latencies


def timed(spec: TrialSpec, trained: Path | None = None) -> TrialSpec:
    """The trial that times requests of what ``spec`` trained."""
    items = next(one.items_path for one in spec.scores if one.split == "test")
    request = ScoreRequest("timed", "domain_test", "latency", "test", items_path=items)
    path = "" if trained is None else str(trained)
    return replace(spec, phase="latency", scores=(request,), keep_artifact=False, trained_path=path)


@pytest.mark.parametrize("kind", ["full", "lora"])
def test_what_was_trained_is_timed_without_training_it_again(
    make_spec: MakeSpec, tmp_path: Path, kind: str
) -> None:
    spec = make_spec(kind, keep=True)
    final = run_trial(spec, tmp_path / "final")
    record = run_trial(timed(spec, tmp_path / "final" / "artifact"), tmp_path / "timed")
    assert (record.status, record.failure_message) == ("complete", "")
    assert record.steps == ()
    (score,) = record.scores
    assert score.form == final.scores[0].form == FORMS[kind]
    assert len(score.latencies) == 4
    assert min(score.latencies) > 0
    assert score.aggregates["seconds"] == pytest.approx(sum(score.latencies) / 4)
    assert 0 <= score.aggregates["other_cores"] <= score.aggregates["cores"]
    assert (score.outputs, score.item_scores) == ((), ())


def test_a_prompt_is_timed_on_its_base(make_spec: MakeSpec, tmp_path: Path) -> None:
    spec = timed(make_spec("prompt"))
    (score,) = run_trial(spec, tmp_path / "timed").scores
    assert (score.form, len(score.latencies)) == ("base", 4)
    # A later turn asks fewer of them.
    fewer = replace(spec, scores=(replace(spec.scores[0], limit=2),))
    (score,) = run_trial(fewer, tmp_path / "again").scores
    assert len(score.latencies) == 2


def test_weights_that_are_gone_leave_a_reason(make_spec: MakeSpec, tmp_path: Path) -> None:
    record = run_trial(timed(make_spec("lora"), tmp_path / "gone"), tmp_path / "timed")
    assert (record.status, record.failure_kind) == ("failed", "weights")
    assert f"there is no folder {tmp_path / 'gone'}" in record.failure_message
    (tmp_path / "empty").mkdir()
    record = run_trial(timed(make_spec("lora"), tmp_path / "empty"), tmp_path / "timed")
    assert (record.status, record.failure_kind) == ("failed", "weights")
    assert "adapter_model.safetensors" in record.failure_message
