"""Equal texts with different answers, and the share that can be right at best."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.data import prepare

from .tiny import LABEL, TEXT, experiment, words, write_jsonl


def rows(count: int = 20) -> list[dict[str, Any]]:
    return [{"text": words(n * 20, 15), "label": "ab"[n % 2]} for n in range(count)]


def test_the_ceiling_is_what_the_most_frequent_answers_reach(tmp_path: Path) -> None:
    # The same text: a, a, b. Another: a, b. Elsewhere equal answers.
    more = [(0, "a"), (0, "b"), (1, "a"), (2, "a")]
    data = [*rows(), *({"text": words(n * 20, 15), "label": label} for n, label in more)]
    path = write_jsonl(tmp_path / "rows.jsonl", data)
    found = prepare(experiment(path)).contradictions
    assert (found.texts, found.rows) == (2, 5)
    assert found.best == pytest.approx(22 / 24)
    assert "rows.jsonl:22 'b'" in found.sentence()
    assert "no model can be right in more than 91.7 % of all rows" in found.sentence()


def test_what_the_model_can_tell_apart_is_no_contradiction(tmp_path: Path) -> None:
    data = [*rows(), {"text": words(0, 15).upper(), "label": "b"}]
    path = write_jsonl(tmp_path / "rows.jsonl", data)
    assert prepare(experiment(path)).contradictions.sentence() == ""
    data = [row | {"place": str(n)} for n, row in enumerate([*rows(), rows()[0] | {"label": "b"}])]
    path = write_jsonl(tmp_path / "rows.jsonl", data)
    assert prepare(experiment(path)).contradictions.texts == 1
    both = experiment(path, template="{place}: {text}")
    assert prepare(both).contradictions.texts == 0


@pytest.mark.parametrize(("answer", "texts"), [(LABEL, 1), (TEXT, 0)])
def test_free_text_may_be_right_in_many_ways(
    tmp_path: Path, answer: dict[str, str], texts: int
) -> None:
    path = write_jsonl(tmp_path / "rows.jsonl", [*rows(), rows()[0] | {"label": "b"}])
    assert prepare(experiment(path, answer=answer)).contradictions.texts == texts


def test_the_test_part_has_a_ceiling_of_its_own(tmp_path: Path) -> None:
    train = write_jsonl(tmp_path / "train.jsonl", rows())
    twice = [row | {"text": row["text"] + " more", "label": label}
             for row in rows(4) for label in "ab"]  # fmt: skip
    test = write_jsonl(tmp_path / "test.jsonl", twice)
    found = prepare(experiment(train, splits={"test": str(test)})).contradictions
    assert (found.texts, found.rows, found.best_test) == (4, 8, 0.5)
    assert "test.jsonl:" in found.sentence()
