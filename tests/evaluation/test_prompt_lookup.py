"""Guesses of how a reply goes on: what they are, and that they change no reply."""

from __future__ import annotations

import pytest
import torch

from harness.evaluation.local import row_generation
from harness.evaluation.local.prompt_lookup import Continuations, PromptLookup, SharedLookup
from harness.evaluation.local.row_generation import greedy_replies, row_groups
from harness.models.prompt_prefix import PromptPrefix
from harness.records import ModelWork
from tests.tiny_model import TinyModels

from .candidates import loaded_as


def test_what_followed_the_newest_tokens_is_guessed() -> None:
    lookup = PromptLookup([1, 2, 3, 4, 5, 1, 2, 3, 4, 7, 1, 2, 3], SharedLookup())
    # After 1, 2, 3 a 4 stood twice; after 1, 2, 3, 4 a 5 and then a 7.
    assert lookup.guess(1) == [4]
    assert lookup.guess(0) == []
    lookup.extend([9])
    assert lookup.guess(4) == []


def test_a_guess_goes_on_while_it_is_likely() -> None:
    """At even chances two tokens are guessed; once such guesses prove right, more."""
    lookup = PromptLookup([8, 1, 2, 3, 4, 5, 9, 1, 2], SharedLookup())
    assert lookup.guess(4) == [3, 4]
    for _ in range(12):
        lookup.judge(2, 2)
    assert lookup.guess(4) == [3, 4, 5, 9]


def test_guesses_that_prove_wrong_are_made_no_more() -> None:
    lookup = PromptLookup([8, 1, 2, 3, 4, 5, 9, 1, 2], SharedLookup())
    rounds = 0
    while guess := lookup.guess(4):
        lookup.judge(len(guess), 0)
        rounds += 1
    # By one token and by two.
    assert 2 < rounds < 20


def test_what_was_not_checked_is_not_judged() -> None:
    """Of a guess that is wrong at once nobody knows how its second token would have fared."""
    shared = SharedLookup()
    lookup = PromptLookup([1, 2, 3, 4, 5, 6, 7, 1, 2, 3], shared)
    assert lookup.guess(2) == [4, 5]
    sources = [(True, 3, 4), (True, 4, 4)]
    before = [shared.chance(source) for source in sources]
    lookup.judge(2, 0)
    after = [shared.chance(source) for source in sources]
    assert after[0] < before[0]
    assert after[1] == before[1]


def test_replies_are_looked_up_in_each_other() -> None:
    shared = SharedLookup([5, 6, 7, 8])
    one, other = PromptLookup([1], shared), PromptLookup([2], shared)
    one.extend([20, 21, 22, 23, 24])
    other.extend([20, 21, 22])
    assert other.guess(1) == [23]
    other.extend([9, 5, 6, 7])
    assert other.guess(1) == [8]


def test_of_tokens_that_followed_as_often_the_last_is_guessed() -> None:
    texts = Continuations()
    for token in (3, 4, 4, 3):
        texts.note([1, token])
    assert list(texts.likeliest([9, 1])) == [(1, 3, 0.5)]
    texts.note([1, 4])
    assert list(texts.likeliest([9, 1])) == [(1, 4, 0.6)]
    assert list(texts.likeliest([])) == []


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
    monkeypatch.setattr(row_generation, "CHEAP", 3 * guessed)
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
