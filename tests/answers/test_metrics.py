"""What is known of each metric, and how those of all items are computed."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.answers.answer import INVALID
from harness.answers.metrics import METRICS, is_share, macro_f1


def test_shares_are_those_of_items() -> None:
    assert all(map(is_share, ("exact_match", "valid", "valid_json", "acc", "acc_norm", "verbatim")))
    assert not any(map(is_share, ("field_f1", "macro_f1", "chrf", "rouge_l", "bits_per_byte")))
    assert not is_share("own_metric")
    for metric in METRICS.values():
        assert not metric.is_share or (metric.lowest, metric.highest) == (0, 1)


def test_macro_f1_known_answer() -> None:
    pairs = [("a", "a"), ("a", "b"), ("b", "b"), ("b", INVALID)]
    # a: precision 1, recall 1/2, F1 2/3. b: precision 1/2, recall 1/2, F1 1/2.
    found = macro_f1([{"label": pair} for pair in pairs])
    assert found == pytest.approx((2 / 3 + 1 / 2) / 2)


def test_macro_f1_is_sklearns_over_the_target_classes() -> None:
    from sklearn.metrics import f1_score

    rng = np.random.default_rng(0)
    items = [
        {
            field: (str(rng.choice(list("abc"))), str(rng.choice(["a", "b", "c", INVALID])))
            for field in ("first", "second")
        }
        for _ in range(60)
    ]
    expected = [
        f1_score(
            [item[field][0] for item in items],
            [item[field][1] for item in items],
            labels=["a", "b", "c"],
            average="macro",
        )
        for field in ("first", "second")
    ]
    assert macro_f1(items) == pytest.approx(np.mean(expected))


def test_macro_f1_of_a_field_counts_the_items_that_have_it() -> None:
    assert macro_f1([{"a": ("x", "x"), "b": ("y", "z")}, {"a": ("x", "x")}]) == 0.5
    # Without a class there is nothing to average, which 0 would hide.
    assert math.isnan(macro_f1([{}, {}]))
