"""The experiment as the store keeps it."""

from __future__ import annotations

from harness.data import audit_record
from harness.data.slices import slice_ids
from harness.records import DataRecord, ExperimentRecord, utc_now
from harness.study.plan import Plan
from harness.versions import environment_versions


def experiment_record(plan: Plan) -> ExperimentRecord:
    """The experiment as the store keeps it."""
    return ExperimentRecord(
        experiment_id=plan.experiment_id,
        name=plan.experiment.name,
        created_at=utc_now(),
        spec=plan.experiment.plain(),
        splits=plan.prepared.counts,
        data=_data_record(plan),
        model=plan.model,
        environment={
            **environment_versions(),
            "device": plan.runtime.device,
            "dtype": plan.runtime.dtype,
            "threads": str(plan.runtime.threads),
        },
        general_tasks=plan.general_tasks(),
    )


def _data_record(plan: Plan) -> DataRecord:
    prepared = plan.prepared
    return DataRecord(
        source=plan.experiment.data.source,
        fingerprint=prepared.fingerprint,
        test_fingerprint=plan.sets["test"].fingerprint,
        available=prepared.available,
        groups=prepared.groups,
        answers=prepared.answers,
        dropped_rows=len(prepared.dropped),
        audit=audit_record(prepared),
        calibration=plan.judges.calibration,
        date=plan.date,
        slices=slice_ids(prepared.splits.test, plan.experiment.data.slices),
    )
