"""Examples of one family judged and counted, in a process that may take only so much memory."""

from __future__ import annotations

import resource
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from lab.fuzz.families import FAMILIES, Case

# What one process may take beside the libraries, bytes: no input may be blown up.
MEMORY = 6 * 2**30


@dataclass(slots=True)
class Tally:
    """Outcomes of many examples, counted."""

    counts: Counter[str] = field(default_factory=Counter)
    """Outcome -> number of examples."""
    faults: dict[str, str] = field(default_factory=dict)
    """Outcome that is a fault -> the detail of the first."""

    def add(self, other: Tally) -> None:
        self.counts.update(other.counts)
        for outcome, detail in other.faults.items():
            self.faults.setdefault(outcome, detail)


def chunk(family: str, examples: int, number: int) -> Tally:
    """Judge so many examples of a family in this process."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    tally = Tally()

    @seed(number)
    @settings(max_examples=examples, database=None, deadline=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(case=FAMILIES[family].cases)
    def judge(case: Case) -> None:
        with tempfile.TemporaryDirectory(prefix="harness-fuzz-") as folder:
            found = case(Path(folder))
        tally.counts[found.outcome] += 1
        if found.fault:
            tally.faults.setdefault(found.outcome, found.detail)

    judge()
    return tally
