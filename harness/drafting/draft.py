"""Draft an experiment, try it on the data, and say what to be careful about."""

from __future__ import annotations

import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from harness.data import Prepared, prepare
from harness.drafting.given import Ask, Given
from harness.drafting.interview import Interview
from harness.drafting.machine import Machine
from harness.drafting.sizing import Sizing, size_study
from harness.drafting.wishes import Wishes
from harness.drafting.write import duration, render
from harness.errors import DataError, Problem
from harness.spec import load_experiment

# Above this share of unusable rows, the file or the reading of it is wrong.
MOST_BAD = 0.1
_FEW_TEST, _FEW_GROUPS, _RARE, _ONE_SIDED = 100, 20, 5, 0.8
# Share of items on which two arms typically disagree.
_DISCORDANCE = 0.3


@dataclass(frozen=True, slots=True)
class Draft:
    """text: of the experiment file. problems: rows that cannot be used, which it leaves out.

    cautions: sentences. rows: of all files, unusable ones included.
    """

    text: str
    wishes: Wishes
    sizing: Sizing
    prepared: Prepared
    rows: int
    cautions: tuple[str, ...]

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Rows that cannot be used, each located."""
        return self.prepared.dropped


def draft_experiment(
    data: str, given: Given, ask: Ask, machine: Machine, output: Path, folder: Path
) -> Draft:
    """Ask or guess, choose, write and try: `harness check` will pass what comes out.

    Args:
        output: where the file will lie; its paths are relative to it. folder: of the user.

    Raises:
        InputError: what is in the way of a study, and what to do.
    """
    interview = Interview(data, given, ask)
    wishes = interview.wishes(machine, folder)
    rows = sum(len(table.rows) + len(table.problems) for table in interview.tables)
    prepared, wishes = _tried(wishes, given)
    problems = prepared.dropped
    if problems:
        wishes = replace(wishes, bad_rows=_bad_rows(problems, rows, given, ask))
    else:
        interview.reasons["bad_rows"] = (
            "Every row can be used now. stop: a later row that cannot is an error; drop: it is "
            "left out and counted."
        )
        wishes = replace(wishes, bad_rows="stop")
    if problems:
        interview.reasons["bad_rows"] = (
            f"{_bad_count(problems)} of {rows} rows cannot be used now and are left out and "
            "counted; mend them, then write stop."
        )
    counts = {name: prepared.counts[name] for name in ("train", "validation", "test")}
    sizing = size_study(wishes, counts)
    wishes = replace(wishes, reasons=_reasons(wishes, sizing, interview.reasons))
    cautions = tuple(_cautions(wishes, sizing, prepared, interview.told))
    text = render(wishes, sizing, output, cautions)
    return Draft(text, wishes, sizing, prepared, rows, cautions)


def _tried(wishes: Wishes, given: Given) -> tuple[Prepared, Wishes]:
    """The data as `harness check` prepares them, unusable rows left out, no limit in force."""
    first = size_study(wishes)
    try:
        return _prepared(wishes, first), wishes
    except DataError:
        if wishes.group is None or given.group is not None:
            raise
    # A guess must not stand in the way.
    reasons = dict(wishes.reasons)
    reasons["group"] = f"`{wishes.group}` cannot divide the rows, so it was left out"
    wishes = replace(wishes, group=None, reasons=reasons)
    return _prepared(wishes, first), wishes


def _prepared(wishes: Wishes, sizing: Sizing) -> Prepared:
    with tempfile.TemporaryDirectory(prefix="harness-init-") as scratch:
        path = Path(scratch) / "experiment.yaml"
        whole = replace(sizing, limits={})
        reasons: defaultdict[str, str] = defaultdict(str)
        written = replace(wishes, bad_rows="drop", reasons=reasons)
        path.write_text(render(written, whole, path), encoding="utf-8")
        return prepare(load_experiment(path))


def _bad_rows(problems: tuple[Problem, ...], rows: int, given: Given, ask: Ask) -> str:
    bad = _bad_count(problems)
    if given.bad_rows is None and bad <= MOST_BAD * rows:
        why = f"{bad} of {rows} rows cannot be used: {problems[0]}"
        answer = ask("Leave unusable rows out and count them: drop, or stop?", "drop", why, _policy)
        policy = _policy(answer)
    else:
        policy = given.bad_rows or "stop"
    if policy == "drop":
        return policy
    raise DataError(
        [
            Problem(
                "",
                f"{bad} of {rows} rows cannot be used, so nothing was written: mend them, name "
                "other columns (--text, --answer, --kind), or leave them out with --bad-rows drop",
            ),
            *problems,
        ]
    )


def _policy(typed: str) -> str:
    if typed not in ("drop", "stop"):
        raise DataError(f"{typed!r} is neither drop nor stop")
    return typed


def _bad_count(problems: tuple[Problem, ...]) -> int:
    return len({problem.where for problem in problems})


def _reasons(wishes: Wishes, sizing: Sizing, known: dict[str, str]) -> defaultdict[str, str]:
    reasons = defaultdict(str, {**known, **wishes.reasons})
    few = wishes.rows < 500
    reasons["splits"] = (
        "With so few rows the test part, which decides, gets as many as training."
        if few
        else "The usual shares: most for training, enough for a test that decides."
    )
    reasons["metrics"] = {
        "label": "exact_match, the share of right labels, decides; the others are reported.",
        "json": "field_f1, how many fields are right, decides; the others are reported.",
        "text": "chrf, likeness to the reference by characters, decides. It is not quality.",
    }[wishes.form.kind]
    if sizing.too_long:
        budget = (
            f"Even the smallest useful study takes longer than {wishes.minutes:g} minutes here: "
            f"about {duration(sizing.seconds)}. A smaller model, a GPU, shorter texts or fewer "
            "arms make it shorter."
        )
    elif sizing.is_thorough:
        budget = f"A thorough study fits into the {wishes.minutes:g} minutes that you allow."
    else:
        budget = f"Chosen so that the run ends within {wishes.minutes:g} minutes."
    reasons["budget"] = f"{budget} Trials are settings tried by each arm; finalists run per seed."
    if sizing.size.seeds == 1:
        reasons["budget"] += " One seed speaks of one trained model, not of the method."
    reasons["thorough"] = (
        "For a result to act on, without limits, about "
        f"{duration(sizing.thorough_seconds)} on this machine:"
    )
    return reasons


def _cautions(
    wishes: Wishes, sizing: Sizing, prepared: Prepared, told: dict[str, str]
) -> Iterator[str]:
    answers = ", ".join(f"`{name}`" for name in wishes.answers)
    for name, how in told.items():
        if name in wishes.texts:
            yield (
                f"the text `{name}` {how} ({answers}): if it is not known yet when the model is "
                "asked, the study is worthless"
            )
        elif "word for word" not in how:
            yield f"`{name}` {how} ({answers}): it gives the answer away and is not shown"
    yield from _label_cautions(wishes)
    taught = prepared.answers["train"].get("label", {})
    asked = prepared.answers["test"].get("label", {})
    new = {label: count for label, count in asked.items() if label not in taught}
    if new:
        shown = ", ".join(map(repr, list(new)[:5])) + (" …" if len(new) > 5 else "")
        yield (
            f"{len(new)} label(s) of the test part never occur in training ({shown}, in "
            f"{sum(new.values())} test rows): nothing can learn them"
        )
    test = sizing.size.test
    from harness.analysis.power import Flips, mcnemar_minimum_detectable

    if test < 300:
        half = round(_DISCORDANCE * test / 2)
        points = 100 * mcnemar_minimum_detectable(Flips(half, half, test), 0.95)
        yield (
            f"{test} test items: a true difference below about {points:.0f} percentage points will "
            f"probably stay undecided (if two arms disagree on {_DISCORDANCE:.0%} of the items)"
        )
    if wishes.group and prepared.groups["test"] < _FEW_GROUPS:
        yield (
            f"the test part has {prepared.groups['test']} group(s) of `{wishes.group}`; groups, "
            "not rows, are what the statistics count, so claims will be weak"
        )
    dropped = len(prepared.audit.dropped)
    if dropped:
        yield (
            f"{dropped} training rows stand in validation or test too, word for word or nearly, "
            "and are left out of training (data.leaks)"
        )
    if prepared.audit.flagged_ids("test", ("exact", "near")) and wishes.test:
        shared = len(prepared.audit.flagged_ids("test", ("exact", "near")))
        yield f"{shared} rows of the test file stand in the training file too, or nearly"
    if sizing.max_length:
        yield (
            f"the longest row has about {sizing.longest:,} tokens, so fine-tuning reads up to "
            f"{sizing.max_length:,} (max_length): that takes memory and time"
        )
    context = wishes.model.context
    if context and sizing.longest > context:
        yield (
            f"the longest row has about {sizing.longest:,} tokens and the model reads {context:,}: "
            "shorten such texts, or take a model that reads more"
        )
    if wishes.model.parameters is None:
        yield (
            f"how large {wishes.model.reference} is could not be told, so time was summed up for a "
            "model of 1 billion weights, and memory was not looked at"
        )
    if sizing.too_long:
        yield f"the run will take about {duration(sizing.seconds)}, longer than you allow"


def _label_cautions(wishes: Wishes) -> Iterator[str]:
    if wishes.form.kind != "label":
        return
    counts = Counter(wishes.columns[wishes.answers[0]].texts)
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for label in counts:
        alike[re.sub(r"[\W_]+", " ", label).strip().casefold() or label].append(label)
    for labels in alike.values():
        if len(labels) > 1:
            names = " and ".join(f"{label!r} ({counts[label]} rows)" for label in labels)
            yield f"the labels {names} differ only in case or signs: make them one in the file"
    rare = [label for label, count in counts.items() if count < _RARE]
    if rare:
        shown = ", ".join(map(repr, rare[:5])) + (" …" if rare[5:] else "")
        yield (
            f"{len(rare)} of {len(counts)} labels occur in fewer than {_RARE} rows ({shown}): too "
            "few to learn or to judge"
        )
    label, most = counts.most_common(1)[0]
    if most >= _ONE_SIDED * counts.total():
        yield (
            f"{most / counts.total():.0%} of the answers are {label!r}: a model that always says "
            "so is right that often; look at macro_f1, too"
        )
