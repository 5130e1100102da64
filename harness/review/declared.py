"""What a stored study was declared as."""

from __future__ import annotations

from pydantic import ValidationError

from harness.errors import InputError
from harness.records import ExperimentRecord
from harness.spec import Experiment


def declared(record: ExperimentRecord) -> Experiment:
    """The experiment of a stored study.

    Raises:
        InputError: another version of this program took it, and this one does not; says why.
    """
    try:
        return Experiment.model_validate(record.spec)
    except ValidationError as error:
        why = "; ".join(
            dict.fromkeys(one["msg"].removeprefix("Value error, ") for one in error.errors())
        )
        raise InputError(
            f"the study {record.name} ({record.experiment_id}) was declared under rules that this "
            f"version no longer has, and is not read: {why}. Its rows stay in the store "
            "(`harness query`); mend the experiment file and run it again"
        ) from error


__all__ = ["declared"]
