"""A few of many items stand for all of them, from the first to the last part."""

from __future__ import annotations

import pytest

from harness.records import even_sample


@pytest.mark.parametrize(
    ("items", "most", "chosen"),
    [
        (3, 8, [0, 1, 2]),
        (8, 8, list(range(8))),
        (20, 8, [0, 2, 5, 7, 10, 12, 15, 17]),
        # A step of whole numbers would take the first eight.
        (15, 8, [0, 1, 3, 5, 7, 9, 11, 13]),
        (800, 8, list(range(0, 800, 100))),
        (5, None, list(range(5))),
        (0, 4, []),
    ],
)
def test_items_are_taken_at_equal_distances(
    items: int, most: int | None, chosen: list[int]
) -> None:
    assert list(even_sample(range(items), most)) == chosen
