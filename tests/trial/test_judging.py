"""Which judges a trial asks, and when."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.measures import JudgeMetric
from harness.spec import TaskSpec
from harness.trial import scoring
from harness.trial.judging import Ask, Bench


def task() -> TaskSpec:
    plain = {
        "instruction": "Answer.",
        "answer": {"kind": "text", "column": "answer"},
        "metrics": ["judge:kind", "judge:short"],
    }
    declared = {"by": "m", "rubric": "Is it so?", "range": (1.0, 5.0)}
    return TaskSpec.model_validate(plain).judged_by({"kind": declared, "short": declared})


class Noting(Bench):
    """Notes which judges would be asked."""

    asked: list[str] = []  # noqa: RUF012

    @contextmanager
    def _asking(self, seat: Any, metric: JudgeMetric) -> Iterator[Ask]:
        self.asked.append(seat.name)
        yield lambda cases: []


@pytest.mark.parametrize(
    ("only", "asked"), [(None, ["kind", "short"]), ("kind", ["kind"]), ("short", ["short"])]
)
def test_one_judge_can_be_asked_alone(
    only: str | None, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seats = (SimpleNamespace(name="kind"), SimpleNamespace(name="short"))
    spec: Any = SimpleNamespace(task=task().model_dump(by_alias=True), judges=seats)
    monkeypatch.setattr(Noting, "asked", [])
    unused: Any = None
    Noting(spec, unused, unused, unused).marked([], only)
    assert Noting.asked == asked


def test_a_check_asks_the_primary_metrics_judge_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    record = SimpleNamespace(aggregates={"kind": 4.0, "short": 2.0}, item_scores=())
    monkeypatch.setattr(scoring, "candidate_lm", lambda candidate: SimpleNamespace())
    monkeypatch.setattr(scoring, "reply_constraint", lambda *parts: None)
    monkeypatch.setattr(scoring, "_score", lambda *parts: record)
    spec = SimpleNamespace(validation_path=str(tmp_path / "rows"), answering="generate")
    candidate: Any = SimpleNamespace(
        spec=spec, task=task(), loaded=SimpleNamespace(tokenizer=None), renderer=None, split=()
    )
    seen = []

    def marked(scores: Any, only: str | None = None) -> list[Any]:
        seen.append(only)
        return [record for record, _ in scores]

    assert scoring.score_of_check(candidate, lambda *told: None, marked) == 4.0
    assert seen == ["kind"]
