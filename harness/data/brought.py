"""The rows that weights were trained on elsewhere, held against the data that judge them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.data.audit import audit_leakage
from harness.data.examples import read_examples
from harness.errors import DataError, Problem
from harness.records import Example, ItemsByKind
from harness.spec import BroughtArm, Experiment


def audit_brought(
    experiment: Experiment, judging: Mapping[str, Sequence[Example]]
) -> dict[str, dict[str, ItemsByKind]]:
    """Arm -> split -> kind -> ids of its examples that share text with what the arm was trained on.

    Arms that do not say what that was are left out.

    Args:
        judging: split or out-of-domain set -> its examples.

    Raises:
        DataError: a file of such rows cannot be read; names the arm.
    """
    found = {}
    for name, arm in experiment.arms.items():
        if not isinstance(arm, BroughtArm) or arm.trained_on is None:
            continue
        try:
            read = read_examples(arm.trained_on, experiment, id_prefix=f"{name}:")
        except DataError as error:
            where = f"arms.{name}.trained_on"
            raise DataError([Problem(where, str(problem)) for problem in error.problems]) from error
        # Bad rows of it judge nothing: the usable ones are compared.
        found[name] = audit_leakage(read.examples, judging).flagged_items()
    return found
