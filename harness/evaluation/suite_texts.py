"""The texts of a general suite's items, for the leakage audit. No model is run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.evaluation.suites import Suite, build_general_task, item_identity


@dataclass(frozen=True, slots=True)
class SuiteTexts:
    """texts: task -> (item id, text), several of one id. unread: task -> why it has none."""

    texts: dict[str, list[tuple[str, str]]]
    unread: dict[str, str]


def suite_texts(suite: Suite, limit: int | None = None) -> SuiteTexts:
    """What each item of a suite says, in the forms in which it could stand in training data.

    They are the prompt alone, the prompt with the right answer, and the prompt with all choices.
    A prompt that several items share says nothing of any one of them and is left out. A task that
    cannot be read, such as one of the hub with the network off, is in ``unread``.
    """
    texts: dict[str, list[tuple[str, str]]] = {}
    unread: dict[str, str] = {}
    for entry in suite.tasks:
        try:
            task = build_general_task(suite, entry.task, limit)
            texts[entry.task] = _texts(task)
        except Exception as error:  # noqa: BLE001 - data sets and functions of any origin run here
            unread[entry.task] = f"{type(error).__name__}: {error}"
    return SuiteTexts(texts, unread)


def _texts(task: Any) -> list[tuple[str, str]]:
    found: list[tuple[str, str, list[str]]] = []
    for doc in task.eval_docs:
        prompt, forms = _forms(task, doc)
        found.append((item_identity(doc)[0], prompt, forms))
    asked = Counter(prompt for _, prompt, _ in found)
    return [
        (identity, text.strip())
        for identity, prompt, forms in found
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
    else:
        targets = target if isinstance(target, list) else [target]
        right = [one for one in targets if isinstance(one, str)]
    forms = [f"{asked} {answer}" for answer in right]
    return asked, [*forms, " ".join([asked, *choices])] if choices else forms
