"""Instructions that are written before an arm is searched, and what the search has left then."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from harness.errors import Problem, SpecError, UnknownReferenceError
from harness.records import (
    ResolvedModel,
    Seat,
    TrialSpec,
    TrialSummary,
    WritingTask,
    content_hash,
)
from harness.spec import Arm, Experiment, ModelSpec
from harness.spec.instruction import OptimiserSpec
from harness.study.bootstrapping import spent_on_bootstrapping, trials_of_bootstrapping
from harness.study.judges import asked_of, endpoint_record
from harness.study.observer import Observer
from harness.study.plan import Plan
from harness.study.running import TrialRunner
from harness.study.sources import Listed
from harness.versions import version_of
from harness.writing.write import HEADROOM_SHARE

# Raised when instructions are written in another way.
WRITING_VERSION = 1
# The task's instruction and what was written, each at the default setting.
COMPARED = 2


def find_writers(
    experiment: Experiment, find: Callable[[ModelSpec], ResolvedModel]
) -> dict[str, ResolvedModel]:
    """Arm -> the local model that writes its instruction, where that is not its own.

    Raises:
        SpecError: there is no such model.
    """
    found = {}
    for arm, spec in experiment.arms.items():
        if spec.optimiser is None or (model := spec.optimiser.reflection.model) is None:
            continue
        try:
            found[arm] = find(model)
        except UnknownReferenceError as refusal:
            where = f"arms.{arm}.instruction.optimise.reflection.model"
            raise SpecError(Problem(where, str(refusal))) from refusal
    return found


def writings_of(experiment: Experiment) -> int:
    """Number of instructions that are written, one for each search of an arm that asks so."""
    asking = [name for name, arm in experiment.arms.items() if arm.optimiser is not None]
    return sum(map(experiment.repeats_of, asking))


def written(plan: Plan, runner: TrialRunner, observer: Observer) -> Plan:
    """Have every instruction written that is to be; the plan with what came of it.

    What was written for the study before stays as it is, also where its budget has grown since.
    """
    before = standing_writings(plan, runner.known.values())
    asked = _asked_writings(plan)
    complete = {place for place, trial in before.items() if trial.status == "complete"}
    fresh = [spec for place, spec in asked.items() if place not in complete]
    runner.reused += len(complete)
    if fresh:
        observer.stage("Writing instructions, from training rows")
        runner.work_off(Listed(fresh))
    # Where it is only gone through what is known, others may be missing.
    standing = standing_writings(plan, runner.known.values())
    for (arm, repeat), trial in standing.items():
        if (arm, repeat) not in complete:
            observer.warning(f"{_named(plan, arm, repeat)}: {_told(trial)}")
    return with_writings(plan, standing.values())


def standing_writings(
    plan: Plan, trials: Iterable[TrialSummary]
) -> dict[tuple[str, int], TrialSummary]:
    """(Arm, search) -> the trial that a run takes as the writing of that search's instruction.

    One that wrote for the study stays whatever has changed since; one that failed stays where the
    very same would be asked for again. What is still to be written is not among them.

    Args:
        trials: those that the run takes as they are.
    """
    by_place = {trial.place: trial for trial in trials}
    complete = {
        (trial.arm, trial.search_repeat): trial
        for trial in by_place.values()
        if trial.phase == "writing" and trial.status == "complete"
    }
    found = {
        search: complete.get(search) or by_place.get(spec.place)
        for search, spec in _asked_writings(plan).items()
    }
    return {search: trial for search, trial in found.items() if trial is not None}


def _asked_writings(plan: Plan) -> dict[tuple[str, int], TrialSpec]:
    """(Arm, search) -> the trial that writes the instruction of that search."""
    return {
        (arm, repeat): writing_trial(plan, arm, repeat, spec.optimiser)
        for arm, spec in plan.experiment.arms.items()
        if spec.optimiser is not None
        for repeat in range(plan.experiment.repeats_of(arm))
    }


def with_writings(plan: Plan, trials: Iterable[TrialSummary]) -> Plan:
    """The plan once these trials have written what they could."""
    writings: dict[str, dict[int, TrialSummary]] = {}
    for trial in trials:
        writings.setdefault(trial.arm, {})[trial.search_repeat] = trial
    return replace(plan, writings=writings)


def writing_trial(plan: Plan, arm: str, repeat: int, optimiser: OptimiserSpec) -> TrialSpec:
    """The trial that writes the instruction of one of the arm's searches.

    It is handed the training rows, and no path of any other.
    """
    trial = plan.search_trial(arm, repeat, plan.default_setting(arm), repeat=repeat)
    task, budget = plan.experiment.task, plan.experiment.budget
    seat, weights = _reflector(plan, arm, optimiser), _writers_weights(plan, arm, optimiser)
    served = seat.endpoint is not None if seat else trial.endpoint is not None
    a_share = optimiser.share
    writing = WritingTask(
        by=optimiser.by,
        writer=_writers_name(plan, arm, optimiser),
        reflector=seat,
        asked=content_hash([trial.scores[0].asked, "rows"], 40),
        asked_writer=content_hash(
            ["writer", asked_of(weights, None if served else plan.runtime)], 40
        ),
        max_new_tokens=optimiser.reflection.max_new_tokens,
        minibatch=optimiser.minibatch,
        rows=optimiser.rows,
        most_rows=int(a_share * budget.trials * len(plan.prepared.splits.validation)),
        most_tokens=None if budget.tokens is None else int(a_share * budget.tokens),
        most_seconds=None if budget.minutes is None else a_share * budget.minutes * 60,
    )
    identity = {
        **trial.identity,
        "writing": {
            "by": f"{writing.by} {version_of('gepa')}",
            "version": WRITING_VERSION,
            "writer": writing.asked_writer,
            "max_new_tokens": writing.max_new_tokens,
            "minibatch": writing.minibatch,
            "rows": writing.rows,
            "limits": [writing.most_rows, writing.most_tokens, writing.most_seconds],
            "primary metric": task.primary_identity,
            "how replies are scored": task.answer.as_scored(),
            "columns": plan.sets["train"].columns,
        },
    }
    return replace(
        trial,
        trial_id=content_hash(identity, 20),
        identity=identity,
        phase="writing",
        scores=(),
        writing=writing,
    )


def text_for(plan: Plan, arm: str, repeat: int) -> str | None:
    """What was written for one of the arm's searches; None where nothing was, or not yet."""
    trial = plan.writings.get(arm, {}).get(repeat)
    return trial.writing.text if trial and trial.writing else None


