"""The texts of a general suite's items, for the leakage audit. No model is run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from harness.errors import DataError, InputError, Problem, SpecError
from harness.evaluation.suites.find import Suite, build_general_task, item_identity
from harness.evaluation.suites.task_source import judge, words


@dataclass(frozen=True, slots=True)
class AskedTask:
    """A task as it will be asked."""

    items: int
    """Number of items that are scored."""
    shots: int
    """Number of worked examples in each prompt."""
    source: str
    """Where the items come from."""


@dataclass(frozen=True, slots=True)
class SuiteTexts:
    """What the items of a suite say."""

    texts: dict[str, list[tuple[str, str]]]
    """Task -> (item id, text), several texts of one id."""
    unread: dict[str, str]
    """Task -> why it has no texts."""
    tasks: dict[str, AskedTask] = field(default_factory=dict)
    """Task -> how it will be asked, of every task of the suite."""


def suite_texts(suite: Suite, limit: int | None = None) -> SuiteTexts:
    """What each item of a suite says, in the forms in which it could stand in training data.

    They are the prompt alone, the prompt with the right answer, and the prompt with all choices.
    A prompt that several items share says nothing of any one of them and is left out. A task whose
    own code gives no texts is in ``unread``.

    Raises:
        SpecError: items cannot be had, or a file's item is not what its task reads: all such
            problems at once. No model could be scored on them.
    """
    read = SuiteTexts({}, {}, {})
    problems: list[Problem] = []
    for entry in suite.tasks:
        try:
            task = build_general_task(suite, entry.task, limit)
        except InputError as error:
            problems.extend(error.problems)
            continue
        shots = task.get_config("num_fewshot") or 0
        read.tasks[entry.task] = AskedTask(len(task.eval_docs), shots, task.source)
        try:
            read.texts[entry.task] = _texts(task)
        except InputError as error:
            problems.extend(replace(problem, where=str(suite.path)) for problem in error.problems)
        except Exception as error:  # noqa: BLE001 - functions of any origin run here
            read.unread[entry.task] = f"{type(error).__name__}: {error}"
    if problems:
        raise SpecError(problems)
    return read


def _texts(task: Any) -> list[tuple[str, str]]:
    items: list[tuple[str, str, list[str]]] = []
    for number, doc in enumerate(task.eval_docs, 1):
        try:
            prompt, forms = _forms(task, doc)
            if task.from_files:
                judge(task, doc)
        except Exception as error:
            if not task.from_files:
                raise
            what = f"task {task.config.task}, item {number} ({item_identity(doc)[0]})"
            rule = f"{what}, of {task.source}, cannot be scored: {words(error)}"
            raise DataError(rule) from error
        items.append((item_identity(doc)[0], prompt, forms))
    asked = Counter(prompt for _, prompt, _ in items)
    return [
        (identity, text.strip())
        for identity, prompt, forms in items
        for text in dict.fromkeys([*([prompt] if asked[prompt] == 1 else []), *forms])
        if text.strip()
    ]


def _forms(task: Any, doc: Mapping[str, Any]) -> tuple[str, list[str]]:
    """The prompt; and the prompt with each right answer, and with all choices."""
    asked, target = task.doc_to_text(doc), task.doc_to_target(doc)
    choices = list(task.doc_to_choice(doc)) if task.config.doc_to_choice is not None else []
    if isinstance(asked, int):
        # The choices are prompts, and the target ends each of them, as in winogrande.
        whole = [f"{choice} {target}" for choice in choices]
        return "", [whole[asked], " ".join(whole)]
    if choices and isinstance(target, int):
        right = [choices[target]]
    elif choices and isinstance(target, str) and target not in choices:
        # lm-eval would count every answer to it as wrong.
        raise ValueError(f"the right answer {target!r} is none of the choices")
    else:
        targets = target if isinstance(target, list) else [target]
        right = [target for target in targets if isinstance(target, str)]
    forms = [f"{asked} {answer}" for answer in right]
    return asked, [*forms, " ".join([asked, *choices])] if choices else forms
