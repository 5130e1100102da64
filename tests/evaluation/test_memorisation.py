"""Texts asked for by their first half, of a model that learnt one of them by heart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from harness.evaluation.local.candidate_lm import CandidateLM
from harness.evaluation.memorisation import Halves, build_memorisation_task, halves
from harness.evaluation.score import score_task
from harness.models.load import LoadedModel
from harness.records import Example, ScoreRecord, ScoreRequest
from tests.tiny_model import TASK, TinyModels, load_tiny, message

KNOWN = message("known", "The parcel came late and the blue box was torn in two", "negative", "g")
UNSEEN = message("unseen", "Great camera with seven sharp lenses and one long cable", "positive")


@pytest.mark.parametrize(
    ("text", "given", "rest"),
    [
        ("one two three four", "one two", " three four"),
        ("one two three four five", "one two", " three four five"),
        (" one\ntwo \n three four ", " one\ntwo", " \n three four"),
    ],
)
def test_a_text_is_cut_at_its_middle_word(text: str, given: str, rest: str) -> None:
    assert halves(text) == Halves(given, rest)


@pytest.mark.parametrize("text", ["", "   ", "one two three", "onetwothreefour"])
def test_a_text_of_few_words_has_no_halves(text: str) -> None:
    assert halves(text) is None


def test_a_long_text_is_cut_short() -> None:
    found = halves(" ".join(map(str, range(1000))))
    assert found is not None
    assert (found.given.split()[-1], found.rest.split()[-1]) == ("99", "199")


def test_an_example_without_halves_is_refused() -> None:
    with pytest.raises(ValueError, match="example short has fewer than 4 words"):
        build_memorisation_task("memorisation", TASK, [message("short", "so", "positive")])


def completed(loaded: LoadedModel, items: Sequence[Example]) -> ScoreRecord:
    request = ScoreRequest("k", "memorisation", "memorisation", "train", items_path="x")
    lm = CandidateLM(loaded.model, loaded.tokenizer, 2)
    task = build_memorisation_task("memorisation", TASK, items)
    return score_task(lm, task, request, loaded.form)


def values(record: ScoreRecord, metric: str) -> dict[str, float | None]:
    names = {output.doc_hash: output.item_id for output in record.outputs}
    return {names[s.doc_hash]: s.value for s in record.item_scores if s.metric == metric}


def overfitted(models: TinyModels) -> LoadedModel:
    loaded = load_tiny(models.chat)
    loaded.model.requires_grad_(True)
    text = f"Message: {KNOWN.inputs['text']}"
    ids = torch.tensor([loaded.tokenizer(text)["input_ids"]])
    optimiser = torch.optim.Adam(loaded.model.parameters(), lr=1e-2)
    for _ in range(60):
        loss = loaded.model(input_ids=ids, labels=ids).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    assert loss.item() < 0.05
    return loaded


def test_what_was_learnt_by_heart_is_given_back(tiny_models: TinyModels) -> None:
    record = completed(overfitted(tiny_models), [KNOWN, UNSEEN])
    assert values(record, "verbatim") == {"known": 1.0, "unseen": 0.0}
    assert record.aggregates["verbatim"] == 0.5
    assert record.higher_is_better == {"verbatim": True, "bits_per_byte": False}
    base = completed(load_tiny(tiny_models.chat), [KNOWN, UNSEEN])
    assert values(base, "verbatim") == {"known": 0.0, "unseen": 0.0}
    after, before = (values(one, "bits_per_byte")["known"] for one in (record, base))
    assert after is not None
    assert before is not None
    assert after < 0.1
    assert before > 1
    assert [one.doc_hash for one in base.outputs] == [one.doc_hash for one in record.outputs]
    known, unseen = record.outputs
    assert (known.item_id, known.cluster, known.text) == (
        "known", "g", "Message: The parcel came late and the blue box was torn in two",
    )  # fmt: skip
    assert known.output == known.target == " the blue box was torn in two"
    assert (unseen.output, unseen.completion_tokens) == ("", 0)


def test_bits_per_byte_by_hand(tiny_models: TinyModels) -> None:
    loaded = load_tiny(tiny_models.chat)
    item = message("café", "The café is near the old café Müller", "positive")
    found = values(completed(loaded, [item]), "bits_per_byte")["café"]
    parts = halves("Message: The café is near the old café Müller")
    assert parts is not None

    def ids(text: str) -> Any:
        return loaded.tokenizer(text)["input_ids"]

    whole, first = ids(parts.given + parts.rest), len(ids(parts.given))
    with torch.inference_mode():
        logits = loaded.model(input_ids=torch.tensor([whole])).logits[0].float()
    scores = torch.log_softmax(logits, dim=-1)
    total = sum(float(scores[n - 1, whole[n]]) for n in range(first, len(whole)))
    assert found == pytest.approx(-total / math.log(2) / len(parts.rest.encode()), rel=1e-4)
