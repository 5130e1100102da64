"""How far a candidate's next tokens are from its base's, against the slow definition."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_model import TinyModels, load_tiny, write_suite

from harness.evaluation import divergence
from harness.evaluation.candidate_lm import CandidateLM
from harness.evaluation.divergence import BaseDistributions, passages
from harness.evaluation.score import score_task
from harness.evaluation.suites import build_general_task, load_suite
from harness.models.load import LoadedModel
from harness.records import ScoreRequest


@pytest.fixture
def request_(tmp_path: Path) -> ScoreRequest:
    suite = write_suite(tmp_path)
    assert load_suite(suite).text_task() == "prose"
    return ScoreRequest("k", "prose", "divergence", "test", suite_path=str(suite))


def shifted(loaded: LoadedModel) -> LoadedModel:
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        for parameter in loaded.model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return loaded


def naive(base: Any, candidate: Any, ids: list[int]) -> float:
    with torch.inference_mode():
        both = [model(input_ids=torch.tensor([ids])).logits[0] for model in (base, candidate)]
    p, q = (torch.softmax(logits.double(), dim=-1) for logits in both)
    return float((p * (p / q).log()).sum(dim=-1).mean())


def test_an_untrained_candidate_is_its_base(
    tiny_models: TinyModels, request_: ScoreRequest, tmp_path: Path
) -> None:
    loaded = load_tiny(tiny_models.chat)
    base = BaseDistributions(request_, loaded.model, loaded.tokenizer, tmp_path / "trial")
    record = base.compare(loaded.model, "base")
    assert [one.value for one in record.item_scores] == [0.0, 0.0, 0.0]
    assert record.aggregates == {"kl_to_base": 0.0}
    # Nothing is left beside the trial's record.
    assert list((tmp_path / "trial").iterdir()) == []


def test_it_is_the_mean_over_all_tokens(
    tiny_models: TinyModels, request_: ScoreRequest, tmp_path: Path
) -> None:
    loaded = load_tiny(tiny_models.chat)
    base = BaseDistributions(request_, loaded.model, loaded.tokenizer, tmp_path)
    candidate = shifted(loaded)
    record = base.compare(candidate.model, "full")
    untouched = load_tiny(tiny_models.chat).model
    texts = [json.loads(line)["text"] for line in (tmp_path / "tasks" / "prose.jsonl").open()]
    expected = [
        naive(untouched, candidate.model, loaded.tokenizer(text)["input_ids"]) for text in texts
    ]
    assert [one.value for one in record.item_scores] == pytest.approx(expected, rel=1e-4)
    assert min(expected) > 0
    assert record.aggregates["kl_to_base"] == pytest.approx(sum(expected) / 3, rel=1e-4)
    assert (record.key, record.task, record.suite, record.split, record.form) == (
        "k", "prose", "divergence", "test", "full",
    )  # fmt: skip
    assert record.higher_is_better == {"kl_to_base": False}
    assert {(one.filter, one.metric) for one in record.item_scores} == {("none", "kl_to_base")}


def test_its_items_are_those_of_the_general_suite(
    tiny_models: TinyModels, request_: ScoreRequest, tmp_path: Path
) -> None:
    loaded = load_tiny(tiny_models.chat)
    base = BaseDistributions(request_, loaded.model, loaded.tokenizer, tmp_path)
    record = base.compare(loaded.model, "base")
    task = build_general_task(load_suite(Path(request_.suite_path)), "prose")
    lm = CandidateLM(loaded.model, loaded.tokenizer, 2)
    general = score_task(lm, task, ScoreRequest("g", "prose", "general", "test"), "base")
    assert [(o.doc_hash, o.item_id, o.cluster) for o in record.outputs] == [
        (o.doc_hash, o.item_id, o.cluster) for o in general.outputs
    ]


@pytest.mark.parametrize(("most", "longest"), [(9, 64), (9, 4), (2, 64), (3, 64), (1000, 5)])
def test_positions_are_few_and_spread(
    tiny_models: TinyModels,
    request_: ScoreRequest,
    monkeypatch: pytest.MonkeyPatch,
    most: int,
    longest: int,
) -> None:
    monkeypatch.setattr(divergence, "POSITIONS", most)
    monkeypatch.setattr(divergence, "LONGEST", longest)
    found = passages(request_, load_tiny(tiny_models.chat).tokenizer)
    assert len(found) == (2 if most == 2 else 3)
    assert sum(len(one.positions) for one in found) <= most
    for one in found:
        assert len(one.tokens) <= longest
        assert list(one.positions) == sorted(set(one.positions))
        assert 0 <= one.positions[0] <= one.positions[-1] < len(one.tokens)
        if len(one.positions) > 1:
            assert one.positions[-1] == len(one.tokens) - 1
