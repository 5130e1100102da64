"""Which studies can be compared with each other, how, and if not, why and what would help."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from harness.analysis.arms.table import choose_sides, validation_worths
from harness.analysis.searches.selection import current
from harness.analysis.statistics.scores import BASE, DOMAIN, Scores
from harness.findings import ArmSummary, ComparedStudy, Findings, Refusal
from harness.records import ScoreVector, Study
from harness.spec import Experiment
from harness.wording import agreeing, listed

# Of the smaller test set; below it, what both answered says too little of either.
PAIRED_FROM = 0.5


@dataclass(frozen=True)
class Side:
    """One of the studies, with lookups in it."""

    label: str
    """What the study is called in the comparison."""
    study: Study
    """The study as read from the store."""
    findings: Findings
    """What the analysis found in it."""
    scores: Scores = field(init=False, repr=False, compare=False)
    """Its scores, without those of settings no longer selected."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "scores", Scores(current(self.study)))

    @property
    def experiment(self) -> Experiment:
        """The experiment as declared."""
        return self.scores.experiment

    @property
    def metric(self) -> str:
        """The study's primary metric."""
        return self.experiment.task.primary_metric

    def test_vectors(self, arm: str) -> list[ScoreVector]:
        """One vector a seed of the arm's final runs, or of the untouched base."""
        return self.scores.vectors(arm, self.metric, task=DOMAIN, split="test")

    @cached_property
    def tested(self) -> tuple[str, ...]:
        """Arms with a test result, in the order of the experiment file."""
        return tuple(arm for arm in self.experiment.arms if self.test_vectors(arm))

    @cached_property
    def items(self) -> frozenset[str]:
        """Hashes of the test items that an arm was scored on."""
        return frozenset(
            key
            for arm in self.tested
            for vector in self.test_vectors(arm)
            for key in vector.doc_hashes
        )

    def general_items(self, task: str) -> frozenset[str]:
        """Hashes of the items of a general task that the untouched base was scored on."""
        metric = self.study.experiment.general_tasks[task].metric
        vectors = self.scores.vectors(BASE, metric, suite="general", task=task, split="test")
        return frozenset(key for vector in vectors for key in vector.doc_hashes)

    @cached_property
    def summary(self) -> ComparedStudy:
        """What a comparison shows of the study."""
        rows: dict[str, ArmSummary] = {row.arm: row for row in self.findings.arms}
        sides = choose_sides(validation_worths(self.scores, self.experiment), rows, self.experiment)
        record = self.study.experiment
        return ComparedStudy(
            label=self.label,
            name=record.name,
            experiment_id=record.experiment_id,
            created_at=record.created_at,
            metric=self.metric,
            metric_label=self.experiment.task.primary.label,
            verdict=self.findings.verdict,
            arms=self.findings.arms,
            fine_tuned=sides.fine_tuned if sides.fine_tuned in self.tested else "",
            prompt=sides.prompt if sides.prompt in self.tested else "",
            untested=tuple(arm for arm in self.experiment.arms if arm not in self.tested),
            items=len(self.items),
            forgetting=self.findings.forgetting,
        )


def unfinished(side: Side) -> Refusal | None:
    """Why a study is compared with none; None where an arm of it was tested."""
    if side.tested:
        return None
    return Refusal(
        (side.label,),
        "scores",
        "unfinished",
        f"{side.label} is not finished: none of its arms has a test result yet.",
        "Run its experiment file again with harness run; it goes on where it stopped.",
    )


