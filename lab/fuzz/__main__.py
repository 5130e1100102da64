"""``python -m lab.fuzz [EXAMPLES] [SEED]``: malformed input, counted by outcome.

Exit code 1 if anything but success or a clean error was seen.
"""

from __future__ import annotations

import multiprocessing
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from lab.fuzz.counting import Tally, chunk
from lab.fuzz.families import FAMILIES

EXAMPLES, SEED, CHUNK = 10_000, 1, 400


def main(arguments: Sequence[str]) -> int:
    examples = int(arguments[0]) if arguments else EXAMPLES
    first = int(arguments[1]) if len(arguments) > 1 else SEED
    tallies = {name: Tally() for name in FAMILIES}
    for name, family in FAMILIES.items():
        left, number = round(examples * family.share), first
        while left:
            size = min(CHUNK, left)
            # A process each: what kills it, or fills its memory, is an outcome too.
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
                try:
                    tallies[name].add(pool.submit(chunk, name, size, number).result())
                except BrokenProcessPool:
                    told = f"FAULT: the process died (seed {number})"
                    tallies[name].add(Tally(Counter({told: 1}), {told: ""}))
            left, number = left - size, number + 1
        print(f"{name}: {dict(tallies[name].counts.most_common())}", flush=True)
    total = sum((tally.counts for tally in tallies.values()), Counter[str]())
    print(f"all {total.total()}: {dict(total.most_common())}")
    for name, tally in tallies.items():
        for outcome, detail in tally.faults.items():
            print(f"\n--- {name}: {outcome}\n{detail}", file=sys.stderr)
    return 1 if any(tally.faults for tally in tallies.values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
