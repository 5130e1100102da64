"""The rows that weights were trained on elsewhere, held against the data that judge them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.data.audit import audit_leakage
from harness.data.examples import read_inputs
from harness.data.split import merge_duplicates
from harness.errors import DataError, Problem
from harness.records import Example, ItemsByKind
from harness.spec import Experiment
from harness.spec.starts import rows_elsewhere
from harness.wording import plural


@dataclass(frozen=True, slots=True)
class BroughtAudit:
    """What was found of the rows that one arm was trained on elsewhere."""

    flagged: dict[str, ItemsByKind]
    """Split -> kind -> ids of its examples that share text with those rows."""
    unread: int
    """Number of those rows that could not be read, and were not looked for."""
    rows: tuple[Example, ...] = ()
    """What the others ask."""


def audit_brought(
    experiment: Experiment, judging: Mapping[str, Sequence[Example]]
) -> dict[str, BroughtAudit]:
    """Arm -> what of the examples shares text with what the arm was trained on.

    Answers are not looked at, so that rows of another label scheme are compared like any others.
    Arms that do not say what they were trained on are left out.

    Args:
        judging: split or out-of-domain set -> its examples.

    Raises:
        DataError: a file of such rows cannot be read; names the arm.
    """
    found = {}
    for name, rows in rows_elsewhere(experiment.arms).items():
        if rows is None:
            continue
        try:
            read = read_inputs(rows, experiment, id_prefix=f"{name}:")
        except DataError as error:
            where = f"arms.{name}.trained_on"
            raise DataError([Problem(where, str(problem)) for problem in error.problems]) from error
        # Bad rows judge nothing: the usable ones are compared, and the others counted.
        unread = len({problem.where for problem in read.problems})
        flagged = audit_leakage(read.examples, judging).flagged_items()
        found[name] = BroughtAudit(flagged, unread, merge_duplicates(read.examples))
    return found


def unread_notes(found: Mapping[str, BroughtAudit]) -> Iterator[str]:
    """What was not looked for, a sentence an arm."""
    for arm, audit in found.items():
        if audit.unread:
            yield (
                f"{plural(audit.unread, 'row')} that {arm} was trained on elsewhere could not be "
                "read and cannot be looked for in what judges"
            )
