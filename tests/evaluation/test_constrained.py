"""Constrained replies are always valid, and greedy among what is valid."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from weakref import WeakSet

import jsonschema
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.answers.json_schema import canonical_json, enumerate_schema
from harness.errors import TrialError
from harness.evaluation.local import candidate_lm, growing_reply
from harness.evaluation.local.candidate_lm import CandidateLM
from harness.evaluation.local.constrained import (
    ConstrainedBatch,
    Constraint,
    JsonSchema,
    OneOf,
    constraint_of,
)
from harness.evaluation.local.prompt_lookup import PromptLookup, SharedLookup
from harness.evaluation.local.row_generation import greedy_replies
from harness.models import packed_weights
from harness.models.fused_decoder import fused_decoder
from harness.models.load import LoadedModel
from harness.models.prompt_prefix import PromptPrefix
from harness.prompting import PromptRenderer
from harness.records import ModelWork
from tests.tiny_model import TASK, VOCABULARY, TinyModels, message, messages

from .candidates import MODELS, instances, loaded_as

VARIANTS = ["chat", "refuses_system", "plain", "with_bos", "with_prefix_space"]
TEXTS = ["Late", "The box was torn. " * 3, "x", "Great camera, sharp pictures", "é!"]
LABELS = ("neg", "negative", "neutral", "nég 漢字", "a b", "a", "🙂", "🙃 no")
# Tokens that a label needs, and that an object needs beside a short prompt.
SHORT, LONG = 40, 180
LASTING = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
Schema = dict[str, Any]


def fields(properties: Schema, required: Sequence[str] | None = None, **more: Any) -> Schema:
    names = list(properties) if required is None else list(required)
    return {
        "type": "object",
        "properties": properties,
        "required": names,
        "additionalProperties": False,
        **more,
    }


def renderer(loaded: LoadedModel, shots: int = 0) -> PromptRenderer:
    return PromptRenderer(loaded.tokenizer, TASK, lambda item: messages(shots))


def replies(
    loaded: LoadedModel,
    constraint: Constraint | None,
    prompts: Sequence[str],
    *,
    batch_size: int = 4,
    room: int = SHORT,
) -> list[str]:
    lm = CandidateLM(loaded.model, loaded.tokenizer, batch_size)
    render = renderer(loaded)
    options = {"until": list(render.stops), "max_gen_toks": room, "do_sample": False}
    requests = instances("generate_until", [(prompt, options) for prompt in prompts])
    with lm.kept_to(constraint):
        return lm.generate_until(requests)


def prompts_of(loaded: LoadedModel, shots: int = 0, texts: Sequence[str] = TEXTS) -> list[str]:
    render = renderer(loaded, shots)
    return [render.prompt(message(f"i{n}", text, "?")) for n, text in enumerate(texts)]


def one_by_one(loaded: LoadedModel, constraint: Constraint, prompt: str, room: int) -> list[int]:
    """The slow definition: no batch, no cache; at each step the likeliest of the allowed."""
    taken, rest = walked(loaded, constraint, prompt, room)
    return [*taken, *rest]


@torch.inference_mode()
def walked(
    loaded: LoadedModel, constraint: Constraint, prompt: str, room: int
) -> tuple[list[int], tuple[int, ...]]:
    """The tokens that were chosen, ``room`` at most, and those that follow without a choice."""
    lm = CandidateLM(loaded.model, loaded.tokenizer, 1)
    context, walk = lm.tok_encode(prompt), constraint.walk()
    while walk.rest is None and len(walk.taken) < room:
        ids = torch.tensor([[*context, *walk.taken]])
        logits = loaded.model(input_ids=ids).logits[0, -1].float().numpy()
        mask = np.zeros(len(logits), dtype=np.bool_)
        walk.allow(mask)
        assert mask.any()
        walk.take(int(np.where(mask, logits, -np.inf).argmax()))
    return list(walk.taken), tuple(walk.rest or ())


@cache
def of_labels(folder: Path, kind: str, labels: tuple[str, ...]) -> Constraint:
    loaded = loaded_as(folder, kind)
    return constraint_of(renderer(loaded), loaded.tokenizer, labels, None)


# --------------------------------------------------------------------------- labels


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("shots", [0, 2])
def test_a_reply_is_one_of_the_labels(
    tiny_models: TinyModels, variant: str, kind: str, shots: int
) -> None:
    folder = getattr(tiny_models, variant)
    loaded = loaded_as(folder, kind)
    constraint = of_labels(folder, kind, LABELS)
    prompts = prompts_of(loaded, shots)
    found = replies(loaded, constraint, prompts)
    lead = renderer(loaded).lead
    assert {reply.removeprefix(lead) for reply in found} <= set(LABELS)
    assert found == replies(loaded, constraint, prompts, batch_size=1)
    # It is enough that the choice is made within the room: the rest of a label is known.
    assert replies(loaded, constraint, prompts, room=constraint.longest or 0) == found


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("variant", ["chat", "plain"])
def test_labels_are_chosen_as_the_definition_chooses(
    tiny_models: TinyModels, variant: str, kind: str
) -> None:
    folder = getattr(tiny_models, variant)
    loaded = loaded_as(folder, kind)
    constraint = of_labels(folder, kind, LABELS)
    prompts = prompts_of(loaded, 2)
    found = replies(loaded, constraint, prompts)
    render = renderer(loaded)
    for prompt, reply in zip(prompts, found, strict=True):
        text = loaded.tokenizer.decode(one_by_one(loaded, constraint, prompt, SHORT))
        ends = [text.partition(stop)[0] for stop in render.stops if stop in text]
        assert reply == min(ends, key=len)


@given(
    labels=st.lists(
        st.text("ab é漢🙂_-", min_size=1, max_size=6).filter(str.strip),
        min_size=1,
        max_size=8,
        unique=True,
    )
)
@LASTING
@pytest.mark.parametrize("variant", ["chat", "plain", "with_prefix_space"])
def test_every_label_can_be_chosen(
    tiny_models: TinyModels, variant: str, labels: list[str]
) -> None:
    """With scores that like a label's tokens best, the reply is that label and no other."""
    loaded = loaded_as(getattr(tiny_models, variant), "base")
    render, tokenizer = renderer(loaded), loaded.tokenizer
    constraint = constraint_of(render, tokenizer, labels, None)
    end, pad, width = tokenizer.eos_token_id, tokenizer.pad_token_id, 3
    batch = ConstrainedBatch(constraint, len(labels), width)
    liked = [render.encode_answer(label) for label in labels]
    ids = torch.full((len(labels), width), pad)
    for step in range(max(map(len, liked)) + 1):
        scores = torch.zeros(len(labels), len(tokenizer))
        for row, path in enumerate(liked):
            scores[row, path[step] if step < len(path) else end] = 1.0
        ids = torch.cat([ids, batch(ids, scores).argmax(dim=1, keepdim=True)], dim=1)
    assert batch.ends(ids, torch.empty(0)).all()
    texts = [tokenizer.decode(row).partition(render.end)[0] for row in batch.replies(ids)]
    assert texts == [render.lead + label for label in labels]


