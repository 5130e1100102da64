"""The experiment as the store keeps it."""

from __future__ import annotations

from typing import Any

from harness.data import Prepared, audit_record
from harness.planning import Plan
from harness.records import ExperimentRecord, utc_now
from harness.spec import Experiment
from harness.versions import environment_versions


def experiment_record(plan: Plan) -> ExperimentRecord:
    """The experiment as the store keeps it."""
    return ExperimentRecord(
        experiment_id=plan.experiment_id,
        name=plan.experiment.name,
        created_at=utc_now(),
        spec=plan.experiment.plain(),
        splits=plan.prepared.counts,
        data={
            **_data_facts(plan.experiment, plan.prepared),
            "test_fingerprint": plan.sets["test"].fingerprint,
            "date": plan.date,
        },
        model=plan.model,
        environment={
            **environment_versions(),
            "device": plan.runtime.device,
            "dtype": plan.runtime.dtype,
            "threads": str(plan.runtime.threads),
        },
        general_tasks=plan.general_tasks(),
    )


def _data_facts(experiment: Experiment, prepared: Prepared) -> dict[str, Any]:
    return {
        "source": experiment.data.source,
        "fingerprint": prepared.fingerprint,
        "groups": prepared.groups,
        "answers": prepared.answers,
        "dropped_rows": len(prepared.dropped),
        "audit": audit_record(prepared),
    }
