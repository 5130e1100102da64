"""What texts tell of a score request, counted by hand."""

from __future__ import annotations

import pytest

from harness.forecast.score_load import AnswerTokens, generation_load, likelihood_load
from harness.models.token_tree import WIDTH
from harness.records import ModelWork

COMMON = tuple(range(100, 110))


def test_what_prompts_begin_with_is_read_once() -> None:
    prompts = [(*COMMON, n, n) for n in range(6)]
    load = generation_load(prompts, AnswerTokens(3.0, 5), 4, 9, "generate")
    # Four rows, read in a pass and written in as many as the longest reply; two more prompts take
    # rows as they become free.
    passes = 1 + 5 + 2 * 3 / 4
    assert load.counted == ModelWork(passes=passes, read=10 + 6 * 2, written=18, predicted=24)
    assert (load.items, load.prompt_tokens, load.answer_limit) == (6, 6 * 12, 9)


def test_items_that_stand_for_several_share_their_beginning_too() -> None:
    prompts = [(*COMMON, n, n) for n in range(6)]
    load = generation_load(prompts, AnswerTokens(3.0, 5), 4, 9, "generate", share=2.0)
    passes = 1 + 5 + 8 * 3 / 4
    assert load.counted == ModelWork(passes=passes, read=10 + 12 * 2, written=36, predicted=48)
    assert (load.items, load.prompt_tokens) == (12, 12 * 12)


def test_continuations_share_what_they_begin_with() -> None:
    pairs = [((n, n, n), [(1, 2, 3), (1, 2, 4), (9,)]) for n in range(3)]
    load = likelihood_load(pairs, "choice")
    # Of a continuation all but the last token is read, here 1 and 2, once for each context; what
    # predicts is each of them and the end of the context.
    assert load.counted.read == 3 * (3 + 2)
    assert load.counted.predicted == 3 * (1 + 2)
    assert load.counted.passes == pytest.approx(1 + 15 / WIDTH)
    assert (load.items, load.prompt_tokens) == (3, 9)
    assert load.answer_tokens == pytest.approx(3 * 7 / 3)
    assert (load * 2).counted == load.counted * 2
