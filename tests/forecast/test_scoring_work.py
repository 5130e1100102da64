"""The counts of work, against what the scorer really computes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tiny_model import TinyModels, load_tiny

from harness.evaluation.candidate_lm import CandidateLM
from harness.forecast.scoring_work import generation_work, likelihood_work

SIZE = 4
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
def fed_tokens(model: Any) -> Iterator[list[tuple[int, ...]]]:
    """Shapes of all that the model is handed."""
    shapes: list[tuple[int, ...]] = []

    def note(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        ids = kwargs["input_ids"] if "input_ids" in kwargs else args[0]
        shapes.append(tuple(ids.shape))

    handle = model.register_forward_pre_hook(note, with_kwargs=True)
    try:
        yield shapes
    finally:
        handle.remove()


@pytest.fixture
def lm(tiny_models: TinyModels) -> CandidateLM:
    loaded = load_tiny(tiny_models.chat)
    found = CandidateLM(loaded.model, loaded.tokenizer, SIZE)
    # Asked once for a model: not a part of what is counted.
    assert found.takes_trees
    return found


def tokens(lm: CandidateLM, text: str) -> tuple[int, ...]:
    return tuple(lm.tok_encode(text))


@pytest.mark.parametrize("texts", [TEXTS, TEXTS[:1], ["a b c", "d", "e f", "g h i j"]])
def test_likelihoods_feed_the_tokens_that_were_counted(lm: CandidateLM, texts: list[str]) -> None:
    choices = [" positive", " negative", " neutral"]
    pairs = [(tokens(lm, text), tokens(lm, choice)) for text in texts for choice in choices]
    work = likelihood_work(pairs, "domain")
    with fed_tokens(lm.model) as shapes:
        lm._loglikelihood_tokens([(None, list(c), list(a)) for c, a in pairs])
    assert sum(rows * width for rows, width in shapes) == work.fed
    assert work.items == len(texts)
    assert work.batches == len(shapes) - bool(COMMON in texts[0] and len(texts) > 1)


@pytest.mark.parametrize("texts", [TEXTS, TEXTS[:1]])
def test_generation_feeds_the_tokens_that_were_counted(lm: CandidateLM, texts: list[str]) -> None:
    from lm_eval.api.instance import Instance

    room = 5
    wanted = {"until": [], "max_gen_toks": room, "do_sample": False}
    requests = [Instance("generate_until", {}, (text, wanted), n) for n, text in enumerate(texts)]
    work = generation_work([tokens(lm, text) for text in texts], SIZE, room, "domain")
    lm.model.generation_config.eos_token_id = None
    with fed_tokens(lm.model) as shapes:
        lm.generate_until(requests)
    # The first token follows from the prompt; each step after it feeds one token a row.
    whole = sum(rows * width for rows, width in shapes)
    assert whole == work.fed + (room - 1) * work.rows
    batches, fed, all_steps, _ = work.units(room)
    assert (batches, fed, all_steps) == (work.batches, work.fed, room * work.batches)


def test_repeating_work_repeats_its_counts_only(lm: CandidateLM) -> None:
    work = generation_work([tokens(lm, text) for text in TEXTS], SIZE, 5, "domain")
    twice = work.repeated(2)
    assert (twice.fed, twice.items, twice.room) == (2 * work.fed, 2 * work.items, work.room)
