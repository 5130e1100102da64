"""What harness check says of the numbers that it shows."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from harness.cli import group

QUICKSTART = Path(__file__).parents[2] / "experiments" / "quickstart.yaml"


def test_more_general_items_than_the_limit_are_explained() -> None:
    done = CliRunner().invoke(group, ["check", str(QUICKSTART)])
    assert done.exit_code == 0, (done.output, done.exception)
    shown = " ".join(done.output.split())
    assert "items: those that judge, at most 12 (limit), and at most 4 besides for the" in shown
