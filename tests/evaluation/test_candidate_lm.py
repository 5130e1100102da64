"""The candidate's scorer answers as lm-eval's own does; only the way there is shorter."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

from harness.errors import TrialError
from harness.evaluation.local import candidate_lm, row_generation, tree_generation
from harness.evaluation.local.candidate_lm import CandidateLM
from harness.evaluation.local.reply_ends import EndsIn
from harness.evaluation.local.tree_scoring import score_pairs
from harness.models.load import LoadedModel
from harness.models.prompt_prefix import PromptPrefix
from harness.models.resolve import resolve_model
from harness.models.shared_prefix import shared_prefix_length
from harness.models.vocabulary import set_padding
from harness.packaged.fetch import is_cached
from harness.prompting import PromptRenderer
from harness.records import Runtime
from harness.spec import ModelSpec
from tests.tiny_model import MAX_LENGTH, TASK, VOCABULARY, TinyModels, message, messages

from .candidates import MODELS, instances, loaded_as

TOLERANCE = 1e-4
Request = tuple[None, list[int], list[int]]


def both(loaded: LoadedModel, batch_size: int) -> tuple[CandidateLM, HFLM]:
    """The scorer under test, and lm-eval's own."""
    theirs = HFLM(
        pretrained=loaded.model, tokenizer=loaded.tokenizer, batch_size=batch_size, backend="causal"
    )
    return CandidateLM(loaded.model, loaded.tokenizer, batch_size), theirs


def assert_alike(loaded: LoadedModel, requests: list[Request], batch_size: int) -> None:
    ours, theirs = both(loaded, batch_size)
    found = ours._loglikelihood_tokens(requests)
    # One request a call: asked together, HFLM reads the wrong position for a request whose context
    # and continuation, but for the last token, are those of another cut elsewhere.
    expected = [theirs._loglikelihood_tokens([one], disable_tqdm=True)[0] for one in requests]
    assert len(found) == len(requests)
    for (value, greedy), (reference, reference_greedy) in zip(found, expected, strict=True):
        assert value == pytest.approx(reference, abs=TOLERANCE)
        assert greedy is reference_greedy


# --------------------------------------------------------------------------- log-likelihoods

# Few token values, so that continuations share beginnings, repeat and contain each other.
FEW = st.integers(20, 23)
CONTINUATIONS = st.lists(st.lists(FEW, min_size=1, max_size=5), min_size=1, max_size=6)
CONTEXTS = st.lists(
    st.tuples(st.lists(FEW, min_size=1, max_size=12), CONTINUATIONS), min_size=1, max_size=5
)
PREFIX = st.sampled_from([0, 7, 8, 20])


def test_equal_tokens_cut_elsewhere_are_scored_each_by_its_own_cut(
    tiny_models: TinyModels,
) -> None:
    assert_alike(
        loaded_as(tiny_models.chat, "base"), [(None, [20], [21, 20]), (None, [20, 21], [20])], 1
    )


@pytest.mark.parametrize("kind", MODELS)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(groups=CONTEXTS, prefix=PREFIX, batch_size=st.sampled_from([1, 2, 8]))
def test_random_tries_score_as_lm_eval_scores_them(
    tiny_models: TinyModels,
    kind: str,
    groups: list[tuple[list[int], list[list[int]]]],
    prefix: int,
    batch_size: int,
) -> None:
    beginning = list(range(100, 100 + prefix))
    requests: list[Request] = [
        (None, beginning + context, continuation)
        for context, continuations in groups
        for continuation in continuations
    ]
    assert_alike(loaded_as(tiny_models.chat, kind), requests, batch_size)


