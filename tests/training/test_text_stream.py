"""Which general texts an epoch has, and in which order."""

from __future__ import annotations

import numpy as np
import pytest

from harness.prompting import TokenisedExample
from harness.training.general_text import TextStream, encode_texts, replayed_per_epoch, spread
from tests.tiny_model import TinyModels, load_tiny

TEXTS = [TokenisedExample(f"text {n}", (n,), (n + 10, n + 20)) for n in range(5)]


def test_texts_are_cut_and_every_token_but_the_first_is_learnt(tiny_models: TinyModels) -> None:
    tokenizer = load_tiny(tiny_models.chat).tokenizer
    texts = ["The parcel came two days late.", "", "T", "Great camera."]
    first, second = encode_texts(tokenizer, texts, longest=6)
    whole = tokenizer(texts[0])["input_ids"]
    assert len(whole) > 6
    assert (first.prompt, first.answer) == (tuple(whole[:1]), tuple(whole[1:6]))
    assert tokenizer.decode([*second.prompt, *second.answer]) == "Great camera."
    assert (first.id, second.id) == ("text 0", "text 3")


def test_a_stream_repeats_no_text_before_all_were_drawn() -> None:
    stream = TextStream(TEXTS, np.random.default_rng(0))
    drawn = [text.id for _ in range(5) for text in stream.take(3)]
    for start in (0, 5, 10):
        assert sorted(drawn[start : start + 5]) == [text.id for text in TEXTS]
    assert drawn[:5] != drawn[5:10]
    assert stream.take(0) == []


@pytest.mark.parametrize(
    ("examples", "share", "texts"), [(12, 0.2, 3), (100, 0.2, 25), (10, 0.5, 10), (8, 0.0, 0)]
)
def test_texts_are_their_share_of_all_sequences(examples: int, share: float, texts: int) -> None:
    assert replayed_per_epoch(examples, share) == texts
    assert texts / (texts + examples) == share
    steps = spread(texts, 4)
    assert sum(steps) == texts
    assert max(steps) - min(steps) <= 1
