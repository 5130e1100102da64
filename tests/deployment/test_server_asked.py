"""What a server is asked beside the items, and what is refused before anything is asked."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.answers.call_reader import read_calls
from harness.answers.call_values import BrokenCallError
from harness.deployment.predictions import check_writable
from harness.deployment.serve import check_free, in_url
from harness.deployment.server import Server
from harness.errors import InputError
from harness.evaluation.endpoint.chat_reply import Failure, Reply, read_reply
from tests.tiny_model import message


def reply_with(**said: Any) -> Reply | Failure:
    body = {"choices": [{"message": {"role": "assistant", **said}, "finish_reason": "tool_calls"}]}
    return read_reply(json.dumps(body), "", 0.1)


def test_calls_that_a_server_took_out_of_a_reply_are_read() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "look_up"}}
    call["function"] = {"name": "look_up", "arguments": '{"city": "Ulm"}'}
    found = reply_with(content=None, tool_calls=[call])
    assert isinstance(found, Reply)
    (made,) = read_calls(found.content) or []
    assert (made.name, made.arguments) == ("look_up", {"city": "Ulm"})
    words = reply_with(content="Let me see", tool_calls=[call])
    assert isinstance(words, Reply)
    assert words.content.startswith('Let me see\n<tool_call>{"name"')
    odd = reply_with(content=None, tool_calls=[{"custom": {"name": "x"}}])
    assert isinstance(odd, Reply)
    with pytest.raises(BrokenCallError):
        read_calls(odd.content)
    assert isinstance(reply_with(content=None, tool_calls="x"), Failure)
    assert reply_with(content="plain", tool_calls=[]) == reply_with(content="plain")


def test_an_address_of_ipv6_is_written_in_brackets() -> None:
    assert (in_url("::1"), in_url("127.0.0.1")) == ("[::1]", "127.0.0.1")
    check_free(f"http://{in_url('::1')}:1/v1")


def test_a_port_in_use_is_refused() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        check_free(f"http://127.0.0.1:{port}/v1")
        other.listen()
        with pytest.raises(InputError, match=f"port {port} of 127.0.0.1 is in use"):
            check_free(f"http://127.0.0.1:{port}/v1")


def test_only_what_was_under_way_at_once_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def ask(self: Server, item: Any) -> Reply:
        asked.append(item.id)
        return Reply("positive", "little", False, None, 0.01)

    monkeypatch.setattr(Server, "ask", ask)
    asking: Any = SimpleNamespace(request=dict)
    client: Any = SimpleNamespace()
    items = [message(f"m{n}", "text", "label") for n in range(9)]
    replies, loads = Server(asking, client, "little").answer(items, lambda done, total: None)
    assert (len(replies), len(asked)) == (9, 10)
    assert [(load.at_once, load.requests) for load in loads] == [(1, 3)]


def test_a_file_is_tried_before_anything_is_asked(tmp_path: Path) -> None:
    (tmp_path / "there.json").write_text("{}")
    with pytest.raises(InputError, match="exists already; --force writes over it"):
        check_writable(tmp_path / "there.json", force=False)
    check_writable(tmp_path / "there.json", force=True)
    with pytest.raises(InputError, match="cannot be written"):
        check_writable(tmp_path / "there.json" / "deeper" / "new.json", force=False)
    check_writable(tmp_path / "new" / "out.json", force=False)
    assert list((tmp_path / "new").iterdir()) == []
