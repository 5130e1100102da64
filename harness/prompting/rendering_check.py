"""Is what is rendered what is meant? Asked before anything runs, and again in every trial."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from harness.errors import SpecError
from harness.prompting.control_tokens import ControlTokens
from harness.prompting.encoding import TextEncoder
from harness.prompting.render import PromptRenderer
from harness.prompting.tokenised import as_conversations
from harness.records import Example

# Conversations of which every turn is looked at.
TALKS = 4


def rendering_faults(
    renderer: PromptRenderer,
    tokenizer: Any,
    items: Iterable[Example],
    scored: Callable[[str], Sequence[int]] | None = None,
) -> list[str]:
    """What is wrong with the prompts and training examples of ``items``, a sentence a fault.

    Looked at are texts and tokens: that a prompt holds the instruction, the worked examples and
    the item, in this order; that what stands between a question and its answer is the same in
    training, in scoring and in worked examples; that what is trained is the answer, whole, with
    what ends a turn, and nothing else; that no text holds a control token. Of a conversation it is
    all that was said before, and every answer that is trained on in one sequence.

    Args:
        scored: token ids of a prompt as scoring makes them; those of ``tokenizer`` by default.
    """
    encode = TextEncoder(tokenizer)
    control = ControlTokens(tokenizer)
    faults: dict[str, None] = {}
    asked: list[Example] = []
    for item in items:
        try:
            prompt = renderer.prompt(item)
        except SpecError as refusal:
            faults[str(refusal)] = None
            continue
        asked.append(item)
        content_faults = _conversation_faults if item.messages else _content_faults
        item_faults = [
            *content_faults(renderer, item, prompt),
            *_training_faults(renderer, item, prompt, encode, control),
            *_tool_faults(renderer, item, prompt),
        ]
        if scored is not None and tuple(scored(prompt)) != renderer.encode_prompt(item):
            item_faults.append("training and scoring tokenise the same prompt differently")
        held = [token for text in item.inputs.values() for token in control.found(text)]
        shown = "\n".join(m["content"] for m in renderer.own_messages(item))
        if held and _ids(tokenizer, held) & set(encode.bare(shown)):
            item_faults.append(
                f"the control token {held[0]!r} in an item's text is obeyed, not read"
            )
        faults |= dict.fromkeys(item_faults)
    faults |= dict.fromkeys(_mask_faults(renderer, asked))
    return list(faults)


def whole_turns(pool: Sequence[Example], count: int) -> list[Example]:
    """The first examples of a pool, and all other turns of the first conversations among them."""
    first = list(pool[:count])
    talks = set(list(dict.fromkeys(e.conversation for e in first if e.conversation))[:TALKS])
    return first + [e for e in pool[count:] if e.conversation in talks]


def _conversation_faults(renderer: PromptRenderer, item: Example, prompt: str) -> Iterator[str]:
    """Whether the prompt holds all that was said before the answer, in its order."""
    told = [renderer.instruction.strip(), renderer.own_system(item).strip()]
    said: list[str] = []
    for shot in renderer.shots(item):
        said += [*_said(renderer, shot), renderer.shot_text(shot).strip()]
    for texts in (told, said + _said(renderer, item)):
        place = 0
        for text in texts:
            found = prompt.find(text, place)
            if found < 0:
                yield f"the prompt does not hold all of a conversation, in its order: {text[:60]!r}"
                return
            place = found + len(text)
    if not (prompt + renderer.lead).endswith(renderer.gap.lstrip()):
        yield f"the prompt does not end with what stands before an answer, {renderer.gap!r}"


def _tool_faults(renderer: PromptRenderer, item: Example, prompt: str) -> Iterator[str]:
    """Whether the prompt names every tool that may be called."""
    for function in (*renderer.tools.functions, *renderer.tools.of(item)):
        name = function["function"]["name"]
        if name not in prompt and json.dumps(name)[1:-1] not in prompt:
            yield f"the prompt does not hold the tool {name!r}"


def _said(renderer: PromptRenderer, item: Example) -> list[str]:
    """What of a conversation is to be found as it stands: a tool's reply may be there as JSON."""
    return [m["content"].strip() for m in renderer.own_messages(item) if m["role"] != "tool"]


def _mask_faults(renderer: PromptRenderer, items: Sequence[Example]) -> Iterator[str]:
    """Whether what is learnt of each conversation is its answers, each as it is asked for."""
    encoded = [renderer.encode(item) for item in items if item.messages]
    meant = sorted((example.prompt, example.answer) for example in encoded)
    learnt = []
    for sequence in as_conversations(encoded, [item for item in items if item.messages]):
        spans = (*sequence.earlier, (len(sequence.prompt), sequence.length))
        learnt += [(sequence.tokens[:start], sequence.tokens[start:stop]) for start, stop in spans]
    if sorted(learnt) != meant:
        yield "what is learnt of a conversation is not each of its answers, after its own prompt"


def _content_faults(renderer: PromptRenderer, item: Example, prompt: str) -> Iterator[str]:
    instruction = renderer.instruction.strip()
    place = prompt.find(instruction)
    if place < 0:
        yield "the prompt does not hold the instruction"
        return
    place += len(instruction)
    gap = re.escape(renderer.gap.lstrip())
    for shot in renderer.shots(item):
        question = re.escape(renderer.item_text(shot).strip())
        answer = re.escape(renderer.shot_text(shot))
        if not (shown := re.compile(rf"{question}\s*{gap}{answer}").search(prompt, place)):
            yield (
                "the prompt does not hold a worked example as training would show it: its text, "
                f"{renderer.gap!r}, its answer"
            )
            return
        place = shown.end()
    question = re.escape(renderer.item_text(item).strip())
    if not re.compile(rf"{question}\s*{gap}\Z").search(prompt + renderer.lead, place):
        yield (
            "the prompt does not end with the item's text and what stands before an answer, "
            f"{renderer.gap!r}"
        )


def _training_faults(
    renderer: PromptRenderer,
    item: Example,
    prompt: str,
    encode: TextEncoder,
    control: ControlTokens,
) -> Iterator[str]:
    example, reply = renderer.encode(item), renderer.reply(item.answer)
    asked = encode(prompt)
    if example.prompt != asked:
        yield "training and scoring tokenise the same prompt differently"
    if (*example.prompt, *example.answer) != encode(prompt + reply) and example.answer != (
        encode.bare(reply)
    ):
        yield "what is trained on is not the answer alone, after the prompt"
    if not renderer.end:
        yield "nothing ends an answer, so no model could learn to stop"
        return
    end = encode.bare(renderer.end)
    if example.answer[-1:] != end[-1:]:
        yield f"the trained tokens do not end with what ends a turn, {renderer.end!r}"
    if renderer.tools.stray_control(item.answer):
        yield "an answer that is trained on holds a control token"


def _ids(tokenizer: Any, tokens: Iterable[str]) -> set[int]:
    return set(tokenizer.convert_tokens_to_ids(list(tokens)))


def indistinct_answers(renderer: PromptRenderer, answers: Iterable[str]) -> list[str]:
    """Answers that the tokenizer writes as it writes another: no model can tell them apart."""
    known: dict[tuple[int, ...], str] = {}
    alike: dict[str, None] = {}
    for answer in answers:
        other = known.setdefault(renderer.encode_answer(answer), answer)
        if other != answer:
            alike |= {other: None, answer: None}
    return list(alike)
