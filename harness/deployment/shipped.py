"""What a folder says of how it is to be asked, against how the final run asked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.deployment.prompt_counts import drop_system, has_system
from harness.deployment.verification import Culprit
from harness.errors import SpecError
from harness.export.asking import Asking
from harness.prompting import PromptRenderer
from harness.records import Example
from harness.wording import cell, listed

# Items whose prompts are compared.
COMPARED = 16
# Setting of generation -> the value with which it does nothing.
_IDLE = {"repetition_penalty": 1.0, "no_repeat_ngram_size": 0, "min_new_tokens": 0}


def culprits_of_prompts(
    asking: Asking, shipped: PromptRenderer, tokenizer: Any, items: Sequence[Example]
) -> Iterator[Culprit]:
    """How prompts by the folder's own tokenizer and template differ from those that were scored.

    Args:
        shipped: writes prompts by what the folder holds.
        tokenizer: the folder's.
    """
    scored = asking.renderer
    chosen = items[:: max(1, len(items) // COMPARED)][:COMPARED]
    apart = [item for item in chosen if shipped.encode_prompt(item) != scored.encode_prompt(item)]
    if apart:
        yield _of_prompt(scored, shipped, apart[0], len(apart), len(chosen))
    item = chosen[0]
    text, own = shipped.prompt(item), shipped.encode_prompt(item)
    plain = tuple(tokenizer(text)["input_ids"])
    begun = tokenizer.bos_token_id
    if begun is not None and plain[:2] == (begun, begun) and own[:2] != (begun, begun):
        yield Culprit(
            "BOS twice",
            f"the folder's template writes {tokenizer.bos_token!r}, and its tokenizer puts another "
            "one before every text: a server that tokenises the written prompt as it does any text "
            "begins it with two",
            explains=False,
        )


def _of_prompt(
    scored: PromptRenderer, shipped: PromptRenderer, item: Example, apart: int, of: int
) -> Culprit:
    messages = scored.messages(item)
    ours, theirs = scored.prompt(item), shipped.prompt(item)
    if has_system(messages):
        # The renderer moves what a template refuses; a server does not.
        refused = scored.takes_system and not shipped.takes_system
        try:
            bare = drop_system(list(messages))
            lost = shipped.encode_messages(messages, item) == shipped.encode_messages(bare, item)
        except SpecError:
            lost = False
        if refused or lost:
            return Culprit(
                "system prompt",
                "the folder's chat template writes no system message: the instruction does not "
                "reach the model, or stands in the user's message",
            )
    if ours == theirs:
        return Culprit(
            "template",
            f"the folder's tokenizer cuts {apart} of {of} prompts into other tokens, of equal text",
        )
    place = next(
        (n for n, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b),
        min(len(ours), len(theirs)),
    )
    start = max(0, place - 20)
    return Culprit(
        "template",
        f"the folder's chat template writes {apart} of {of} prompts otherwise, from character "
        f"{place}: {cell(theirs[start : place + 40], 80)!r}, scored "
        f"{cell(ours[start : place + 40], 80)!r}",
    )


def culprits_of_generation(folder: Path, ends: Sequence[int], room: int) -> Iterator[Culprit]:
    """What a server that takes its defaults from the folder does otherwise.

    Args:
        ends: tokens of which the last one ends a scored reply.
        room: tokens that a scored reply may have.
    """
    settings = _json(folder / "generation_config.json")
    drawn = {
        name: settings[name]
        for name in ("do_sample", "temperature", "top_p", "top_k")
        if settings.get(name) not in (None, False)
    }
    if settings.get("do_sample"):
        told = ", ".join(f"{name} {value}" for name, value in drawn.items())
        yield Culprit(
            "sampling",
            f"generation_config.json says {told}: a server that takes its defaults from it draws "
            "replies unless a request says temperature 0",
            explains=False,
        )
    changed = {n: settings[n] for n, idle in _IDLE.items() if settings.get(n) not in (None, idle)}
    if changed:
        told = ", ".join(f"{name} {value}" for name, value in changed.items())
        yield Culprit(
            "sampling",
            f"generation_config.json says {told}, which no scored reply was written under",
            explains=False,
        )
    eos = settings.get("eos_token_id", _json(folder / "config.json").get("eos_token_id"))
    known = set(eos if isinstance(eos, list) else [eos])
    if ends and ends[-1] not in known:
        yield Culprit(
            "stop tokens",
            f"the folder ends replies at the tokens {listed(map(str, sorted(known - {None})))}, "
            f"and scored replies end at token {ends[-1]}: a server that is not told goes on behind "
            "the answer",
            explains=False,
        )
    most = settings.get("max_new_tokens")
    if isinstance(most, int) and most < room:
        yield Culprit(
            "length",
            f"generation_config.json ends replies after {most} tokens, and scored ones could have "
            f"{room}, unless a request says max_tokens",
            explains=False,
        )


def quantised_as(folder: Path) -> str:
    """How a folder's weights are quantised, in its own words; empty where they are not."""
    found = _json(folder / "config.json").get("quantization_config")
    if not isinstance(found, dict):
        return ""
    bits = "8 bits" if found.get("load_in_8bit") else "4 bits" if found.get("load_in_4bit") else ""
    return " ".join(filter(None, (str(found.get("quant_method", "quantised")), bits)))


def own_dtype(folder: Path) -> str:
    """The number format of a folder's weights; empty where it does not say."""
    config = _json(folder / "config.json")
    return str(config.get("dtype") or config.get("torch_dtype") or "")


def _json(path: Path) -> dict[str, Any]:
    """The object that a file holds; empty where it is missing or holds none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