def test_a_reply_without_a_choice_left_is_not_asked_for(tiny_models: TinyModels) -> None:
    walk = OneOf([[5, 6, 7], [5, 8, 9, 10]]).walk()
    rests = [walk.rest]
    for token in (5, 8):
        walk.take(token)
        rests.append(walk.rest)
    assert rests == [None, None, (9, 10)]
    assert OneOf([[5, 6, 7]]).walk().rest == (5, 6, 7)
    loaded = loaded_as(tiny_models.chat, "base")
    sole = of_labels(tiny_models.chat, "base", ("negative",))
    assert replies(loaded, sole, prompts_of(loaded), room=1) == ["negative"] * len(TEXTS)


def test_free_text_has_nothing_to_keep_to(tiny_models: TinyModels) -> None:
    loaded = loaded_as(tiny_models.chat, "base")
    with pytest.raises(ValueError, match="need a list of answers or a schema"):
        constraint_of(renderer(loaded), loaded.tokenizer, None, None)


# --------------------------------------------------------------------------- JSON schemas

NAMES = st.text('ab "\\é漢', min_size=1, max_size=3)
LEAVES: st.SearchStrategy[Schema] = st.one_of(
    st.just({"type": "boolean"}),
    st.just({"type": ["boolean", "null"]}),
    st.lists(
        st.one_of(st.text('xyé" \n🙂', max_size=3), st.integers(-99, 99), st.none()),
        min_size=1,
        max_size=3,
        unique_by=repr,
    ).map(lambda values: {"enum": values}),
    st.tuples(st.integers(-200, 200), st.integers(0, 300)).map(
        lambda pair: {"type": "integer", "minimum": pair[0], "maximum": pair[0] + pair[1]}
    ),
    st.integers(0, 3).map(lambda size: {"type": "string", "minLength": size, "maxLength": 3}),
    st.sampled_from(["^[ab]{1,3}$", "^x?y$", "^[0-9]{4}$"]).map(
        lambda pattern: {"type": "string", "pattern": pattern}
    ),
    st.just({"const": {"k": [1, None, "é"]}}),
)


