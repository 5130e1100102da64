"""The metrics that a user brings, tried on training rows before anything is loaded or trained."""

from __future__ import annotations

from collections.abc import Sequence

from harness.answers.row_reader import answer_part
from harness.errors import Problem, SpecError
from harness.measures import EvaluateMetric, JudgeMetric, Measure, UnscoredError
from harness.records import Example
from harness.spec import TaskSpec

# The first rows, each with its own answer as the reply.
ROWS = 16


def try_metrics(task: TaskSpec, train: Sequence[Example]) -> list[str]:
    """Ask each metric for the value of right answers.

    Returns:
        A sentence for each that cannot score some of them.

    Raises:
        SpecError: a metric cannot be used here, scores none of them, or gives two values for one.
    """
    problems, notes = [], []
    for place, measure in enumerate(task.metrics):
        if not isinstance(measure, Measure) or isinstance(measure, JudgeMetric):
            continue
        where = f"task.metrics.{place}"
        try:
            failed = _failures(measure, train[:ROWS])
        except ValueError as error:
            problems.append(Problem(where, str(error)))
            continue
        tried = len(train[:ROWS])
        name = measure.metric_names[0]
        if not failed:
            continue
        example, why = failed[0]
        line = f" (line {example.line})" if example.line else ""
        row = f"row {example.id!r} of the training data{line}, with its own answer as the reply"
        if len(failed) == tried:
            what = f"{name} can score none of the {tried} rows that were tried: for {row}, {why}"
            problems.append(Problem(where, what))
        else:
            notes.append(
                f"{name} cannot score {len(failed)} of the first {tried} training rows, each with "
                f"its own answer as the reply; the first is {row}: {why}"
            )
    if problems:
        raise SpecError(problems)
    return notes


def _failures(measure: Measure, examples: Sequence[Example]) -> list[tuple[Example, str]]:
    """Rows whose own answer has no value, and why.

    Raises:
        ValueError: the metric cannot be used here, or is no function of what it is handed.
    """
    if isinstance(measure, EvaluateMetric) and not measure.per_item:
        _try_together(measure, examples)
        return []
    score = measure.scorer()
    failed = []
    for example in examples:
        answer = answer_part(example.answer) or example.answer
        try:
            first, again = (dict(score(example.columns, answer, answer)) for _ in range(2))
        except UnscoredError as error:
            failed.append((example, str(error)))
            continue
        if first != again:
            raise ValueError(
                f"{measure.metric_names[0]} gives {_values(first)} and then {_values(again)} for "
                f"the same row {example.id!r}: a metric must be a function of item, reply and "
                "target alone"
            )
    return failed


def _try_together(measure: EvaluateMetric, examples: Sequence[Example]) -> None:
    """Raises ValueError: a metric of all items has no value of these."""
    answers = [answer_part(example.answer) or example.answer for example in examples]
    try:
        measure.computer()(answers, answers)
    except UnscoredError as error:
        raise ValueError(f"{measure.metric_names[0]} {error}") from error


def _values(values: dict[str, float]) -> str:
    return ", ".join(f"{value:g}" for value in values.values())


__all__ = ["try_metrics"]
