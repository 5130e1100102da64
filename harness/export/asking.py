"""How a final run asked its model: the request, without the item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.answers.json_text import JsonObject
from harness.data import read_examples_file
from harness.export.base_model import base_here, short_name
from harness.export.final_run import FinalRun, weights_folder
from harness.prompting import PromptRenderer
from harness.prompting.chat_messages import without_system, without_tools
from harness.prompting.servers_tokenizer import ServersTokenizer
from harness.prompting.shots import BY_ITEM
from harness.records import Example, Message, file_sha256
from harness.spec import TaskSpec
from harness.spec.kinds import kind_info
from harness.spec.settings import Settings, reasoning_of, settings_from
from harness.spec.task import template_fields
from harness.trial import candidate
from harness.trial.served import answer_room

# No column has it in its name, so that it shows where a column's text goes.
MARK = "\x01"


@dataclass(frozen=True, slots=True)
class Asking:
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
    def of(cls, run: FinalRun) -> Asking:
        spec, settings = run.spec, settings_from(run.spec.params)
        task = TaskSpec.model_validate(spec.task)
        split = read_examples_file(Path(spec.train_path))
        tokenizer = None
        if spec.endpoint is None:
            tokenizer = _tokenizer(run)
        teller = ServersTokenizer() if tokenizer is None else tokenizer
        pool = split[: spec.train_items]
        bare = PromptRenderer(
            teller,
            task,
            instruction=settings.instruction,
            template=settings.template,
            chat=settings.chat,
            date=spec.date,
            template_args=spec.template_args,
            reasoning=reasoning_of(settings),
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
    def of_conversations(self) -> bool:
        """Whether items are conversations, which follow what stands in the request."""
        return self.run.analysed.experiment.data.conversations is not None

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

    @property
    def takes_system(self) -> bool:
        """Whether a system message is one for the server or the template, not part of a user's."""
        return "system" not in self.conceded and self.renderer.takes_system

    def tools_beside(self, item: Example) -> tuple[JsonObject, ...]:
        """The tools that are sent beside an item's messages."""
        return () if "tools" in self.conceded else self.renderer.tools.sent_with(item)

    def as_taken(self, messages: Sequence[Message], item: Example) -> list[Message]:
        """An item's messages as the server took them in the study."""
        taken = list(messages)
        if "tools" in self.conceded:
            taken = without_tools(taken, self.renderer.tools.sent_with(item))
        return without_system(taken) if "system" in self.conceded else taken

    def request(self) -> dict[str, Any]:
        """The body to send once the item is in it; without messages where they differ by item."""
        spec = self.run.spec
        model = spec.endpoint.model if spec.endpoint else short_name(spec.model)
        body: dict[str, Any] = {"model": model}
        if not self.by_item:
            if self.as_chat:
                body["messages"] = (
                    self._before(self.renderer)
                    if self.of_conversations
                    else self._messages(self.renderer)
                )
            else:
                body["prompt"] = as_template(self.renderer.prompt(self.marked()))
        if self.as_chat and self.template_args:
            body["chat_template_kwargs"] = self.template_args
        if tools := self.tools_beside(self.marked()):
            body["tools"] = list(tools)
        room, stops = self._limits()
        limit = "max_completion_tokens" if "max_tokens" in self.conceded else "max_tokens"
        body |= {limit: room, "temperature": 0}
        if stops:
            body["stop"] = stops
        if spec.endpoint and "seed" not in self.conceded:
            from harness.evaluation.endpoint.endpoint_lm import SEED

            body["seed"] = SEED
        if form := self.response_format():
            body["response_format"] = form
        return body

    @property
    def template_args(self) -> dict[str, Any]:
        spec = self.run.spec
        return spec.endpoint.chat_template_args if spec.endpoint else spec.template_args

    def _limits(self) -> tuple[int, list[str]]:
        """Tokens that a reply may have, and texts that end it."""
        thought = self.renderer.reasoning_room
        if self.tokenizer is None:
            return (self.task.max_new_tokens or answer_room(self.split)) + thought, []
        room = self.task.max_new_tokens or candidate.answer_room(self.renderer, self.split)
        return room + thought, list(self.renderer.stops)

    def response_format(self) -> dict[str, Any] | None:
        schema = self.task.answer.reply_schema()
        if self.renderer.tools.notation is not None:
            # It is for JSON, and calls were kept to another notation.
            return None
        if self.settings.answering != "constrained" or schema is None:
            return None
        named = {"name": "answer", "schema": schema, "strict": True}
        return {"type": "json_schema", "json_schema": named}

    def marked(self) -> Example:
        """An item that shows where its columns go."""
        fields = template_fields(self.template)
        return Example("", {name: f"{MARK}{name}{MARK}" for name in fields}, "", "")

    def fields(self) -> list[str]:
        """Columns that a request has to be filled with; none for a conversation."""
        return [] if self.of_conversations else sorted(template_fields(self.template))

    def _before(self, renderer: PromptRenderer) -> list[Message]:
        """The messages before a conversation: the instruction, and whole ones that are shown.

        Without shots the first user message is the conversation's own, so that an instruction
        which must stand in it is left to who puts the two together.
        """
        shown = [
            message
            for shot in renderer.shots(self.marked())
            for message in (
                *renderer.own_messages(shot),
                {"role": "assistant", "content": renderer.shot_text(shot)},
            )
        ]
        told = renderer.instruction
        messages = [*([{"role": "system", "content": told}] if told else []), *shown]
        return messages if self.takes_system or not messages else without_system(messages)

    def _messages(self, renderer: PromptRenderer) -> list[Message]:
        """The messages as the renderer writes them, the last one a template for the item."""
        item = self.marked()
        messages = self.as_taken(renderer.messages(item), item)
        return [*messages[:-1], {**messages[-1], "content": as_template(messages[-1]["content"])}]

    def _shown_answer(self) -> str:
        mark, tools = self.renderer.answer_mark, self.renderer.tools
        answer = "the example's answer"
        if tools.as_messages and "tools" not in self.conceded:
            answer = (
                "the example's calls as `tool_calls`, with a message of role `tool` behind for "
                "each that says `ok`; `[]` as text"
            )
        elif tools.notation is not None:
            answer = "the example's calls as the chat template writes them; `[]` as text"
        if getattr(self.settings, "shows_reasoning", False):
            whole = "the example's text under `worked`"
            return f"{whole}, which ends with {answer}" if mark else whole
        return f"{mark} and {answer}" if mark else answer

    def shots_by_item(self) -> dict[str, Any]:
        """How the study chose shots for each item, and how messages are put together of them."""
        spec = self.run.spec
        pool = Path(spec.train_path)
        settings = self.settings
        item: list[Message] = [
            {"role": "user", "content": as_template(self.bare.item_text(self.marked()))}
        ]
        without = self._messages(self.bare)
        if self.of_conversations:
            item = [{"role": "…", "content": "each message of it, but for a system message"}]
            without = self._before(self.bare)
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
            "each_shot": [*item, {"role": "assistant", "content": self._shown_answer()}],
        }


def as_template(text: str) -> str:
    """A text with marked columns as a template that gives it back: other braces are doubled."""
    parts = text.replace("{", "{{").replace("}", "}}").split(MARK)
    return "".join(f"{{{part}}}" if place % 2 else part for place, part in enumerate(parts))


def _tokenizer(run: FinalRun) -> Any:
    """The tokenizer that the run's prompts were written by: of weights from elsewhere their own."""
    from harness.models.brought import tokenizer_of
    from harness.models.load import load_tokenizer, quiet_libraries

    quiet_libraries()
    base = base_here(run.spec.model)
    weights = weights_folder(run) if kind_info(run.spec.kind).outside else None
    return tokenizer_of(weights, base) if weights else load_tokenizer(base)
