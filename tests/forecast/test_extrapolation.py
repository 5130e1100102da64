"""Work extrapolated from a small trial, against what the whole trial reports."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.evaluation.local import row_generation
from harness.evaluation.local.candidate_lm import CandidateLM
from harness.forecast.cost_model import CostModel
from harness.forecast.measured import samples_of
from harness.forecast.small_trial import small_trial
from harness.forecast.workload import workload
from harness.models.padding import pads_on_the_left
from harness.models.row_attention import takes_rows
from harness.models.tree_attention import takes_branches
from harness.records import ModelWork, TrialSpec
from harness.study.run import plan_study
from harness.trial import run_trial
from tests.fake_trial import experiment
from tests.tiny_model import TinyModels, load_tiny, write_suite

# Extrapolated work is to be within this factor of what the whole trial reports.
FACTOR = 1.3
COMMON = "You classify what customers write. Answer with one word. "
TEXTS = [
    COMMON + rest
    for rest in (
        "The parcel came late.",
        "Great camera",
        "The box was torn and the battery lasts all day, or two.",
        "Sharp",
        "Late",
        "The message is negative",
    )
]


@contextmanager
def calls(model: Any) -> Iterator[list[int]]:
    """Tokens of all that the model is handed, a number a pass."""
    sizes: list[int] = []

    def note(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        ids = kwargs["input_ids"] if "input_ids" in kwargs else args[0]
        sizes.append(ids.numel())

    handle = model.register_forward_pre_hook(note, with_kwargs=True)
    try:
        yield sizes
    finally:
        handle.remove()


@pytest.fixture(params=[True, False], ids=["trees", "rows"])
def lm(
    tiny_models: TinyModels, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> CandidateLM:
    loaded = load_tiny(tiny_models.chat)
    scorer = CandidateLM(loaded.model, loaded.tokenizer, 4)
    # Asked once for a model: not a part of what is counted.
    assert scorer.takes_trees
    assert takes_branches(loaded.model)
    assert takes_rows(loaded.model)
    assert pads_on_the_left(loaded.model)
    if not request.param:
        monkeypatch.setattr(CandidateLM, "takes_trees", False)
    return scorer


@pytest.mark.parametrize("texts", [TEXTS, TEXTS[:1], ["a b c", "d", "e f", "g h i j"]])
def test_the_scorer_reports_what_the_model_computed(lm: CandidateLM, texts: list[str]) -> None:
    from lm_eval.api.instance import Instance

    choices = [" positive", " negative", " neutral"]
    pairs = [(None, lm.tok_encode(text), lm.tok_encode(one)) for text in texts for one in choices]
    with calls(lm.model) as sizes:
        lm._loglikelihood_tokens(pairs)
    assert (lm.work.passes, lm.work.read) == (len(sizes), sum(sizes))
    assert lm.work.written == 0 < lm.work.predicted
    lm.work = ModelWork()
    lm.model.generation_config.eos_token_id = None
    wanted = {"until": [], "max_gen_toks": 5, "do_sample": False}
    with calls(lm.model) as sizes:
        lm.generate_until(
            [Instance("generate_until", {}, (text, wanted), n) for n, text in enumerate(texts)]
        )
    assert lm.work.passes == len(sizes)
    assert lm.work.read + lm.work.written == sum(sizes)
    # The last token of a reply is computed no further.
    assert lm.work.written == 4 * len(texts)


def trial_of(folder: Path, models: TinyModels, arm: dict[str, Any]) -> TrialSpec:
    """A trial that is asked all that a search trial and a finalist are asked."""
    (folder / "suite").mkdir()
    task = experiment(folder).task.model_dump(mode="json", by_alias=True)
    values = {
        "model": {"reference": str(models.chat), "dtype": "float32"},
        # An untrained model writes to its limit.
        "task": {**task, "max_new_tokens": 6},
        "arms": {"arm": arm},
        "general": {"suite": str(write_suite(folder / "suite"))},
        "score_batch_size": 4,
    }
    plan = plan_study(experiment(folder, **values), folder / "elsewhere")
    setting = plan.default_setting("arm")
    search, final = plan.search_trial("arm", 0, setting), plan.finalist("arm", 0, 1, setting)
    asked = {score.key: score for score in (*search.scores, *plan.baseline().scores, *final.scores)}
    return replace(final, params=search.params, scores=tuple(asked.values()), keep_artifact=False)


@pytest.mark.parametrize(
    "arm",
    [
        {"kind": "prompt", "shots": 2, "selection": "fixed"},
        {"kind": "prompt", "shots": 2, "selection": "nearest"},
        {"kind": "prompt", "answering": "choice", "shots": 1, "selection": "random"},
        {"kind": "lora", "rank": 2, "epochs": 3, "batch_size": 4,
         "answering": {"choices": ["generate", "choice"]}},
        {"kind": "full", "epochs": 2, "micro_batch_size": 1},
    ],
    ids=["fixed", "nearest", "choice", "lora", "full"],
)  # fmt: skip
def test_work_of_a_whole_trial_is_extrapolated_from_a_small_one(
    tmp_path: Path, tiny_models: TinyModels, arm: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The more replies there are to look up, the more is guessed right and the fewer passes it
    # takes: a few do not tell how many, and what they tell is the most that it takes.
    for name in ("CHEAP", "CHEAP_IN_TILES"):
        monkeypatch.setattr(row_generation, name, 0)
    spec = trial_of(tmp_path, tiny_models, arm)
    whole = workload(spec)
    small_spec = small_trial(whole, tmp_path / "small", thorough=True)
    small = run_trial(small_spec, tmp_path / "small")
    assert small.status == "complete", small.failure_message
    samples = list(samples_of(small, workload(small_spec), whole))
    costs = CostModel([replace(sample, seconds=1.0) for sample in samples])
    # Replies of the same limit, since how long they get is the one thing that texts do not tell.
    limited = {**spec.task, "max_new_tokens": small_spec.task["max_new_tokens"]}
    record = run_trial(replace(spec, task=limited), tmp_path / "whole")
    assert record.status == "complete", record.failure_message
    reported = {score.key: score.work for score in record.scores}
    asked = [(load, reported[one.key]) for one, load in whole.scores if one.key in reported]
    assert {load.group for load, _ in asked} >= {
        "general loglikelihood",
        "general loglikelihood_rolling",
    }
    for load, work in asked:
        assert_close(costs.work(whole.scoring(load), load.counted), work)
    trained = sum((step.work for step in record.steps), ModelWork())
    assert bool(trained.read) == (arm["kind"] != "prompt")
    if whole.training:
        assert_close(costs.work(whole.activity("train"), whole.training.counted), trained)


def assert_close(extrapolated: ModelWork, reported: ModelWork) -> None:
    """See that tokens are within a factor, and passes within one or that factor."""
    told, done = extrapolated.read + extrapolated.written, reported.read + reported.written
    assert 1 / FACTOR < told / done < FACTOR
    assert abs(extrapolated.passes - reported.passes) <= max(1, (FACTOR - 1) * reported.passes)
