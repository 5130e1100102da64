"""Guesses of how a reply goes on: what they are, and that they change no reply."""

from __future__ import annotations

import pytest
import torch

from harness.evaluation.local import row_generation
from harness.evaluation.local.prompt_lookup import MOST, PromptLookup
from harness.evaluation.local.row_generation import greedy_replies, row_groups
from harness.models.prompt_prefix import PromptPrefix
from harness.records import ModelWork
from tests.tiny_model import TinyModels

from .candidates import loaded_as


def test_what_followed_the_newest_tokens_last_is_guessed() -> None:
    lookup = PromptLookup([1, 2, 3, 4, 5, 1, 2, 3, 6, 7, 1, 2, 3])
    assert lookup.guess(4) == [6]
    lookup.judge(1, 1)
    assert lookup.guess(4) == [6, 7]
    assert lookup.guess(1) == [6]
    assert lookup.guess(0) == []
    lookup.judge(2, 2)
    lookup.judge(4, 4)
    assert lookup.guess(MOST) == [6, 7, 1, 2, 3]
    lookup.extend([9])
    assert lookup.guess(4) == []


def test_after_a_wrong_guess_more_must_have_stood_before() -> None:
    lookup = PromptLookup([1, 2, 3, 4, 9, 2, 3])
    assert lookup.guess(4) == []
    lookup.judge(1, 1)
    assert lookup.guess(4) == [4, 9]
    lookup.judge(2, 0)
    assert lookup.guess(4) == []


def greedy(model: torch.nn.Module, prompt: tuple[int, ...], room: int) -> list[int]:
    ids = list(prompt)
    for _ in range(room):
        with torch.inference_mode():
            ids.append(int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
    return ids[len(prompt) :]


@pytest.mark.parametrize("guessed", [0, 1, 4])
def test_guesses_save_passes_and_change_no_reply(
    tiny_models: TinyModels, monkeypatch: pytest.MonkeyPatch, guessed: int
) -> None:
    monkeypatch.setattr(row_generation, "GUESSED", guessed)
    monkeypatch.setattr(row_generation, "GUESSED_IN_ALL", guessed)
    model = loaded_as(tiny_models.chat, "base").model
    prompts = [(30 + n, 31, 32, 33, 34 + n) for n in range(5)]
    room = 40
    work: list[ModelWork] = []

    def never(replies: list[list[int]]) -> list[bool]:
        return [False] * len(replies)

    found = greedy_replies(model, prompts, PromptPrefix(), 2, room, (), never, work.append)
    assert found == [greedy(model, prompt, room) for prompt in prompts]
    total = sum(work, ModelWork())
    # Two rows: three turns of 40 tokens and their prompts, one pass a token, without a guess.
    assert (total.passes == 3 * room) is (guessed == 0)
    assert total.written == len(prompts) * (room - 1)


def test_a_prompt_without_a_token_is_refused(tiny_models: TinyModels) -> None:
    model = loaded_as(tiny_models.chat, "base").model
    with pytest.raises(ValueError, match="no token"):
        greedy_replies(model, [(30,), ()], PromptPrefix(), 2, 9, (), lambda replies: [False] * 2)


def test_rows_of_one_group_begin_alike_and_are_of_like_length() -> None:
    beginning = PromptPrefix((1, 2), ())
    prompts = [(1, 2, 3), (1, 2, *range(90)), (9, 2, 3), (1, 2, 3, 4), (1, 2, *range(50)), (1, 2)]
    groups = list(row_groups(prompts, beginning, 4))
    assert [group for opening, group in groups if opening is beginning] == [[1, 4], [3, 0]]
    assert [group for opening, group in groups if opening is not beginning] == [[2, 5]]
