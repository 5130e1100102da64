"""``python -m lab.chaos [KILLS]``: disturbed studies, and the table of what they lost.

Exit code 1 if a trial was lost, or repeated after its record was whole, or came out otherwise than
in a study run in peace.
"""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

from lab.chaos.storm import Tally, brew
from lab.chaos.study import CASES

KILLS, REAL_KILLS = 200, 6
SEED = 20


def main(arguments: Sequence[str]) -> int:
    """Half of the kills at one worker, half at three, and a few under trials of a real model."""
    kills = int(arguments[0]) if arguments else KILLS
    wanted = {"one": kills // 2, "three": kills - kills // 2, "real": REAL_KILLS}
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        started = [pool.submit(brew, name, number, SEED, True) for name, number in wanted.items()]
        tallies = [one.result() for one in started]
    print(table(tallies))
    for tally in tallies:
        for sentence in tally.wrong:
            print(f"{tally.case}: {sentence}", file=sys.stderr)
    return 1 if any(tally.broken for tally in tallies) else 0


def table(tallies: Sequence[Tally]) -> str:
    """The tallies as a Markdown table."""
    names = "trials, workers, studies, coordinator kills, child kills, records spoilt, quarantined"
    names += ", trials planned, begun, lost, repeated, seconds"
    head = names.split(", ")
    rows = [
        (
            "real, tiny model" if tally.case == "real" else "stand-ins",
            CASES[tally.case].workers,
            tally.studies,
            tally.kills,
            tally.child_kills,
            tally.spoilt,
            tally.quarantined,
            tally.planned,
            tally.begun,
            tally.lost,
            tally.repeated,
            round(tally.seconds),
        )
        for tally in tallies
    ]
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
