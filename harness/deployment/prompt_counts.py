"""How a server's prompts differ from those that were scored, as its count of tokens tells.

A server says how many tokens a prompt had, but not which. They are held against what the prompt
would have with one thing done wrong at a time: the instruction left out, or moved into the user's
message, a beginning of text written twice or not at all. What fits every prompt is a reason that
can be tried: the scored model is asked so, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from harness.deployment.agreement import ScoredItem
from harness.deployment.verification import CulpritName
from harness.errors import SpecError
from harness.export.asking import Asking
from harness.prompting.chat_messages import without_system
from harness.records import Example, Message

Tokens = Callable[[Example], tuple[int, ...]]
"""The tokens by which an item is asked."""
Rewrite = Callable[[list[Message]], list[Message]]


@dataclass(frozen=True, slots=True)
class OtherPrompt:
    """A way of asking that has as many tokens as the server counts, for every item."""

    name: CulpritName
    """What is done wrong."""
    what: str
    """The same in words, the end of a sentence that begins with "the prompts have"."""
    tokens: Tokens
    """The prompts, so written."""


def differences(scored: Sequence[ScoredItem], counted: Sequence[int]) -> list[int]:
    """Tokens of each prompt there beyond those that were scored; without items not counted then."""
    return [
        count - one.prompt_tokens
        for one, count in zip(scored, counted, strict=True)
        if one.prompt_tokens
    ]


def in_words(apart: Sequence[int]) -> str:
    """Differences as a sentence on the chat template."""
    least, most = min(apart), max(apart)
    if least == most:
        return (
            f"every prompt has {least:+d} tokens there: the chat template writes another frame "
            "around the same messages than the one that was scored"
        )
    return (
        f"prompts have {least:+d} to {most:+d} tokens there: another chat template, or another "
        "tokenizer"
    )


def fitting_prompts(
    asking: Asking, scored: Sequence[ScoredItem], counted: Sequence[int]
) -> Iterator[OtherPrompt]:
    """Every wrong way of asking that the counts fit, for all items.

    Args:
        counted: tokens of each item's prompt, as the server counts them.
    """
    begun = asking.tokenizer.bos_token_id if asking.tokenizer is not None else None
    for name, what, rewrite in _WRONG:
        ways: list[tuple[CulpritName, str, Tokens]] = []
        plain = _tokens(asking, rewrite)
        if name != "BOS twice":
            ways.append((name, what, plain))
        if begun is not None:
            also = _TWICE if name == "BOS twice" else f"{what}, and {_TWICE}"
            ways.append((name, also, _begun_twice(plain, begun)))
            if name == "BOS twice":
                ways.append(("BOS missing", _NOT_BEGUN, _not_begun(plain, begun)))
        for label, told, tokens in ways:
            if _fits(tokens, scored, counted):
                yield OtherPrompt(label, told, tokens)


def has_system(messages: Sequence[Message]) -> bool:
    """Whether a chat begins with a system message."""
    return bool(messages) and messages[0]["role"] == "system"


def drop_system(messages: list[Message]) -> list[Message]:
    """The chat without a system message at its head."""
    return messages[1:] if has_system(messages) else messages


_NOT_BEGUN = (
    "no beginning of text: the server applies the chat template, which writes none, and leaves out "
    "what the tokenizer puts before every text; write it into the template that is shipped"
)
_TWICE = "the beginning of text twice, by the chat template and by the tokenizer"
_WRONG: tuple[tuple[CulpritName, str, Rewrite], ...] = (
    ("system prompt", "no system message: the instruction does not reach the model", drop_system),
    ("system prompt", "the instruction at the head of the user's message", without_system),
    ("BOS twice", "", list),
)


def _tokens(asking: Asking, rewrite: Rewrite) -> Tokens:
    def tokens(item: Example) -> tuple[int, ...]:
        return asking.renderer.encode_messages(rewrite(asking.renderer.messages(item)), item)

    return tokens


def _begun_twice(tokens: Tokens, begun: int) -> Tokens:
    return lambda item: (begun, *tokens(item))


def _not_begun(tokens: Tokens, begun: int) -> Tokens:
    def without(item: Example) -> tuple[int, ...]:
        whole = tokens(item)
        return whole[1:] if whole[:1] == (begun,) else whole

    return without


def _fits(tokens: Tokens, scored: Sequence[ScoredItem], counted: Sequence[int]) -> bool:
    try:
        return all(
            len(tokens(one.item)) == count for one, count in zip(scored, counted, strict=True)
        )
    except SpecError:
        # The template cannot write such a chat, so that no server has asked so.
        return False
