"""What the conversations of a study are like, and what follows for worked examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.errors import DataError, Problem
from harness.records import Example, system_of, whole_conversations
from harness.spec import Experiment
from harness.spec.spaces import greatest
from harness.spec.task import template_fields


@dataclass(frozen=True, slots=True)
class ConversationCounts:
    """The conversations of a split."""

    conversations: int
    """Number of conversations."""
    answers: int
    """Answers that are trained on or scored."""
    messages: int
    """Messages up to the last of these answers, and with it."""
    longest: int
    """Messages of the longest conversation, so counted."""
    with_system: int
    """Conversations with a system message of their own."""
    with_tools: int
    """Conversations in which tools are called, or reply."""


def conversation_counts(
    splits: Mapping[str, Sequence[Example]],
) -> dict[str, ConversationCounts]:
    """Split -> what its conversations are like; empty where items are none."""
    counts = {}
    for name, examples in splits.items():
        whole = [e for e in whole_conversations(examples) if e.conversation]
        if not whole:
            continue
        sizes = [len(example.messages) + 1 for example in whole]
        counts[name] = ConversationCounts(
            conversations=len(whole),
            answers=len(examples),
            messages=sum(sizes),
            longest=max(sizes),
            with_system=sum(bool(system_of(example)) for example in whole),
            with_tools=sum(
                any(m["role"] == "tool" or "tool_calls" in m for m in example.messages)
                for example in whole
            ),
        )
    return counts


def check_shots(experiment: Experiment, splits: Mapping[str, Sequence[Example]]) -> None:
    """See whether items can be worked examples of each other.

    They stand before the item under one system message and one list of tools, so theirs must be the
    item's, too.

    Raises:
        DataError: arms show worked examples, and system messages or tools differ.
    """
    every = [example for examples in splits.values() for example in examples]
    problems = []
    systems = {system_of(example) for example in every}
    if len(systems) > 1:
        problems += [
            Problem(
                f"arms.{arm}.shots",
                f"the conversations have {len(systems)} different system messages, and a "
                "worked example would stand under that of another conversation; set shots: 0 "
                "(an instruction can still be searched), or give all the same",
            )
            for arm in _arms_with_shots(experiment)
        ]
    tools = {example.tools for example in every}
    column = experiment.task.answer.row_tools
    if len(tools) > 1:
        remedy = "set shots: 0"
        if column is not None:
            remedy = f"write {{{column}}} into the template, where each shows its own, or {remedy}"
        problems += [
            Problem(
                f"arms.{arm}.shots",
                f"the rows have {len(tools)} different lists of tools, and a worked example would "
                f"stand under that of another row; {remedy}",
            )
            for arm in _arms_with_shots(experiment)
            if column is None or not _always_shows(experiment, arm, column)
        ]
    if problems:
        raise DataError(problems)


def _always_shows(experiment: Experiment, arm: str, column: str) -> bool:
    """Whether the templates of an arm all show a column."""
    own = experiment.arms[arm].values_of("template")
    return all(column in template_fields(each or experiment.task.template) for each in own)


def _arms_with_shots(experiment: Experiment) -> Iterator[str]:
    for name, arm in experiment.arms.items():
        if greatest(arm.shots):
            yield name
