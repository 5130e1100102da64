"""The prompts of an arm under one setting: are they what is meant, does the model hold them?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from harness.errors import SpecError, TrialError
from harness.prompting import PromptRenderer
from harness.prompting.chat_messages import said_twice
from harness.prompting.render import fill
from harness.prompting.rendering_check import indistinct_answers, rendering_faults
from harness.records import Example, system_of
from harness.spec import Experiment
from harness.spec.kinds import kind_info
from harness.spec.settings import PromptSettings, Settings, reasoning_of
from harness.study.brought import learnt_the_training_split
from harness.study.preflight.reader import Overlong, Reader
from harness.study.preflight.shown import ShownConversation, shown_conversation
from harness.study.preflight.tool_notes import tool_notes
from harness.trial.candidate import renderer_of, reply_constraint, reply_room, room_for

if TYPE_CHECKING:
    from harness.evaluation.local.constrained import Constraint

# Examples whose prompts are looked at through and through.
LOOKED_AT = 8
# Faults that are told where all examples were looked at.
MOST_FAULTS = 5
# Tokens that a text may have more within a prompt than by itself.
BORDERS = 8
BY_SEED = ("random", "balanced")
Splits = Mapping[str, Sequence[Example]]


def _is_counted_whole(item: Example) -> bool:
    """Whether more than the columns of its template decides how long its prompt is."""
    return bool(item.messages or item.tools)


class ArmPrompts:
    """The prompts of one arm under one setting.

    Attributes:
        trained: whether the arm is fine-tuned on the training split, as far as is known.
    """

    def __init__(
        self,
        experiment: Experiment,
        arm: str,
        setting: Settings,
        splits: Splits,
        reader: Reader,
    ) -> None:
        self._task, self._arm, self._setting = experiment.task, arm, setting
        self._splits, self._reader = splits, reader
        kind = kind_info(setting.kind)
        self.trained = kind.trains or (kind.brought and learnt_the_training_split(experiment, arm))
        self._pool = splits["train"]
        self._template = setting.template or experiment.task.template

    @cached_property
    def _sizes(self) -> dict[str, list[int]]:
        """Bytes of each text: what a long one takes in a prompt, as few tokens have none."""
        return {
            name: [len(self._text(item).encode()) for item in examples]
            for name, examples in self._splits.items()
        }

    def _text(self, item: Example) -> str:
        return fill(self._template, item)

    @cached_property
    def _bare(self) -> PromptRenderer:
        """The renderer that writes prompts without shots."""
        return self._showing(lambda item: ())

    def _drawing(self, seed: int) -> PromptRenderer:
        """The renderer that writes prompts as a trial of that seed does."""
        reader = self._reader
        return renderer_of(
            self._setting,
            seed,
            self._task,
            self._pool,
            reader.tokenizer,
            template_args=reader.template_args,
        )

    def _showing(self, shots: Callable[[Example], Sequence[Example]]) -> PromptRenderer:
        return PromptRenderer(
            self._reader.tokenizer,
            self._task,
            shots,
            self._setting.instruction,
            template=self._template,
            chat=self._setting.chat,
            template_args=self._reader.template_args,
            reasoning=reasoning_of(self._setting),
        )

    def faults(self) -> Iterator[str]:
        """What is not rendered as it is meant, on a few examples.

        All are looked at where the chat template changes some texts.
        """
        first = self._pool[:LOOKED_AT]
        bare = self._bare
        shown = self._showing(lambda item: [other for other in first if other.id != item.id][:2])
        # Conversations that are never shown to others need not stand well beside them.
        talks = any(item.messages for item in first)
        faults = [
            fault
            for renderer in ((bare,) if talks and not self._setting.shots else (bare, shown))
            for fault in rendering_faults(renderer, self._reader.tokenizer, first)
        ]
        if bare.alters and not faults:
            every = [item for items in self._splits.values() for item in items]
            faults = rendering_faults(bare, self._reader.tokenizer, every)[:MOST_FAULTS]
        try:
            self._constraint()
        except TrialError as refusal:
            faults.append(str(refusal))
        for fault in faults:
            yield f"{fault} ({self._reader.name}, chat: {str(self._setting.chat).lower()})"
        alike = indistinct_answers(shown, self._task.answer.valid_answers(self._pool) or ())
        if alike:
            yield (
                f"the tokenizer of {self._reader.name} writes the answers "
                f"{', '.join(map(repr, alike[:5]))} in the same tokens, so no reply can tell them "
                "apart; name them otherwise"
            )

    def notes(self) -> Iterator[str]:
        """What the chat template does otherwise than most, and where tools stand."""
        for note in self._bare.notes:
            yield f"{self._reader.name}: {note}"
        yield from tool_notes(self._reader.name, self._bare, self._splits)
        items = [item for items in self._splits.values() for item in items]
        moved = sum(bool(system_of(item)) for item in items)
        if moved and not self._bare.takes_system:
            yield (
                f"{self._reader.name}: the chat template takes no system message: those of "
                f"{moved} prompt(s) stand at the head of the first user message"
            )
        merged = sum(said_twice(item.messages) for item in items)
        if merged and self._bare.wants_turns:
            yield (
                f"{self._reader.name}: the chat template refuses two messages of a user in a row: "
                f"in {merged} prompt(s) they stand as one, with an empty line between them"
            )

    def shown(self) -> ShownConversation | None:
        """A conversation as the arm trains on it, or is asked; None where items are none."""
        return shown_conversation(self._arm, self._bare, self._reader.tokenizer, self._pool)

    def refused(self) -> Iterator[tuple[str, str, str]]:
        """(split, id, why) of the conversations that the chat template does not take.

        Of a template that can write none at all :meth:`faults` tell.
        """
        try:
            _ = self._bare
        except SpecError:
            return
        for split, items in self._splits.items():
            for item in items:
                try:
                    if item.messages:
                        self._tokens(item)
                except SpecError as refusal:
                    yield split, item.id, f"{refusal} ({self._reader.name})"

    def _tokens(self, item: Example) -> int:
        """Tokens of a conversation's prompt without worked examples; each is counted once."""
        key = (self._setting.instruction, self._template, self._setting.chat, id(item))
        if key not in self._reader.asked:
            self._reader.asked[key] = len(self._bare.encode_prompt(item))
        return self._reader.asked[key]

    def too_long(self, seeds: Sequence[int], *, shown: bool) -> Iterator[tuple[str, str, Overlong]]:
        """(split, id, length) of the examples whose prompt and answer the model cannot hold.

        Args:
            shown: whether prompts have worked examples; what does not fit without is not one of
                them.
        """
        context = self._reader.context
        shots = self._setting.shots if shown else 0
        if context is None or (shown and not shots):
            return
        doubtful = self._doubtful(shots, context)
        if not any(doubtful.values()):
            return
        room, needed = self._room()
        drawn = seeds if self._setting.selection in BY_SEED else seeds[:1]
        renderers = [self._drawing(seed) for seed in drawn] if shots else [self._bare]
        estimate = self._estimate()
        for split, items in doubtful.items():
            for item in items:
                tokens = max(
                    (
                        len(renderer.encode_prompt(item))
                        for renderer in renderers
                        if estimate(renderer, item) + room > context
                    ),
                    default=0,
                )
                if tokens + room > context:
                    alone = len(self._bare.encode_prompt(item))
                    length = Overlong(self._arm, shots, tokens, alone, room, needed, self._reader)
                    yield split, item.id, length

    def reasoned_length(self) -> int | None:
        """Tokens that a prompt whose worked examples reason may have with its reply, at most.

        Which of the rows that the model reasons about are shown, and what it says of them, is known
        once it has: as many of the longest, each as long as a reply may be. None where worked
        examples show answers alone, and where the model reads any number of tokens.
        """
        setting = self._setting
        if not isinstance(setting, PromptSettings) or not setting.shows_reasoning:
            return None
        if self._reader.context is None:
            return None
        asked = [item for name, items in self._splits.items() if name != "train" for item in items]
        rows = sorted(self._pool[: setting.bootstrapped], key=self._size)[-setting.shots :]
        renderer = self._showing(lambda item: rows)
        room, _ = self._room()
        return len(renderer.encode_prompt(max(asked, key=self._size))) + (len(rows) + 1) * room

    def _size(self, item: Example) -> int:
        """Of two items the longer prompt has the greater size."""
        if _is_counted_whole(item):
            return self._tokens(item)
        return self._reader.tokens(self._text(item))

    def _doubtful(self, shots: int, context: int) -> dict[str, list[Example]]:
        """Examples that may be too long if each byte were a token and the longest shots drawn."""
        around = self._around
        answers = [len(item.answer.encode()) for item in self._pool]
        costs = [size + answer for size, answer in zip(self._sizes["train"], answers, strict=True)]
        worst = sum(sorted(costs, reverse=True)[:shots])
        if shots:
            worst += shots * self._around_a_shot
        spare = self._bare.reasoning_room
        spare += self._task.max_new_tokens or room_for(max(answers) + around)
        # Trained arms are scored on a sample of what they were trained on, too; prompt arms show
        # examples of it, which must fit by themselves.
        asked = self.trained or (self._setting.shots and not shots)
        whole = any(map(_is_counted_whole, self._pool))
        if whole:
            around, costs = (
                0,
                [self._tokens(item) + len(item.answer.encode()) + BORDERS for item in self._pool],
            )
            worst = sum(sorted(costs, reverse=True)[:shots])
        return {
            name: [
                item
                for item, size in zip(examples, self._sizes[name], strict=True)
                if (self._tokens(item) if whole else size) + around + worst + spare > context
            ]
            for name, examples in self._splits.items()
            if name != "train" or asked
        }

    def _estimate(self) -> Callable[[PromptRenderer, Example], int]:
        """Tokens of a renderer's prompt for an item, summed up from its texts; rather too many."""
        first, bare = self._pool[0], self._bare
        if _is_counted_whole(first):
            shots = self._setting.shots
            return lambda renderer, item: (
                len(renderer.encode_prompt(item)) if shots else self._tokens(item)
            )

        def asked(item: Example) -> int:
            return self._reader.tokens(bare.item_text(item))

        def answered(item: Example) -> int:
            return self._reader.tokens(bare.answer_text(item.answer))

        frame = len(bare.encode_prompt(first)) - asked(first)
        around_a_shot = self._around_a_shot - asked(first) - answered(first)

        def estimate(renderer: PromptRenderer, item: Example) -> int:
            shown = sum(
                asked(shot) + answered(shot) + around_a_shot + BORDERS
                for shot in renderer.shots(item)
            )
            return frame + asked(item) + shown + BORDERS

        return estimate

    @cached_property
    def _around(self) -> int:
        """Tokens of a prompt beside its item, answer and worked examples; an upper bound."""
        first, bare = self._pool[0], self._bare
        return len(bare.encode(first).prompt) + len(bare.gap.encode()) + len(bare.end.encode())

    @cached_property
    def _around_a_shot(self) -> int:
        """Tokens that a worked example takes beside its text and answer; an upper bound."""
        first = self._pool[0]
        renderer = self._showing(lambda item: (first,))
        return len(renderer.encode_prompt(first)) - len(self._bare.encode_prompt(first))

    def _room(self) -> tuple[int, int]:
        """Tokens that an answer may have, and as many as will do for all that are known."""
        answering, bare = self._setting.first_way, self._bare
        constraint = self._constraint()
        answers = self._task.answer.valid_answers(self._pool) or {
            item.answer for item in self._pool
        }
        longest = max(len(bare.encode_answer(answer)) for answer in answers)
        needed = max(longest, (constraint and constraint.longest) or 0)
        return reply_room(bare, self._task, self._pool, answering, constraint), needed

    def _constraint(self) -> Constraint | None:
        return reply_constraint(
            self._bare, self._reader.tokenizer, self._task, self._pool, self._setting.first_way
        )

    def training_lengths(self, longest: int, seed: int) -> list[int]:
        """Tokens of the training examples that may be longer than ``longest``."""
        bare = self._bare
        whole = any(map(_is_counted_whole, self._pool))
        if (
            not whole
            and not self._setting.shots
            and all(
                self._around + size + len(bare.answer_text(item.answer).encode()) <= longest
                for item, size in zip(self._pool, self._sizes["train"], strict=True)
            )
        ):
            return []
        renderer, estimate = self._drawing(seed), self._estimate()
        end = self._reader.tokens(bare.lead + bare.end) + BORDERS
        return [
            renderer.encode(item).length
            for item in self._pool
            if estimate(renderer, item) + self._reader.tokens(bare.answer_text(item.answer)) + end
            > longest
        ]
