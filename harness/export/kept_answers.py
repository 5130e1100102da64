"""What a server must do where replies were chosen among valid answers, or kept to them, as code.

The chat protocol has no field for either. Likelihoods of given texts are had from the older
completions interface (``echo`` with ``logprobs``: vLLM, SGLang and llama.cpp have it); a list of
allowed answers from a field that each server calls otherwise.
"""

from __future__ import annotations

import json
import re
from typing import Any

from harness.export.asking import Asking, as_template

_CHOOSE = (
    "import json, os, urllib.request",
    'saved = json.load(open({file!r}, encoding="utf-8"))',
    "item = {item!r}  # one value for each of saved['fields']",
    "prompt = saved['choice']['asked'].format_map(item)",
    "def likelihood(text):",
    "    body = {{'model': saved['request']['model'], 'prompt': prompt + text, 'max_tokens': 1,",
    "            'temperature': 0, 'echo': True, 'logprobs': 1}}",
    "    headers = {headers}",
    "    request = urllib.request.Request({url!r}, json.dumps(body).encode(), headers)",
    "    found = json.load(urllib.request.urlopen(request))['choices'][0]['logprobs']",
    "    rows = zip(found['text_offset'], found['token_logprobs'])",
    "    ends = len(prompt) + len(text)",
    "    return sum(value for start, value in rows if len(prompt) <= start < ends)",
    "answers = saved['choice']['continuations']",
    "print(max(answers, key=lambda answer: likelihood(answers[answer])))",
)


def choice_of(asking: Asking) -> dict[str, Any] | None:
    """The prompt as one text, and each valid answer as it follows; None where none was chosen.

    None too where each item has examples of its own, or is a conversation: no text holds those.
    """
    answers = asking.task.answer.valid_answers(asking.split)
    if asking.settings.answering != "choice" or answers is None:
        return None
    if asking.by_item or asking.of_conversations or asking.tokenizer is None:
        return None
    renderer = asking.renderer
    return {
        "asked": as_template(renderer.prompt(asking.marked())),
        "continuations": {answer: renderer.reply(answer) for answer in answers},
    }


def constraint_of_labels(asking: Asking) -> dict[str, dict[str, Any]] | None:
    """Server -> what to add to the request, so that it keeps replies to the valid answers.

    None where replies were free, or are kept by ``response_format``.
    """
    answers = asking.task.answer.valid_answers(asking.split)
    if asking.settings.answering != "constrained" or answers is None:
        return None
    lead = asking.renderer.lead
    texts = [lead + asking.renderer.answer_text(answer) for answer in answers]
    grammar = " | ".join(json.dumps(text, ensure_ascii=False) for text in texts)
    return {
        "vllm": {"structured_outputs": {"choice": texts}},
        "sglang": {"regex": f"({'|'.join(map(re.escape, texts))})"},
        "llama.cpp": {"grammar": f"root ::= {grammar}"},
    }


def choosing_usage(
    file: str, fields: list[str], server: str, key_variable: str | None
) -> list[str]:
    """Lines of Python that choose the likeliest answer by a server's log-likelihoods.

    Args:
        file: name of the saved prompt's file.
        server: base address of the server.
        key_variable: environment variable with its key; None where it needs none.
    """
    headers = "{'Content-Type': 'application/json'"
    if key_variable:
        headers += f", 'Authorization': 'Bearer ' + os.environ[{key_variable!r}]"
    values = {
        "file": file,
        "item": dict.fromkeys(fields, "..."),
        "headers": headers + "}",
        "url": f"{server}/completions",
    }
    return [line.format_map(values) for line in _CHOOSE]


__all__ = ["choice_of", "choosing_usage", "constraint_of_labels"]