def is_to_be_written(plan: Plan, arm: str, repeat: int) -> bool:
    """Whether the instruction of one of the arm's searches is still to be written."""
    optimised = plan.experiment.arms[arm].optimiser is not None
    return optimised and repeat not in plan.writings.get(arm, {})


def arm_as_written(plan: Plan, name: str, repeat: int) -> Arm:
    """An arm as one of its searches takes it: with the instruction that was written for it."""
    declared = plan.experiment.arms[name]
    if repeat not in plan.writings.get(name, {}):
        return declared
    text = text_for(plan, name, repeat)
    return declared.with_written(() if text is None else (text,))


def left_for_search(plan: Plan, arm: str, repeat: int) -> int:
    """Trials that an arm's search may have: its settings, and the budget without its writing."""
    settings = arm_as_written(plan, arm, repeat).settings()
    left = plan.experiment.budget.trials - trials_of_writing(plan, arm, repeat)
    # Whatever writing took, what it led to is compared with the task's own instruction.
    left = max(left, COMPARED if text_for(plan, arm, repeat) else 1)
    return left if settings is None else min(left, settings)


def trials_of_writing(plan: Plan, arm: str, repeat: int) -> int:
    """Trials of the arm's budget that writing took, counted in tokens and rounded up.

    Worked examples that the model writes are among it.
    """
    of_examples = trials_of_bootstrapping(plan, arm)
    trial = plan.writings.get(arm, {}).get(repeat)
    if trial is None or trial.writing is None:
        return of_examples
    return of_examples + trial.writing.trials(len(plan.prepared.splits.validation))


