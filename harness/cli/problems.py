"""What is wrong, a line for each thing, however many rows have it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from harness.cli.options import near
from harness.errors import Problem

# Rows that are named of those that share a problem.
_NAMED = 5


def problem_lines(problems: Sequence[Problem], lead: str, most: int = 10) -> Iterator[str]:
    """A line for each of the first few problems; rows of a file that have the same share one.

    Args:
        lead: what each line begins with.
        most: number of lines; the other problems are counted.
    """
    alike: defaultdict[tuple[str, str], list[Problem]] = defaultdict(list)
    for problem in problems:
        file, _, line = problem.where.rpartition(":")
        alike[file if line.isdigit() else problem.where, problem.what].append(problem)
    groups = list(alike.items())
    for (file, _), found in groups[:most]:
        more = [problem.where.removeprefix(f"{file}:") for problem in found[1:_NAMED]]
        where = ", ".join([found[0].where, *more])
        if len(found) > _NAMED:
            where += f" and {len(found) - _NAMED} more"
        yield near(f"{lead}: {Problem(where, found[0].what)}")
    left = sum(len(found) for _, found in groups[most:])
    if left:
        yield f"{lead}: and {left} more problems like these"
