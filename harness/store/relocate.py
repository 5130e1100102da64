"""A record under another specification than the one it was made with."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from harness.records import Artifact, TrialSpec, write_whole
from harness.store.trial_folder import read_record, write_record


def relocate_record(folder: Path, spec: TrialSpec) -> None:
    """Put the record in ``folder`` under ``spec``.

    A trial on another machine is handed that machine's paths; its record, and the settings that
    lie beside its weights, are to say what was planned.

    Raises:
        StoreError: there is no whole record.
        OSError: the disk refuses; the record is as it was.
    """
    record = read_record(folder)
    if spec.ways and not record.spec.ways:
        # Which way of answering was best is found by the trial.
        spec = spec.settled(record.spec.params["answering"])
    paths = record.spec.model.path, spec.model.path
    artifacts = tuple(_with_model_path(folder, artifact, *paths) for artifact in record.artifacts)
    # Only what was written anew: a trial may leave no file of weights that have a size.
    grown = sum(artifact.bytes for artifact in artifacts) - sum(
        artifact.bytes for artifact in record.artifacts
    )
    cost = record.cost and replace(record.cost, artifact_bytes=record.cost.artifact_bytes + grown)
    write_record(folder, replace(record, spec=spec, artifacts=artifacts, cost=cost))


def _with_model_path(folder: Path, artifact: Artifact, there: str, here: str) -> Artifact:
    """The artifact, after it names the base by the path of this machine."""
    path = folder / artifact.path
    if path.suffix not in (".json", ".md"):
        return artifact
    content = path.read_bytes().replace(there.encode(), here.encode())
    write_whole(path, content)
    return Artifact(artifact.path, hashlib.sha256(content).hexdigest(), len(content))
