"""``python -m lab.simulation [STUDIES [WORDS]]``: scenarios, and the table in docs/.

With WORDS only the scenarios whose names contain them are drawn; the others keep their rows.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from lab.simulation.designs import SCENARIOS
from lab.simulation.running import Tally, run_all

PAGE = Path(__file__).resolve().parents[2] / "docs" / "simulation.md"
START, END = "<!-- table:start -->\n", "<!-- table:end -->"
HEAD = (
    "| studies of | claim | promised | counted | standard error | studies |\n"
    "|---|---|---|---|---|---|\n"
)
STUDIES = 1000


def main(arguments: Sequence[str]) -> int:
    """Print each tally as it is counted, write it to the table; 1 if a claim is broken."""
    studies = int(arguments[0]) if arguments else STUDIES
    words = " ".join(arguments[1:])
    broken = []
    for tally in run_all([one for one in SCENARIOS if words in one.name], studies):
        print(row(tally), flush=True)
        write(tally)
        broken += [tally] if tally.broken else []
    for tally in broken:
        print(f"broken: {tally.scenario}: {tally.claim.text}", file=sys.stderr)
    return 1 if broken else 0


def write(tally: Tally) -> None:
    """Put a tally into the page's table, whose rows are those of today's scenarios, in order."""
    before, rest = PAGE.read_text(encoding="utf-8").split(START)
    rows, after = rest.split(END)
    known = {key(line): line for line in rows.splitlines()[2:]}
    known[key(row(tally))] = row(tally)
    order = [f"| {one.name} | {claim.text} |" for one in SCENARIOS for claim in one.claims]
    lines = "".join(f"{known[name]}\n" for name in order if name in known)
    PAGE.write_text(f"{before}{START}{HEAD}{lines}{END}{after}", encoding="utf-8")


def key(line: str) -> str:
    """The part of a row that says what was counted."""
    return "|".join(line.split("|")[:3]) + "|"


def row(tally: Tally) -> str:
    """One tally as a row of the table, in per cent or, for a mean, in points."""
    claim, error = tally.claim, tally.standard_error * 100
    unit = "points" if claim.mean else "%"
    if claim.mean:
        promised = f"{claim.low * 100:+.1f} to {claim.high * 100:+.1f} points"
        counted = f"{tally.share * 100:+.2f}"
    elif (claim.low, claim.high) == (0.0, 1.0):
        promised, counted = "nothing", f"{tally.share * 100:.1f}"
    else:
        low = f"{claim.low * 100:.0f} to " if claim.low else "at most "
        promised, counted = f"{low}{claim.high * 100:.0f} %", f"{tally.share * 100:.1f}"
    return (
        f"| {tally.scenario} | {claim.text} | {promised} | {counted} {unit} "
        f"| {error:.2f} | {tally.studies:,} |"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
