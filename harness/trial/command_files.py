"""What a training command of the user's is handed, as files: its rows, and all that it is told.

<trial folder>/checkpoint/command/
  parameters.json    hyperparameters, seed, base model, and where everything lies
  train.jsonl        the training rows, one a line
  validation.jsonl   the rows of the validation loss
  result/            where it leaves an adapter or a checkpoint
  state/             its own, which outlives a kill: to go on from
  ended.json         what this program notes once it has ended well
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.data import read_examples_file
from harness.prompting import PromptRenderer
from harness.records import COMMAND_STATE, Example, JsonValue, TrialSpec, write_whole
from harness.spec.settings import PARAMETER, CommandSettings, Rows


@dataclass(frozen=True, slots=True)
class CommandFolder:
    """Where a trial's command finds and leaves its files."""

    root: Path
    """The folder of them all, in which the command is run."""

    @property
    def parameters(self) -> Path:
        """All that it is told, as JSON."""
        return self.root / "parameters.json"

    @property
    def train(self) -> Path:
        """The training rows, a line of JSON each."""
        return self.root / "train.jsonl"

    @property
    def validation(self) -> Path:
        """The rows of the validation loss, a line of JSON each."""
        return self.root / "validation.jsonl"

    @property
    def result(self) -> Path:
        """The folder of the weights that it trains."""
        return self.root / "result"

    @property
    def state(self) -> Path:
        """The folder in which it may keep what it goes on from."""
        return self.root / Path(COMMAND_STATE).name

    @property
    def ended(self) -> Path:
        """What is known of it once it has ended well."""
        return self.root / "ended.json"


def folder_in(trial: Path) -> CommandFolder:
    """The command's folder within the trial's, gone once the trial has a record."""
    return CommandFolder((trial / COMMAND_STATE).parent)


def hand_over(
    spec: TrialSpec, settings: CommandSettings, renderer: PromptRenderer, place: CommandFolder
) -> dict[str, str]:
    """Write all that the command reads.

    Returns:
        Place in a word of the command -> what stands there.
    """
    for folder in (place.root, place.result, place.state):
        folder.mkdir(parents=True, exist_ok=True)
    pool = read_examples_file(Path(spec.train_path))[: spec.train_items]
    write_whole(place.train, _lines(pool, renderer, settings.rows))
    checked = read_examples_file(Path(spec.validation_path)) if spec.validation_path else ()
    write_whole(place.validation, _lines(checked, renderer, settings.rows))
    told: dict[str, JsonValue] = {
        "parameters": settings.parameters,
        "seed": spec.seed,
        "model": spec.model.path,
        "model_name": spec.model.reference,
        "train": str(place.train),
        "train_rows": len(pool),
        "validation": str(place.validation),
        "validation_rows": len(checked),
        "rows": settings.rows,
        "result": str(place.result),
        "checkpoint": str(place.state),
        "base": settings.base,
        "device": spec.runtime.device,
        "dtype": spec.runtime.dtype,
        "threads": spec.runtime.threads,
        "chat": settings.chat and renderer.has_chat_template,
        "chat_template_args": spec.template_args,
        "date": spec.date,
        "answers_end_with": renderer.end,
    }
    write_whole(place.parameters, json.dumps(told, indent=2, ensure_ascii=False) + "\n")
    return _places(told, settings.parameters, str(place.parameters))


def _places(
    told: Mapping[str, JsonValue], parameters: Mapping[str, Any], file: str
) -> dict[str, str]:
    import sys

    named = ("train", "validation", "model", "result", "checkpoint", "seed")
    own = {PARAMETER + name: _word(value) for name, value in parameters.items()}
    return {
        **{name: str(told[name]) for name in named},
        **own,
        "parameters": file,
        "python": sys.executable,
    }


def _word(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _lines(rows: Iterable[Example], renderer: PromptRenderer, form: Rows) -> str:
    # In ASCII: there are line separators of Unicode at which many a program cuts a line.
    return "".join(json.dumps(written_row(row, renderer, form)) + "\n" for row in rows)


def written_row(row: Example, renderer: PromptRenderer, form: Rows) -> dict[str, JsonValue]:
    """A row as a training program reads it; with ``tools``, where the prompt tells some."""
    if form == "text":
        return {"prompt": renderer.prompt(row), "completion": renderer.reply(row.answer)}
    asked = [dict(message) for message in renderer.messages(row)]
    reply = [{"role": "assistant", "content": renderer.answer_text(row.answer)}]
    tools = renderer.tools.sent_with(row)
    beside = {"tools": list(tools)} if tools else {}
    if form == "messages":
        return {"messages": [*asked, *reply], **beside}
    return {"prompt": asked, "completion": reply, **beside}


__all__ = ["CommandFolder", "folder_in", "hand_over", "written_row"]
