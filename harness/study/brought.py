"""Weights of a study that were fine-tuned before, by another program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UnknownReferenceError
from harness.models.brought import fingerprint_of, folder_of, own_template
from harness.spec import BroughtArm, Experiment


@dataclass(frozen=True, slots=True)
class BroughtWeights:
    """An adapter or checkpoint that stands for one seed of its arm."""

    folder: Path
    """Where it lies."""
    fingerprint: str
    """SHA-256 over its weights, configuration and tokenizer."""


Brought = Mapping[str, tuple[BroughtWeights, ...]]
"""Arm -> its weights, in the order of its seeds."""


def brought_arms(experiment: Experiment) -> dict[str, BroughtArm]:
    """The arms whose weights were trained before, by name."""
    return {name: arm for name, arm in experiment.arms.items() if isinstance(arm, BroughtArm)}


def find_brought(experiment: Experiment) -> Brought:
    """The weights of all such arms, fetched where they lie on a hub.

    Raises:
        UnknownReferenceError: some cannot be had; names the arm.
    """
    found = {}
    for name, arm in brought_arms(experiment).items():
        try:
            folders = [folder for path in arm.paths if (folder := folder_of(path)) is not None]
        except UnknownReferenceError as error:
            raise UnknownReferenceError(f"arms.{name}.path: {error}") from error
        found[name] = tuple(BroughtWeights(folder, fingerprint_of(folder)) for folder in folders)
    return found


def first_folders(experiment: Experiment) -> dict[str, Path]:
    """Arm -> the first of its folders, of those that are on this machine."""
    here = {
        name: folder_of(arm.paths[0], fetch=False) for name, arm in brought_arms(experiment).items()
    }
    return {name: folder for name, folder in here.items() if folder is not None}


def weights_of(
    experiment: Experiment, brought: Brought, arm: str, seed: int
) -> BroughtWeights | None:
    """The weights that stand for a seed of the arm; None where its weights are the study's own."""
    spec = experiment.arms.get(arm)
    if not isinstance(spec, BroughtArm):
        return None
    return brought[arm][spec.paths.index(spec.path_of(seed))]


def learnt_the_training_split(experiment: Experiment, arm: str) -> bool:
    """Whether the arm was trained on the study's own training rows, as far as is known."""
    spec = experiment.arms[arm]
    return not isinstance(spec, BroughtArm) or spec.trained_on == experiment.data.source


def notes_on_brought(experiment: Experiment, folders: Mapping[str, Path]) -> Iterator[str]:
    """What a user should know of such arms, a sentence each."""
    for name in brought_arms(experiment):
        if name in folders and own_template(folders[name]):
            yield f"{name} is asked through the chat template that its folder brings"


__all__ = [
    "Brought",
    "BroughtWeights",
    "brought_arms",
    "find_brought",
    "first_folders",
    "notes_on_brought",
    "weights_of",
]
