"""Findings as JSON, for other programs: nothing is rounded, and nothing is put into words."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime

from harness.findings import Findings, StudyComparison
from harness.records import JsonValue, Study
from harness.versions import __version__

# The number grows when a field is renamed, dropped or changes its meaning, not when one is added.
REPORT_SCHEMA = "harness.report/1"
COMPARISON_SCHEMA = "harness.comparison/1"


def report_json(study: Study, findings: Findings, *, now: datetime | None = None) -> str:
    """One study as JSON: the experiment as declared, its final trials, and all findings."""
    content = {
        "experiment": study.experiment,
        "finalists": [
            {
                "trial_id": trial.trial_id,
                "arm": trial.arm,
                "seed": trial.seed,
                "status": trial.status,
                "params": trial.params,
                "artifacts": trial.artifacts,
            }
            for trial in study.trials
            if trial.phase == "finalist"
        ],
        "findings": findings,
    }
    return _as_json(REPORT_SCHEMA, content, now=now)


def comparison_json(comparison: StudyComparison, *, now: datetime | None = None) -> str:
    """Several studies compared, as JSON."""
    return _as_json(COMPARISON_SCHEMA, {"comparison": comparison}, now=now)


def _as_json(schema: str, content: Mapping[str, object], *, now: datetime | None = None) -> str:
    """``content`` under a header that says which schema it follows and what wrote it, and when.

    Raises:
        TypeError: something in it is no plain data.
    """
    written = (now or datetime.now(UTC)).isoformat(timespec="seconds")
    header = {"schema": schema, "harness": __version__, "written": written}
    text = json.dumps({**header, **plain(content)}, ensure_ascii=False, allow_nan=False, indent=1)
    return text + "\n"


def plain(value: object) -> JsonValue:
    """Records as objects, tuples as lists; a number that is not finite is null.

    Raises:
        TypeError: it has no form in JSON.
    """
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    raise TypeError(f"a value of type {type(value).__name__} has no form in JSON")


__all__ = ["COMPARISON_SCHEMA", "REPORT_SCHEMA", "comparison_json", "plain", "report_json"]