def scores_refusal(one: Side, other: Side) -> Refusal | None:
    """Why the scores of two studies with test results cannot be paired; None where they can.

    What it refuses is ``scores`` where they cannot be compared at all, ``pairing`` where they can
    be compared as two samples.
    """
    labels = (one.label, other.label)
    differing = _differing_answers(one.experiment, other.experiment)
    if differing:
        return Refusal(
            labels,
            "scores",
            "task",
            f"{one.label} and {other.label} ask for different answers: {', '.join(differing)} "
            f"{'differs' if len(differing) == 1 else 'differ'}, so that the same reply can be "
            "right in one and wrong in the other.",
            "Give both experiments the same task.answer and run the older one again.",
        )
    if one.metric != other.metric:
        return Refusal(
            labels,
            "scores",
            "metric",
            f"{one.label} is judged by {one.metric} and {other.label} by {other.metric}: two "
            "measures have no common unit.",
            "Put the same metric first in task.metrics of both experiments and run them again.",
        )
    mine, others = one.experiment.task.primary_identity, other.experiment.task.primary_identity
    if mine != others:
        return Refusal(
            labels,
            "scores",
            "metric",
            f"{one.label} and {other.label} are both judged by {one.metric}, which is not computed "
            "alike in both: its file, its options or what it imports differ.",
            "Give both experiments the same file of the metric and run the older one again: "
            "replies are known, so that only the metric is computed.",
        )
    common, smaller = len(one.items & other.items), min(len(one.items), len(other.items))
    if common >= PAIRED_FROM * smaller:
        return None
    how_many = "none of them" if not common else f"only {common:,} of them"
    sentence = (
        f"{one.label} and {other.label} were tested on different items ({len(one.items):,} and "
        f"{len(other.items):,}, {how_many} the same)"
    )
    remedy = (
        "Test both on the same items: name one file under data.splits.test, or the same data and "
        "data.seed; with data.id an item keeps its identity when the file grows or is sorted anew."
    )
    wording = _differing(("instruction", "template"), one.experiment, other.experiment)
    if wording and not common:
        return Refusal(
            labels,
            "scores",
            "task",
            f"{sentence} and asked in other words ({listed(wording)} differ): nothing shows "
            "that the task is the same.",
            f"{remedy} Where only the words of the prompt are to differ, vary them as an arm's "
            "instruction or template.",
        )
    return Refusal(
        labels,
        "pairing",
        "test_items",
        f"{sentence}: the difference cannot be taken item by item. They are compared as two "
        "samples, which shows that scores differ, not whether settings or items made them.",
        remedy,
    )


def general_refusal(one: Side, other: Side) -> Refusal | None:
    """Why what two studies forgot does not stand side by side; None where it can, or none asks."""
    tasks = one.study.experiment.general_tasks, other.study.experiment.general_tasks
    labels = (one.label, other.label)
    if not any(tasks):
        return None
    if not all(tasks):
        without = one.label if not tasks[0] else other.label
        return Refusal(
            labels,
            "general",
            "general_unmeasured",
            f"{without} did not measure general abilities.",
            "Give both experiments the same general.suite and run the one without it.",
        )
    apart = sorted(tasks[0].keys() ^ tasks[1].keys())
    if apart:
        return _other_suite(
            labels,
            f"{', '.join(apart)} {agreeing(len(list(apart)), 'is', 'are')} in one of them only",
        )
    read_apart = [name for name in tasks[0] if tasks[0][name] != tasks[1][name]]
    if read_apart:
        return _other_suite(
            labels, f"{', '.join(read_apart)} {agreeing(len(read_apart), 'is', 'are')} read apart"
        )
    asked_apart = [n for n in tasks[0] if one.general_items(n) != other.general_items(n)]
    if asked_apart:
        return _other_suite(labels, f"other items were asked in {', '.join(asked_apart)}")
    return None


def _other_suite(labels: tuple[str, str], why: str) -> Refusal:
    return Refusal(
        labels,
        "general",
        "general_suite",
        f"{labels[0]} and {labels[1]} measured general abilities differently: {why}. A mean over "
        "other questions says nothing of what was forgotten.",
        "Give both experiments the same general.suite and general.limit and run one of them again.",
    )


def _differing_answers(one: Experiment, other: Experiment) -> list[str]:
    """Keys of task.answer that differ, but for the columns that answers are read from."""
    keys, others = (x.task.answer.judged_by() for x in (one, other))
    if keys["kind"] != others["kind"]:
        return ["task.answer.kind"]
    return [f"task.answer.{key}" for key in keys if keys[key] != others[key]]


def _differing(names: Iterable[str], one: Experiment, other: Experiment) -> list[str]:
    tasks: list[dict[str, Any]] = [x.task.model_dump(mode="json") for x in (one, other)]
    return [f"task.{name}" for name in names if tasks[0].get(name) != tasks[1].get(name)]


__all__ = ["Side", "general_refusal", "scores_refusal", "unfinished"]
