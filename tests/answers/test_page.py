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
def number(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The class of the page, its metric added as the page says."""
    metric, kind, *_ = (block.content for block in blocks_of(PAGE) if block.language == "python")
    namespace = dict(vars(metrics))
    exec(metric, namespace)  # noqa: S102
    monkeypatch.setattr(metrics, "WITHIN_TOLERANCE", namespace["WITHIN_TOLERANCE"], raising=False)
    module = ModuleType("number")
    monkeypatch.setitem(sys.modules, "number", module)
    exec(kind, vars(module))  # noqa: S102
    return module.NumberAnswer


def test_a_number_is_right_where_it_is_near_enough(number: Any) -> None:
    answer: Answer = number(kind="number", column="y", tolerance=0.5)
    read = answer.reader()
    for reply, near, valid in (("about 13 EUR", 1, 1), ("13.1", 0, 1), ("none", 0, 0)):
        assert read("12.5", reply).metrics == {"within_tolerance": near, "valid": valid}
    assert answer.row_reader().read({"y": " 12.50"}) == "12.50"
    with pytest.raises(AnswerError, match="is no number"):
        answer.row_reader().read({"y": "about 3"})
    assert not answer.is_closed
    assert answer.why_not_constrained().startswith("needs labels or a JSON schema, which answers")


def test_numbers_that_repeat_are_left_to_labels(number: Any) -> None:
    differing = table({"y": n / 7} for n in range(20))["y"]
    assert number.recognise([differing]).value.columns_read == ("y",)
    assert number.recognise([table({"y": n % 3} for n in range(20))["y"]]) is None
