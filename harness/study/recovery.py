"""What a trial left on its way to the store: a whole record, taken in or set aside; or none."""

from __future__ import annotations

from pathlib import Path

from harness.errors import StoreError, TrialError
from harness.records import Status, TrialRecord, TrialSpec, utc_now
from harness.store import StoreWriter, quarantine, quarantine_record, read_record, record_head
from harness.study.observer import Observer
from harness.versions import environment_versions


def recovered(folder: Path, stored: Status | None, writer: StoreWriter, observer: Observer) -> bool:
    """Take in the record of one folder, and set a torn or altered one aside.

    Args:
        stored: how the trial ended, as the store has it; None where it has not.

    Returns:
        Whether the store did not have it.
    """
    try:
        head = record_head(folder)
        if head.spec.adds and stored != "complete":
            raise StoreError(f"{folder}: it adds to a trial that the store does not hold")
        if stored not in (None, "failed") and not head.spec.adds:
            return False
        record = read_record(folder)
    except StoreError as error:
        if stored is None:
            place, after = quarantine(folder, str(error)), "the trial runs again"
        else:
            place = quarantine_record(folder, str(error))
            after = "the store holds what it said"
        observer.warning(f"{error}; set aside in {place}, {after}")
        return False
    # Of a trial that is stored as failed it may be a retry's, written just before the end.
    return writer.ingest(record, replace_failed=True)


def failure_record(spec: TrialSpec, started: str, failure: TrialError) -> TrialRecord:
    """The record of a trial whose process left none.

    Args:
        started: when it was first started, ISO 8601.
    """
    return TrialRecord(
        spec=spec,
        status="failed",
        started_at=started,
        ended_at=utc_now(),
        failure_kind=failure.kind,
        failure_message=str(failure),
        environment=environment_versions(),
    )


__all__ = ["failure_record", "recovered"]
