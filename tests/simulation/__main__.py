"""``python -m simulation [STUDIES]``, run in tests/: every scenario, and the table in docs/."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from simulation.designs import SCENARIOS
from simulation.running import Tally, run_all

PAGE = Path(__file__).resolve().parents[2] / "docs" / "simulation.md"
START, END = "<!-- table:start -->\n", "<!-- table:end -->"
STUDIES = 1500


def main(arguments: Sequence[str]) -> int:
    """Print each tally as it is counted, write the table; 1 if a claim is broken."""
    studies = int(arguments[0]) if arguments else STUDIES
    tallies = []
    for tally in run_all(SCENARIOS, studies):
        print(row(tally), flush=True)
        tallies.append(tally)
    before, rest = PAGE.read_text(encoding="utf-8").split(START)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{START}{table(tallies)}{END}{after}", encoding="utf-8")
    broken = [tally for tally in tallies if tally.broken]
    for tally in broken:
        print(f"broken: {tally.scenario}: {tally.claim.text}", file=sys.stderr)
    return 1 if broken else 0


def table(tallies: Sequence[Tally]) -> str:
    """The tallies as a Markdown table."""
    head = "| studies of | claim | promised | counted | studies |\n|---|---|---|---|---|\n"
    return head + "".join(f"{row(tally)}\n" for tally in tallies)


def row(tally: Tally) -> str:
    """One tally as a row of the table, in per cent."""
    claim = tally.claim
    promised = (
        f"{claim.low * 100:.0f} to {claim.high * 100:.0f} %"
        if claim.low
        else f"at most {claim.high * 100:.0f} %"
    )
    return (
        f"| {tally.scenario} | {claim.text} | {promised} | {tally.share * 100:.1f} % "
        f"| {tally.studies:,} |"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
