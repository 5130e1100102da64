"""The kind that the documentation adds works as it stands there."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

from harness.answers import Answer, metrics
from harness.answers.cells import AnswerError
from tests.data.tiny import table
from tests.doc_pages import ROOT, blocks_of

PAGE = ROOT / "docs" / "how-to" / "add-an-answer-kind.md"


@pytest.fixture
def day(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The class of the page, its metric added as the page says."""
    metric, kind, *_ = (block.content for block in blocks_of(PAGE) if block.language == "python")
    namespace = dict(vars(metrics))
    exec(metric, namespace)  # noqa: S102
    monkeypatch.setattr(metrics, "WITHIN_DAYS", namespace["WITHIN_DAYS"], raising=False)
    module = ModuleType("day")
    monkeypatch.setitem(sys.modules, "day", module)
    exec(kind, vars(module))  # noqa: S102
    return module.DayAnswer


def test_a_day_is_right_where_it_is_near_enough(day: Any) -> None:
    answer: Answer = day(kind="day", column="y", tolerance=2)
    read = answer.reader()
    for reply, near, valid in (
        ("on 2024-03-01.", 1, 1),
        ("2024-03-03", 0, 1),
        ("2024-02-29 or 2024-03-01", 0, 0),
        ("2024-02-31", 0, 0),
        ("none", 0, 0),
    ):
        assert read("2024-02-29", reply).metrics == {"within_days": near, "valid": valid}
    assert answer.row_reader().read({"y": " 2024-02-29"}) == "2024-02-29"
    with pytest.raises(AnswerError, match="is no day"):
        answer.row_reader().read({"y": "29 February"})
    assert not answer.is_closed
    assert answer.why_not_constrained().startswith("needs labels or a JSON schema, which answers")


def test_a_day_may_stand_in_a_longer_answer(day: Any) -> None:
    answer: Answer = day(kind="day", column="y", extract={"after": "####"})
    whole = "From 2024-02-01 four weeks. #### 2024-02-29"
    assert answer.row_reader().read({"y": whole}) == whole
    assert answer.reader()(whole, "Hm. #### 2024-02-29").metrics["within_days"] == 1.0


def test_days_that_repeat_are_left_to_labels(day: Any) -> None:
    differing = table({"y": f"2024-03-{n:02}"} for n in range(1, 20))["y"]
    assert day.recognise([differing]).value.columns_read == ("y",)
    assert day.recognise([table({"y": f"2024-03-0{n % 3 + 1}"} for n in range(20))["y"]]) is None
