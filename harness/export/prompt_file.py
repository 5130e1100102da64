"""The prompt of a final run as JSON, ready to be sent to an OpenAI-compatible server."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.data import read_examples_file
from harness.errors import InputError
from harness.export.base_model import base_here, short_name
from harness.export.destination import write_file
from harness.export.final_run import FinalRun, find_final_run
from harness.prompting import PromptRenderer
from harness.prompting.shots import BY_ITEM
from harness.records import Example, file_sha256
from harness.spec import TaskSpec
from harness.spec.kinds import kind_info
from harness.spec.settings import Settings, settings_from
from harness.spec.task import template_fields
from harness.trial import candidate
from harness.trial.served import ServersTokenizer, answer_room
from harness.versions import __version__

Message = dict[str, str]
USAGE = (
    "import json, os, urllib.request",
    'saved = json.load(open({file!r}, encoding="utf-8"))',
    "item = {item!r}  # one value for each of saved['fields']",
    "body = saved['request']",
    "{fill}",
    "headers = {headers}",
    "request = urllib.request.Request({url!r}, json.dumps(body).encode(), headers)",
    "print(json.load(urllib.request.urlopen(request))['choices'][0])",
)
FILL_CHAT = "body['messages'][-1]['content'] = body['messages'][-1]['content'].format_map(item)"
FILL_TEXT = "body['prompt'] = body['prompt'].format_map(item)"
CHAT, TEXT = "chat/completions", "completions"
# No column has it in its name, so that it shows where a column's text goes.
MARK = "\x01"


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
    asking = _Asking.of(run)
    if asking.by_item and not asking.as_chat:
        raise InputError(
            f"{run.title}: each item has examples of its own ({asking.settings.selection}) in "
            "one plain text, which no fixed request can hold; export an arm that asks through "
            "the chat template, or whose examples are drawn once"
        )
    content = asking.content(path)
    write_file(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n", force=force)
    return SavedPrompt(
        run, path, asking.by_item, tuple(content["notes"]), tuple(content.get("usage", ()))
    )


@dataclass(frozen=True, slots=True)
class _Asking:
    """How the trial of a run asked its model."""

    run: FinalRun
    """The final run."""
    settings: Settings
    """Settings of the trial."""
    task: TaskSpec
    """The user's task."""
    split: tuple[Example, ...]
    """The whole training split."""
    tokenizer: Any
    """The model's tokenizer; None where a server keeps it."""
    renderer: PromptRenderer
    """What writes its prompts."""
    bare: PromptRenderer
    """The same renderer without shots."""

    @classmethod
    def of(cls, run: FinalRun) -> _Asking:
        spec, settings = run.spec, settings_from(run.spec.params)
        task = TaskSpec.model_validate(spec.task)
        split = read_examples_file(Path(spec.train_path))
        tokenizer = None
        if spec.endpoint is None:
            from harness.models.load import load_tokenizer, quiet_libraries

            quiet_libraries()
            tokenizer = load_tokenizer(base_here(spec.model))
        teller = ServersTokenizer() if tokenizer is None else tokenizer
        pool = split[: spec.train_items]
        bare = PromptRenderer(
            teller,
            task,
            instruction=settings.instruction,
            template=settings.template,
            chat=settings.chat,
            date=spec.date,
        )
        return cls(
            run,
            settings,
            task,
            split,
            tokenizer,
            candidate.make_renderer(spec, task, pool, teller),
            bare,
        )

    @property
    def template(self) -> str:
        own = self.settings.template
        return str(self.task.template if own is None else own)

    @property
    def by_item(self) -> bool:
        """Whether items have shots of their own, so that messages differ by item."""
        return bool(self.settings.shots) and self.settings.selection in BY_ITEM

    @property
    def as_chat(self) -> bool:
        if self.tokenizer is None:
            return True
        return self.settings.chat and self.tokenizer.chat_template is not None

    @property
    def conceded(self) -> set[str]:
        """What the server would not take, so that the study asked without it."""
        names = self.run.environment.get("endpoint_conceded", "")
        return set(filter(None, names.split(", ")))

    def content(self, path: Path) -> dict[str, Any]:
        """The file, as plain data."""
        run, spec = self.run, self.run.spec
        record = run.analysed.study.experiment
        answers = self.task.answer.valid_answers(self.split)
        extract = self.task.answer.extract
        content: dict[str, Any] = {
            "harness": __version__,
            "study": record.name,
            "experiment_id": record.experiment_id,
            "trial_id": run.trial.trial_id,
            "arm": run.trial.arm,
            "kind": run.trial.kind,
            "seed": run.trial.seed,
            "verdict": run.analysed.findings.verdict.sentence,
            "test": self._test(),
            "send_to": CHAT if self.as_chat else TEXT,
            "server": spec.endpoint.url if spec.endpoint else None,
            "key_variable": spec.endpoint.key_variable if spec.endpoint else None,
            "fields": sorted(template_fields(self.template)),
            "request": self._request(),
            "answering": self.settings.answering,
            "answers": list(answers) if answers else None,
            "schema": self.task.answer.reply_schema(),
            "extract": extract.model_dump(exclude_none=True) if extract else None,
            "notes": self._notes(),
        }
        if self.by_item:
            content["shots_by_item"] = self._shots_by_item()
        else:
            content["usage"] = self._usage(path)
        return content

    def _test(self) -> dict[str, Any]:
        run = self.run
        (row,) = [arm for arm in run.analysed.findings.arms if arm.arm == run.trial.arm]
        interval = row.test_interval
        return {
            "metric": run.metric,
            "mean_over_seeds": row.test,
            "seeds": list(row.seeds),
            "interval": [interval.low, interval.high] if interval else None,
            "level": interval.level if interval else None,
        }

    def _request(self) -> dict[str, Any]:
        """The body to send once the item is in it; without messages where they differ by item."""
        spec = self.run.spec
        model = spec.endpoint.model if spec.endpoint else short_name(spec.model)
        body: dict[str, Any] = {"model": model}
        if not self.by_item:
            if self.as_chat:
                body["messages"] = self._messages(self.renderer)
            else:
                body["prompt"] = _as_template(self.renderer.prompt(self._marked()))
        room, stops = self._limits()
        limit = "max_completion_tokens" if "max_tokens" in self.conceded else "max_tokens"
        body |= {limit: room, "temperature": 0}
        if stops:
            body["stop"] = stops
        if spec.endpoint and "seed" not in self.conceded:
            from harness.evaluation.endpoint.endpoint_lm import SEED

            body["seed"] = SEED
        if form := self._response_format():
            body["response_format"] = form
        return body

    def _limits(self) -> tuple[int, list[str]]:
        """Tokens that a reply may have, and texts that end it."""
        if self.tokenizer is None:
            return self.task.max_new_tokens or answer_room(self.split), []
        room = self.task.max_new_tokens or candidate.answer_room(self.renderer, self.split)
        return room, list(self.renderer.stops)

    def _response_format(self) -> dict[str, Any] | None:
        schema = self.task.answer.reply_schema()
        if self.settings.answering != "constrained" or schema is None:
            return None
        named = {"name": "answer", "schema": schema, "strict": True}
        return {"type": "json_schema", "json_schema": named}

    def _marked(self) -> Example:
        """An item that shows where its columns go."""
        fields = template_fields(self.template)
        return Example("", {name: f"{MARK}{name}{MARK}" for name in fields}, "", "")

    def _messages(self, renderer: PromptRenderer) -> list[Message]:
        """The messages as the renderer writes them, the last one a template for the item."""
        messages = renderer.messages(self._marked())
        if "system" in self.conceded:
            from harness.prompting.chat_template import without_system

            messages = without_system(messages)
        return [*messages[:-1], {**messages[-1], "content": _as_template(messages[-1]["content"])}]

    def _shots_by_item(self) -> dict[str, Any]:
        """How the study chose shots for each item, and how messages are put together of them."""
        spec = self.run.spec
        pool = Path(spec.train_path)
        settings = self.settings
        item = [{"role": "user", "content": _as_template(self.bare.item_text(self._marked()))}]
        without = self._messages(self.bare)
        return {
            "shots": settings.shots,
            "selection": settings.selection,
            "order": settings.order,
            "seed": spec.seed,
            "compared": "the item as its template renders it; its own group is left out",
            "pool": str(pool),
            "pool_sha256": file_sha256(pool),
            "pool_examples": len(self.split[: spec.train_items]),
            "messages_without_shots": without,
            "each_shot": [*item, {"role": "assistant", "content": "the example's answer"}],
        }

    def _notes(self) -> list[str]:
        run, spec, settings = self.run, self.run.spec, self.settings
        notes = [
            "The last message (or the prompt) is a template: {column} stands for the item's "
            "column, {{ and }} for braces. All that stands before it is literal."
        ]
        if self.by_item:
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
        if settings.answering == "choice":
            notes.append(
                "The study took the answer with the largest log-likelihood among `answers`. A "
                "chat request cannot do that: what a server replies to it was not scored. One "
                "that keeps replies to a list of choices comes closest."
            )
        if settings.answering == "constrained":
            notes.append(
                "The study kept replies to the valid answers while they were written. With "
                "response_format a server does so for JSON, perhaps with other spaces."
                if self._response_format()
                else "The study kept replies to `answers` while they were written. A chat request "
                "has no standard field for that; give the list to your server in its own way."
            )
        notes += [
            f"In the study, {note}. A server that applies the template as it is asks otherwise."
            for note in self.renderer.notes
        ]
        if "system" in self.conceded:
            notes.append("The server took no system message: it stands in the first user message.")
        if settings.shots:
            notes.append("The worked examples are rows of the study's training data.")
        return notes

    def _usage(self, path: Path) -> list[str]:
        spec = self.run.spec
        url = spec.endpoint.url if spec.endpoint else "http://localhost:8000/v1"
        key = spec.endpoint.key_variable if spec.endpoint else None
        headers = "{'Content-Type': 'application/json'"
        headers += f", 'Authorization': 'Bearer ' + os.environ[{key!r}]}}" if key else "}"
        fields = {
            "file": path.name,
            "item": dict.fromkeys(sorted(template_fields(self.template)), "..."),
            "fill": FILL_CHAT if self.as_chat else FILL_TEXT,
            "headers": headers,
            "url": f"{url}/{CHAT if self.as_chat else TEXT}",
        }
        return [line.format_map(fields) for line in USAGE]


def _as_template(text: str) -> str:
    """A text with marked columns as a template that gives it back: other braces are doubled."""
    parts = text.replace("{", "{{").replace("}", "}}").split(MARK)
    return "".join(f"{{{part}}}" if place % 2 else part for place, part in enumerate(parts))


__all__ = ["SavedPrompt", "export_prompt"]
