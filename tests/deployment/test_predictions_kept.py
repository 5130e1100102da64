"""Answers are kept as they come, and what cannot be written is known before any is asked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.deployment import predictions as module
from harness.deployment.predictions import (
    Questions,
    check_output,
    check_rows,
    partial_of,
    predictions_kept,
)
from harness.errors import DataError, InputError
from harness.records import Example
from tests.tiny_model import message


class Answering:
    """A finalist that stops at a row."""

    def __init__(self, stops_at: str = "") -> None:
        self.stops_at = stops_at

    def check(self, items: Sequence[Example]) -> None:
        """All can be asked."""

    def replies(self, items: Sequence[Example], progress: Any) -> list[str]:
        if self.stops_at in [item.id for item in items]:
            raise KeyboardInterrupt
        progress(len(items), len(items))
        return [f"reply to {item.id}" for item in items]

    def answer(self, reply: str) -> str:
        return reply[-2:]


def asked(rows: list[dict[str, Any]]) -> Questions:
    items = tuple(message(f"m{n}", "text", "label") for n in range(len(rows)))
    return Questions(tuple(rows), items)


def test_what_was_answered_before_an_interrupt_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT_EVERY", 2)
    out, questions = tmp_path / "out.csv", asked([{"text": "a"}] * 5)
    stopping: Any = Answering("m4")
    with pytest.raises(KeyboardInterrupt):
        predictions_kept(out, stopping, questions)
    kept = [json.loads(line) for line in partial_of(out).read_text().splitlines()]
    assert [one["reply"] for one in kept] == [f"reply to m{n}" for n in range(4)]
    with pytest.raises(InputError, match="holds what an earlier call answered"):
        check_output(out, force=False)
    check_output(out, force=True)
    # Not thrown away before there is something in its place.
    assert partial_of(out).exists()
    told: list[tuple[int, int]] = []
    whole: Any = Answering()
    found = predictions_kept(out, whole, questions, lambda *done: told.append(done))
    assert ([one.answer for one in found], told) == (
        ["m0", "m1", "m2", "m3", "m4"],
        [(2, 5), (4, 5), (5, 5)],
    )
    assert (len(out.read_text().splitlines()), partial_of(out).exists()) == (6, False)


def test_half_a_character_of_another_column_loses_nothing(tmp_path: Path) -> None:
    rows = [{"text": "a", "note": "ü"}, {"text": "b", "note": "\ud83d"}]
    with pytest.raises(DataError, match=r"^row 2: note: half a character"):
        check_rows(tmp_path / "out.csv", rows)
    out = tmp_path / "out.jsonl"
    check_rows(out, rows)
    finalist: Any = Answering()
    predictions_kept(out, finalist, asked(rows))
    first, second = out.read_text(encoding="utf-8").splitlines()
    assert '"note": "ü"' in first
    assert json.loads(second)["note"] == "\ud83d"
