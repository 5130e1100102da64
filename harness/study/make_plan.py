"""Fix what a study is: its identity, and the files of its items."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from harness.data import Prepared, fingerprint
from harness.evaluation.suites.find import Suite
from harness.records import JsonValue, ResolvedModel, Runtime, content_hash, study_folder
from harness.spec import Experiment
from harness.study.brought import Brought, BroughtWeights
from harness.study.commands import Commands
from harness.study.completions import to_complete
from harness.study.item_sets import REPLAY, replay_texts, rows_fingerprint, write_item_sets
from harness.study.plan import Plan
from harness.study.score_keys import library_versions


def make_plan(
    experiment: Experiment,
    prepared: Prepared,
    model: ResolvedModel,
    runtime: Runtime,
    suite: Suite | None,
    results: Path,
    models: dict[str, ResolvedModel] | None = None,
    brought: Brought | None = None,
    writers: dict[str, ResolvedModel] | None = None,
    starts: Mapping[str, BroughtWeights] | None = None,
    commands: Commands | None = None,
) -> Plan:
    """Fix the experiment's identity and write its item sets under ``results``."""
    texts = replay_texts(experiment, prepared.splits)
    experiment_id = content_hash(
        {
            "spec": experiment.trial_identity(),
            "data": prepared.fingerprint,
            "model": model.fingerprint,
            "models": _models(models or {}),
            "suite": suite.fingerprint if suite else "",
            "device": runtime.device.partition(":")[0],
            "dtype": runtime.dtype,
            "versions": library_versions(),
            **({"brought": weights} if (weights := _all_fingerprints(brought)) else {}),
            **({"writers": _models(writers)} if writers else {}),
            **({"starts": begun} if (begun := _fingerprints(starts)) else {}),
            **({"commands": calls} if (calls := _identities(commands or {})) else {}),
            **({"replay": fingerprint({REPLAY: texts.examples})} if texts else {}),
            **({"trained elsewhere": theirs} if (theirs := _rows_elsewhere(prepared)) else {}),
            **({"rows": rows} if (rows := rows_fingerprint(prepared.splits)) else {}),
        }
    )
    folder = results.resolve() / study_folder(experiment.name, experiment_id)
    completions = to_complete(experiment, prepared.splits, prepared.brought)
    sets = write_item_sets(experiment, prepared.splits, folder / "splits", texts, completions.texts)
    models = models or {}
    return Plan(
        experiment,
        prepared,
        model,
        runtime,
        suite,
        experiment_id,
        folder,
        sets,
        completions,
        models,
        dict(brought or {}),
        starts=dict(starts or {}),
        writers=dict(writers or {}),
        commands=commands or {},
    )


def _models(models: dict[str, ResolvedModel]) -> dict[str, str]:
    return {arm: model.fingerprint for arm, model in models.items()}


def _rows_elsewhere(prepared: Prepared) -> dict[str, str]:
    return {arm: fingerprint({arm: known.rows}) for arm, known in prepared.brought.items()}


def _all_fingerprints(brought: Brought | None) -> dict[str, list[str]]:
    return {arm: [one.fingerprint for one in weights] for arm, weights in (brought or {}).items()}


def _fingerprints(starts: Mapping[str, BroughtWeights] | None) -> dict[str, str]:
    return {arm: weights.fingerprint for arm, weights in (starts or {}).items()}


def _identities(commands: Commands) -> dict[str, JsonValue]:
    return {arm: call.identity() for arm, call in commands.items()}
