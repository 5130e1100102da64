"""The prompts of all arms of an experiment, each with its model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import Problem, SpecError
from harness.models.brought import problems_of_brought, tokenizer_of
from harness.models.context import context_length, within
from harness.models.lora_targets import problems_of_arms
from harness.prompting.control_tokens import ControlTokens
from harness.prompting.template_rendering import rendering_of
from harness.records import SEARCH_SEED, Example, ResolvedModel
from harness.spec import Experiment
from harness.spec.answering import check_rows_reasoned
from harness.spec.arms import Arm
from harness.spec.instruction_sources import foreseen
from harness.spec.settings import Settings, TrainedSettings, reasoning_of
from harness.study.asked_models import BASE, base_arm, template_args_of
from harness.study.brought import notes_on_brought
from harness.study.preflight.arm_prompts import ArmPrompts, Splits
from harness.study.preflight.reader import Reader
from harness.study.preflight.shown import ShownConversation
from harness.study.preflight.writing_settings import writing_settings
from harness.wording import plural


@dataclass(slots=True)
class Preflight:
    """Looks at the prompts of an experiment's arms, as far as their models are at hand."""

    experiment: Experiment
    """The experiment as declared."""
    models: Mapping[str, ResolvedModel]
    """Arm -> its model, ``base`` for the experiment's own; arms that ask a server, or whose model
    is not on this machine, are left out."""
    folders: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    """Arm -> the folders of weights that were trained elsewhere, of those on this machine."""
    notes: list[str] = field(default_factory=list)
    """What a user should know, a sentence each, once :meth:`unfit` was called."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Fine-tuned arm -> number of training examples that are longer than it trains on."""
    _readers: dict[tuple[str, str], Reader] = field(default_factory=dict)
    """Path of a model and what its chat template is told -> its reader, once opened."""
    _rendered: dict[tuple[str, ...], list[str]] = field(default_factory=dict)
    """What decides how an arm's prompts are written -> faults found in them, once looked at."""

    def unfit(self, splits: Splits) -> dict[str, dict[str, str]]:
        """Split -> id -> why that example cannot be asked of some arm.

        Raises:
            SpecError: a chat template cannot write what is meant, an arm has nothing to train on,
                or reasoning about training rows would take all of a budget; says which and why.
            UnknownReferenceError: a model has no usable tokenizer.
        """
        train, validation = len(splits["train"]), len(splits["validation"])
        check_rows_reasoned(self.experiment.budget, self.experiment.arms, train, validation)
        base = self.models.get(BASE)
        problems = problems_of_brought(self.experiment, base, self.folders)
        if base is not None:
            problems += problems_of_arms(self.experiment, base)
        if problems:
            raise SpecError(problems)
        refused = self._refused(splits)
        splits = _without(splits, refused)
        if not all(splits.values()):
            return refused
        self._look(splits)
        too_long, kept = self._without_overlong(splits)
        for arm, spec in self._asked() if kept["train"] else ():
            default = spec.resolve(spec.defaults())
            if isinstance(default, TrainedSettings):
                self._count_training(arm, spec, default, kept)
        self._note(self._reasoning_notes(kept) if all(kept.values()) else ())
        self._note(self._control_notes(kept))
        self._note(self._own_control_notes())
        self._note(notes_on_brought(self.folders, self.models.get(BASE)))
        return {name: refused.get(name, {}) | too_long.get(name, {}) for name in splits}

    def _refused(self, splits: Splits) -> dict[str, dict[str, str]]:
        """Split -> id -> why some arm's chat template does not take that conversation."""
        if self.experiment.data.conversations is None:
            return {}
        refused: dict[str, dict[str, str]] = {}
        for arm, look, *_ in self._prompts(splits):
            own = list(look.refused())
            if own and len(own) == sum(map(len, splits.values())):
                what = f"{own[0][2]}: so it is with all {len(own)} conversations"
                raise SpecError(Problem(_places([arm]), what))
            for split, identity, why in own:
                refused.setdefault(split, {}).setdefault(identity, why)
        return refused

    def _look(self, splits: Splits) -> None:
        """See whether all arms' prompts are what is meant."""
        faults: dict[str, list[str]] = {}
        for arm, look, reader, setting in self._prompts(splits):
            unmeant = self._faults(look, reader, setting)
            for fault in unmeant:
                faults.setdefault(fault, []).append(arm)
            if not unmeant:
                self._note(look.notes())
        if faults:
            raise SpecError([Problem(_places(arms), fault) for fault, arms in faults.items()])

    def _without_overlong(self, splits: Splits) -> tuple[dict[str, dict[str, str]], Splits]:
        """What is too long, as :meth:`unfit` says it, and the splits without.

        What does not fit by itself is left out before worked examples are drawn, and they are
        drawn anew when one of those that they are drawn from is left out.
        """
        too_long: dict[str, dict[str, str]] = {}
        kept, shown = splits, False
        while all(kept.values()):
            more = False
            for arm, look, *_ in self._prompts(kept):
                for split, identity, length in look.too_long(self._seeds(arm), shown=shown):
                    too_long.setdefault(split, {}).setdefault(identity, length.sentence())
                    more = True
            if shown and not more:
                break
            shown = True
            kept = _without(splits, too_long)
        return too_long, kept

    def _prompts(self, splits: Splits) -> Iterator[tuple[str, ArmPrompts, Reader, Settings]]:
        for arm, spec in self._asked():
            for reader in self._readers_of(arm):
                for setting in writing_settings(spec):
                    look = ArmPrompts(self.experiment, arm, setting, splits, reader)
                    yield arm, look, reader, setting

    def renderings(self, date: str) -> dict[str, str]:
        """Arm -> what its model's chat template makes of a small conversation that day.

        An arm whose model no arm asks through its template has none.
        """
        answer = self.experiment.task.answer
        talks = self.experiment.data.conversations is not None
        with_tools = talks or bool(answer.functions or answer.row_tools)
        asked = {arm: (self._reader(arm), spec) for arm, spec in self._asked()}
        chat = {id(reader) for reader, spec in asked.values() if True in spec.values_of("chat")}
        return {
            arm: rendering_of(reader.tokenizer, date, reader.template_args, with_tools=with_tools)
            for arm, (reader, _) in asked.items()
            if id(reader) in chat
        }

    def shown(self, splits: Splits) -> ShownConversation | None:
        """A conversation as the first fine-tuned arm reads it, or the first one that is here."""
        looks = [look for _, look, *_ in self._prompts(splits)] if splits["train"] else []
        looks.sort(key=lambda look: not look.trained)
        return looks[0].shown() if looks else None

    def _asked(self) -> Iterator[tuple[str, Arm]]:
        arms = self.experiment.arms
        yield from ((arm, foreseen(arms, arm)) for arm in arms if arm in self.models)
        if BASE in self.models:
            yield BASE, base_arm(self.experiment)

    def _faults(self, look: ArmPrompts, reader: Reader, setting: Settings) -> Sequence[str]:
        key = (
            reader.name,
            repr(reader.template_args),
            *map(repr, (setting.instruction, setting.template, setting.chat, setting.answering)),
            repr(reasoning_of(setting)),
        )
        if key not in self._rendered:
            try:
                self._rendered[key] = list(look.faults())
            except SpecError as refusal:
                self._rendered[key] = [f"{refusal} ({reader.name})"]
        return self._rendered[key]

    def _seeds(self, arm: str) -> tuple[int, ...]:
        if arm not in self.experiment.arms:
            return (SEARCH_SEED,)
        repeats = range(self.experiment.repeats_of(arm))
        searches = (self.experiment.search_seed(arm, repeat) for repeat in repeats)
        return tuple(dict.fromkeys((*searches, *self.experiment.seeds_of(arm))))

    def _reader(self, arm: str) -> Reader:
        return self._readers_of(arm)[0]

    def _readers_of(self, arm: str) -> list[Reader]:
        """What reads the arm's prompts: one each of its folders that were trained elsewhere."""
        return [self._opened(arm, folder) for folder in self.folders.get(arm) or (None,)]

    def _opened(self, arm: str, folder: Path | None) -> Reader:
        model, args = self.models[arm], template_args_of(self.experiment, arm)
        key = (str(folder or model.path), repr(args))
        if key not in self._readers:
            from harness.models.load import load_config, load_tokenizer, quiet_libraries

            quiet_libraries()
            context = context_length(load_config(model))
            tokenizer = tokenizer_of(folder, model) if folder else load_tokenizer(model)
            name = str(folder) if folder else model.reference
            self._readers[key] = Reader(name, tokenizer, context, args)
        return self._readers[key]

    def _note(self, sentences: Iterable[str]) -> None:
        self.notes += [sentence for sentence in sentences if sentence not in self.notes]

    def _count_training(
        self, arm: str, spec: Arm, default: TrainedSettings, splits: Splits
    ) -> None:
        """Count the training examples that the arm leaves out as too long."""
        reader = self._reader(arm)
        longest = within(reader.context, default.max_length)

        def too_long(setting: Settings) -> list[int]:
            look = ArmPrompts(self.experiment, arm, setting, splits, reader)
            lengths = look.training_lengths(longest, SEARCH_SEED)
            return [length for length in lengths if length > longest]

        count, where = len(splits["train"]), f"arms.{arm}.max_length"
        over = too_long(default)
        most = max((too_long(setting) for setting in writing_settings(spec)), key=len)
        raised = f"raise {where}"
        if reader.context and max([*over, *most], default=0) > reader.context:
            raised = "shorten them"
        if len(over) == count:
            raise SpecError(
                Problem(
                    where,
                    f"every training example is longer than {longest:,} tokens (up to "
                    f"{max(over):,}), so there is nothing to train on; raise it",
                )
            )
        if over:
            self.left_out[arm] = len(over)
            self._note(
                [
                    f"{arm} trains on {count - len(over)} of {count} examples: {len(over)} are "
                    f"longer than {longest:,} tokens (up to {max(over):,}) and are left out; "
                    f"{raised} to train on all"
                ]
            )
        if len(most) > len(over):
            self._note(
                [
                    f"with some settings that are searched, {arm} trains on {count - len(most)} of "
                    f"{count} examples only: the others are longer than {longest:,} tokens (up to "
                    f"{max(most):,}); {raised}, or search fewer shots"
                ]
            )

    def _reasoning_notes(self, splits: Splits) -> Iterator[str]:
        """Arms whose prompts may be too long once worked examples reason in the model's words."""
        most: dict[str, tuple[int, int, Reader]] = {}
        for arm, look, reader, setting in self._prompts(splits):
            tokens = look.reasoned_length() or 0
            least = most[arm][0] if arm in most else reader.context or 0
            if tokens > least:
                most[arm] = (tokens, setting.shots, reader)
        for arm, (tokens, shots, reader) in most.items():
            yield (
                f"{arm}: with {plural(shots, 'worked example')} that reason as long as they may, a "
                f"prompt and its reply have up to {tokens:,} tokens, and {reader.name} reads "
                f"{reader.context:,}: a prompt that does not fit loses its beginning; take fewer "
                f"shots, or a smaller arms.{arm}.reasoning_tokens, to rule it out"
            )

    def _own_control_notes(self) -> Iterator[str]:
        """Control tokens that the experiment itself writes: those are obeyed."""
        task = self.experiment.task
        holders: dict[tuple[str, str, str], list[str]] = {}
        for arm, spec in self._asked():
            reader = self._reader(arm)
            control = ControlTokens(reader.tokenizer)
            for name, usual in (("instruction", task.instruction), ("template", task.template)):
                for text in spec.values_of(name):
                    if held := control.found(usual if text is None else text):
                        shown = ", ".join(dict.fromkeys(held))
                        holders.setdefault((name, reader.name, shown), []).append(arm)
        for (name, model, shown), arms in holders.items():
            yield (
                f"the {name} of {', '.join(dict.fromkeys(arms))} holds control tokens of {model} "
                f"({shown}), which are obeyed; write them otherwise where they are meant as text"
            )

    def _control_notes(self, splits: Splits) -> Iterator[str]:
        for reader in self._readers.values():
            control = ControlTokens(reader.tokenizer)
            texts, answers, seen = set[str](), set[str](), set[str]()
            for split, examples in splits.items():
                for example in examples:
                    held = control.found("\0".join(example.inputs.values()))
                    if held:
                        texts.add(f"{split} {example.id}")
                    answered = control.found(example.answer)
                    if answered:
                        answers.add(f"{split} {example.id}")
                    seen.update(held, answered)
            shown = ", ".join(sorted(seen)[:5])
            if texts:
                yield (
                    f"{len(texts)} row(s) hold control tokens of {reader.name} in their text "
                    f"({shown}; {sorted(texts)[0]} is one): they are read as plain text, with a "
                    "space after their first character"
                )
            if answers:
                yield (
                    f"{len(answers)} row(s) hold control tokens of {reader.name} in their answer "
                    f"({shown}; {sorted(answers)[0]} is one): no reply can give them as they stand"
                )


def _without(splits: Splits, left_out: Mapping[str, Mapping[str, str]]) -> dict[str, list[Example]]:
    return {
        split: [example for example in examples if example.id not in left_out.get(split, {})]
        for split, examples in splits.items()
    }


def _places(arms: Iterable[str]) -> str:
    """Where a fault of prompts stands: in the arms, or in the base where none of them has it."""
    named = [f"arms.{arm}" for arm in dict.fromkeys(arms) if arm != BASE]
    return ", ".join(named) or "model (as the untouched base is asked)"
