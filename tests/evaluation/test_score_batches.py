"""Asked wave by wave, a task gives the same answers, and can be left in between."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.evaluation.domain_task import build_domain_task
from harness.evaluation.local.candidate_lm import CandidateLM
from harness.evaluation.score import score_task
from harness.evaluation.score_batches import Answered
from harness.models.load import load_base
from harness.prompting import PromptRenderer
from harness.records import ScoreRecord, ScoreRequest
from tests.tiny_model import TASK, TinyModels, messages, tiny_models

from tests.tiny_model import resolved, runtime  # isort: skip

__all__ = ["tiny_models"]
ITEMS = 11
ANSWERS = ("positive", "negative")


@pytest.fixture
def scored(tiny_models: TinyModels) -> Any:
    loaded = load_base(resolved(tiny_models.chat), runtime())
    renderer = PromptRenderer(loaded.tokenizer, TASK)
    lm = CandidateLM(loaded.model, loaded.tokenizer, 4)

    def score(wave: int | None, watch: Any = None, *, choose: bool = True) -> ScoreRecord:
        task = build_domain_task(
            "domain",
            TASK,
            messages(ITEMS, 5),
            renderer.prompt,
            end=renderer.end,
            max_new_tokens=5,
            labels=ANSWERS,
            choices={one: renderer.reply(one) for one in ANSWERS} if choose else None,
        )
        request = ScoreRequest("key", "domain", "domain", "validation", wave=wave)
        return score_task(lm, task, request, loaded.form, answer_end=renderer.end, watch=watch)

    return score


def without_confidence(record: ScoreRecord) -> ScoreRecord:
    """What does not rest on the last digits of a likelihood."""
    kept = tuple(one for one in record.item_scores if one.metric != "confidence")
    return replace(record, seconds=0.0, item_scores=kept)


@pytest.mark.parametrize("choose", [True, False])
@pytest.mark.parametrize("wave", [1, 4, 50])
def test_waves_change_no_answer(scored: Any, wave: int, choose: bool) -> None:
    heard: list[Answered] = []
    whole = scored(None, choose=choose)
    parts = scored(wave, heard.extend, choose=choose)
    assert without_confidence(parts) == without_confidence(whole)
    sure = [
        [one.value for one in record.item_scores if one.metric == "confidence"]
        for record in (parts, whole)
    ]
    assert sure[0] == pytest.approx(sure[1], abs=1e-4)
    assert bool(sure[0]) == choose
    # Each item is reported once, with the value that the record has.
    assert sorted(item.place for item in heard) == list(range(ITEMS))
    metric = TASK.primary_metric
    values = [one.value for one in whole.item_scores if one.metric == metric]
    assert [item.value for item in sorted(heard, key=lambda one: one.place)] == values
    tokens = sum(one.prompt_tokens for one in whole.outputs)
    assert sum(item.tokens for item in heard) >= tokens


def test_the_order_is_random_and_fixed(scored: Any) -> None:
    runs: list[list[int]] = []
    for _ in range(2):
        waves: list[Answered] = []
        scored(3, waves.extend)
        runs.append([item.place for item in waves])
    assert runs[0] == runs[1] != sorted(runs[0])


def test_whoever_watches_may_stop(scored: Any) -> None:
    waves: list[int] = []

    class EnoughError(Exception):
        pass

    def watch(wave: list[Answered]) -> None:
        waves.append(len(wave))
        if len(waves) == 2:
            raise EnoughError

    with pytest.raises(EnoughError):
        scored(4, watch)
    assert waves == [4, 4]
