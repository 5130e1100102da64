"""Draft an experiment, try it on the data, and say what to be careful about."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from harness.data import Prepared, prepare
from harness.drafting.answers import Answers, Ask
from harness.drafting.cautions import cautions_of
from harness.drafting.interview import Interview
from harness.drafting.machine import Machine
from harness.drafting.parsers import check_filled
from harness.drafting.request import BadRows, DraftRequest
from harness.drafting.sizing import FEW_ROWS, Sizing, size_study
from harness.drafting.write import render
from harness.errors import DataError, InputError, Problem, SpecError
from harness.spec import load_experiment
from harness.wording import rough_duration

# Above this share of unusable rows, the file or the reading of it is wrong.
MOST_BAD = 0.1


@dataclass(frozen=True, slots=True)
class Draft:
    """A drafted experiment, tried on its data."""

    text: str
    """Text of the experiment file."""
    request: DraftRequest
    """What the user said, and what was guessed."""
    sizing: Sizing
    """Arms and size of the study."""
    prepared: Prepared
    """The data as the study would prepare them, unusable rows left out and no limit in force."""
    rows: int
    """Number of rows in all files, unusable ones included."""
    cautions: tuple[str, ...]
    """What the user should be careful about, a sentence each."""
    refusal: InputError | None = None
    """Why `harness check` refuses it; None where it does not, or was not asked."""

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Rows that cannot be used, each located."""
        return self.prepared.dropped


Measure = Callable[[Path], float | None]
"""Seconds that a run of an experiment file takes here; None where that could not be measured."""
Check = Callable[[Path], InputError | None]
"""Why an experiment file is refused as its prompts are looked at; None where it is not."""
Of = TypeVar("Of")


def draft_experiment(
    data: str,
    given: Answers,
    ask: Ask,
    machine: Callable[[], Machine],
    output: Path,
    folder: Path,
    measure: Measure | None = None,
    check: Check | None = None,
) -> Draft:
    """Ask or guess, choose, write and try: `harness check` will pass what comes out.

    Unless, with a model that reads little, no number of worked examples makes the prompts fit: the
    draft says what is refused.

    Args:
        data: file, packaged or hub name, as the user wrote it.
        given: what the user said beforehand.
        ask: asks the user, or takes the default.
        machine: looks at the machine that the study is sized for, once all is asked.
        output: where the file will lie; its paths are relative to it.
        folder: where the relative path of a model starts.
        measure: tells how long a run of a draft takes; without it the time is a rough sum.
        check: tries the prompts of a draft; without it their lengths are a rough sum.

    Raises:
        InputError: what is in the way of a study, and what to do.
    """
    check_filled(given)
    interview = Interview(data, given, ask)
    request = interview.request(machine, folder)
    rows = sum(len(table.rows) + len(table.problems) for table in interview.tables)
    prepared, request = _tried(request, given)
    problems = prepared.dropped
    if problems:
        request = replace(request, bad_rows=_bad_rows(problems, rows, given, ask))
        interview.reasons["bad_rows"] = (
            f"{_bad_count(problems)} of {rows} rows cannot be used now and are left out and "
            "counted. Once they are mended in the data, write `bad_rows: stop` under data here."
        )
    else:
        interview.reasons["bad_rows"] = (
            "Every row can be used now. stop: a later row that cannot is an error; drop: it is "
            "left out and counted."
        )
        request = replace(request, bad_rows="stop")
    counts = {name: prepared.counts[name] for name in ("train", "validation", "test")}
    fitted = _fitted(request, counts, None, check)
    if measure is not None and fitted.refusal is None:
        seconds = _at_scratch(request, fitted.sizing, measure)
        if seconds is not None:
            fitted = _fitted(request, counts, seconds / fitted.sizing.seconds, check)
    sizing = fitted.sizing
    request = replace(request, reasons=_reasons(request, sizing, interview.reasons))
    cautions = tuple(cautions_of(request, sizing, prepared, interview.leaks))
    text = render(request, sizing, output, cautions)
    return Draft(text, request, sizing, prepared, rows, cautions, fitted.refusal)


