"""Is what is rendered what is meant? Asked before anything runs, and again in every trial."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from harness.errors import SpecError
from harness.prompting.control_tokens import ControlTokens
from harness.prompting.encoding import TextEncoder
from harness.prompting.render import PromptRenderer
from harness.records import Example


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
    what ends a turn, and nothing else; that no text holds a control token.

    Args:
        scored: token ids of a prompt as scoring makes them; those of ``tokenizer`` by default.
    """
    encode = TextEncoder(tokenizer)
    control = ControlTokens(tokenizer)
    faults: dict[str, None] = {}
    for item in items:
        try:
            prompt = renderer.prompt(item)
        except SpecError as refusal:
            faults[str(refusal)] = None
            continue
        item_faults = [
            *_content_faults(renderer, item, prompt),
            *_training_faults(renderer, item, prompt, encode, control),
        ]
        if scored is not None and tuple(scored(prompt)) != renderer.encode_prompt(item):
            item_faults.append("training and scoring tokenise the same prompt differently")
        held = [token for text in item.inputs.values() for token in control.found(text)]
        if held and _ids(tokenizer, held) & set(encode.bare(renderer.item_text(item))):
            item_faults.append(
                f"the control token {held[0]!r} in an item's text is obeyed, not read"
            )
        faults |= dict.fromkeys(item_faults)
    return list(faults)


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
        answer = re.escape(renderer.answer_text(shot.answer))
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
    if control.found(renderer.lead + renderer.answer_text(item.answer)):
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