@st.composite
def objects(draw: st.DrawFn, inner: st.SearchStrategy[Schema]) -> Schema:
    properties = draw(st.dictionaries(NAMES, inner, min_size=1, max_size=3))
    required = [name for name in properties if draw(st.booleans())]
    return fields(properties, required)


ARRAYS = st.builds(
    lambda items, least: {"type": "array", "items": items, "minItems": least, "maxItems": 2},
    LEAVES,
    st.integers(0, 2),
)
SCHEMAS = objects(st.one_of(LEAVES, LEAVES, ARRAYS, objects(LEAVES)))


@pytest.mark.parametrize(
    ("variant", "kind", "dtype"),
    [
        ("chat", "base", "float32"),
        ("plain", "adapter", "float32"),
        ("with_prefix_space", "base", "bfloat16"),
        ("with_bos", "adapter", "bfloat16"),
    ],
)
@given(schema=SCHEMAS)
@LASTING
def test_every_reply_conforms_to_its_schema(
    tiny_models: TinyModels, variant: str, kind: str, dtype: str, schema: Schema
) -> None:
    loaded = loaded_as(getattr(tiny_models, variant), kind, dtype)
    render = PromptRenderer(loaded.tokenizer, TASK.model_copy(update={"instruction": "Do."}))
    constraint = JsonSchema(loaded.tokenizer, schema, render.lead)
    prompts = [render.prompt(message("i", text, "?")) for text in ("Late", "x", "é! Great")]
    validator = jsonschema.Draft202012Validator(schema)
    for reply in replies(loaded, constraint, prompts, room=LONG):
        value = json.loads(reply)
        validator.validate(value)
        # Written as training answers are: nothing but the text of the value.
        assert json.loads(canonical_json(value, schema)) == value
        assert reply.startswith(render.lead + "{")
        assert reply.endswith("}")


FINITE = fields(
    {
        "tone": {"enum": ["good", "bad", "go", 'a "b" \\']},
        "n": {"type": "integer", "minimum": 0, "maximum": 14},
        "sure": {"type": "boolean"},
    }
)


@pytest.mark.parametrize("variant", ["chat", "plain"])
def test_a_finite_schema_allows_its_texts_and_no_others(
    tiny_models: TinyModels, variant: str
) -> None:
    loaded = loaded_as(getattr(tiny_models, variant), "base")
    tokenizer, render = loaded.tokenizer, renderer(loaded)
    answers = enumerate_schema(FINITE) or ()
    assert len(answers) == 4 * 15 * 2
    constraint = JsonSchema(tokenizer, FINITE, render.lead)
    mask = np.zeros(len(tokenizer), dtype=np.bool_)
    for answer in answers:
        walk, text = constraint.walk(), ""
        # Every text, in the tokens in which training shows it.
        for token in render.encode_answer(answer, ""):
            mask[:] = False
            walk.allow(mask)
            assert mask[token]
            for other in np.flatnonzero(mask):
                begun = (text + tokenizer.decode([other])).removeprefix(render.lead)
                assert any(valid.startswith(begun) for valid in answers)
            walk.take(token)
            text += tokenizer.decode([token])
        assert text == render.lead + answer
        assert walk.rest == ()


@cache
def json_by_definition(folder: Path, kind: str, shots: int) -> tuple[Constraint, list[str]]:
    """A constraint, and the replies to :func:`json_prompts` by the slow definition."""
    loaded = loaded_as(folder, kind)
    schema = fields({"a": {"type": "string", "maxLength": 4}, "b": FINITE}, ["b"])
    constraint = JsonSchema(loaded.tokenizer, schema)
    written = [one_by_one(loaded, constraint, p, 100) for p in json_prompts(loaded, shots)]
    return constraint, [loaded.tokenizer.decode(ids) for ids in written]


