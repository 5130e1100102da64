"""Greedy replies to many prompts, each in a row of its own.

A pass computes the newest tokens of every growing reply
(:mod:`harness.evaluation.local.growing_reply`) with a guess of what follows them
(:mod:`harness.evaluation.local.prompt_lookup`), and whole prompts that join them: a reply that has
ended leaves its row to the next prompt at once. What all prompts begin with stands once
(:mod:`harness.models.row_cache`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch

from harness.evaluation.local.constrained import Constraint
from harness.evaluation.local.growing_reply import GrowingReply
from harness.evaluation.local.prompt_lookup import SharedLookup
from harness.models.fused_decoder import row_logits
from harness.models.prompt_prefix import PromptPrefix
from harness.models.row_attention import in_tiles
from harness.models.row_cache import Block, RowCache
from harness.records import ModelWork

# Tokens of prompts that are read in a pass; a longer one is read alone.
TOKENS = 1024
# Tokens that go through the model in little more time than one of them, which takes what reading
# its weights does: with tiles a product of 96 took 1.3 times as long as one of 32.
CHEAP, CHEAP_IN_TILES = 32, 96


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
    constraint: Constraint | None = None,
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
        constraint: what replies are kept to, which then says alone where they end; None where
            they are free.

    Raises:
        ValueError: a prompt has no token after the beginning, to go on from.
    """
    opened = len(beginning.tokens)
    if not all(len(prompt) > opened for prompt in prompts):
        raise ValueError("a prompt to be answered has no token")
    rows = min(rows, len(prompts))
    cache = RowCache(beginning, rows)
    shared = SharedLookup(beginning.tokens)
    replies = [GrowingReply(prompt[opened:], constraint, room, shared) for prompt in prompts]
    rests = [
        [*prompt[opened:], *reply.pending] for prompt, reply in zip(prompts, replies, strict=True)
    ]
    cheap = CHEAP_IN_TILES if in_tiles(model.dtype) else CHEAP
    # A constraint may leave no choice from the first.
    waiting = [place for place in reversed(range(len(prompts))) if not replies[place].ended]
    if len(waiting) < len(prompts):
        on_end(len(prompts) - len(waiting))
    growing: list[GrowingReply] = []
    with torch.inference_mode():
        while growing or waiting:
            most = cheap // max(1, len(growing)) - 1 if guesses else 0
            guessed = [one.guess(min(most, room - len(one.tokens) - 1)) for one in growing]
            joining = _joining(waiting, rests, rows - len(growing))
            went_on = len(growing)
            passing = _pass(growing, guessed, [rests[index] for index in joining])
            growing += [replies[index] for index in joining]
            guessed += [[] for _ in joining]
            logits = row_logits(model, cache, passing.blocks, passing.tokens, passing.kept)
            if constraint is not None:
                logits = _allowed(logits, growing, guessed)
            predicted = iter(likeliest(logits))
            fresh: list[list[int]] = []
            for slot, (one, guess) in enumerate(zip(growing, guessed, strict=True)):
                fresh.append(one.accept(guess, list(islice(predicted, 1 + len(guess)))))
                cache.lengths[slot] -= 1 + len(guess) - len(fresh[-1])
            written = sum(map(len, fresh[:went_on]))
            on_work(
                ModelWork(
                    passes=1,
                    read=len(passing.tokens) - written,
                    written=written,
                    predicted=len(passing.kept),
                )
            )
            done = _write(growing, fresh, ends, ended)
            for slot in reversed(done):
                _leave(slot, growing, cache)
            if done:
                on_end(len(done))
    return [reply.tokens for reply in replies]


def _allowed(
    logits: torch.Tensor, growing: Sequence[GrowingReply], guessed: Sequence[list[int]]
) -> torch.Tensor:
    """The logits, with what a reply may not go on with at minus infinity."""
    masks = np.empty(logits.shape, dtype=np.bool_)
    first = 0
    for one, guess in zip(growing, guessed, strict=True):
        one.allow(guess, masks[first : first + 1 + len(guess)])
        first += 1 + len(guess)
    return logits.masked_fill(torch.from_numpy(~masks), -torch.inf)


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


@dataclass(frozen=True, slots=True)
class _Pass:
    """What goes through the model at once."""

    tokens: list[int]
    """Token ids, block by block."""
    blocks: list[Block]
    """To which rows they belong."""
    kept: list[int]
    """Places in ``tokens`` after which logits are wanted: of each row the last token that is
    known and what is guessed to follow it, of one row after the other."""


def _pass(
    growing: Sequence[GrowingReply], guesses: Sequence[list[int]], joining: Sequence[list[int]]
) -> _Pass:
    """What goes through the model next: of each reply what it has not read and what is guessed to
    follow, and whole prompts.

    Where few replies bring more than one token, what goes beyond it is in a block of its own, so
    that no other row is padded to it. Where many do, that would read their keys and values twice.
    """
    parts = [[*one.pending, *guess] for one, guess in zip(growing, guesses, strict=True)]
    apart = 2 * sum(len(part) > 1 for part in parts) < len(parts)
    steps = [[part[:1] for part in parts], [part[1:] for part in parts]] if apart else [parts]
    tokens: list[int] = []
    blocks: list[Block] = []
    places: list[list[int]] = [[] for _ in parts]
    for step in steps:
        rows = [row for row, part in enumerate(step) if part]
        if rows:
            blocks.append((np.array(rows), np.array([len(step[row]) for row in rows])))
        for row in rows:
            places[row] += range(len(tokens), len(tokens) + len(step[row]))
            tokens += step[row]
    kept = [
        place
        for one, mine in zip(growing, places, strict=True)
        for place in mine[len(one.pending) - 1 :]
    ]
    if joining:
        slots = np.arange(len(parts), len(parts) + len(joining))
        blocks.append((slots, np.array([len(part) for part in joining])))
    for part in joining:
        tokens += part
        kept.append(len(tokens) - 1)
    return _Pass(tokens, blocks, kept)


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
    growing: Sequence[GrowingReply],
    fresh: Sequence[Sequence[int]],
    ends: Collection[int],
    ended: Callable[[list[list[int]]], list[bool]],
) -> list[int]:
    """Let replies go on, each as far as its end; slots of those that have come to it."""
    longer = [
        [*one.tokens, *new[: count + 1]]
        for one, new in zip(growing, fresh, strict=True)
        if not one.constrained
        for count in range(len(new))
    ]
    stopped = iter(ended(longer))
    done: list[int] = []
    for slot, (one, new) in enumerate(zip(growing, fresh, strict=True)):
        # What is kept to a constraint may hold any stop.
        stops = [not one.constrained and (next(stopped) or token in ends) for token in new]
        length = stops.index(True) + 1 if any(stops) else len(new)
        one.write(new[:length])
        if any(stops) or one.ended:
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


def _leave(slot: int, growing: list[GrowingReply], cache: RowCache) -> None:
    """Free a slot; the last row moves there, so that those in use follow one another."""
    last = len(growing) - 1
    growing[slot].leave()
    if slot < last:
        cache.move(last, slot)
        growing[slot] = growing[last]
    cache.free(last)
    growing.pop()