@pytest.mark.parametrize("kind", MODELS)
def test_greedy_continuations_are_recognised(tiny_models: TinyModels, kind: str) -> None:
    loaded = loaded_as(tiny_models.chat, kind)
    requests: list[Request] = []
    for start in (30, 60, 90):
        context = list(range(start, start + 9))
        ids = list(context)
        for _ in range(4):
            with torch.inference_mode():
                ids.append(int(loaded.model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
        best = ids[len(context) :]
        wrong_end = [*best[:-1], (best[-1] + 1) % VOCABULARY]
        requests += [(None, context, c) for c in (best, best[:1], best[:2], wrong_end, best)]
    assert_alike(loaded, requests, 2)
    ours, _ = both(loaded, 2)
    flags = [greedy for _, greedy in ours._loglikelihood_tokens(requests)]
    assert flags == [True, True, True, False, True] * 3


def test_contexts_longer_than_the_model_are_cut_on_the_left(tiny_models: TinyModels) -> None:
    rng = np.random.default_rng(0)
    long = rng.integers(20, 200, MAX_LENGTH + 40).tolist()
    requests: list[Request] = [
        (None, long, [21]),
        (None, long, [21, 22, 23]),
        (None, long[: MAX_LENGTH - 1], [21, 22]),
        (None, long[:MAX_LENGTH], [21]),
    ]
    assert_alike(loaded_as(tiny_models.chat, "base"), requests, 4)


def test_a_request_without_tokens_is_an_error(tiny_models: TinyModels) -> None:
    ours, _ = both(loaded_as(tiny_models.chat, "base"), 4)
    for context, continuation in (([], [1]), ([1], [])):
        with pytest.raises(ValueError, match="a context and a continuation"):
            ours._loglikelihood_tokens([(None, context, continuation)])


@pytest.mark.parametrize(
    ("rows", "length"),
    [
        ([tuple(range(20)), (*range(15), 99)], 15),
        # Every row keeps a token of its own, even one that is all prefix.
        ([tuple(range(20)), tuple(range(10))], 9),
        ([tuple(range(20)), tuple(range(20))], 19),
        ([tuple(range(7)), tuple(range(7))], 0),
        ([tuple(range(20))], 0),
        ([(1, *range(20)), (2, *range(20))], 0),
    ],
)
def test_shared_prefix_length(rows: list[tuple[int, ...]], length: int) -> None:
    assert shared_prefix_length(rows) == length


def test_probabilities_of_all_continuations_sum_to_one(tiny_models: TinyModels) -> None:
    loaded = loaded_as(tiny_models.chat, "base")
    pairs = [((1, 50, 60), (token,)) for token in range(VOCABULARY)]
    answers = score_pairs(loaded.model, pairs, PromptPrefix())
    assert np.exp([value for value, _ in answers]).sum() == pytest.approx(1, abs=1e-5)
    assert sum(greedy for _, greedy in answers) == 1


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("batch_size", [1, 4])
def test_texts_score_as_lm_eval_scores_them(
    tiny_models: TinyModels, kind: str, batch_size: int
) -> None:
    ours, theirs = both(loaded_as(tiny_models.chat, kind), batch_size)
    pairs = [
        ("The parcel came", " two days late"),
        ("The parcel came", " two days early"),
        ("The parcel came ", "late"),
        ("The parcel came", " late"),
        ("", "positive"),
        ("Answer:", "p"),
    ]
    requests = instances("loglikelihood", pairs)
    for found, expected in zip(
        ours.loglikelihood(requests),
        theirs.loglikelihood(requests, disable_tqdm=True),
        strict=True,
    ):
        assert found == pytest.approx(expected, abs=TOLERANCE)
    texts = ["Great camera.", "x", "The battery lasts all day. " * 80, "Great camera."]
    requests = instances("loglikelihood_rolling", [(text,) for text in texts])
    found_totals = ours.loglikelihood_rolling(requests)
    # The third is longer than the model's window, so that it is scored in several.
    assert len(ours.tok_encode(texts[2])) > MAX_LENGTH
    expected_totals = theirs.loglikelihood_rolling(requests, disable_tqdm=True)
    assert found_totals == pytest.approx(expected_totals, rel=1e-5, abs=TOLERANCE)


# --------------------------------------------------------------------------- generation


@cache
def by_lm_eval(
    folder: Path, kind: str, prompts: tuple[str, ...], until: tuple[str, ...], room: int
) -> list[str]:
    """The replies of lm-eval's own scorer, each by itself.

    In a batch lm-eval lets a row that wrote a stop go on until all rows have.
    """
    _, theirs = both(loaded_as(folder, kind), 1)
    replies: list[str] = theirs.generate_until(asking(prompts, until, room), disable_tqdm=True)
    return replies


def asking(prompts: Sequence[str], until: Sequence[str], room: int) -> list[Instance]:
    """A request for a reply of ``room`` tokens at most for each prompt."""
    options = {"until": list(until), "max_gen_toks": room, "do_sample": False}
    return instances("generate_until", [(prompt, options) for prompt in prompts])


def scorer(models: TinyModels, kind: str, batch_size: int) -> CandidateLM:
    loaded = loaded_as(models.chat, kind)
    return CandidateLM(loaded.model, loaded.tokenizer, batch_size)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("batch_size", [1, 2, 5])
@pytest.mark.parametrize("until", [["<|im_end|>"], ["e", "\n"], ["<|im_end|>", "never at all"]])
@pytest.mark.parametrize("shared", [True, False])
def test_replies_are_lm_evals_token_for_token(
    tiny_models: TinyModels, kind: str, batch_size: int, until: list[str], shared: bool
) -> None:
    ours = scorer(tiny_models, kind, batch_size)
    render = PromptRenderer(ours.tokenizer, TASK, lambda item: messages(2))
    texts = ["Late", "The box was torn. " * 4, "x", "Great camera, sharp pictures", "Late", "é!"]
    prompts = [render.prompt(message(f"i{n}", text, "?")) for n, text in enumerate(texts)]
    if not shared:
        prompts = [f"{n} {text}" for n, text in enumerate(texts)]
    expected = by_lm_eval(tiny_models.chat, kind, tuple(prompts), tuple(until), 12)
    assert ours.generate_until(asking(prompts, until, 12)) == expected
    assert len(set(expected)) > 1


def test_each_row_ends_by_itself_and_never_by_its_prompt(tiny_models: TinyModels) -> None:
    tokenizer = loaded_as(tiny_models.chat, "base").tokenizer
    replies = ["positive\n\nInput:", "late<|im_end|>", "positive\n\nIn", " Answer: negative", ""]
    rows = [tokenizer("\n\nInput: x<|im_end|>" + reply)["input_ids"] for reply in replies]
    width = len(tokenizer("\n\nInput: x<|im_end|>")["input_ids"])

    def ends_in(*tokens: int) -> EndsIn:
        return EndsIn(["<|im_end|>", "", "\n\nInput:"], tokenizer, width, frozenset(tokens))

    # A row is asked about once a token was written.
    rows = [row for row in rows if len(row) > width]
    done = [bool(ends_in()(torch.tensor([row]), torch.empty(0))) for row in rows]
    assert done == [True, True, False, False]
    assert bool(ends_in(rows[3][-1])(torch.tensor([rows[3]]), torch.empty(0)))


def test_what_fills_a_row_after_its_end_is_no_part_of_the_reply(tiny_models: TinyModels) -> None:
    tokenizer = loaded_as(tiny_models.chat, "base").tokenizer
    ends = EndsIn([], tokenizer, 1, frozenset([2]))
    for written in ([[1, 5], [1, 2]], [[1, 5, 6], [1, 2, 7]], [[1, 5, 6, 2], [1, 2, 7, 7]]):
        ends(torch.tensor(written), torch.empty(0))
    assert ends.cut(torch.tensor(written)) == [[5, 6, 2], [2]]


@pytest.mark.parametrize("few", [0, 10_000])
@pytest.mark.parametrize("tree", [16, 100, 10_000])
def test_replies_do_not_hang_on_how_prompts_are_laid_out(
    tiny_models: TinyModels, monkeypatch: pytest.MonkeyPatch, few: int, tree: int
) -> None:
    monkeypatch.setattr(candidate_lm, "takes_rows", lambda model: False)
    monkeypatch.setattr(tree_generation, "TREE", tree)
    monkeypatch.setattr(tree_generation, "FEW", few)
    prompts = [f"system user assistant {'parcel ' * n}" for n in (1, 2, 2, 3, 9, 0, 4)]
    replies = scorer(tiny_models, "adapter", 4).generate_until(asking(prompts, ["positive"], 7))
    assert replies == by_lm_eval(tiny_models.chat, "adapter", tuple(prompts), ("positive",), 7)


@pytest.mark.parametrize("rows", [1, 2, 5, 7])
@pytest.mark.parametrize("tokens", [1, 30, 10_000])
def test_replies_do_not_hang_on_which_rows_grow_together(
    tiny_models: TinyModels, monkeypatch: pytest.MonkeyPatch, rows: int, tokens: int
) -> None:
    monkeypatch.setattr(row_generation, "TOKENS", tokens)
    # Replies of all lengths: rows are left and taken again while others grow.
    until = ("positive", "e")
    prompts = [f"system user {'parcel ' * (n % 4)}assistant {n}" for n in range(12)]
    replies = scorer(tiny_models, "adapter", rows).generate_until(asking(prompts, until, 9))
    assert replies == by_lm_eval(tiny_models.chat, "adapter", tuple(prompts), until, 9)
    assert len({len(reply) for reply in replies}) > 3


def test_progress_counts_every_request(tiny_models: TinyModels) -> None:
    ours, _ = both(loaded_as(tiny_models.chat, "base"), 2)
    seen: list[tuple[int, int]] = []
    ours.on_progress = lambda done, total: seen.append((done, total))
    options = {"until": [], "max_gen_toks": 2, "do_sample": False}
    ours.generate_until(instances("generate_until", [(f"{n}", options) for n in range(5)]))
    assert seen == [(2, 5), (4, 5), (5, 5)]
    seen.clear()
    rng = np.random.default_rng(0)
    long = [rng.integers(20, 200, MAX_LENGTH - 10).tolist() for _ in range(9)]
    ours._loglikelihood_tokens([(None, context, [30]) for context in long])
    done = [count for count, _ in seen]
    assert done == sorted(set(done))
    assert len(done) > 1
    assert seen[-1] == (9, 9)


# --------------------------------------------------------------------------- the embedded model


@pytest.mark.weights
@pytest.mark.skipif(
    not is_cached("smollm2-135m-instruct"), reason="the embedded model is not in the cache"
)
def test_the_embedded_model_knows_paris() -> None:
    from harness.models.load import load_base

    found = resolve_model(ModelSpec(reference="smollm2-135m-instruct"))
    loaded = load_base(found, Runtime("cpu", "float32", 4))
    ours, theirs = both(loaded, 4)
    task = TASK.model_copy(update={"template": "{text}", "instruction": "Answer the question."})
    render = PromptRenderer(loaded.tokenizer, task)
    prompt = render.prompt(message("q", "What is the capital of France?", "Paris"))
    options = {"until": [render.end], "max_gen_toks": 16, "do_sample": False}
    (reply,) = ours.generate_until(instances("generate_until", [(prompt, options)]))
    assert "Paris" in reply
    cities = ("Paris", "Berlin", "London", "Lyon")
    requests = instances("loglikelihood", [(prompt, city + render.end) for city in cities])
    scored = [value for value, _ in ours.loglikelihood(requests)]
    reference = [value for value, _ in theirs.loglikelihood(requests, disable_tqdm=True)]
    assert scored == pytest.approx(reference, abs=0.05)
    assert int(np.argmax(scored)) == 0


def test_a_tokenizer_without_any_mark_is_asked_too(tiny_models: TinyModels) -> None:
    loaded = loaded_as(tiny_models.plain, "base")
    loaded = replace(loaded, tokenizer=copy.deepcopy(loaded.tokenizer))
    prompts = ["The parcel came late", "Great camera"]
    options = {"until": ["?"], "max_gen_toks": 6, "do_sample": False}
    asked = instances("generate_until", [(prompt, options) for prompt in prompts])
    pairs = instances("loglikelihood", [(prompt, " and torn") for prompt in prompts])
    marked, _ = both(loaded, 2)
    expected = marked.generate_until(asked), marked.loglikelihood(pairs)
    loaded.tokenizer.eos_token = loaded.tokenizer.pad_token = None
    set_padding(loaded.tokenizer)
    unmarked = CandidateLM(loaded.model, loaded.tokenizer, 2)
    assert (unmarked.generate_until(asked), unmarked.loglikelihood(pairs)) == expected
    with pytest.raises(TrialError, match="no mark that begins a text"):
        unmarked.loglikelihood_rolling(instances("loglikelihood_rolling", [("A text",)]))
