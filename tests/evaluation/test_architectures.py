"""Whatever its layers are, a model is asked in batches what it would be asked alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from harness.evaluation.local.candidate_lm import CandidateLM
from harness.evaluation.local.constrained import OneOf
from harness.models import tree_attention
from harness.models.load import LoadedModel
from harness.models.padding import pads_on_the_left
from harness.models.row_attention import takes_rows
from harness.models.shared_prefix import shared_prefix_length
from harness.models.tree_pass import takes_trees
from harness.prompting import TokenisedExample
from harness.training.batches import Layout
from harness.training.losses import summed_loss
from harness.training.peers import SingleProcess
from tests.architectures import ARCHITECTURES, WINDOW, write_architecture
from tests.tiny_model import TinyModels, load_tiny

from .candidates import instances

ROOM = 9
OPENING = "You classify what customers write. Answer with one word. "
TEXTS = ("torn", "The parcel came two days late and the box was torn.", "", "Great camera, sharp")
PROMPTS = [f"{OPENING}Input: {text} Answer:" for text in TEXTS]
ANSWERS = (" positive", " the box was torn", " late")
SEEN_BY_PADDING = {"recurrent", "linear-attention"}
IN_TREES = {"windows", "convolution-1d-weights", "experts", "other-experts"}
# Sinks, which the other experts' attention has, are not among what attention over rows does.
IN_ROWS = IN_TREES - {"other-experts"}


@pytest.fixture(scope="module", params=ARCHITECTURES)
def loaded(
    request: pytest.FixtureRequest,
    tiny_models: TinyModels,
    tmp_path_factory: pytest.TempPathFactory,
) -> LoadedModel:
    folder: Path = tmp_path_factory.mktemp("architecture")
    found = load_tiny(write_architecture(folder, request.param, tiny_models.plain))
    found.form = request.param
    return found


def tokens(loaded: LoadedModel, text: str) -> list[int]:
    found: list[int] = loaded.tokenizer(text)["input_ids"]
    return found


def alone(loaded: LoadedModel, prompt: str) -> str:
    """Transformers' own greedy reply to one prompt, token by token without a cache."""
    ids = tokens(loaded, prompt)
    width = len(ids)
    while len(ids) < width + ROOM:
        with torch.inference_mode():
            logits = loaded.model(input_ids=torch.tensor([ids]), use_cache=False).logits
        ids.append(int(logits[0, -1].argmax()))
        if ids[-1] == loaded.tokenizer.eos_token_id:
            break
    return str(loaded.tokenizer.decode(ids[width:], skip_special_tokens=True))


def log_likelihood(loaded: LoadedModel, ids: list[int], answer: int) -> float:
    """Of the last ``answer`` tokens of a row of its own."""
    with torch.inference_mode():
        logits = loaded.model(input_ids=torch.tensor([ids])).logits[0].float().log_softmax(-1)
    places = range(len(ids) - answer, len(ids))
    return sum(float(logits[place - 1, ids[place]]) for place in places)


def ask(loaded: LoadedModel, lm: CandidateLM, prompts: list[str]) -> list[str]:
    options: dict[str, Any] = {"until": ["?"], "max_gen_toks": ROOM, "do_sample": False}
    return lm.generate_until(instances("generate_until", [(one, options) for one in prompts]))


def test_the_model_is_known_for_what_it_is(loaded: LoadedModel) -> None:
    assert pads_on_the_left(loaded.model) is (loaded.form not in SEEN_BY_PADDING)
    assert takes_trees(loaded.model) is (loaded.form in IN_TREES)
    assert takes_rows(loaded.model) is (loaded.form in IN_ROWS)


def test_replies_equal_those_of_prompts_asked_alone(loaded: LoadedModel) -> None:
    found = ask(loaded, CandidateLM(loaded.model, loaded.tokenizer, 3), PROMPTS)
    assert found == [alone(loaded, prompt) for prompt in PROMPTS]
    assert shared_prefix_length([tuple(tokens(loaded, one)) for one in PROMPTS]) > WINDOW


def test_constrained_replies_equal_those_of_prompts_asked_alone(loaded: LoadedModel) -> None:
    end = loaded.tokenizer.eos_token_id
    paths = [(*tokens(loaded, one), end) for one in (*ANSWERS, " positive late", " negative")]
    lm = CandidateLM(loaded.model, loaded.tokenizer, 4)
    with lm.kept_to(OneOf(paths)):
        together = ask(loaded, lm, PROMPTS)
        assert together == [ask(loaded, lm, [one])[0] for one in PROMPTS]
    likeliest = [
        max(paths, key=lambda path: greedy_order(loaded, tokens(loaded, prompt), path))
        for prompt in PROMPTS
    ]
    assert together == [
        loaded.tokenizer.decode(path, skip_special_tokens=True) for path in likeliest
    ]


def greedy_order(
    loaded: LoadedModel, prompt: list[int], path: tuple[int, ...]
) -> tuple[float, ...]:
    """Log-likelihood of each token after the ones before it: greedy choice goes by the first."""
    with torch.inference_mode():
        logits = loaded.model(input_ids=torch.tensor([[*prompt, *path]])).logits[0]
    likelihoods = logits.float().log_softmax(-1)
    return tuple(
        round(float(likelihoods[len(prompt) - 1 + n, token]), 4) for n, token in enumerate(path)
    )


@pytest.fixture(autouse=True)
def _calls_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """However short a tree is, pairs of tokens that do not see each other are left out."""
    monkeypatch.setattr(tree_attention, "PAIRS_A_CALL", 0)


def test_log_likelihoods_equal_those_of_prompts_asked_alone(loaded: LoadedModel) -> None:
    lm = CandidateLM(loaded.model, loaded.tokenizer, 3)
    pairs = [(prompt, answer) for prompt in PROMPTS for answer in ANSWERS]
    found = [value for value, _ in lm.loglikelihood(instances("loglikelihood", pairs))]
    for (prompt, answer), value in zip(pairs, found, strict=True):
        whole = tokens(loaded, prompt + answer)
        expected = log_likelihood(loaded, whole, len(whole) - len(tokens(loaded, prompt)))
        assert value == pytest.approx(expected, abs=1e-4)


def test_the_loss_equals_that_of_examples_learnt_alone(loaded: LoadedModel) -> None:
    examples = [
        TokenisedExample(prompt, tuple(tokens(loaded, prompt)), tuple(tokens(loaded, answer)))
        for prompt, answer in zip(PROMPTS, (*ANSWERS, " negative"), strict=True)
    ]
    layout = Layout(loaded.model, loaded.tokenizer.pad_token_id, SingleProcess())
    with torch.inference_mode(), layout.passing():
        found = sum(
            float(summed_loss(loaded.model, batch)) for batch in layout.batches(examples, 3)
        )
    expected = sum(
        log_likelihood(loaded, [*one.prompt, *one.answer], len(one.answer)) for one in examples
    )
    assert found == pytest.approx(-expected, rel=1e-5)
