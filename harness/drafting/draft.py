"""Draft an experiment, try it on the data, and say what to be careful about."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

from harness.data import Prepared, prepare
from harness.drafting.cautions import cautions_of
from harness.drafting.given import Ask, Given
from harness.drafting.interview import Interview
from harness.drafting.machine import Machine
from harness.drafting.sizing import FEW_ROWS, Sizing, size_study
from harness.drafting.wishes import BadRows, Wishes
from harness.drafting.write import duration, render
from harness.errors import DataError, Problem
from harness.spec import load_experiment

# Above this share of unusable rows, the file or the reading of it is wrong.
MOST_BAD = 0.1


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
        interview.reasons["bad_rows"] = (
            f"{_bad_count(problems)} of {rows} rows cannot be used now and are left out and "
            "counted; mend them, then write stop."
        )
    else:
        interview.reasons["bad_rows"] = (
            "Every row can be used now. stop: a later row that cannot is an error; drop: it is "
            "left out and counted."
        )
        wishes = replace(wishes, bad_rows="stop")
    counts = {name: prepared.counts[name] for name in ("train", "validation", "test")}
    sizing = size_study(wishes, counts)
    wishes = replace(wishes, reasons=_reasons(wishes, sizing, interview.reasons))
    cautions = tuple(cautions_of(wishes, sizing, prepared, interview.told))
    text = render(wishes, sizing, output, cautions)
    return Draft(text, wishes, sizing, prepared, rows, cautions)


def _tried(wishes: Wishes, given: Given) -> tuple[Prepared, Wishes]:
    """The data as `harness check` prepares them, unusable rows left out, no limit in force."""
    first = size_study(wishes)
    guessed = wishes.group is not None and given.group is None
    why = "cannot divide the rows"
    try:
        prepared = _prepared(wishes, first)
        missing = wishes.columns[wishes.group].missing if wishes.group else 0
        bad = _bad_count(prepared.dropped)
        if not guessed or not missing or bad <= MOST_BAD * wishes.rows:
            return prepared, wishes
        why = f"is empty in {missing} rows, and others cannot be used either"
    except DataError:
        if not guessed:
            raise
    # A guess must not stand in the way.
    reasons = dict(wishes.reasons)
    reasons["group"] = f"`{wishes.group}` {why}, so it was left out"
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


def _bad_rows(problems: tuple[Problem, ...], rows: int, given: Given, ask: Ask) -> BadRows:
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


def _policy(typed: str) -> BadRows:
    if typed not in ("drop", "stop"):
        raise DataError(f"{typed!r} is neither drop nor stop")
    return "drop" if typed == "drop" else "stop"


def _bad_count(problems: tuple[Problem, ...]) -> int:
    return len({problem.where for problem in problems})


def _reasons(wishes: Wishes, sizing: Sizing, known: dict[str, str]) -> defaultdict[str, str]:
    reasons = defaultdict(str, {**known, **wishes.reasons})
    reasons["splits"] = (
        "With so few rows the test part, which decides, gets as many as training."
        if wishes.rows < FEW_ROWS
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
