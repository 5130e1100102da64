"""What of a trial is known before it runs: scores, replies, weights; and what it will look at."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harness.errors import needing_room
from harness.evaluation.known_replies import write_replies
from harness.records import (
    ARTIFACT,
    JsonValue,
    TrialSpec,
    file_sha256,
    to_json,
    write_whole,
)
from harness.spec.kinds import kind_info
from harness.store import StoreReader
from harness.store.naming import NamedTrial

REPLIES_FILE = "known_replies.jsonl"
TRAINING_FILE = "known_training.json"


def known_parts(spec: TrialSpec, named: NamedTrial, reader: StoreReader, trials: Path) -> TrialSpec:
    """The specification, with all that need not be computed again.

    Args:
        trials: folder of all trials.
    """
    spec = replace(spec, known_scores=tuple(sorted(named.known)))
    if named.status == "complete":
        settled = spec.settled(named.answering) if spec.ways else spec
        brought = kind_info(spec.kind).fine_tuned and not kind_info(spec.kind).trains
        weights = spec.trained_path if brought else weights_at_hand(settled, reader, trials)
        spec = replace(settled, adds=True, trained_path=weights)
    elif spec.weights_id and not spec.trained_path:
        spec = _trained_before(spec, reader, trials)
    # What weights reply that are yet to be trained is not known, whatever a trial that failed said.
    replied = named.replied
    if spec.weights_id and not spec.adds:
        replied &= {seat.asked for seat in spec.judges}
    if replied:
        path = trials / spec.trial_id / REPLIES_FILE
        with needing_room(path):
            write_replies(path, reader.replies(sorted(replied)))
        spec = replace(spec, replies_path=str(path))
    return spec


def _trained_before(spec: TrialSpec, reader: StoreReader, trials: Path) -> TrialSpec:
    """The trial, with the weights that another one trained, where there are any."""
    weights = weights_at_hand(spec, reader, trials)
    if not weights:
        return spec
    path = trials / spec.trial_id / TRAINING_FILE
    with needing_room(path):
        write_whole(path, to_json(reader.training(Path(weights).parent.name)))
    return replace(spec, trained_path=weights, training_path=str(path))


def general_beyond(spec: TrialSpec, known: frozenset[str]) -> set[str]:
    """Keys of the general scores that a known trial of a search lacks.

    Without its weights it would be trained again for them: what it forgets of these items is left
    unknown to the search in place of that, which goes by its score then.
    """
    if spec.phase != "search":
        return set()
    general = {request.key for request in spec.scores if request.suite == "general"}
    return general - known


def weights_at_hand(
    spec: TrialSpec, reader: StoreReader, trials: Path, *, whole: bool = True
) -> str:
    """Folder of the weights that the trial trained; empty if there is none.

    Args:
        whole: whether they must be unaltered, which takes reading them.
    """
    if not spec.weights_id:
        return ""
    for stored in reader.weights(spec.weights_id):
        folder = trials / stored.trial_id
        files = {folder / name: digest for name, digest in stored.files.items()}
        if all(
            path.is_file() and not (whole and file_sha256(path) != digest)
            for path, digest in files.items()
        ):
            return str(folder / ARTIFACT)
    return ""


def accesses_to_test(spec: TrialSpec) -> dict[str, dict[str, JsonValue]]:
    """What the store notes before a trial runs: key of a score of test items -> who looks, why."""
    purpose = f"final score of the {spec.phase}"
    if spec.phase == "default":
        purpose = "test of the default setting, to show what tuning gained"
    if spec.phase == "latency":
        purpose = "latency: a few items are asked again for the time they take, and not scored"
    return {
        request.key: {
            "trial_id": spec.trial_id,
            "arm": spec.arm,
            "seed": spec.seed,
            "task": request.task,
            "phase": spec.phase,
            "purpose": purpose,
        }
        for request in spec.scores
        if request.suite in ("domain", "out_of_domain", "latency") and request.split == "test"
    }
