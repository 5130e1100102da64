"""Weights of a study that were fine-tuned before, by another program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import Problem, SpecError, UnknownReferenceError
from harness.models.brought import (
    fingerprint_of,
    folder_here,
    folder_of,
    is_adapter,
    keys_not_known,
    own_template,
)
from harness.models.vocabulary import tokens_apart
from harness.records import ResolvedModel
from harness.spec import BroughtArm, Experiment
from harness.spec.starts import start_of
from harness.wording import listed, plural


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
            folders = [folder_of(path) for path in arm.paths]
        except UnknownReferenceError as error:
            raise UnknownReferenceError(f"arms.{name}.path: {error}") from error
        found[name] = tuple(BroughtWeights(folder, fingerprint_of(folder)) for folder in folders)
    return found


def folders_here(experiment: Experiment) -> tuple[dict[str, tuple[Path, ...]], list[str]]:
    """Arm -> those of its folders that are on this machine; and what is to be fetched yet.

    Raises:
        SpecError: some are nowhere; names the arms.
    """
    here: dict[str, tuple[Path, ...]] = {}
    away, problems = [], []
    for name, arm in brought_arms(experiment).items():
        for path in arm.paths:
            try:
                folder = folder_here(path)
            except UnknownReferenceError as error:
                problems.append(Problem(f"arms.{name}.path", f"{error}; name one that is there"))
                continue
            if folder is None:
                away.append(path)
            else:
                here[name] = (*here.get(name, ()), folder)
    if problems:
        raise SpecError(problems)
    return here, away


def find_starts(experiment: Experiment) -> dict[str, BroughtWeights]:
    """Arm -> the adapter that its trainings go on from; those that begin anew are left out.

    Raises:
        SpecError: one is not there, or is no adapter.
    """
    found = {}
    for name in experiment.arms:
        try:
            start = start_of(experiment.arms, name)
            if start is None:
                continue
            folder = Path(start.folder).expanduser().resolve()
            if not is_adapter(folder):
                raise ValueError(f"{folder} holds no adapter (adapter_config.json)")
            if own_template(folder):
                raise ValueError(
                    f"{folder} brings a chat template of its own, which a training here does not "
                    "use: merge the adapter into its base, and name that as the model"
                )
        except ValueError as error:
            raise SpecError(Problem(f"arms.{name}.start", str(error))) from error
        found[name] = BroughtWeights(folder, fingerprint_of(folder))
    return found


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


def notes_on_brought(
    folders: Mapping[str, Sequence[Path]], base: ResolvedModel | None
) -> Iterator[str]:
    """What a user should know of such arms, a sentence each.

    Args:
        folders: arm -> those of its folders that are on this machine.
        base: the experiment's model; None where it is not on this machine.
    """
    for name, places in folders.items():
        if any(map(own_template, places)):
            yield f"{name} is asked through the chat template that its folder brings"
        for place in places:
            if unknown := keys_not_known(place):
                yield (
                    f"{name}: {place} was saved by another version of peft, and the one here knows "
                    f"nothing of {listed(unknown)} in its configuration: update peft, or see that "
                    "they change nothing"
                )
        for place in filter(is_adapter, places):
            apart = tokens_apart(place, Path(base.path)) if base is not None else ()
            if apart:
                yield (
                    f"{name}: the tokenizer beside the adapter in {place} has "
                    f"{plural(len(apart), 'token')}, such as {apart[0]!r}, that are none or others "
                    "to that of the experiment's model, which is the one that is used: text with "
                    "them is read otherwise than where it was trained; merge the adapter into its "
                    "base there and name the checkpoint"
                )


__all__ = [
    "Brought",
    "BroughtWeights",
    "brought_arms",
    "find_brought",
    "find_starts",
    "folders_here",
    "notes_on_brought",
    "weights_of",
]
