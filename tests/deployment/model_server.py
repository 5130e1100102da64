"""The model of a final run behind a chat server, with a culprit built in on purpose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch

from harness.trial.candidate import Candidate

Fault = Literal[
    "",
    "no system",
    "system in user",
    "BOS twice",
    "BOS missing",
    "other template",
    "sampled",
    "sampled by default",
    "no stop",
    "cut",
    "padded with space",
    "other weights",
]
OTHER_FRAME = "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}\n{% endfor %}[answer] "


def chat_of(
    candidate: Candidate, fault: Fault = "", form: Any = None
) -> Callable[[dict[str, Any]], tuple[str, str, int]]:
    """Request -> text, finish reason and tokens of its prompt, as a server of the model does.

    Args:
        form: the model in another form, in its place.
    """
    model = candidate.loaded.model if form is None else form
    tokenizer = candidate.loaded.tokenizer
    generator = torch.Generator().manual_seed(0)
    end = tokenizer.eos_token_id

    def write(prompt: list[int], room: int, hot: bool) -> tuple[str, str]:
        ids = list(prompt)
        for _ in range(room):
            with torch.inference_mode():
                logits = model(input_ids=torch.tensor([ids])).logits[0, -1].float()
            if fault == "other weights":
                logits = logits.roll(1)
            likeliest = int(logits.argmax())
            if hot:
                likeliest = int(torch.multinomial(logits.softmax(-1), 1, generator=generator))
            if likeliest == end and fault != "no stop":
                return tokenizer.decode(ids[len(prompt) :]), "stop"
            ids.append(likeliest)
        return tokenizer.decode(ids[len(prompt) :], skip_special_tokens=True), "length"

    def chat(payload: dict[str, Any]) -> tuple[str, str, int]:
        messages = payload["messages"]
        if fault == "no system":
            messages = [message for message in messages if message["role"] != "system"]
        if fault == "system in user" and messages[0]["role"] == "system":
            told, first, *rest = messages
            content = f"{told['content']}\n\n{first['content']}"
            messages = [{**first, "content": content}, *rest]
        text = tokenizer.apply_chat_template(
            messages,
            tokenize=False,
            add_generation_prompt=True,
            chat_template=OTHER_FRAME if fault == "other template" else None,
        )
        prompt = tokenizer(text)["input_ids"]
        if fault == "BOS twice":
            prompt = [prompt[0], *prompt]
        if fault == "BOS missing":
            prompt = prompt[1:]
        room = 1 if fault == "cut" else payload["max_tokens"]
        hot = fault == "sampled" or (fault == "sampled by default" and "temperature" not in payload)
        reply, reason = write(prompt, room, hot)
        return f" {reply}\n" if fault == "padded with space" else reply, reason, len(prompt)

    return chat