def _tried(request: DraftRequest, given: Answers) -> tuple[Prepared, DraftRequest]:
    """The data as `harness check` prepares them, unusable rows left out, no limit in force."""
    first = size_study(request)
    guessed = request.group is not None and given.group is None
    why = "cannot divide the rows"
    try:
        prepared = _prepared(request, first)
        missing = request.columns[request.group].missing if request.group else 0
        bad = _bad_count(prepared.dropped)
        if not guessed or not missing or bad <= MOST_BAD * request.rows:
            return prepared, request
        why = f"is empty in {missing} rows, and others cannot be used either"
    except DataError:
        if not guessed:
            raise
    # A guess must not stand in the way.
    reasons = dict(request.reasons)
    reasons["group"] = f"`{request.group}` {why}, so it was left out"
    request = replace(request, group=None, reasons=reasons)
    return _prepared(request, first), request


def _prepared(request: DraftRequest, sizing: Sizing) -> Prepared:
    with tempfile.TemporaryDirectory(prefix="harness-init-") as scratch:
        path = Path(scratch) / "experiment.yaml"
        whole = replace(sizing, limits={})
        reasons: defaultdict[str, str] = defaultdict(str)
        written = replace(request, bad_rows="drop", reasons=reasons)
        path.write_text(render(written, whole, path), encoding="utf-8")
        try:
            experiment = load_experiment(path)
        except SpecError as error:
            # The file is gone when they are read.
            raise SpecError([Problem("", problem.what) for problem in error.problems]) from error
        return prepare(experiment)


def _at_scratch(request: DraftRequest, sizing: Sizing, use: Callable[[Path], Of]) -> Of:
    """What is made of the file at this size."""
    with tempfile.TemporaryDirectory(prefix="harness-init-") as scratch:
        path = Path(scratch) / "experiment.yaml"
        reasons: defaultdict[str, str] = defaultdict(str)
        path.write_text(render(replace(request, reasons=reasons), sizing, path), encoding="utf-8")
        return use(path)


@dataclass(frozen=True, slots=True)
class _Fitted:
    """A study whose prompts the model can read, if there is one."""

    sizing: Sizing
    """Its size."""
    refusal: InputError | None
    """Why its prompts are refused; None where they are not."""


def _fitted(
    request: DraftRequest, counts: Mapping[str, int], pace: float | None, check: Check | None
) -> _Fitted:
    """The study with as many worked examples as fit; the first one where none of them is taken."""
    first = size_study(request, counts, pace)
    refusal = _at_scratch(request, first, check) if check else None
    if check is None or refusal is None or not first.arms.most_shots:
        return _Fitted(first, refusal)
    bare = size_study(request, counts, pace, most_shots=0)
    if _at_scratch(request, bare, check) is not None:
        # It is not their number that is in the way.
        return _Fitted(first, refusal)
    most = first.arms.most_shots - 1
    while most:
        fewer = size_study(request, counts, pace, most)
        if _at_scratch(request, fewer, check) is None:
            return _Fitted(fewer, None)
        most = fewer.arms.most_shots - 1
    return _Fitted(bare, None)


def _bad_rows(problems: tuple[Problem, ...], rows: int, given: Answers, ask: Ask) -> BadRows:
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


def _reasons(request: DraftRequest, sizing: Sizing, known: dict[str, str]) -> defaultdict[str, str]:
    reasons = defaultdict(str, {**known, **request.reasons})
    reasons["splits"] = (
        "With so few rows the test part, which decides, gets as many as training."
        if request.rows < FEW_ROWS
        else "The usual shares: most for training, enough for a test that decides."
    )
    reasons["metrics"] = request.form.metrics_reason
    if sizing.too_long:
        budget = (
            f"Even the smallest useful study takes longer than {request.minutes:g} minutes here: "
            f"about {rough_duration(sizing.seconds)}. A smaller model, a GPU, shorter texts or "
            "fewer arms make it shorter."
        )
    elif sizing.is_thorough:
        budget = f"A thorough study fits into the {request.minutes:g} minutes that you allow."
    else:
        budget = f"Chosen so that the run ends within {request.minutes:g} minutes."
    reasons["budget"] = f"{budget} Trials are settings tried by each arm; finalists run per seed."
    if sizing.size.seeds == 1:
        reasons["budget"] += " One seed speaks of one trained model, not of the method."
    reasons["thorough"] = (
        "For a result to act on, without limits, about "
        f"{rough_duration(sizing.thorough_seconds)} on this machine:"
    )
    return reasons