def json_prompts(loaded: LoadedModel, shots: int) -> list[str]:
    return prompts_of(loaded, shots, texts=[*TEXTS[:1], *TEXTS[2:]])


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("shots", [0, 2])
@pytest.mark.parametrize("path", ["fused", "rows", "padded"])
def test_json_is_written_as_the_definition_writes_it(
    tiny_models: TinyModels, monkeypatch: pytest.MonkeyPatch, kind: str, shots: int, path: str
) -> None:
    loaded = loaded_as(tiny_models.chat, kind)
    constraint, expected = json_by_definition(tiny_models.chat, kind, shots)
    padded = count_calls(monkeypatch, "padded_replies")
    if path == "padded":
        monkeypatch.setattr(candidate_lm, "takes_rows", lambda model: False)
    monkeypatch.setattr(packed_weights, "SMALLEST_SIDE", 8)
    share = 1.0 if path == "fused" else 0.0
    with packed_weights.packed_weights(loaded.model, share):
        assert (fused_decoder(loaded.model) is not None) is (path == "fused")
        prompts = json_prompts(loaded, shots)
        for batch_size in (1, 2, 5):
            found = replies(loaded, constraint, prompts, batch_size=batch_size, room=100)
            assert found == expected, batch_size
        # Of several at once, rows are never padded.
        assert (len(padded) > 0) is (path == "padded")
        # A request by itself, as where its seconds are taken.
        alone = [replies(loaded, constraint, [one], room=100)[0] for one in prompts[:2]]
        assert (len(padded) == 0) is (path == "fused")
    assert alone == expected[:2]
    assert len(set(expected)) > 1


def count_calls(monkeypatch: pytest.MonkeyPatch, name: str) -> list[str]:
    """The name once for each call of a function of ``candidate_lm``, which is called all the
    same."""
    calls: list[str] = []
    before = getattr(candidate_lm, name)

    def call(*args: Any, **more: Any) -> Any:
        calls.append(name)
        return before(*args, **more)

    monkeypatch.setattr(candidate_lm, name, call)
    return calls


@pytest.mark.parametrize("batch_size", [1, 3])
def test_what_the_constraint_leaves_no_choice_of_is_not_asked_for(
    tiny_models: TinyModels, batch_size: int
) -> None:
    """A schema of required fields writes their names itself: few passes, the same reply."""
    loaded = loaded_as(tiny_models.chat, "base")
    names = ["a_long_name", "another_long_name"]
    schema = fields({name: {"enum": [True, False, None]} for name in names})
    constraint = JsonSchema(loaded.tokenizer, schema)
    prompts = prompts_of(loaded)[:3]
    work: list[ModelWork] = []
    lm = CandidateLM(loaded.model, loaded.tokenizer, batch_size)
    ids = [tuple(lm.tok_encode(prompt)) for prompt in prompts]
    found = greedy_replies(
        loaded.model, ids, PromptPrefix(), batch_size, 100, (), never, work.append,
        constraint=constraint,
    )  # fmt: skip
    expected = [one_by_one(loaded, constraint, prompt, 100) for prompt in prompts]
    assert found == expected
    passes = sum(each.passes for each in work) * batch_size / 3
    written = max(map(len, found))
    assert written > 20
    assert passes <= written / 2
    # All that was read and written is told, but for a last token, which is not computed further.
    told = sum(each.read + each.written for each in work)
    assert told >= sum(map(len, ids)) + sum(len(reply) - 5 for reply in found)


