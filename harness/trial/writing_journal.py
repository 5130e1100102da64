"""What was replied in a trial that has an instruction written, kept as it comes."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.evaluation.known_replies import KnownReplies
from harness.records import Reply, from_json, to_json
from harness.trial.candidate import TrialRun

# Where a server counts no tokens: so many bytes are taken for one.
BYTES_A_TOKEN = 4


@dataclass(slots=True)
class Journal:
    """What was replied so far, so that a trial which is killed pays for nothing twice."""

    path: Path
    """File in the trial's folder, one reply a line."""
    run: TrialRun
    """What the trial has so far; the replies are kept there."""
    _failed: dict[str, str] = field(default_factory=dict)
    """Hash of a request to the writer that came to nothing -> why."""
    _written: int = 0
    """Replies of the run that are in the file."""
    _before: float = 0.0
    """Seconds that it took until its process was killed, as far as they are noted."""
    _asked_anew: bool = False
    """Something was asked in this process that was not known."""
    _began: float = field(init=False)
    """When this process began with it, by its own clock."""

    def __post_init__(self) -> None:
        self._began = time.monotonic()
        # Torn within a character, a line is no text any more.
        text = self.path.read_text("utf-8", errors="replace") if self.path.exists() else ""
        for line in text.split("\n"):
            try:
                entry = json.loads(line)
                if "seconds" in entry:
                    self._before = max(self._before, float(entry["seconds"]))
                elif "fault" in entry:
                    self._failed[str(entry["request"])] = str(entry["fault"])
                else:
                    self.run.replies.append(from_json(Reply, line))
            except (ValueError, KeyError, TypeError):
                # Torn when its process died: it is asked again.
                continue
        self._written = len(self.run.replies)

    def seconds(self) -> float:
        """How long it has taken, in all processes that were at it."""
        return self._before + time.monotonic() - self._began

    def counted(self) -> float:
        """The seconds that count for a limit: those of before once anything is asked anew.

        What is known is only gone through again, and comes as far as it had come.
        """
        return self.seconds() - (0.0 if self._asked_anew else self._before)

    def keep(self) -> None:
        """Write down what was replied since the last time."""
        fresh = self.run.replies[self._written :]
        self._append([to_json(reply) for reply in fresh])
        self._written = len(self.run.replies)

    def failed(self, request: str) -> str:
        """Why a request came to nothing; empty where it was not asked, or answered."""
        return self._failed.get(request, "")

    def keep_failure(self, request: str, why: str) -> None:
        """Note that a request came to nothing, which costs its proposal once and for all."""
        self._failed[request] = why
        self._append([json.dumps({"request": request, "fault": why}, ensure_ascii=False)])

    def _append(self, lines: Sequence[str]) -> None:
        if lines:
            self._asked_anew = True
            lines = [json.dumps({"seconds": round(self.seconds(), 3)}), *lines]
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                # A line before, too: the last one may be torn.
                file.write("\n" + "\n".join(lines))


@dataclass(slots=True)
class Asking:
    """Asks an lm-eval model only what is not known, and has all replies kept."""

    journal: Journal
    """Where replies are kept."""
    known: Sequence[Reply] = ()
    """Replies of earlier trials."""

    def knowing(self, lm: Any, asked: str) -> KnownReplies:
        """The model, with what is known of it."""
        known = KnownReplies(lm, [*self.known, *self.journal.run.replies])
        known.asked = asked
        return known

    def keep(self, lm: KnownReplies) -> None:
        """Keep what the model replied since the last time."""
        self.journal.run.replies.extend(lm.fresh)
        lm.fresh.clear()
        self.journal.keep()


@contextmanager
def asking_kept(asking: Asking, lm: KnownReplies) -> Iterator[None]:
    """Keep what is replied inside, however it ends."""
    try:
        yield
    finally:
        asking.keep(lm)


def estimated(text: str) -> int:
    """Tokens of a text, where nobody counts them."""
    return math.ceil(len(text.encode()) / BYTES_A_TOKEN)


__all__ = ["Asking", "Journal", "asking_kept", "estimated"]
