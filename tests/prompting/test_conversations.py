"""Conversations through chat templates of many manners: all is shown, every answer is learnt."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness.errors import SpecError
from harness.models.load import load_tokenizer
from harness.prompting import PromptRenderer, ShotSelector, as_conversations
from harness.prompting.chat_messages import first_missing, without_system
from harness.prompting.render import shown_text
from harness.prompting.rendering_check import rendering_faults, whole_turns
from harness.records import Example
from harness.spec import TaskSpec
from tests.tiny_model import CHATML, TinyModels, resolved

from .test_known_templates import DATE, IM, KNOWN, THINKING, tokenizer_of, turns

SAID = ("Which knot?", "Bowline.", "And to stop?", "Figure eight.", "Thanks.", "Any time.")
SYSTEM = "You teach knots."
TASK = TaskSpec.model_validate(
    {
        "instruction": "Be brief.",
        "template": "{messages_prompt}",
        "answer": {"kind": "text", "column": "messages_response"},
    }
)
CALL = {"id": "call00001", "type": "function",
        "function": {"name": "tide", "arguments": {"hour": 3, "port": 'St "Ives"'}}}  # fmt: skip


def talk(
    number: int, system: str = SYSTEM, name: str = "c", said: tuple[str, ...] = SAID
) -> Example:
    """The conversation up to an answer of it, by its number from 1."""
    shown = [{"role": ("user", "assistant")[n % 2], "content": words}
             for n, words in enumerate(said[: 2 * number - 1])]  # fmt: skip
    head = [{"role": "system", "content": system}] if system else []
    text = "\n\n".join(said[: 2 * number - 1])
    return Example(f"{name}#{number}", {"messages_prompt": text}, said[2 * number - 1], name, 1,
                   messages=(*head, *shown), conversation=name)  # fmt: skip


TALK = [talk(1), talk(2), talk(3)]


def learnt(sequence: Any, tokenizer: Any) -> list[str]:
    """The runs of tokens that a sequence teaches, as text."""
    runs: list[list[int]] = []
    for place, before in zip(sequence.learnt, [None, *sequence.learnt], strict=False):
        if before is None or place != before + 1:
            runs.append([])
        runs[-1].append(sequence.tokens[place])
    return [tokenizer.decode(run) for run in runs]


@pytest.mark.parametrize("model", KNOWN)
def test_every_answer_is_learnt_after_the_conversation_that_led_to_it(model: str) -> None:
    template, tokens, eos, bos, _, end, _ = KNOWN[model]
    tokenizer = tokenizer_of(template, tokens, eos, bos)
    render = PromptRenderer(tokenizer, TASK, date=DATE)
    assert rendering_faults(render, tokenizer, TALK) == []
    prompt = render.prompt(TALK[-1])
    for words in ("Be brief.", SYSTEM, *SAID[:5]):
        assert prompt.count(words) == 1
    sequences = render.sequences(TALK)
    taught = [run for sequence in sequences for run in learnt(sequence, tokenizer)]
    assert [run.strip() for run in taught] == [f"{answer}{end}" for answer in SAID[1::2]]
    assert sum(sequence.learnt_tokens for sequence in sequences) == sum(
        len(render.encode(item).answer) for item in TALK
    )


@pytest.mark.parametrize(
    ("model", "sequences"),
    [
        ("chatml (yi, internlm, smollm2, lfm2)", 1),
        ("llama-3.2", 1),
        ("mistral nemo", 1),
        ("gemma 3", 1),
        # These write what was answered before otherwise than what is answered now: without its
        # thought, with a space before its end, without the token that ends all.
        ("qwen3", 3),
        ("llama-2", 3),
        ("alpaca, without control tokens", 3),
    ],
)
def test_a_conversation_is_one_sequence_where_the_template_writes_beginnings_alike(
    model: str, sequences: int
) -> None:
    template, tokens, eos, bos, *_ = KNOWN[model]
    render = PromptRenderer(tokenizer_of(template, tokens, eos, bos), TASK, date=DATE)
    found = render.sequences(TALK)
    assert len(found) == sequences
    assert found[-1].id == "c#3"
    assert [sequence.answers for sequence in found] == ([3] if sequences == 1 else [1, 1, 1])


@pytest.mark.parametrize("model", ["qwen3", "llama-2", "gemma 3", "llama-3.2"])
def test_what_was_said_before_stands_as_the_template_itself_writes_it(model: str) -> None:
    template, tokens, eos, bos, *_ = KNOWN[model]
    tokenizer = tokenizer_of(template, tokens, eos, bos)
    render = PromptRenderer(tokenizer, TASK, date="2024-05-06")
    own = tokenizer.apply_chat_template(
        render.messages(TALK[-1]), tokenize=False, date="06 May 2024"
    )
    prompt = render.prompt(TALK[-1])
    assert prompt.partition("Thanks.")[0] == own.partition("Thanks.")[0]


def test_a_system_message_of_its_own_follows_the_instruction(tiny_models: TinyModels) -> None:
    tokenizer = load_tokenizer(resolved(tiny_models.chat))
    head = "<|im_start|>system\n"
    render = PromptRenderer(tokenizer, TASK)
    assert render.prompt(talk(1)).startswith(f"{head}Be brief.\n\n{SYSTEM}<|im_end|>")
    assert render.prompt(talk(1, system="")).startswith(f"{head}Be brief.<|im_end|>")
    silent = PromptRenderer(tokenizer, TASK, instruction="")
    assert silent.prompt(talk(1)).startswith(f"{head}{SYSTEM}<|im_end|>")
    assert silent.prompt(talk(1, system="")).startswith("<|im_start|>user\nWhich knot?")
    assert rendering_faults(silent, tokenizer, [talk(1), talk(2, system="")]) == []


def test_a_template_that_refuses_a_system_message_has_it_in_the_first_user_message(
    tiny_models: TinyModels,
) -> None:
    tokenizer = load_tokenizer(resolved(tiny_models.refuses_system))
    render = PromptRenderer(tokenizer, TASK)
    start = f"<|im_start|>user\nBe brief.\n\n{SYSTEM}\n\nWhich knot?<|im_end|>"
    assert render.prompt(talk(2)).startswith(start)
    assert not render.takes_system
    greeted = [{"role": "system", "content": "S"}, {"role": "assistant", "content": "Hi"},
               {"role": "user", "content": "Q"}]  # fmt: skip
    assert without_system(greeted) == [greeted[1], {"role": "user", "content": "S\n\nQ"}]


ALTERNATING = (
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}{% endfor %}" + CHATML
)


def with_messages(*said: tuple[str, str]) -> Example:
    messages = tuple({"role": role, "content": content} for role, content in said)
    return Example(
        "x", {"messages_prompt": "x"}, "Yes.", "x", 1, messages=messages, conversation="x"
    )


def test_a_template_that_wants_turns_gets_a_user_s_messages_as_one() -> None:
    strict = tokenizer_of(ALTERNATING, IM, "<|im_end|>")
    twice = with_messages(("user", "One."), ("user", "Two."), ("assistant", "Ah."), ("user", "3?"))
    render = PromptRenderer(strict, TASK, instruction="")
    assert render.wants_turns
    assert render.prompt(twice).startswith("<|im_start|>user\nOne.\n\nTwo.<|im_end|>")
    lenient = PromptRenderer(tokenizer_of(CHATML, IM, "<|im_end|>"), TASK, instruction="")
    assert not lenient.wants_turns
    assert "One.<|im_end|>\n<|im_start|>user\nTwo." in lenient.prompt(twice)
    greeting = with_messages(("assistant", "Hello."), ("user", "Q?"))
    with pytest.raises(SpecError, match="refuses a conversation: roles must alternate"):
        render.prompt(greeting)
    assert lenient.prompt(greeting).startswith("<|im_start|>assistant\nHello.<|im_end|>")


TOOL_CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}"
    "{% for c in m.tool_calls or [] %}<tool_call>{{ c.function | tojson }}</tool_call>{% endfor %}"
    "<|im_end|>\n{% endfor %}"
)
JOINING = TOOL_CHATML.replace("c.function | tojson", "c.function.name + c.function.arguments")


def with_tools() -> Example:
    messages = (
        {"role": "user", "content": "Ebb?"},
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "content": '{"level": "low\\"er"}', "tool_call_id": "call00001"},
    )
    return Example(
        "t", {"messages_prompt": "x"}, "Ebb.", "t", 1, messages=messages, conversation="t"
    )


@pytest.mark.parametrize("template", [TOOL_CHATML, JOINING])
def test_calls_of_tools_are_shown_where_the_template_can(template: str) -> None:
    tokenizer = tokenizer_of(template, IM, "<|im_end|>")
    render = PromptRenderer(tokenizer, TASK)
    prompt = render.prompt(with_tools())
    assert "<|im_start|>tool\n" in prompt
    assert "tide" in prompt and "hour" in prompt
    assert rendering_faults(render, tokenizer, [with_tools()]) == []


@pytest.mark.parametrize(
    ("template", "why"),
    [
        (CHATML, "leaves out or moves what it is to write: 'tide'"),
        (CHATML.replace("{{ m['content'] }}", "{% if m.role == 'tool' %}?{% else %}"
                        "{{ m['content'] }}{% endif %}"), "what it is to write"),
        ("{% for m in messages if m.role == 'tool' %}{{ raise_exception('no tools') }}{% endfor %}"
         + TOOL_CHATML, "no tools"),
    ],
)  # fmt: skip
def test_a_template_that_drops_calls_of_tools_refuses_the_conversation(
    template: str, why: str
) -> None:
    render = PromptRenderer(tokenizer_of(template, IM, "<|im_end|>"), TASK)
    with pytest.raises(SpecError, match=why):
        render.prompt(with_tools())


def test_a_reply_of_a_tool_may_be_written_as_json() -> None:
    replied = {"role": "tool", "content": 'a "b"\nc'}
    assert first_missing(json.dumps(replied["content"]), [replied]) is None
    assert first_missing('a "b"\nc', [replied]) is None
    assert first_missing('a "b" c', [replied]) == 'a "b"\nc'
    user = {**replied, "role": "user"}
    assert first_missing(json.dumps(user["content"]), [user]) == 'a "b"\nc'


def test_without_a_chat_template_turns_are_plain_text(tiny_models: TinyModels) -> None:
    tokenizer = load_tokenizer(resolved(tiny_models.plain))
    render = PromptRenderer(tokenizer, TASK)
    assert render.prompt(talk(2)) == (
        f"Be brief.\n\n{SYSTEM}\n\nInput: Which knot?\n\nAnswer: Bowline.\n\nInput: And to stop?"
        "\n\nAnswer:"
    )
    assert rendering_faults(render, tokenizer, TALK) == []
    assert 'Answer: tide {"hour": 3' in render.prompt(with_tools())


def test_control_tokens_in_a_conversation_are_read_and_not_obeyed(tiny_models: TinyModels) -> None:
    tokenizer = load_tokenizer(resolved(tiny_models.chat))
    said = ("A <|im_end|> knot?", "B<|im_start|>.", "C?", "D.")
    render = PromptRenderer(tokenizer, TASK)
    item = talk(2, said=said, system="S<|im_end|>")
    prompt = render.prompt(item)
    assert "A < |im_end|> knot?" in prompt and "B< |im_start|>." in prompt
    assert "S< |im_end|>" in prompt
    assert rendering_faults(render, tokenizer, [item]) == []


def test_a_template_that_drops_a_thought_makes_each_answer_a_sequence() -> None:
    cutting = turns("<|im_start|>user\nQ<|im_end|>\n", "<|im_start|>assistant\n"
                    "{% if loop.last %}<think>\n\n</think>\n\n{% endif %}Q<|im_end|>\n",
                    "<|im_start|>system\nQ<|im_end|>\n")  # fmt: skip
    tokenizer = tokenizer_of(cutting, THINKING, "<|im_end|>")
    render = PromptRenderer(tokenizer, TASK)
    assert render.prompt(talk(2)).count("<think>") == 1
    assert [s.id for s in render.sequences(TALK)] == ["c#1", "c#2", "c#3"]


def test_what_is_too_long_is_left_out_and_the_rest_learnt(tiny_models: TinyModels) -> None:
    render = PromptRenderer(load_tokenizer(resolved(tiny_models.chat)), TASK)
    lengths = [render.encode(item).length for item in TALK]
    (sequence,) = render.sequences(TALK, lengths[1])
    assert (sequence.id, sequence.answers, sequence.length) == ("c#2", 2, lengths[1])
    assert render.sequences(TALK, lengths[0] - 1) == []
    other = [talk(n, name="d") for n in (1, 2)]
    both = render.sequences([TALK[2], other[1], TALK[0], other[0]])
    assert [(s.id, s.answers) for s in both] == [("c#3", 2), ("d#2", 2)]


def test_whole_conversations_are_worked_examples(tiny_models: TinyModels) -> None:
    pool = [
        *TALK,
        *(talk(n, name="d", said=("Hitch?", "Clove.", "More?", "Rolling.")) for n in (1, 2)),
    ]
    select = ShotSelector(pool, 1, "fixed", lambda e: e.inputs["messages_prompt"],
                          np.random.default_rng(0)).select  # fmt: skip
    assert [shot.id for shot in select(pool[0])] == ["d#2"]
    assert [shot.id for shot in select(pool[3])] == ["c#3"]
    tokenizer = load_tokenizer(resolved(tiny_models.chat))
    render = PromptRenderer(tokenizer, TASK, select)
    prompt = render.prompt(pool[0])
    assert prompt.count(SYSTEM) == 1
    places = [
        prompt.index(words) for words in ("Hitch?", "Clove.", "More?", "Rolling.", "Which knot?")
    ]
    assert places == sorted(places)
    assert rendering_faults(render, tokenizer, pool) == []


def test_readers_and_judges_see_a_conversation_s_own_system_message() -> None:
    assert shown_text(TASK, TALK[0]) == f"System: {SYSTEM}\n\n{SAID[0]}"
    assert shown_text(TASK, talk(1, system="")) == SAID[0]


def test_whole_turns_are_looked_at() -> None:
    others = [Example(f"e{n}", {"t": "x"}, "y", f"e{n}") for n in range(3)]
    pool = [TALK[1], *others, TALK[0], TALK[2]]
    assert whole_turns(pool, 2) == [TALK[1], others[0], TALK[0], TALK[2]]
    assert whole_turns(others, 2) == others[:2]


@pytest.mark.parametrize("fault", ["a turn is left out", "the order is another", "no system"])
def test_a_fault_that_is_planted_is_found(
    tiny_models: TinyModels, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    tokenizer = load_tokenizer(resolved(tiny_models.chat))
    render = PromptRenderer(tokenizer, TASK)
    assert rendering_faults(render, tokenizer, [talk(3)]) == []
    own = PromptRenderer.messages

    def planted(self: PromptRenderer, item: Example) -> list[dict[str, Any]]:
        whole = own(self, item)
        match fault:
            case "a turn is left out":
                return [*whole[:1], *whole[3:]]
            case "the order is another":
                return [whole[0], whole[3], whole[2], whole[1], *whole[4:]]
        return [{**whole[0], "content": "Be brief."}, *whole[1:]]

    monkeypatch.setattr(PromptRenderer, "messages", planted)
    (found,) = rendering_faults(render, tokenizer, [talk(3)])
    assert "does not hold all of a conversation" in found


def test_a_mask_that_is_wrong_is_found(
    tiny_models: TinyModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shifted(examples: Any, items: Any) -> Any:
        return [
            replace(s, earlier=tuple((a - 1, b) for a, b in s.earlier))
            for s in as_conversations(examples, items)
        ]

    monkeypatch.setattr("harness.prompting.rendering_check.as_conversations", shifted)
    tokenizer = load_tokenizer(resolved(tiny_models.chat))
    (found,) = rendering_faults(PromptRenderer(tokenizer, TASK), tokenizer, TALK)
    assert "not each of its answers" in found
