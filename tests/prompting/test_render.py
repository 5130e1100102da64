"""A prompt reads as intended, in training and in scoring alike, whatever the model's manners."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.evaluation.local.candidate_lm import CandidateLM
from harness.models.load import load_tokenizer
from harness.prompting import PromptRenderer
from harness.records import Example
from tests.tiny_model import TASK, TinyModels, load_tiny, message, resolved

VARIANTS = ["chat", "refuses_system", "plain", "with_bos", "with_prefix_space"]
ITEM = message("i", "The box {was} torn {0} {{x}} \n é 漢", "negative")
SHOTS = (message("a", "Great", "positive"), message("b", "Late", "negative"))


@cache
def _tokenizer(folder: Path) -> Any:
    return load_tokenizer(resolved(folder))


def renderer(folder: Path, shots: tuple[Example, ...] = ()) -> PromptRenderer:
    return PromptRenderer(load_tokenizer(resolved(folder)), TASK, lambda item: shots)


def test_a_chat_prompt_has_the_instruction_as_system_message(tiny_models: TinyModels) -> None:
    assert renderer(tiny_models.chat, SHOTS).prompt(message("i", "Torn", "?")) == (
        "<|im_start|>system\nIs the message positive or negative?<|im_end|>\n"
        "<|im_start|>user\nMessage: Great<|im_end|>\n"
        "<|im_start|>assistant\npositive<|im_end|>\n"
        "<|im_start|>user\nMessage: Late<|im_end|>\n"
        "<|im_start|>assistant\nnegative<|im_end|>\n"
        "<|im_start|>user\nMessage: Torn<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_without_a_system_role_the_first_message_has_the_instruction(
    tiny_models: TinyModels,
) -> None:
    prompt = renderer(tiny_models.refuses_system, SHOTS[:1]).prompt(message("i", "Torn", "?"))
    assert prompt == (
        "<|im_start|>user\nIs the message positive or negative?\n\nMessage: Great<|im_end|>\n"
        "<|im_start|>assistant\npositive<|im_end|>\n"
        "<|im_start|>user\nMessage: Torn<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_a_template_that_drops_the_system_message_counts_as_refusing_it(
    tiny_models: TinyModels,
) -> None:
    tokenizer = load_tokenizer(resolved(tiny_models.chat))
    tokenizer.chat_template = (
        "{% for m in messages if m['role'] != 'system' %}[{{ m['content'] }}]{% endfor %}"
    )
    prompt = PromptRenderer(tokenizer, TASK).prompt(message("i", "Torn", "?"))
    # The bracket before an answer is asked for, too.
    assert prompt == "[Is the message positive or negative?\n\nMessage: Torn]["


def test_without_a_chat_template_the_prompt_is_plain_text(tiny_models: TinyModels) -> None:
    assert renderer(tiny_models.plain, SHOTS[:1]).prompt(message("i", "Torn", "?")) == (
        "Is the message positive or negative?\n\nInput: Message: Great\n\nAnswer: positive\n\n"
        "Input: Message: Torn\n\nAnswer:"
    )


def test_an_arm_may_bring_its_own_instruction(tiny_models: TinyModels) -> None:
    tokenizer = load_tokenizer(resolved(tiny_models.chat))
    prompt = PromptRenderer(tokenizer, TASK, instruction="Judge it.").prompt(ITEM)
    assert prompt.startswith("<|im_start|>system\nJudge it.<|im_end|>")
    assert "positive or negative" not in prompt


def test_an_arm_may_bring_its_own_template(tiny_models: TinyModels) -> None:
    tokenizer = load_tokenizer(resolved(tiny_models.chat))
    shot = Example("a", {"text": "Great", "title": "T1"}, "positive", "a")
    item = Example("i", {"text": "Torn", "title": "T2"}, "?", "i")
    template = "{title}: {text} ({title})"
    render = PromptRenderer(tokenizer, TASK, lambda item: (shot,), template=template)
    assert [turn["content"] for turn in render.messages(item)] == [
        "Is the message positive or negative?",
        "T1: Great (T1)",
        "positive",
        "T2: Torn (T2)",
    ]
    assert "Message:" not in render.prompt(item)


@pytest.mark.parametrize("variant", VARIANTS)
def test_without_chat_every_model_is_asked_in_the_same_plain_text(
    tiny_models: TinyModels, variant: str
) -> None:
    tokenizer = load_tokenizer(resolved(getattr(tiny_models, variant)))
    render = PromptRenderer(tokenizer, TASK, lambda item: SHOTS[:1], chat=False)
    assert render.prompt(message("i", "Torn", "?")) == (
        "Is the message positive or negative?\n\nInput: Message: Great\n\nAnswer: positive\n\n"
        "Input: Message: Torn\n\nAnswer:"
    )
    # What follows an item in the prompt is what is trained on, but for the end of all text.
    assert f"Answer:{render.reply('positive')}" == "Answer: positive<|im_end|>"
    assert render.stops == ("<|im_end|>", "\n\nInput:")


def test_a_chat_reply_ends_with_its_turn_alone(tiny_models: TinyModels) -> None:
    render = renderer(tiny_models.chat)
    assert (render.lead, render.stops) == ("", ("<|im_end|>",))


def test_a_tokenizer_without_an_end_stops_where_the_next_item_begins(
    tiny_models: TinyModels,
) -> None:
    tokenizer = load_tokenizer(resolved(tiny_models.plain))
    tokenizer.eos_token = None
    render = PromptRenderer(tokenizer, TASK)
    assert (render.end, render.stops) == ("\n\nInput:", ("\n\nInput:",))
    tokens = render.encode(message("i", "Torn", "negative")).answer
    assert tokenizer.decode(tokens) == " negative\n\nInput:"


@pytest.mark.parametrize("variant", VARIANTS)
def test_braces_in_the_data_are_inert(tiny_models: TinyModels, variant: str) -> None:
    shown = renderer(getattr(tiny_models, variant), (ITEM,)).prompt(ITEM)
    assert shown.count("Message: The box {was} torn {0} {{x}} \n é 漢") == 2


@pytest.mark.parametrize(
    ("variant", "template", "end"),
    [
        ("chat", None, "<|im_end|>"),
        ("plain", None, "<|im_end|>"),
        # A turn that ends with something else than the end of text, as Gemma's does.
        ("chat", "{% for m in messages %}<t>{{ m['content'] }}</t>\n{% endfor %}", "</t>"),
        ("chat", "{% for m in messages %}{{ m['content'] }}\n{% endfor %}", "<|im_end|>"),
        (
            "chat",
            "{% for m in messages %}{{ m['content'] }}</t><|im_end|>\n{% endfor %}",
            "</t><|im_end|>",
        ),
    ],
)
def test_the_end_of_an_answer_is_what_the_template_writes(
    tiny_models: TinyModels, variant: str, template: str | None, end: str
) -> None:
    tokenizer = load_tokenizer(resolved(getattr(tiny_models, variant)))
    if template:
        tokenizer.chat_template = template
    assert PromptRenderer(tokenizer, TASK).end == end


@pytest.mark.parametrize("variant", VARIANTS)
def test_prompt_and_answer_decode_to_the_text_with_its_end(
    tiny_models: TinyModels, variant: str
) -> None:
    tokenizer = load_tokenizer(resolved(getattr(tiny_models, variant)))
    render = PromptRenderer(tokenizer, TASK, lambda item: SHOTS)
    encoded = render.encode(ITEM)
    text = tokenizer.decode([*encoded.prompt, *encoded.answer])
    begin = {"with_bos": "<|text|>", "with_prefix_space": " "}.get(variant, "")
    assert text == f"{begin}{render.prompt(ITEM)}{render.lead}negative<|im_end|>"
    assert tokenizer.decode(encoded.answer) == f"{render.lead}negative<|im_end|>"
    assert encoded.answer[-1] == tokenizer.eos_token_id
    assert encoded.answer.count(tokenizer.eos_token_id) == 1
    assert encoded.length == len(encoded.prompt) + len(encoded.answer)


@given(
    answer=st.text('pos itve\n.漢é{}":,', max_size=12),
    text=st.text("a b\n.漢", min_size=1, max_size=12),
)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("chat", [True, False])
@pytest.mark.parametrize("variant", VARIANTS)
def test_an_answer_has_the_same_tokens_after_every_prompt(
    tiny_models: TinyModels, variant: str, chat: bool, answer: str, text: str
) -> None:
    tokenizer = _tokenizer(getattr(tiny_models, variant))
    render = PromptRenderer(tokenizer, TASK, lambda item: SHOTS, chat=chat)
    assert render.encode_answer(answer) == render.encode(message("i", text, answer)).answer


@pytest.mark.parametrize("chat", [True, False])
@pytest.mark.parametrize("variant", VARIANTS)
def test_training_sees_the_tokens_that_scoring_sees(
    tiny_models: TinyModels, variant: str, chat: bool
) -> None:
    loaded = load_tiny(getattr(tiny_models, variant))
    lm = CandidateLM(loaded.model, loaded.tokenizer, batch_size=2)
    render = PromptRenderer(loaded.tokenizer, TASK, lambda item: SHOTS, chat=chat)
    encoded, prompt = render.encode(ITEM), render.prompt(ITEM)
    assert tuple(lm.tok_encode(prompt)) == encoded.prompt == render.encode_prompt(ITEM)
    batch, _ = lm.tok_batch_encode([prompt])
    assert tuple(batch[0].tolist()) == encoded.prompt
    # lm-eval moves trailing white space of the context to the continuation: compare the whole.
    context, continuation = lm._encode_pair(prompt, render.reply(ITEM.answer))
    assert (*context, *continuation) == (*encoded.prompt, *encoded.answer)


def test_a_template_that_writes_the_beginning_gets_no_second_one(tiny_models: TinyModels) -> None:
    tokenizer = load_tokenizer(resolved(tiny_models.with_bos))
    tokenizer.chat_template = "{{ bos_token }}" + tokenizer.chat_template
    encoded = PromptRenderer(tokenizer, TASK).encode(ITEM)
    assert (*encoded.prompt, *encoded.answer).count(tokenizer.bos_token_id) == 1


def test_an_answer_that_would_merge_with_the_prompt_stays_apart(tiny_models: TinyModels) -> None:
    tokenizer = load_tokenizer(resolved(tiny_models.chat))
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    parts, whole = (
        [n for text in texts for n in tokenizer(text)["input_ids"]]
        for texts in (("a batt", "ery"), ("a battery",))
    )
    assert parts != whole
    task = TASK.model_copy(update={"template": "{text}"})
    encoded = PromptRenderer(tokenizer, task).encode(message("i", "a batt", "ery"))
    assert tokenizer.decode(encoded.prompt).endswith("a batt")
    assert tokenizer.decode(encoded.answer) == "ery<|im_end|>"
