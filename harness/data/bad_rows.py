"""Bad rows of splits: left out and counted, or named and refused, as the experiment says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from harness.data.examples import line_of, place_of, unseen_labels
from harness.errors import DataError, Problem
from harness.records import Example
from harness.spec import Experiment

Divided = dict[str, tuple[Example, ...]]
# Splits -> split -> id of an example -> why no prompt can hold it.
Unfit = Callable[[Mapping[str, Sequence[Example]]], Mapping[str, Mapping[str, str]]]


def without_unfit(
    experiment: Experiment, splits: Divided, source_of: Mapping[str, str], unfit: Unfit
) -> tuple[Divided, list[Problem]]:
    """Examples that the models cannot be asked are bad rows of their split."""
    reasons = unfit(splits)
    return _without(
        experiment,
        splits,
        {
            name: {
                example.id: Problem(
                    place_of(source_of.get(name, source_of["train"]), example),
                    reasons[name][example.id],
                )
                for example in examples
                if example.id in reasons[name]
            }
            for name, examples in splits.items()
            if name in reasons
        },
    )


def without_unseen_labels(
    experiment: Experiment,
    splits: Divided,
    labels: Sequence[str] | None,
    source_of: Mapping[str, str],
) -> tuple[Divided, list[Problem]]:
    """Examples outside training whose label training never shows are bad rows of their split."""
    if labels is None:
        return splits, []
    labels_in = experiment.task.answer.labels_in
    return _without(
        experiment,
        splits,
        {
            name: unseen_labels(
                examples, labels, name, source_of.get(name, source_of["train"]), labels_in
            )
            for name, examples in splits.items()
            if name != "train"
        },
    )


def _without(
    experiment: Experiment, splits: Divided, bad: Mapping[str, Mapping[str, Problem]]
) -> tuple[Divided, list[Problem]]:
    """The splits without their bad rows (split -> id -> what is wrong), as the policy has it."""
    kept = {
        name: tuple(example for example in examples if example.id not in bad.get(name, {}))
        for name, examples in splits.items()
    }
    problems = sorted(
        (problem for problem_of_id in bad.values() for problem in problem_of_id.values()),
        key=lambda problem: line_of(problem.where),
    )
    emptied = [name for name, examples in kept.items() if not examples]
    if emptied or (problems and experiment.data.bad_rows == "stop"):
        head = (
            [Problem("data", f"no row of {', '.join(emptied)} can be used")]
            if emptied
            else what_to_do(problems)
        )
        raise DataError([*head, *problems])
    return kept, problems


def what_to_do(bad: Sequence[Problem]) -> list[Problem]:
    """The problem that heads bad rows where the policy is to stop; none where there are none."""
    if not bad:
        return []
    rows = len({problem.where for problem in bad})
    what = (
        f"{rows} row(s) cannot be used, and bad_rows is stop: mend them, or write drop to leave "
        "them out and have them counted"
    )
    return [Problem("data.bad_rows", what)]