def spent_on_writing(plan: Plan, arm: str, repeat: int) -> tuple[int, float]:
    """Tokens and seconds that writing took of the budget of one of the arm's searches."""
    of_examples = spent_on_bootstrapping(plan, arm)
    trial = plan.writings.get(arm, {}).get(repeat)
    if trial is None:
        return of_examples
    began, ended = map(datetime.fromisoformat, (trial.started_at, trial.ended_at))
    tokens = trial.writing.tokens if trial.writing else 0
    seconds = (ended - began).total_seconds()
    if trial.writing is not None:
        # Of one that was killed before, only its last process is between the two.
        seconds = max(seconds, trial.writing.seconds)
    return of_examples[0] + tokens, of_examples[1] + seconds


def most_trials_of_writing(plan: Plan, arm: str) -> int:
    """Trials that writing stands for at most; 0 of an arm whose instruction is given."""
    optimiser = plan.experiment.arms[arm].optimiser
    return 0 if optimiser is None else math.ceil(optimiser.share * plan.experiment.budget.trials)


def _named(plan: Plan, arm: str, repeat: int) -> str:
    repeats = plan.experiment.repeats_of(arm)
    return arm if repeats == 1 else f"{arm} (writing {repeat + 1} of {repeats})"


def _told(trial: TrialSummary) -> str:
    """What came of a writing, a sentence."""
    writing = trial.writing
    if writing is None:
        return (
            f"no instruction was written, and the task's own is searched alone: "
            f"{trial.failure_message} ({trial.failure_kind})"
        )
    spent = f"{writing.tokens:,} tokens, {len(writing.proposals)} proposals"
    if writing.text is None:
        return f"nothing better was written ({spent}): {writing.ended}"
    copied = " It quotes training rows, see the report." if writing.quoted else ""
    return (
        f"an instruction was written that does {writing.score:.3f} on {writing.headroom.rows} "
        f"training rows, the task's own {writing.own_score:.3f} ({spent}): it is tried on "
        f"validation.{copied}"
    )


def _reflector(plan: Plan, arm: str, optimiser: OptimiserSpec) -> Seat | None:
    asked = optimiser.reflection
    if asked.endpoint is not None:
        ledger = plan.folder / "spending" / "writers" / f"{arm}.jsonl"
        currency = plan.experiment.cost.currency
        server = endpoint_record(asked.endpoint, currency, str(ledger))
        return Seat("writer", "", None, server, asked.max_new_tokens)
    if asked.model is None:
        return None
    args = dict(asked.model.chat_template_args)
    return Seat("writer", "", plan.writers[arm], template_args=args)


def _writers_weights(plan: Plan, arm: str, optimiser: OptimiserSpec) -> str:
    """Who writes: weights and what their chat template is told, or model and server."""
    asked = optimiser.reflection
    if asked.endpoint is not None:
        return asked.endpoint.asked_as
    if asked.model is not None:
        return content_hash([plan.writers[arm].fingerprint, dict(asked.model.chat_template_args)])
    endpoint = plan.endpoint_of(arm)
    if endpoint is not None:
        return endpoint.asked_as
    return content_hash([plan.model_of(arm).fingerprint, plan.renderings.get(arm, "")])


def _writers_name(plan: Plan, arm: str, optimiser: OptimiserSpec) -> str:
    asked, endpoint = optimiser.reflection, plan.endpoint_of(arm)
    if asked.endpoint is not None:
        return asked.endpoint.model
    if asked.model is not None:
        return Path(asked.model.reference).name or asked.model.reference
    return endpoint.model if endpoint else Path(plan.model_of(arm).reference).name


__all__ = [
    "COMPARED",
    "HEADROOM_SHARE",
    "arm_as_written",
    "find_writers",
    "is_to_be_written",
    "left_for_search",
    "most_trials_of_writing",
    "spent_on_writing",
    "standing_writings",
    "text_for",
    "trials_of_writing",
    "with_writings",
    "writing_trial",
    "writings_of",
    "written",
]
