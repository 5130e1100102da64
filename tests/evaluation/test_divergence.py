"""How far a candidate's next tokens are from its base's, against the slow definition."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.evaluation import divergence
from harness.evaluation.divergence import BaseDistributions, Passage, passages, task_passages
from harness.evaluation.local.candidate_lm import CandidateLM
from harness.evaluation.score import score_task
from harness.evaluation.suites.find import build_general_task, load_suite
from harness.models.load import LoadedModel
from harness.prompting import PromptRenderer
from harness.records import ScoreRequest
from tests.tiny_model import TASK, TinyModels, load_tiny, messages, write_suite


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
    base = BaseDistributions(
        request_, passages(request_, loaded.tokenizer), loaded.model, tmp_path / "trial"
    )
    record = base.compare(loaded.model, "base")
    assert [one.value for one in record.item_scores] == [0.0, 0.0, 0.0]
    assert record.aggregates == {"kl_to_base": 0.0}
    # Nothing is left beside the trial's record.
    assert list((tmp_path / "trial").iterdir()) == []


def test_it_is_the_mean_over_all_tokens(
    tiny_models: TinyModels, request_: ScoreRequest, tmp_path: Path
) -> None:
    loaded = load_tiny(tiny_models.chat)
    base = BaseDistributions(request_, passages(request_, loaded.tokenizer), loaded.model, tmp_path)
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
    base = BaseDistributions(request_, passages(request_, loaded.tokenizer), loaded.model, tmp_path)
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


def test_on_the_task_it_is_measured_from_the_items_own_text_to_its_answers_end(
    tiny_models: TinyModels, request_: ScoreRequest, tmp_path: Path
) -> None:
    loaded = load_tiny(tiny_models.chat)
    shots = messages(2, 40)
    renderer = PromptRenderer(loaded.tokenizer, TASK, lambda item: shots)
    items = messages(3, 20)
    found = task_passages(items, renderer, None)
    assert [(one.item_id, one.cluster) for one in found] == [(i.id, i.group) for i in items]
    for item, one in zip(items, found, strict=True):
        encoded = renderer.encode(item)
        assert one.tokens == encoded.prompt + encoded.answer
        first, last = one.positions[0], one.positions[-1]
        assert one.positions == tuple(range(first, last + 1))
        # The worked examples and the instruction end where the item begins.
        assert loaded.tokenizer.decode(one.tokens[first:]).startswith(renderer.item_text(item))
        assert last == len(one.tokens) - 2
    base = BaseDistributions(request_, found, loaded.model, tmp_path)
    assert {one.value for one in base.compare(loaded.model, "base").item_scores} == {0.0}
    candidate = shifted(loaded)
    untouched = load_tiny(tiny_models.chat).model
    expected = [naive_at(untouched, candidate.model, one) for one in found]
    record = base.compare(candidate.model, "full")
    assert [one.value for one in record.item_scores] == pytest.approx(expected, rel=1e-4)


def naive_at(base: Any, candidate: Any, passage: Passage) -> float:
    with torch.inference_mode():
        ids = torch.tensor([list(passage.tokens)])
        both = [model(input_ids=ids).logits[0].double() for model in (base, candidate)]
    p, q = (torch.softmax(logits, dim=-1) for logits in both)
    return float((p * (p / q).log()).sum(dim=-1)[list(passage.positions)].mean())


@pytest.mark.parametrize("model", ["chat", "plain", "with_bos", "with_prefix_space"])
def test_the_items_own_text_is_found_in_every_manner_of_prompt(
    tiny_models: TinyModels, model: str
) -> None:
    tokenizer = load_tiny(getattr(tiny_models, model)).tokenizer
    renderer = PromptRenderer(tokenizer, TASK, lambda item: messages(2, 40))
    for item in [*messages(2, 20), replace(messages(1)[0], inputs={"text": "a"})]:
        own = tokenizer.decode(renderer.encode_prompt(item)[renderer.opening(item) :]).strip()
        text = renderer.item_text(item)
        # A token may hold what stands before the text together with its beginning.
        assert own.startswith(text) or own.partition(text)[0].strip() in {"", ":", "Input:"}
        assert own.count("Message:") == 1


def test_on_the_task_positions_are_few_and_texts_fit_the_model(
    tiny_models: TinyModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(divergence, "POSITIONS", 12)
    renderer = PromptRenderer(load_tiny(tiny_models.chat).tokenizer, TASK)
    whole = task_passages(messages(3), renderer, None)
    assert [len(one.positions) for one in whole] == [4, 4, 4]
    assert all(one.positions[-1] == len(one.tokens) - 2 for one in whole)
    short = task_passages(messages(3), renderer, 10)
    assert all(len(one.tokens) == 10 and one.positions[-1] == 8 for one in short)


def test_a_candidate_with_tokens_more_is_compared_on_those_of_the_base() -> None:
    base, wider = torch.tensor([[2.0, 1.0, 0.0]]), torch.tensor([[2.0, 1.0, 0.0, 0.0]])
    # The new token takes the same share from each of the others.
    moved = float(wider.logsumexp(-1) - base.logsumexp(-1))
    found = divergence.divergence(base.log_softmax(-1), wider.log_softmax(-1))
    assert found == pytest.approx(moved, abs=1e-6)
