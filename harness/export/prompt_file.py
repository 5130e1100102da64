"""The prompt of a final run as JSON, ready to be sent to an OpenAI-compatible server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import InputError
from harness.export.asking import Asking
from harness.export.destination import write_file
from harness.export.final_run import FinalRun, find_final_run
from harness.export.kept_answers import choice_of, choosing_usage, constraint_of_labels
from harness.export.prompt_usage import CHAT, TEXT, usage
from harness.export.written import history_of
from harness.spec.kinds import kind_info
from harness.versions import __version__


@dataclass(frozen=True, slots=True)
class SavedPrompt:
    """What was written."""

    run: FinalRun
    """The final run whose prompt it is."""
    path: Path
    """The file."""
    by_item: bool
    """Each item has worked examples of its own."""
    notes: tuple[str, ...]
    """What the reader of the file must know, a sentence each."""
    usage: tuple[str, ...]
    """Lines of Python that send it; empty where none can."""


def export_prompt(
    results: Path,
    name: str | None,
    path: Path,
    *,
    arm: str | None = None,
    seed: int | None = None,
    force: bool = False,
) -> SavedPrompt:
    """Write how a final run asked: messages with the item's columns in braces, and decoding.

    Args:
        arm, seed: the run, as :func:`harness.export.final_run.find_final_run` takes them.
        force: whether to write over a file that is there.

    Raises:
        InputError: nothing to export, the base's tokenizer is gone, or ``path`` is taken.
    """
    run = find_final_run(results, name, arm, seed)
    asking = Asking.of(run)
    if asking.by_item and not asking.as_chat:
        raise InputError(
            f"{run.title}: each item has examples of its own ({asking.settings.selection}) in "
            "one plain text, which no fixed request can hold; export an arm that asks through "
            "the chat template, or whose examples are drawn once"
        )
    if asking.of_conversations and not asking.as_chat:
        raise InputError(
            f"{run.title}: it asked conversations in plain text, which no fixed request can hold; "
            "export an arm that asks through the chat template"
        )
    content = _content(asking, path)
    write_file(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n", force=force)
    return SavedPrompt(
        run, path, asking.by_item, tuple(content["notes"]), tuple(content.get("usage", ()))
    )


def _content(asking: Asking, path: Path) -> dict[str, Any]:
    """The file, as plain data."""
    run, spec = asking.run, asking.run.spec
    record = run.analysed.study.experiment
    answers = asking.task.answer.valid_answers(asking.split)
    extract = asking.task.answer.extract
    content: dict[str, Any] = {
        "harness": __version__,
        "study": record.name,
        "experiment_id": record.experiment_id,
        "trial_id": run.trial.trial_id,
        "arm": run.trial.arm,
        "kind": run.trial.kind,
        "seed": run.trial.seed,
        "verdict": run.analysed.findings.verdict.sentence,
        "test": _test(asking.run),
        "send_to": CHAT if asking.as_chat else TEXT,
        "server": spec.endpoint.url if spec.endpoint else None,
        "key_variable": spec.endpoint.key_variable if spec.endpoint else None,
        "fields": asking.fields(),
        "request": asking.request(),
        "answering": asking.settings.answering,
        "answers": list(answers) if answers else None,
        "schema": asking.task.answer.reply_schema(),
        "extract": extract.model_dump(exclude_none=True) if extract else _after_reasoning(asking),
        "notes": _notes(asking),
    }
    if history := history_of(run):
        content["instruction_written"] = history
    if choice := choice_of(asking):
        content["choice"] = choice
    if constraint := constraint_of_labels(asking):
        content["constraint"] = constraint
    if asking.by_item:
        content["shots_by_item"] = asking.shots_by_item()
    else:
        content["usage"] = _usage(asking, path)
    return content


def _after_reasoning(asking: Asking) -> dict[str, str] | None:
    """Where the answer stands in a reply that reasons first, as `task.answer.extract` says it."""
    mark = asking.renderer.answer_mark
    return {"after": mark, "take": "last"} if mark else None


def _test(run: FinalRun) -> dict[str, Any]:
    (row,) = [arm for arm in run.analysed.findings.arms if arm.arm == run.trial.arm]
    interval = row.test_interval
    return {
        "metric": run.metric,
        "mean_over_seeds": row.test,
        "seeds": list(row.seeds),
        "interval": [interval.low, interval.high] if interval else None,
        "level": interval.level if interval else None,
    }


def _on_reasoning(mark: str) -> list[str]:
    told = (
        f"The model reasons before it answers: the answer is what follows the last `{mark}` of a "
        "reply, and one without it holds none."
    )
    return [told] if mark else []


def _notes(asking: Asking) -> list[str]:
    run, spec, settings = asking.run, asking.run.spec, asking.settings
    notes = [
        "The conversation follows the messages, up to the answer. A system message of its own "
        "stands behind the instruction, in one message, with an empty line between them."
        if asking.of_conversations
        else "The last message (or the prompt) is a template: {column} stands for the item's "
        "column, {{ and }} for braces. All that stands before it is literal."
    ]
    if asking.by_item:
        notes.append(
            f"Messages differ by item: each gets the {settings.shots} examples of the "
            f"pool that are most like it ({settings.selection}), so the request has no "
            "messages. shots_by_item says how they are chosen; they go between the system "
            "message and the item. Where there is no system message, the instruction stands "
            "at the head of the first of them."
        )
    if kind_info(spec.kind).trains:
        notes.append(
            f"{run.trial.arm} is fine-tuned: `harness export model` writes its weights. Serve "
            "those, and write the name under which the server has them as the model."
        )
    elif spec.endpoint is None:
        notes.append(
            "The study asked this model on its own machine. Write the name under which your "
            "server has it as the model; another number format can answer otherwise."
        )
    notes += _on_reasoning(asking.renderer.answer_mark)
    if settings.answering == "choice":
        notes.append(
            "The study took the answer with the largest log-likelihood among `answers`. A "
            "chat request cannot do that: what a server replies to it was not scored. "
            + (
                "One that gives log-likelihoods of a given text (`echo` with `logprobs` at "
                "/completions: vLLM, SGLang, llama.cpp) can: `choice` has the prompt and each "
                "answer as they follow one another, and `usage` chooses so. The server must read "
                "control tokens in the text as such, and put no second beginning before it."
                if choice_of(asking)
                else "One that keeps replies to a list of choices comes closest."
            )
        )
    if settings.answering == "constrained":
        notes.append(
            "The study kept replies to the valid answers while they were written. With "
            "response_format a server does so for JSON, perhaps with other spaces."
            if asking.response_format()
            else "The study kept replies to calls of the tools, in the model's own notation. A "
            "server has `tool_choice` for that, which may demand a call where none is right."
            if asking.renderer.tools.notation is not None
            else "The study kept replies to `answers` while they were written. A chat request "
            "has no standard field for that: `constraint` has what vLLM, SGLang and llama.cpp take."
        )
    notes += [
        f"In the study, {note}. A server that applies the template as it is asks otherwise."
        for note in asking.renderer.notes
    ]
    if asking.as_chat and asking.template_args:
        notes.append(
            "The chat template was told what `chat_template_kwargs` holds. vLLM, SGLang and "
            "llama.cpp take it; elsewhere set it where the model is served."
        )
    notes += _tool_notes(asking)
    if asking.of_conversations and not asking.takes_system:
        notes.append(
            "No system message is taken: the instruction, and behind it a conversation's own "
            "system message, stand at the head of the first user message, with an empty line after "
            "each. Without worked examples that is the conversation's own: move it there."
        )
    elif "system" in asking.conceded:
        notes.append("The server took no system message: it stands in the first user message.")
    if settings.shots:
        notes.append("The worked examples are rows of the study's training data.")
    return notes


def _tool_notes(asking: Asking) -> Iterator[str]:
    renderer, column = asking.renderer, asking.task.answer.row_tools
    if renderer.tools.beside and (asking.of_conversations or column):
        yield (
            "The chat template was told which tools the row itself names: send them as `tools`, as "
            "OpenAI writes them."
        )
    elif column and column not in asking.fields():
        yield (
            f"After the instruction stand the tools of the row ({column}), behind an empty line "
            "and `Tools:`, a line of JSON each."
        )
    if "tools" in asking.conceded:
        yield (
            "The server took no `tools`: they follow the instruction, and calls are a JSON list."
        )
    elif renderer.tools.as_messages:
        yield "The study read the `tool_calls` of a reply as its answer."
    elif renderer.tools.beside and (renderer.tools.functions or column):
        yield (
            "The study read calls in the reply's own text; a server may hand them back as "
            "`tool_calls`, which mean the same."
        )


def _usage(asking: Asking, path: Path) -> list[str]:
    served = asking.run.spec.endpoint
    server = served.url if served else "http://localhost:8000/v1"
    key_variable = served.key_variable if served else None
    if choice_of(asking):
        return choosing_usage(path.name, asking.fields(), server, key_variable)
    return usage(
        path.name,
        None if asking.of_conversations else asking.fields(),
        server,
        key_variable,
        as_chat=asking.as_chat,
        constrained=constraint_of_labels(asking) is not None,
    )


__all__ = ["SavedPrompt", "export_prompt"]
