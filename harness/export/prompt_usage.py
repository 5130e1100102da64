"""Lines of Python that send a saved prompt, with nothing but the standard library."""

from __future__ import annotations

from collections.abc import Sequence

CHAT, TEXT = "chat/completions", "completions"
_LINES = (
    "import json, os, urllib.request",
    'saved = json.load(open({file!r}, encoding="utf-8"))',
    "item = {item!r}  # {what}",
    "body = saved['request']",
    "{fill}",
    "headers = {headers}",
    "request = urllib.request.Request({url!r}, json.dumps(body).encode(), headers)",
    "print(json.load(urllib.request.urlopen(request))['choices'][0])",
)
_FILL_CHAT = "body['messages'][-1]['content'] = body['messages'][-1]['content'].format_map(item)"
_FILL_TEXT = "body['prompt'] = body['prompt'].format_map(item)"
# The instruction and the conversation's own system message are one.
_FILL_TALK = (
    "head = [m for m in body['messages'][:1] + item[:1] if m['role'] == 'system']\n"
    "told = '\\n\\n'.join(m['content'] for m in head)\n"
    "rest = [m for m in body['messages'] + item if not any(m is h for h in head)]\n"
    "body['messages'] = [{'role': 'system', 'content': told}] * bool(head) + rest"
)
_KEPT = "body |= saved['constraint']['vllm']  # or 'sglang', or 'llama.cpp'"
_TALK = [{"role": "user", "content": "..."}]


def usage(
    file: str,
    fields: Sequence[str] | None,
    server: str,
    key_variable: str | None,
    *,
    as_chat: bool,
    constrained: bool = False,
) -> list[str]:
    """The lines.

    Args:
        file: name of the saved prompt's file.
        fields: columns of an item; None where items are conversations.
        server: base address of the server.
        key_variable: environment variable with its key; None where it needs none.
        as_chat: whether the prompt is messages, not one text.
        constrained: whether the server is told to keep replies to a list, in its own way.
    """
    headers = "{'Content-Type': 'application/json'"
    if key_variable:
        headers += f", 'Authorization': 'Bearer ' + os.environ[{key_variable!r}]"
    fill = _FILL_TALK if fields is None else _FILL_CHAT if as_chat else _FILL_TEXT
    values = {
        "file": file,
        "item": _TALK if fields is None else dict.fromkeys(fields, "..."),
        "what": "one value for each of saved['fields']"
        if fields is not None
        else "the conversation, up to the answer",
        "fill": f"{fill}\n{_KEPT}" if constrained else fill,
        "headers": headers + "}",
        "url": f"{server}/{CHAT if as_chat else TEXT}",
    }
    return "\n".join(line.format_map(values) for line in _LINES).split("\n")
