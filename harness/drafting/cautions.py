"""Cautions for the user of a draft: leaks, labels, numbers of rows, and time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from harness.analysis.statistics.paired_proportions import PairedProportions
from harness.analysis.statistics.power import proportions_minimum_detectable
from harness.analysis.verdict.effort import FEWEST_SETTINGS, FEWEST_STEPS
from harness.answers import Answer
from harness.answers.calls import is_of_tools
from harness.answers.thoughts import Answered, without_thought
from harness.data import Prepared
from harness.data.chat import PROMPT, RESPONSE
from harness.data.columns import Column
from harness.data.infer import is_rejected
from harness.data.label_notes import few_of_a_label, label_notes
from harness.data.name_words import ANSWERS
from harness.data.rows import lines_named
from harness.drafting.files_beside import VALIDATION_NAMES, file_beside
from harness.drafting.request import DraftRequest
from harness.drafting.sizing import Sizing
from harness.spec.kinds import kind_info
from harness.wording import agreeing, listed, per_cent, rough_duration

_FEW_GROUPS, _RARE, _ONE_SIDED = 20, 5, 0.8
# Labels have fewer characters, and replies more.
_LONG_LABEL = 40
# Share of items on which two arms typically disagree.
_DISCORDANCE = 0.3


def cautions_of(
    request: DraftRequest, sizing: Sizing, prepared: Prepared, leaks: dict[str, str]
) -> Iterator[str]:
    """What the user should know before the study is believed, a sentence each.

    Args:
        prepared: the data, no limit in force.
        leaks: column -> how it gives the answer away.
    """
    yield from prepared.notes
    yield from _file_cautions(request)
    yield from _leak_cautions(request, leaks)
    yield from _unused_cautions(request, leaks)
    yield from _answer_cautions(request, prepared)
    yield from _label_cautions(request, sizing, prepared)
    yield from _number_cautions(request, sizing, prepared)
    yield from _work_cautions(request, sizing)


def _file_cautions(request: DraftRequest) -> Iterator[str]:
    """Validation rows that lie beside the training file and cannot be used alone."""
    beside = file_beside(request.source, VALIDATION_NAMES)
    if request.test is None and beside:
        yield (
            f"{Path(beside).name} lies beside the training file and is not used: validation rows "
            "of their own need test rows in a file too (--test)"
        )


def _leak_cautions(request: DraftRequest, leaks: dict[str, str]) -> Iterator[str]:
    answers = ", ".join(f"`{name}`" for name in request.answers)
    for name, how in leaks.items():
        if name in request.texts:
            yield (
                f"the text `{name}` {how} ({answers}): if it is not known yet when the model is "
                "asked, the study is worthless"
            )
        elif "word for word" not in how:
            yield f"`{name}` {how} ({answers}): it gives the answer away and is not shown"


def _unused_cautions(request: DraftRequest, leaks: dict[str, str]) -> Iterator[str]:
    """Columns that may belong to the task, though nothing says so."""
    columns = [request.columns[name] for name in request.unused if name not in leaks]
    left = [c for c in columns if c.distinct > 1 and not (is_rejected(c) or is_of_tools(c))]
    asked = [c for c in left if c.name.lower() in ANSWERS and not c.is_identifier]
    shown = [c for c in left if c not in asked and (c.is_prose or c.lists or c.objects)]
    if asked:
        yield (
            f"{_quoted(asked)} {agreeing(len(asked), 'is', 'are')} named like an answer and "
            "neither shown nor asked for: what belongs to the task, name with --answer or --text"
        )
    if shown:
        yield (
            f"{_quoted(shown)} {agreeing(len(shown), 'is', 'are')} not shown to the model: if the "
            f"answer depends on {agreeing(len(shown), 'it, name it', 'them, name them')} with "
            "--text (lists and objects as columns of their own)"
        )


def _quoted(columns: list[Column]) -> str:
    return listed(f"`{column.name}`" for column in columns)


def _answer_cautions(request: DraftRequest, prepared: Prepared) -> Iterator[str]:
    """How the answers are written, where that is not as they are asked for and scored."""
    for name in request.answers:
        column = request.columns[name]
        yield from _notation_cautions(column, request.form)
        thought = sum(without_thought(text) != Answered(text) for text in column.texts)
        if thought:
            yield (
                f"{thought} of {len(column.values)} answers in `{name}` begin with a thought: it "
                "is trained, and only what follows it is scored; for labels or JSON leave it out"
            )
    for name in request.texts:
        last = name.removesuffix(PROMPT) + RESPONSE
        if request.columns[name].part == "prompt" and last not in (
            *request.answers,
            *request.texts,
        ):
            answered = len(request.columns[last].values) if last in request.columns else 0
            if answered:
                yield (
                    f"`{name}` leaves out the answer that ends {answered} conversations: if it "
                    f"matters, show it with --text {name} --text {last}"
                )
    if prepared.contradictions.texts:
        yield prepared.contradictions.sentence()
    for name in request.answers:
        pair = name.replace("chosen", "rejected", 1)
        if name.startswith("chosen") and pair in request.columns:
            yield (
                f"the rows are preference pairs: `{name}` is taken for the right answer, and "
                f"`{pair}` is not used"
            )


def _notation_cautions(column: Column, form: Answer) -> Iterator[str]:
    written = dict(column.places_by_notation)
    broken = written.pop(None, [])
    count, name = len(column.values), column.name
    if form.holds_json:
        for notation, places in written.items():
            if notation != "JSON":
                yield (
                    f"{len(places)} of {count} answers in `{name}` are {notation} "
                    f"({lines_named(places)}): they are read, asked for and scored as JSON"
                )
        return
    if broken:
        yield (
            f"{len(broken)} of {count} answers in `{name}` look like JSON but are none "
            f"({lines_named(broken)}), and are taken for {form.kind}: mend them if JSON is meant"
        )
    holding = [place for places in written.values() for place in places]
    if 0 < len(holding) < count:
        yield (
            f"{len(holding)} of {count} answers in `{name}` are JSON ({lines_named(holding)}) and "
            "the others are not, so none is read as such: write all in one way, or leave the "
            "others out"
        )


def _number_cautions(request: DraftRequest, sizing: Sizing, prepared: Prepared) -> Iterator[str]:
    test = sizing.size.test
    if test < 300:
        half = round(_DISCORDANCE * test / 2)
        counts = PairedProportions(half, half, test)
        points = 100 * proportions_minimum_detectable(counts, 0.95)
        yield (
            f"{test} test items: a true difference below about {points:.0f} percentage points "
            f"will probably stay undecided (if two arms disagree on "
            f"{per_cent(_DISCORDANCE)} of the items)"
        )
    if request.group and prepared.groups["test"] < _FEW_GROUPS:
        yield (
            f"the test part has {prepared.groups['test']} group(s) of `{request.group}`; groups, "
            "not rows, are what the statistics count, so claims will be weak"
        )
    dropped = len(prepared.audit.dropped)
    if dropped:
        yield (
            f"{dropped} training rows stand in validation or test too, word for word or nearly, "
            "and are left out of training (data.leaks)"
        )
    shared = len(prepared.audit.flagged_ids("test", ("exact", "near")))
    if shared and request.test:
        yield f"{shared} rows of the test file stand in the training file too, or nearly"


def _work_cautions(request: DraftRequest, sizing: Sizing) -> Iterator[str]:
    if sizing.max_length:
        yield (
            f"the longest row has about {sizing.longest:,} tokens, so fine-tuning reads up to "
            f"{sizing.max_length:,} (max_length): that takes memory and time"
        )
    context = request.model.context
    if context and sizing.longest > context:
        yield (
            f"the longest row has about {sizing.longest:,} tokens and the model reads {context:,}: "
            "shorten such texts, or take a model that reads more"
        )
    if request.model.parameters is None:
        yield (
            f"how large {request.model.reference} is could not be told: time was summed up for a "
            "model of 1 billion weights, and memory was not looked at"
        )
    yield from _training_cautions(sizing)
    if sizing.too_long:
        yield f"the run will take about {rough_duration(sizing.seconds)}, longer than you allow"


def _training_cautions(sizing: Sizing) -> Iterator[str]:
    """What will keep the verdict from saying that prompting is better."""
    if not any(kind_info(arm.kind).fine_tuned for arm in sizing.arms.arms):
        return
    lacks = []
    if sizing.size.steps < FEWEST_STEPS:
        lacks.append(f"training makes {sizing.size.steps} optimiser steps, not {FEWEST_STEPS}")
    if sizing.size.trials < FEWEST_SETTINGS:
        lacks.append("one setting of each arm is tried")
    if lacks:
        yield (
            f"{' and '.join(lacks)}, so that fine-tuning counts as hardly tried, and that "
            "prompting is better cannot be the verdict: give it more rows, or more time (--minutes)"
        )


def _label_cautions(request: DraftRequest, sizing: Sizing, prepared: Prepared) -> Iterator[str]:
    yield from label_notes(prepared)
    yield from few_of_a_label(prepared)
    labels = request.form.labels_of(prepared.splits.train)
    if labels is None:
        return
    counts = Counter(dict.fromkeys(labels, 0))
    for fields in prepared.answers.values():
        counts.update(fields.get("label", {}))
    rows = sum(prepared.counts.values())
    length = sum(map(len, labels)) / len(labels)
    if length > _LONG_LABEL:
        yield (
            f"the labels have {length:.0f} characters on average: if replies are to be written, "
            "and not one of these chosen, say --kind text"
        )
    rare = [label for label, count in counts.items() if count < _RARE]
    if rare:
        shown = ", ".join(map(repr, rare[:5])) + (" …" if rare[5:] else "")
        yield (
            f"{len(rare)} of {len(counts)} labels occur in fewer than {_RARE} rows ({shown}): too "
            "few to learn or to judge"
        )
    label, most = counts.most_common(1)[0]
    if most >= _ONE_SIDED * rows:
        # Beside one label of a set others may apply.
        yield (
            f"{per_cent(most / rows)} of the answers hold {label!r}: a model that always names it "
            "is right about this label that often, whatever it reads; look at macro_f1, too"
            if request.form.kind == "labels"
            else f"{per_cent(most / rows)} of the answers are {label!r}: a model that always "
            "says so is right that often; look at macro_f1, too"
        )
    taught = prepared.answers["train"].get("label", {})
    asked = prepared.answers["test"].get("label", {})
    new = {label: count for label, count in asked.items() if label not in taught}
    if new:
        shown = ", ".join(map(repr, list(new)[:5])) + (" …" if len(new) > 5 else "")
        yield (
            f"{len(new)} label(s) of the test part never occur in training ({shown}, in "
            f"{sum(new.values())} test rows): nothing can learn them"
        )
    if "train" in sizing.limits and sizing.size.train < _RARE * len(labels):
        yield (
            f"{sizing.size.train} training rows for {len(labels)} labels: the time allows no more, "
            "and fine-tuning has no fair chance so; allow more --minutes, or raise "
            "data.limits.train"
        )
