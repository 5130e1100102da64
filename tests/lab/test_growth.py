"""The picture of how generation's time grows."""

from __future__ import annotations

from lab.benchmarks.growth import POINTS, SIDES, drawn


def test_a_panel_shows_each_side_at_each_size() -> None:
    found = dict.fromkeys(reversed(POINTS), (3.0, 2.0, 1.0))
    picture = drawn(found)
    for name in {point.growing for point in POINTS}:
        assert picture.count(f">{name}</text>") == 1
    for side in SIDES:
        assert picture.count(f">{side}</text>") == 1
    assert drawn(found) == picture
