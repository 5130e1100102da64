"""Greedy replies to many prompts, each in a row of its own.

A pass computes the newest token of every growing reply with a guess of what follows it
(:mod:`harness.evaluation.local.prompt_lookup`), and whole prompts that join them: a reply that has
ended leaves its row to the next prompt at once. What all prompts begin with stands once
(:mod:`harness.models.row_cache`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch

from harness.evaluation.local.prompt_lookup import PromptLookup
from harness.models.fused_decoder import row_logits
from harness.models.prompt_prefix import PromptPrefix
from harness.models.row_cache import Block, RowCache
from harness.models.token_tree import common_beginning
from harness.records import ModelWork

# Tokens of prompts that are read in a pass; a longer one is read alone.
TOKENS = 1024
# Tokens that are guessed of each reply at most, and where few grow of all of them.
GUESSED, GUESSED_IN_ALL = 2, 32


def greedy_replies(
    model: Any,
    prompts: Sequence[tuple[int, ...]],
    beginning: PromptPrefix,
    rows: int,
    room: int,
    ends: Collection[int],
    ended: Callable[[list[list[int]]], list[bool]],
    on_work: Callable[[ModelWork], None] = lambda work: None,
    on_end: Callable[[int], None] = lambda count: None,
    *,
    guesses: bool = True,
) -> list[list[int]]:
    """The most likely next token, again and again, until each reply ends.

    Args:
        beginning: tokens that open all prompts.
        rows: replies that grow at once, at most.
        room: number of tokens that a reply may have.
        ends: tokens that end a reply, and are kept.
        ended: whether each of several replies has come to its end otherwise.
        on_work: told of every pass.
        on_end: told how many replies have ended in a pass.
        guesses: whether what follows is guessed, and checked in the same pass.

    Raises:
        ValueError: a prompt has no token after the beginning, to go on from.
    """
    opened = len(beginning.tokens)
    rests = [list(prompt[opened:]) for prompt in prompts]
    if not all(rests):
        raise ValueError("a prompt to be answered has no token")
    rows = min(rows, len(prompts))
    cache = RowCache(beginning, rows)
    replies: list[list[int]] = [[] for _ in prompts]
    waiting = list(reversed(range(len(prompts))))
    growing: list[_Growing] = []
    with torch.inference_mode():
        while growing or waiting:
            most = _guessed(growing, room, waiting) if guesses else [0] * len(growing)
            guessed = [one.guess(count) for one, count in zip(growing, most, strict=True)]
            joining = _joining(waiting, rests, rows - len(growing))
            tokens, blocks = _pass(growing, guessed, [rests[index] for index in joining])
            checked = len(growing) + sum(map(len, guessed))
            kept = list(range(checked))
            if joining:
                kept += (np.cumsum(blocks[-1][1]) - 1 + checked).tolist()
            predicted = iter(likeliest(row_logits(model, cache, blocks, tokens, kept)))
            newest = list(islice(predicted, len(growing)))
            fresh: list[list[int]] = []
            for slot, (one, guess) in enumerate(zip(growing, guessed, strict=True)):
                after = [newest[slot], *islice(predicted, len(guess))]
                fresh.append(one.accept(guess, after))
                cache.lengths[slot] -= 1 + len(guess) - len(fresh[-1])
            wasted = checked - sum(map(len, fresh))
            on_work(
                ModelWork(
                    passes=1,
                    read=len(tokens) - checked + wasted,
                    written=checked - wasted,
                    predicted=len(kept),
                )
            )
            growing += [_Growing(prompts[index], replies[index]) for index in joining]
            fresh += [[token] for token in predicted]
            done = _write(growing, fresh, room, ends, ended)
            for slot in reversed(done):
                _leave(slot, growing, cache)
            if done:
                on_end(len(done))
    return replies


def row_groups(
    prompts: Sequence[tuple[int, ...]], beginning: PromptPrefix, room: int
) -> Iterator[tuple[PromptPrefix, list[int]]]:
    """Places of the prompts whose replies grow together, with what they all begin with.

    Those that begin alike, the longest first, and of like length: every row has room for the
    longest, so that a long prompt among short ones would take its room as often as there are rows.
    """
    for opening in (beginning, PromptPrefix()):
        alike = [
            place
            for place, prompt in enumerate(prompts)
            if beginning.opens([prompt]) is (opening is beginning)
        ]
        group: list[int] = []
        longest = 0
        for place in sorted(alike, key=lambda place: -len(prompts[place])):
            size = len(prompts[place]) - len(opening.tokens) + room
            if group and 2 * size < longest:
                yield opening, group
                group = []
            longest = longest if group else size
            group.append(place)
        if group:
            yield opening, group


def _guessed(growing: Sequence[_Growing], room: int, waiting: Sequence[int]) -> list[int]:
    """Tokens that may be guessed of each reply.

    Where no prompt waits for a row, passes are saved by those alone that are behind all others.
    """
    most = max(GUESSED, GUESSED_IN_ALL // max(1, len(growing)))
    behind = room if waiting else min((len(one.reply) for one in growing), default=0)
    return [
        min(most, room - len(one.reply) - 1) if len(one.reply) <= behind else 0 for one in growing
    ]


class _Growing:
    """A reply that grows.

    Attributes:
        reply: its tokens so far.
    """

    def __init__(self, prompt: Sequence[int], reply: list[int]) -> None:
        self.reply = reply
        self._lookup = PromptLookup(prompt)

    def guess(self, most: int) -> list[int]:
        """A guess of what follows its newest token."""
        return self._lookup.guess(most) if most > 0 else []

    def accept(self, guess: Sequence[int], predicted: Sequence[int]) -> list[int]:
        """The tokens that the model writes: as far as the guess was right, and one more."""
        right = common_beginning(guess, predicted) if guess else 0
        self._lookup.judge(len(guess), right)
        return list(predicted[: right + 1])

    def write(self, tokens: Sequence[int]) -> None:
        """Go on with these tokens."""
        self.reply += tokens
        self._lookup.extend(tokens)


def _pass(
    growing: Sequence[_Growing], guesses: Sequence[list[int]], joining: Sequence[list[int]]
) -> tuple[list[int], list[Block]]:
    """What goes through the model next, and to which rows it belongs: the newest token of each
    reply, what is guessed to follow some of them, and whole prompts.

    Guesses are a block of their own, so that no other row is padded to them.
    """
    tokens = [one.reply[-1] for one in growing]
    blocks: list[Block] = []
    if growing:
        blocks.append((np.arange(len(growing)), np.ones(len(growing), dtype=np.int64)))
    for first, parts in ((0, guesses), (len(growing), joining)):
        places = [place for place, part in enumerate(parts) if part]
        if places:
            slots = first + np.array(places)
            blocks.append((slots, np.array([len(parts[place]) for place in places])))
            tokens += [token for place in places for token in parts[place]]
    return tokens, blocks


def likeliest(logits: torch.Tensor) -> list[int]:
    """The likeliest token after each place, the first of those that are equally likely.

    In parts: over all at once it takes torch a quarter of a step's time in 16 bits.

    Args:
        logits: shape (places, vocabulary).
    """
    parts = next((n for n in (512, 256, 128) if logits.shape[1] % n == 0), 1)
    every = logits.view(len(logits), -1, parts)
    best = every.amax(-1).argmax(-1)
    within = every[torch.arange(len(best)), best].argmax(-1)
    return (best * parts + within).tolist()


def _write(
    growing: Sequence[_Growing],
    fresh: Sequence[Sequence[int]],
    room: int,
    ends: Collection[int],
    ended: Callable[[list[list[int]]], list[bool]],
) -> list[int]:
    """Let replies go on, each as far as its end; slots of those that have come to it."""
    longer = [
        [*one.reply, *new[: count + 1]]
        for one, new in zip(growing, fresh, strict=True)
        for count in range(len(new))
    ]
    stopped = iter(ended(longer))
    done: list[int] = []
    for slot, (one, new) in enumerate(zip(growing, fresh, strict=True)):
        stops = [next(stopped) or token in ends for token in new]
        length = stops.index(True) + 1 if any(stops) else len(new)
        one.write(new[:length])
        if any(stops) or len(one.reply) >= room:
            done.append(slot)
    return done


def _joining(waiting: list[int], rests: Sequence[Sequence[int]], free: int) -> list[int]:
    """Take the next prompts for free slots off the end of those that wait."""
    joining: list[int] = []
    size = 0
    while waiting and len(joining) < free:
        size += len(rests[waiting[-1]])
        if joining and size > TOKENS:
            break
        joining.append(waiting.pop())
    return joining


def _leave(slot: int, growing: list[_Growing], cache: RowCache) -> None:
    """Free a slot; the last row moves there, so that those in use follow one another."""
    last = len(growing) - 1
    if slot < last:
        cache.move(last, slot)
        growing[slot] = growing[last]
    cache.free(last)
    growing.pop()
