"""What was decided before anything was seen: the plan, locked before a study's first trial."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.analysis.verdict.rules import rules, rules_hash
from harness.errors import InputError
from harness.records import JsonValue, content_hash, to_plain, utc_now, write_whole
from harness.spec import Experiment
from harness.store import StoreReader, StoreWriter
from harness.study.plan import Plan
from harness.versions import __version__, environment_versions

LOCK_FILE = "plan.lock"
EVENT = "locked"


def lock_plan(plan: Plan, writer: StoreWriter, reader: StoreReader) -> None:
    """Write ``plan.lock`` and the event that holds the same, once: neither is ever rewritten.

    Of a run that ended between the two, the file counts; where the file is gone, the store's
    words are written again.

    Raises:
        InputError: the file is not what was locked.
    """
    path = plan.folder / LOCK_FILE
    events = reader.events(plan.experiment_id)
    stored = next((event.detail for event in events if event.kind == EVENT), None)
    held = _read(path) if path.exists() else None
    if stored is not None and held is not None and held["hash"] != stored["hash"]:
        raise _altered(path, "the store holds another one")
    locked = stored or held or locked_plan(plan)
    if held is None:
        write_whole(path, json.dumps(locked, indent=1, ensure_ascii=False) + "\n")
    if stored is None:
        writer.record_event(plan.experiment_id, EVENT, locked)


def locked_plan(plan: Plan) -> dict[str, JsonValue]:
    """The plan in words and hashes, and the hash of it all under ``hash``."""
    experiment = plan.experiment
    general = experiment.general
    content: dict[str, JsonValue] = {
        "locked": utc_now(),
        "harness": __version__,
        "experiment": experiment.name,
        "experiment_id": plan.experiment_id,
        "hypothesis": experiment.question,
        "primary_contrast": {
            **_sides(experiment),
            "metric": experiment.task.primary_metric,
            "split": "test",
        },
        "margin": experiment.contrast.margin,
        "general_margin": general.margin if general else None,
        "level": experiment.contrast.level,
        "budget": experiment.budget.model_dump(mode="json"),
        "seeds": {arm: list(experiment.seeds_of(arm)) for arm in experiment.arms},
        "rules": [{"name": name, "text": text} for name, text in rules()],
        "rules_hash": rules_hash(),
        "sets": {name: items.fingerprint for name, items in sorted(plan.sets.items())},
        "suite": plan.suite.fingerprint if plan.suite else None,
        "models": {
            arm: {
                **{key: to_plain(model)[key] for key in ("reference", "revision", "fingerprint")},
                "rendering": content_hash(plan.renderings.get(arm, "")),
            }
            for arm in experiment.arms
            for model in (plan.model_of(arm),)
        },
        "versions": environment_versions(),
        "date": plan.date,
        "declaration": experiment.plain(),
    }
    return {**content, "hash": content_hash(content)}


def _sides(experiment: Experiment) -> dict[str, JsonValue]:
    contrast = experiment.contrast
    if not experiment.trained_arms():
        return {
            "leader": "the best prompt arm on validation",
            "against": contrast.against or "the second best prompt arm on validation",
        }
    return {
        "fine_tuned": contrast.fine_tuned or "the best fine-tuned arm on validation",
        "against": contrast.against or "the best prompt arm on validation",
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        locked = json.loads(path.read_text(encoding="utf-8"))
        content = {key: value for key, value in locked.items() if key != "hash"}
        whole = locked["hash"] == content_hash(content)
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        raise _altered(path, str(error)) from error
    if not whole:
        raise _altered(path, "its hash is not that of its content")
    return dict(locked)


def _altered(path: Path, why: str) -> InputError:
    return InputError(
        f"{path} is not the plan that was locked ({why}): it says what was decided before the "
        "first trial and is never changed. Put it back as it was, or remove it: the store holds it"
    )


__all__ = ["LOCK_FILE", "lock_plan", "locked_plan"]
