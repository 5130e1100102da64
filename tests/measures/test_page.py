"""What the page on bringing a metric shows works as it stands there."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from harness.measures import UnscoredError
from harness.spec import load_experiment
from tests.doc_pages import ROOT, blocks_of

PAGE = ROOT / "docs" / "how-to" / "bring-a-metric.md"


def test_the_function_of_the_page(tmp_path: Path) -> None:
    (code,) = (block.content for block in blocks_of(PAGE) if block.language == "python")
    first, *_ = (block.content for block in blocks_of(PAGE) if block.language == "yaml")
    (tmp_path / "prices.py").write_text(code, encoding="utf-8")
    plain = {"name": "prices", "model": "any", "data": {"source": "any.csv"},
             "arms": {"zero-shot": {"kind": "prompt"}}}  # fmt: skip
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(plain | yaml.safe_load(first)), encoding="utf-8")
    task = load_experiment(path).task
    assert (task.primary.name, task.higher_is_better) == ("euros_off", False)
    (measure,) = task.measures
    score = measure.scorer()
    assert score({"price": 12}, "€ 14.5", "12") == {"euros_off": 2.5}
    with pytest.raises(UnscoredError, match="could not convert string to float: 'about 14'"):
        score({"price": 12}, "about 14", "12")
