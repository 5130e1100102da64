"""Functions of a user's as metrics: what is read of them, what they give, what is refused."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.measures import PythonMetric, UnscoredError

ITEM = {"text": "a", "price": 3.5, "tags": ["x"]}


def located(folder: Path, code: str, function: str = "score", **more: Any) -> PythonMetric:
    (folder / "own.py").write_text(code, encoding="utf-8")
    return PythonMetric(python=f"own.py:{function}", **more).located(folder)


def returning(folder: Path, value: str, **more: Any) -> Any:
    """What a function that returns ``value`` gives for an item."""
    code = f"import math\n\ndef score(item, reply, target):\n    return {value}\n"
    return dict(located(folder, code, **more).scorer()(ITEM, "reply", "target"))


def test_a_plain_function_is_higher_better_from_0_to_1(tmp_path: Path) -> None:
    code = "def score(item, reply, target):\n    return reply == target\n"
    metric = located(tmp_path, code)
    (info,) = metric.infos
    assert (info.name, info.label, info.higher_is_better) == ("score", "score", True)
    assert (info.lowest, info.highest, info.per_item) == (0, 1, True)
    assert metric.scorer()(ITEM, "a", "a") == {"score": 1.0}
    assert metric.scorer()(ITEM, "a", "b") == {"score": 0.0}


def test_a_mark_before_the_text_that_editors_write_is_no_fault(tmp_path: Path) -> None:
    metric = located(tmp_path, "\ufeffdef score(item, reply, target):\n    return 1\n")
    assert metric.scorer()(ITEM, "a", "b") == {"score": 1.0}


def test_it_is_handed_the_row_the_reply_and_the_target(tmp_path: Path) -> None:
    code = (
        "def score(item, reply, target):\n"
        "    return item['price'] * len(item['tags']) + len(reply) + 10 * len(target)\n"
    )
    metric = located(tmp_path, code, range=(0, None))
    assert metric.scorer()(ITEM, "ab", "c") == {"score": 3.5 + 2 + 10}


def test_the_decorator_declares(tmp_path: Path) -> None:
    code = (
        "import math\nimport harness\n\n"
        "@harness.metric(names=['near', 'far'], higher_is_better=False, lowest=-math.inf,\n"
        "                highest=9, meaning='metres off', version='2')\n"
        "def score(item, reply, target):\n"
        "    return {'near': 1, 'far': -5.5}\n"
    )
    metric = located(tmp_path, code)
    near, far = metric.infos
    assert (near.name, near.label, far.name, far.label) == ("near", "near", "far", "far")
    assert near.meaning.startswith("metres off; computed by score of own.py, version 2 (SHA-256 ")
    assert near.meaning.endswith("); lower is better")
    assert near.higher_is_better is False
    assert (near.lowest, near.highest) == (-math.inf, 9)
    assert metric.version == "2"
    assert metric.scorer()(ITEM, "", "") == {"near": 1, "far": -5.5}
    # As a study keeps it, it needs no file.
    (tmp_path / "own.py").unlink()
    kept = PythonMetric.model_validate(metric.model_dump(mode="json", by_alias=True))
    assert kept == metric
    assert kept.located(tmp_path) == metric


def test_what_is_said_twice_must_agree(tmp_path: Path) -> None:
    code = "import harness\n\n@harness.metric(highest=5)\ndef score(i, r, t):\n    return 1\n"
    assert located(tmp_path, code, range=(0, 5)).highest == 5
    with pytest.raises(ValueError, match=r"range is \(0.0, 4.0\) here.*decorator of score"):
        located(tmp_path, code, range=(0, 4))


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def score(:\n", r"own.py:1: not valid Python"),
        ("import not_there_at_all\n", r"ModuleNotFoundError.*own.py:1: import not_there.*stands"),
        ("x = 1\n\nraise OSError('no')\n", r"importing it fails: OSError: no \(own.py:3: raise"),
        ("raise SystemExit(0)\n", "importing it fails: SystemExit"),
        ("import pathlib\np = pathlib.Path(__file__)\n", "NameError.*own.py:2.*stands alone"),
        ("def scores(i, r, t):\n    return 1\n", "has no function score; did you mean scores"),
        ("score = 3\n", "score is no function, but a int"),
        ("def score(a, b):\n    return 1\n", r"score\(a, b\) cannot be called with three values"),
        ("def score(*, item, reply, target):\n    return 1\n", "cannot be called with three"),
        ("import harness\n@harness.metric(lowest=2)\ndef score(i, r, t): ...\n",
         r"lowest \(2\) must be less than highest \(1\)"),
        ("import harness\n@harness.metric(names=['chrf'])\ndef score(i, r, t): ...\n",
         "'chrf' is the name of a metric of the product"),
        ("import harness\n@harness.metric(names=['a', 'a'])\ndef score(i, r, t): ...\n",
         "a stands twice"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_with_its_place(
    tmp_path: Path, code: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        located(tmp_path, code)


@pytest.mark.parametrize("name", ["", " a", "a ", "a,b", "a\nb", "a/b", "x" * 61, "a_stderr"])
def test_a_name_is_plain(name: str) -> None:
    with pytest.raises(ValueError, match="is no name for a metric"):
        PythonMetric(python="own.py:score", names=[name])
    assert PythonMetric(python="own.py:score", names=["größte Nähe"]).metric_names


def test_no_file_no_function_no_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no such file: .*gone.py"):
        PythonMetric(python="gone.py:score").located(tmp_path)
    for wrong in ("own.py", "own.py:", "own.txt:score", "own.py:1x", ":score"):
        with pytest.raises(ValueError, match=r"write it as python: FILE\.py:FUNCTION"):
            PythonMetric(python=wrong)
    (tmp_path / "own.py").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="cannot be read"):
        PythonMetric(python="own.py:score").located(tmp_path)
    with pytest.raises(ValueError, match="'exact_match' is the name of a metric of the product"):
        located(tmp_path, "def exact_match(i, r, t):\n    return 1\n", "exact_match")
    code = "def exact_match(i, r, t):\n    return 1\n"
    assert located(tmp_path, code, "exact_match", names=["mine"]).metric_names == ("mine",)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("True", 1.0), ("0", 0.0), ("0.25", 0.25), ("__import__('numpy').float32(0.5)", 0.5),
     ("__import__('numpy').bool_(True)", 1.0), ("1 + 1e-12", 1.0), ("-1e-12", 0.0),
     ("__import__('fractions').Fraction(1, 4)", 0.25)],
)  # fmt: skip
def test_numbers_of_any_kind(tmp_path: Path, value: str, expected: float) -> None:
    assert returning(tmp_path, value) == {"score": expected}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("'0.5'", r"gives str '0.5'; give a number"),
        ("None", r"gives nothing \(None\); give a number"),
        ("[0.5]", "gives list"),
        ("math.nan", "gives nan, which cannot be averaged"),
        ("math.inf", "gives inf, which cannot be averaged"),
        ("10**400", "gives inf, which cannot be averaged"),
        ("1.5", "gives 1.5, outside its range of 0 to 1"),
        ("-0.1", "gives -0.1, outside its range of 0 to 1"),
        ("{'a': 1}", "gives values called 'a', and 'score' were declared"),
        ("1 / 0", r"ZeroDivisionError: division by zero \(own.py:4: return 1 / 0\)"),
        ("item['gone']", r"KeyError: 'gone' \(own.py:4"),
        ("exit()", "SystemExit"),
        ("item.update(a=1)", "AttributeError"),
    ],
)
def test_what_is_no_value_is_said(tmp_path: Path, value: str, message: str) -> None:
    with pytest.raises(UnscoredError, match=message):
        returning(tmp_path, value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("{'a': 1}", "gives values called 'a', and 'a', 'b' were declared"),
        ("{'a': 1, 'b': 1, 'c': 1}", "'c', and 'a', 'b' were declared"),
        ("1", "not a mapping of 'a', 'b'"),
        ("{'a': 1, 'b': 'x'}", "b: gives str 'x'"),
    ],
)
def test_a_mapping_has_the_names_that_were_declared(
    tmp_path: Path, value: str, message: str
) -> None:
    with pytest.raises(UnscoredError, match=message):
        returning(tmp_path, value, names=["a", "b"])


def test_several_values_have_no_label(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="label: 'x' cannot be that of several values"):
        located(tmp_path, "def score(i, r, t): ...\n", names=["a", "b"], label="x")


def test_a_call_cannot_change_what_the_next_is_handed(tmp_path: Path) -> None:
    code = "def score(item, r, t):\n    item['tags'].append(1)\n    return len(item['tags'])\n"
    score = located(tmp_path, code, range=(0, None)).scorer()
    assert [score(ITEM, "", "")["score"] for _ in range(3)] == [2, 2, 2]
    assert ITEM["tags"] == ["x"]


def test_the_file_is_imported_alone(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("VALUE = 1\n", encoding="utf-8")
    before = list(sys.path)
    with pytest.raises(ValueError, match=r"No module named 'beside'.*nothing that lies beside it"):
        located(tmp_path, "import beside\n")
    assert sys.path == before
    assert "own" not in sys.modules


def test_dataclasses_and_annotations_work(tmp_path: Path) -> None:
    code = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n\n"
        "@dataclass\nclass Pair:\n    a: int\n    b: int\n\n"
        "def score(item: dict, reply: str, target: str) -> float:\n"
        "    return Pair(1, 2).a\n"
    )
    assert located(tmp_path, code).scorer()(ITEM, "", "") == {"score": 1.0}


def test_its_identity_is_its_content_not_its_place_or_label(tmp_path: Path) -> None:
    code = "def score(i, r, t):\n    return 1\n"
    one = located(tmp_path, code)
    elsewhere = tmp_path / "sub"
    elsewhere.mkdir()
    other = located(elsewhere, code, label="Another", meaning="else")
    assert one.identity() == other.identity()
    changed = [
        located(tmp_path, code + "# a remark\n"),
        located(elsewhere, code, range=(0, 2)),
        located(elsewhere, code, higher_is_better=False),
        located(elsewhere, code, names=["points"]),
        located(elsewhere, code, version="2"),
        located(tmp_path, "import numpy\n" + code),
    ]
    assert all(metric.identity() != one.identity() for metric in changed)
    packages = changed[-1].packages
    assert packages["numpy"] == __import__("numpy").__version__


def test_the_kept_text_and_the_file_must_be_one(tmp_path: Path) -> None:
    metric = located(tmp_path, "def score(i, r, t):\n    return 1\n")
    (tmp_path / "own.py").write_text("def score(i, r, t):\n    return 0\n", encoding="utf-8")
    with pytest.raises(ValueError, match="is not what stands under `code`"):
        metric.located(tmp_path)
    assert metric.scorer()(ITEM, "", "") == {"score": 1.0}