@pytest.mark.parametrize("rows", [1, 2])
def test_replies_that_wait_or_have_ended_take_no_room(
    tiny_models: TinyModels, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    """What is guessed by takes many times the room of a prompt."""
    alive: WeakSet[PromptLookup] = WeakSet()

    class Counted(PromptLookup):
        def __init__(self, prompt: Iterable[int], shared: SharedLookup) -> None:
            super().__init__(prompt, shared)
            alive.add(self)

    loaded = loaded_as(tiny_models.chat, "base")
    lm = CandidateLM(loaded.model, loaded.tokenizer, rows)
    ids = [tuple(lm.tok_encode(prompt)) for prompt in prompts_of(loaded)[:4]]
    expected = greedy_replies(loaded.model, ids, PromptPrefix(), rows, 12, (), never)
    monkeypatch.setattr(growing_reply, "PromptLookup", Counted)
    most: list[int] = []

    def note(work: ModelWork) -> None:
        most.append(len(alive))

    for guesses in (True, False):
        most.clear()
        found = greedy_replies(
            loaded.model, ids, PromptPrefix(), rows, 12, (), never, note, guesses=guesses
        )
        assert found == expected
        assert max(most) == (rows if guesses else 0)


def never(written: list[list[int]]) -> list[bool]:
    return [False] * len(written)


def test_a_reply_is_cut_at_its_room_wherever_that_is(tiny_models: TinyModels) -> None:
    """Also among tokens that nobody is asked for."""
    loaded = loaded_as(tiny_models.chat, "base")
    constraint, _ = json_by_definition(tiny_models.chat, "base", 0)
    prompts = json_prompts(loaded, 0)
    whole = [walked(loaded, constraint, prompt, 100) for prompt in prompts]
    for room in range(1, 24):
        found = replies(loaded, constraint, prompts, room=room)
        # A walk of less room is the same, as far as it goes.
        cut = [taken[:room] if room < len(taken) else [*taken, *rest] for taken, rest in whole]
        assert found == [loaded.tokenizer.decode(ids) for ids in cut], room


@given(
    labels=st.lists(st.text("ab é漢", min_size=1, max_size=9), min_size=1, max_size=5, unique=True),
    guesses=st.lists(st.lists(st.integers(0, 399), min_size=1, max_size=4), max_size=3),
)
@LASTING
def test_a_guess_goes_only_as_far_as_the_constraint(
    tiny_models: TinyModels, labels: list[str], guesses: list[list[int]]
) -> None:
    loaded = loaded_as(tiny_models.chat, "base")
    paths = [(*renderer(loaded).encode_answer(label), 2) for label in labels]
    for constraint in (OneOf(paths), JsonSchema(loaded.tokenizer, FINITE)):
        walk = constraint.walk()
        for guess in [*guesses, *(list(path[1:4]) for path in paths)]:
            copy = walk.copy()
            mask = np.zeros(VOCABULARY, dtype=np.bool_)
            for token in guess:
                if copy.rest is not None or not copy.allows(token):
                    break
                mask[:] = False
                copy.allow(mask)
                only = copy.only()
                assert only is None or np.flatnonzero(mask).tolist() == [only]
                copy.take(token)
        # What a copy wrote is not written in the reply.
        assert walk.taken == []
        before, after = (np.zeros(VOCABULARY, dtype=np.bool_) for _ in range(2))
        walk.allow(before)
        constraint.walk().allow(after)
        assert (before == after).all()


def test_a_reply_that_runs_out_of_room_is_cut(tiny_models: TinyModels) -> None:
    loaded = loaded_as(tiny_models.chat, "base")
    constraint = JsonSchema(loaded.tokenizer, fields({"a": {"type": "string", "minLength": 99}}))
    for reply in replies(loaded, constraint, prompts_of(loaded), room=12):
        assert reply.startswith('{"a": "')
        assert not reply.endswith("}")


def test_a_schema_that_no_grammar_holds_to_is_an_error(tiny_models: TinyModels) -> None:
    loaded = loaded_as(tiny_models.chat, "base")
    schema = fields({"a": {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}})
    with pytest.raises(TrialError, match=r"cannot follow the schema.*uniqueItems"):
        JsonSchema(loaded.tokenizer, schema)


def test_a_tokenizer_that_cannot_be_followed_is_an_error() -> None:
    with pytest.raises(TrialError, match="cannot follow this model's tokenizer"):
        JsonSchema(object(), FINITE)


# --------------------------------------------------------------------------- freedom


def test_replies_are_free_again_afterwards(tiny_models: TinyModels) -> None:
    loaded = loaded_as(tiny_models.chat, "base")
    prompts = prompts_of(loaded)
    free = replies(loaded, None, prompts, room=8)
    lm = CandidateLM(loaded.model, loaded.tokenizer, 4)
    options = {"until": ["<|im_end|>"], "max_gen_toks": 8, "do_sample": False}
    requests = instances("generate_until", [(prompt, options) for prompt in prompts])
    constraint = of_labels(tiny_models.chat, "base", LABELS)
    with pytest.raises(KeyError), lm.kept_to(constraint):
        assert set(lm.generate_until(requests)) <= set(LABELS)
        raise KeyError
    assert lm.generate_until(requests) == free
    assert not set(free) & set(LABELS)
