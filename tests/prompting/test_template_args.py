"""What a chat template is told beside the messages reaches every prompt, or is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from harness.errors import SpecError
from harness.evaluation.local.candidate_lm import CandidateLM
from harness.models.load import load_tokenizer
from harness.prompting import PromptRenderer
from harness.prompting.rendering_check import rendering_faults
from harness.prompting.template_args import names_read
from harness.prompting.template_rendering import rendering_of
from harness.spec import ModelSpec
from tests.tiny_model import CHATML, TASK, TinyModels, load_tiny, message, resolved, write_model

MOODS = "{% if mood is defined %}Be {{ mood }}.\n{% endif %}" + CHATML
ITEM = message("i", "Torn", "negative")


@pytest.fixture(scope="module")
def moody(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose chat template takes a mood."""
    return write_model(tmp_path_factory.mktemp("moody"), MOODS)


def test_training_and_scoring_are_told_the_same(moody: Path) -> None:
    loaded, args = load_tiny(moody), {"mood": "brief"}
    render = PromptRenderer(loaded.tokenizer, TASK, template_args=args)
    prompt = render.prompt(ITEM)
    assert prompt.startswith("Be brief.\n<|im_start|>system")
    assert loaded.tokenizer.decode(render.encode(ITEM).prompt) == prompt
    assert rendering_faults(render, loaded.tokenizer, [ITEM]) == []
    lm = CandidateLM(loaded.model, loaded.tokenizer, 2, template_args=args)
    assert lm.apply_chat_template(render.messages(ITEM)) == prompt
    untold = CandidateLM(loaded.model, loaded.tokenizer, 2)
    assert untold.apply_chat_template(render.messages(ITEM)) == prompt.removeprefix("Be brief.\n")


def test_another_value_is_another_rendering(moody: Path) -> None:
    tokenizer = load_tokenizer(resolved(moody))
    renderings = {rendering_of(tokenizer, None, args) for args in (
        None, {"mood": "brief"}, {"mood": "kind"}, {"mood": 1}, {"mood": True})}  # fmt: skip
    assert len(renderings) == 5
    assert rendering_of(tokenizer, None, {}) == rendering_of(tokenizer, None)


def test_what_the_template_does_not_read_is_refused(moody: Path, tiny_models: TinyModels) -> None:
    tokenizer = load_tokenizer(resolved(moody))
    with pytest.raises(SpecError, match=r"reads no `mode` \(it reads `mood`\)"):
        PromptRenderer(tokenizer, TASK, template_args={"mode": "brief"})
    none = load_tokenizer(resolved(tiny_models.chat))
    with pytest.raises(SpecError, match=r"reads no `mood` \(it reads none\)"):
        PromptRenderer(none, TASK, template_args={"mood": "brief"})
    plain = load_tokenizer(resolved(tiny_models.plain))
    with pytest.raises(SpecError, match="has no chat template"):
        PromptRenderer(plain, TASK, template_args={"mood": "brief"})
    assert PromptRenderer(none, TASK, chat=False, template_args={"mood": 1}).prompt(ITEM)


@pytest.mark.parametrize(
    ("template", "names"),
    [
        ("{{ a }}{% for m in messages %}{{ m.b }}{% if c is defined %}{% break %}{% endif %}"
         "{% endfor %}", {"a", "c", "messages"}),
        ("{% generation %}{{ a }}{%- endgeneration -%}", {"a"}),
        ("{% set a = b | default(false) %}{{ a }}", {"b"}),
        ("{% for", set()),
    ],
)  # fmt: skip
def test_names_that_a_template_reads(template: str, names: set[str]) -> None:
    assert names_read(template) == names


@pytest.mark.parametrize(
    ("args", "what"),
    [
        ({"a b": 1}, "no name that a chat template can read"),
        ({"messages": "x"}, "handed to every chat template anyway"),
        ({"bos_token": "x"}, "handed to every chat template anyway"),
        ({"mood": ["x"]}, "valid"),
        ({"mood": float("nan")}, "finite"),
    ],
)
def test_only_names_and_plain_values_are_taken(args: dict[str, Any], what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        ModelSpec.model_validate({"reference": "m", "chat_template_args": args})


def test_values_keep_their_types() -> None:
    args = {"a": True, "b": 1, "c": 0.5, "d": "true", "e": None}
    spec = ModelSpec.model_validate({"reference": "m", "chat_template_args": args})
    assert [(type(v), v) for v in spec.chat_template_args.values()] == [
        (type(v), v) for v in args.values()
    ]


TURN = "<|im_start|>assistant\n"
# As Qwen3's: without a thought where none is wanted, and before the last answer of all.
THINKS = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.role == 'assistant' and loop.last %}<think>\n\n</think>\n\n{% endif %}"
    "{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}"
    + TURN
    + "WHEN{% endif %}"
)
NO_THOUGHT = "{% if enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}"
OPENED = "{% if enable_thinking %}<think>\n{% else %}<think>\n\n</think>\n\n{% endif %}"


@pytest.mark.parametrize("when", [NO_THOUGHT, OPENED])
@pytest.mark.parametrize(
    ("args", "gap"),
    [
        ({}, f"{TURN}<think>\n\n</think>\n\n"),
        ({"enable_thinking": False}, f"{TURN}<think>\n\n</think>\n\n"),
        ({"enable_thinking": True}, TURN),
    ],
)
def test_whether_to_think_is_as_the_template_is_told(
    tiny_models: TinyModels, when: str, args: dict[str, Any], gap: str
) -> None:
    tokenizer = load_tokenizer(resolved(tiny_models.chat))
    tokenizer.add_special_tokens({"additional_special_tokens": ["<think>", "</think>"]})
    tokenizer.chat_template = THINKS.replace("WHEN", when)
    shot = message("s", "Great", "positive")
    render = PromptRenderer(tokenizer, TASK, lambda item: (shot,), template_args=args)
    prompt = render.prompt(ITEM)
    assert prompt.endswith(f"Torn<|im_end|>\n{gap}")
    assert f"Great<|im_end|>\n{gap}positive<|im_end|>" in prompt
    assert tokenizer.decode(render.encode(ITEM).answer) == "negative<|im_end|>"
    assert rendering_faults(render, tokenizer, [ITEM]) == []
    assert ("decides what stands before every answer" in " ".join(render.notes)) == bool(args)


def test_what_does_not_decide_how_to_ask_leaves_that_alone(moody: Path) -> None:
    tokenizer = load_tokenizer(resolved(moody))
    render = PromptRenderer(tokenizer, TASK, template_args={"mood": "brief"})
    assert render.gap == PromptRenderer(tokenizer, TASK).gap
    assert "chat_template_args" not in " ".join(render.notes)
