"""The sets of items that trials are handed, each a file named by what is in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.data import (
    GeneralTexts,
    columns_fingerprint,
    fingerprint,
    read_general_texts,
    scored_of,
    write_examples,
)
from harness.evaluation.suites.find import load_suite
from harness.evaluation.suites.texts import suite_texts
from harness.records import Example, Splits, SuiteKind, TrialSummary, even_sample
from harness.spec import Experiment
from harness.spec.arms import TrainedArm
from harness.spec.names import is_memorisation
from harness.spec.settings import PromptSettings, Settings, reasoning_of
from harness.study.coming import curve_sizes
from harness.study.completions import Completions, sample

DOMAIN = "domain"
TIMED = "timed"
REPLAY = "replay"
# On which training measures its loss: the first of the validation examples, so many that a longer
# validation set leaves what was trained as it is.
VALIDATION_LOSSES = "validation_losses"
VALIDATION_LOSS_EXAMPLES = 200


@dataclass(frozen=True, slots=True)
class ItemSet:
    """A set of examples on disk, scored under one name."""

    task: str
    """Name of the lm-eval task that the items are scored as."""
    split: str
    """Split that the items are scored as."""
    path: Path
    """Parquet file of the examples."""
    fingerprint: str
    """Hash of the examples."""
    examples: int
    """The examples themselves."""
    columns: str = ""
    """Hash of their whole rows, which metrics read; empty where none does."""
    left_out: str = ""
    """A sentence on what was asked for and is not in it; empty where nothing is missing."""

    @property
    def suite(self) -> SuiteKind:
        """Suite that its scores belong to."""
        if self.task == DOMAIN:
            return "domain"
        return "memorisation" if is_memorisation(self.task) else "out_of_domain"


@dataclass(frozen=True, slots=True)
class Worked:
    """Worked examples that reason in the model's own words."""

    rows: ItemSet
    """All training rows, those whose answer the model got right with what it wrote."""
    right: int
    """Number of these."""
    trial: TrialSummary
    """The trial in which it wrote."""


Bootstrapped = dict[tuple[str, str], Worked]
"""Arm and way of reasoning -> worked examples that reason so."""


def training_rows(
    sets: Mapping[str, ItemSet], worked: Bootstrapped, arm: str, settings: Settings
) -> ItemSet:
    """The training rows, with worked examples that reason where the setting shows them."""
    shows = isinstance(settings, PromptSettings) and settings.shows_reasoning
    found = worked.get((arm, reasoning_of(settings).how)) if shows else None
    return found.rows if found else sets["train"]


def write_item_sets(
    experiment: Experiment,
    splits: Splits,
    folder: Path,
    texts: GeneralTexts | None = None,
    completions: Mapping[str, Completions] | None = None,
) -> dict[str, ItemSet]:
    """Every set of the study by name, written to ``folder`` where it is not there already.

    ``replay`` is there only with ``texts``: see :func:`replay_texts`.

    ``train_sample`` is drawn at random; the samples of learning curves are the first examples of
    the training split, which is stored in random order, so that they nest as the curves do.
    """
    sample_size = experiment.train_gap_items or len(splits.test)
    named: dict[str, tuple[str, str, Sequence[Example]]] = {
        "train": (DOMAIN, "train", splits.train),
        "train_sample": (
            DOMAIN,
            "train",
            sample(scored_of(experiment, splits.train), sample_size),
        ),
        "validation": (DOMAIN, "validation", splits.validation),
        VALIDATION_LOSSES: (
            DOMAIN,
            "validation",
            splits.validation[:VALIDATION_LOSS_EXAMPLES],
        ),
        "test": (DOMAIN, "test", splits.test),
        TIMED: (DOMAIN, "test", even_sample(splits.test, experiment.latency_items)),
        **{name: (name, "test", items) for name, items in splits.out_of_domain.items()},
    }
    for size in {
        n for arm in experiment.arms for n in curve_sizes(experiment, arm, len(splits.train))
    }:
        first = scored_of(experiment, splits.train[:size])[: len(splits.validation)]
        named[curve_sample(size)] = (DOMAIN, "train", first)
    for count in {getattr(arm, "bootstrapped", 0) for arm in experiment.arms.values()} - {0}:
        first = scored_of(experiment, splits.train[:count])
        named[to_reason_about(count)] = (DOMAIN, "train", first)
    for asked in (completions or {}).values():
        for name, (split, items) in asked.sets().items():
            named[name] = (asked.task, split, items)
    sets = {name: write_set(folder, name, *parts) for name, parts in named.items()}
    if texts:
        written = write_set(folder, REPLAY, REPLAY, "train", texts.examples)
        sets[REPLAY] = replace(written, left_out=texts.sentence())
    return sets


def rows_fingerprint(splits: Splits) -> str:
    """Hash of the whole rows that metrics read; empty where none does."""
    others = [item for name in sorted(splits.out_of_domain) for item in splits.out_of_domain[name]]
    return columns_fingerprint([*splits.train, *splits.validation, *splits.test, *others])


def replay_texts(experiment: Experiment, splits: Splits) -> GeneralTexts | None:
    """General texts that training may use; None where no arm has a use for them.

    Left out are those that also stand in what the study judges by: validation, test, the
    out-of-domain sets and the items of the general suite.

    Raises:
        DataError: the source cannot be used, or no text is left.
        UnknownReferenceError: no packaged data set or suite has the name.
    """
    general = experiment.general
    arms = experiment.arms.values()
    uses = any(isinstance(arm, TrainedArm) and arm.uses_general_text() for arm in arms)
    if general is None or not uses:
        return None
    asked = suite_texts(load_suite(general.suite), general.asked).texts
    judged: dict[str, Sequence[Example]] = {
        "validation": splits.validation,
        "test": splits.test,
        **splits.out_of_domain,
        **{
            task: [Example(name, {"text": text}, "", name) for name, text in items]
            for task, items in asked.items()
        },
    }
    replay = general.replay
    return read_general_texts(replay.source, replay.column, replay.limit, judged)


def left_out_curves(experiment: Experiment, splits: Splits) -> list[str]:
    """A sentence for each arm whose curve names more training examples than there are."""
    whole, sentences = len(splits.train), []
    for name, arm in experiment.arms.items():
        beyond = [size for size in arm.curve if size > whole] if isinstance(arm, TrainedArm) else []
        if beyond:
            sizes = ", ".join(map(str, beyond))
            sentences.append(
                f"arms.{name}.curve: {sizes} left out: the training split has {whole} examples"
            )
    return sentences


def curve_sample(size: int) -> str:
    """Name of the set that shows the fit to the first ``size`` training examples."""
    return f"train_first_{size}"


def to_reason_about(count: int) -> str:
    """Name of the set of training rows from which worked examples that reason are made."""
    return f"train_reasoned_{count}"


def write_set(
    folder: Path, name: str, task: str, split: str, examples: Sequence[Example]
) -> ItemSet:
    """Write a set to a file named by what is in it, where it is not there already."""
    digest, columns = fingerprint({name: examples}), columns_fingerprint(examples)
    # Named by content: the training sample may change size while the experiment stays.
    rows = f"-{columns[:8]}" if columns else ""
    path = folder / f"{name}-{digest[:8]}{rows}.parquet"
    if not path.exists():
        write_examples(path, examples)
    return ItemSet(task, split, path, digest, len(examples), columns)
