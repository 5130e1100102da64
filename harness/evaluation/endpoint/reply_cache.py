"""Replies that an earlier attempt at the same trial paid for, so that they are not paid twice.

A file of JSON lines beside the ledger, one reply a line, for a trial that is under way. It goes
when the trial ends with a record that holds them.
"""

from __future__ import annotations

import json
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.evaluation.endpoint.chat_reply import Reply
from harness.records import Endpoint, content_hash


class ReplyCache:
    """Replies of one trial, by what was asked; safe to use from several threads."""

    def __init__(self, endpoint: Endpoint, trial_id: str) -> None:
        self._path = Path(endpoint.ledger).with_suffix("") / f"{trial_id}.jsonl"
        self._asked = endpoint.asked_as
        self._lock = threading.Lock()
        self._found = dict(self._read())
        self.used = 0

    def get(self, chat: str, options: dict[str, Any] | None) -> Reply | None:
        """The reply to this very request, if an earlier attempt had it."""
        with self._lock:
            reply = self._found.get(self._key(chat, options))
            self.used += reply is not None
            return reply

    def keep(self, chat: str, options: dict[str, Any] | None, reply: Reply) -> None:
        """Note a reply in case the trial does not come to its end."""
        line = json.dumps({"key": self._key(chat, options), "reply": asdict(reply)})
        with self._lock:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"\n{line}")

    def forget(self) -> None:
        """Remove what was noted: the trial has come to its end."""
        self._path.unlink(missing_ok=True)

    def _key(self, chat: str, options: dict[str, Any] | None) -> str:
        return content_hash([self._asked, chat, options or {}], 32)

    def _read(self) -> list[tuple[str, Reply]]:
        replies = []
        lines = self._path.read_text("utf-8").split("\n") if self._path.exists() else []
        for line in lines:
            try:
                kept = json.loads(line)
                replies.append((str(kept["key"]), Reply.of_plain(kept["reply"])))
            except (ValueError, KeyError, TypeError, IndexError):
                # Torn when its process died: it is asked again.
                continue
        return replies
