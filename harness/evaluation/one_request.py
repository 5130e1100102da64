"""One greedy reply of an lm-eval model to one prompt, outside any task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def replied(lm: Any, context: str, *, stops: Sequence[str], max_new_tokens: int) -> str:
    """The model's reply.

    Args:
        lm: an lm-eval model, or what asks one only for what is not known.
        context: the prompt as the model takes it.
        stops: texts at which the reply ends.
        max_new_tokens: longest reply, tokens.
    """
    from lm_eval.api.instance import Instance

    options = {"until": list(stops), "max_gen_toks": max_new_tokens, "do_sample": False}
    (reply,) = lm.generate_until([Instance("generate_until", {}, (context, options), 0)])
    return str(reply)
