from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness.analysis.statistics.pairing import align
from harness.errors import StoreError
from harness.records import ScoreVector


def vector(values: dict[str, float], *, arm: str = "a", seed: int = 1) -> ScoreVector:
    return ScoreVector(
        trial_id=f"{arm}{seed}",
        arm=arm,
        kind="lora",
        phase="finalist",
        seed=seed,
        suite="domain",
        task="domain",
        split="test",
        metric="exact_match",
        higher_is_better=True,
        chance=None,
        doc_hashes=tuple(values),
        clusters=tuple("" for _ in values),
        values=np.array(list(values.values()), dtype=np.float64),
    )


def test_items_are_paired_by_hash_whatever_their_position() -> None:
    aligned = align([vector({"x": 1, "y": 0})], [vector({"y": 0.5, "x": 0.25}, arm="b")])
    assert aligned.doc_hashes == ("x", "y")
    assert aligned.scores[0].tolist() == [[1, 0]]
    assert aligned.scores[1].tolist() == [[0.25, 0.5]]


def test_items_of_one_side_only_and_unscored_items_are_counted_and_left_out() -> None:
    a = vector({"x": 1, "y": float("nan"), "z": 1, "only": 0})
    b = vector({"x": 0, "y": 1, "z": float("nan")}, arm="b")
    aligned = align([a], [b])
    assert aligned.doc_hashes == ("x",)
    assert (aligned.left_out, aligned.unscored) == (1, 2)


def test_an_item_twice_is_an_error() -> None:
    twice = replace(
        vector({"x": 1}), doc_hashes=("x", "x"), clusters=("", ""), values=np.array([1.0, 0.0])
    )
    with pytest.raises(StoreError, match="stand once"):
        align([twice], [vector({"x": 1}, arm="b")])


def test_columns_of_different_length_are_an_error() -> None:
    with pytest.raises(StoreError, match="differ in length"):
        align([replace(vector({"x": 1, "y": 0}), clusters=("",))])


def test_lower_is_better_is_turned_round_and_mixed_directions_are_an_error() -> None:
    a = replace(vector({"x": 2.0}), higher_is_better=False)
    assert align([a]).scores[0].tolist() == [[-2.0]]
    with pytest.raises(StoreError, match="both directions"):
        align([a], [vector({"x": 1.0}, arm="b")])


def test_clusters_are_numbered_and_items_without_one_stand_alone() -> None:
    a = replace(vector({"w": 1, "x": 1, "y": 0, "z": 1}), clusters=("k", "", "k", ""))
    aligned = align([a])
    assert aligned.cluster_count == 3
    assert aligned.clusters[0] == aligned.clusters[2]
    assert not aligned.independent


def test_nothing_in_common_is_no_error() -> None:
    aligned = align([vector({"x": 1})], [vector({"y": 1}, arm="b")])
    assert (aligned.items, aligned.cluster_count, aligned.left_out) == (0, 0, 2)
