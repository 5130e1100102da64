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
from harness.prompting.chat_template import rendering_of
from harness.prompting.rendering_check import rendering_faults
from harness.prompting.template_args import names_read
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
