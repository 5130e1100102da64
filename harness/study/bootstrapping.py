"""Worked examples whose reasoning the model wrote itself and got right, from training rows only.

Before the search of an arm, its model is asked about some training rows as prompts without worked
examples ask it, once in each way of reasoning that the arm may take. What led to a right answer is
shown in prompts that reason so. Each is a trial like any other, so that what was replied is
stored, asked once, and counted against the arm's budget.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from harness.answers.metrics import MetricInfo
from harness.answers.reasoning import MARK, Reasoning, thought_of
from harness.answers.thoughts import without_thought
from harness.records import Example, TrialSpec, TrialSummary, content_hash, to_plain
from harness.spec import PromptArm, TaskSpec
from harness.spec.answering import trials_of_rows
from harness.spec.settings import PromptSettings
from harness.spec.spaces import greatest
from harness.store import StoreReader, StoreWriter
from harness.study.item_sets import DOMAIN, Worked, to_reason_about, write_set
from harness.study.observer import Observer
from harness.study.plan import Plan
from harness.study.running import TrialRunner
from harness.study.score_keys import request_of
from harness.study.sources import Listed
from harness.study.spending import Spent
from harness.wording import plural

# Raised when worked examples are made of replies in another way.
BOOTSTRAP_VERSION = 1
EVENT = "bootstrapped"

Answered = Callable[[str, str], dict[str, tuple[str, float]]]
"""Key of a score and a metric -> item id -> reply and value."""


def bootstrap_trials(plan: Plan) -> Iterator[TrialSpec]:
    """The trials that ask for reasoning, arm by arm."""
    for arm, spec in plan.experiment.prompt_arms().items():
        for number, how in enumerate(spec.bootstraps):
            yield _bootstrap_trial(plan, arm, number, how)


def _bootstrap_trial(plan: Plan, arm: str, number: int, how: Reasoning) -> TrialSpec:
    """The trial that asks about training rows in one way of reasoning, without worked examples."""
    setting = replace(_setting(plan, arm), shots=0, reasoning=how)
    trial = plan.search_trial(arm, number, setting)
    rows = plan.sets[to_reason_about(setting.bootstrapped)]
    asked = trial.scores[0].asked
    identity = {**trial.identity, "reasoned about": [BOOTSTRAP_VERSION, rows.fingerprint]}
    return replace(
        trial,
        trial_id=content_hash(identity, 20),
        identity=identity,
        phase="bootstrap",
        scores=(request_of(asked, plan.experiment.task, rows),),
    )


def bootstrapped(
    plan: Plan,
    runner: TrialRunner,
    reader: StoreReader,
    writer: StoreWriter,
    observer: Observer,
) -> Plan:
    """Have all reasoning written that worked examples are to show; the plan with it.

    An arm that was searched without, since its reasoning failed, stays as it is: what was scored
    with other worked examples cannot be set beside what would be scored now.
    """
    searched = {trial.arm for trial in runner.searched() if trial.status != "failed"}
    asked = list(bootstrap_trials(plan))
    late = [spec for spec in asked if spec.arm in searched and spec.place not in runner.known]
    asked = [spec for spec in asked if spec not in late]
    for arm in dict.fromkeys(spec.arm for spec in late):
        observer.warning(
            f"{arm} was searched with worked examples that show answers alone, and no reasoning is "
            "written for it any more: give the arm another name to have it searched with some"
        )
    if not asked:
        return plan
    if any(spec.place not in runner.known for spec in asked):
        observer.stage("Asking for reasoning about training rows, for worked examples")
    runner.work_off(Listed(asked))
    ended = [runner.known[spec.place] for spec in asked if spec.place in runner.known]
    plan = with_worked(plan, ended, reader.answered)
    noted = [event.detail for event in reader.events(plan.experiment_id) if event.kind == EVENT]
    for (arm, how), worked in plan.worked.items():
        rows = plan.sets[to_reason_about(_setting(plan, arm).bootstrapped)].examples
        detail = to_plain({"arm": arm, "reasoning": how, "rows": rows, "right": worked.right})
        if detail not in noted:
            writer.record_event(plan.experiment_id, EVENT, detail)
        if worked.right < (most := greatest(plan.experiment.arms[arm].shots)):
            observer.warning(_told(arm, how, worked.right, rows, most))
    for trial in ended:
        if trial.status != "complete":
            observer.warning(
                f"{trial.arm}: no reasoning was written ({trial.failure_message}), and worked "
                "examples show answers alone"
            )
    return plan


def with_worked(plan: Plan, ended: Iterable[TrialSummary], answered: Answered) -> Plan:
    """The plan with the worked examples that these trials have led to."""
    by_id = {trial.trial_id: trial for trial in ended if trial.status == "complete"}
    worked = dict(plan.worked)
    for spec in bootstrap_trials(plan):
        trial = by_id.get(spec.trial_id)
        if trial is None:
            continue
        task, how = plan.experiment.task, str(spec.params["reasoning"])
        replies = answered(spec.scores[0].key, task.primary_metric)
        right = {
            item: reply for item, (reply, value) in replies.items() if _is_best(task.primary, value)
        }
        rows = [
            replace(row, worked=worked_reply(task, row, right[row.id])) if row.id in right else row
            for row in plan.prepared.splits.train
        ]
        count = sum(bool(row.worked) for row in rows)
        folder = plan.folder / "splits"
        folder.mkdir(parents=True, exist_ok=True)
        items = write_set(folder, "train_worked", DOMAIN, "train", rows)
        worked[spec.arm, how] = Worked(items, count, trial)
    return replace(plan, worked=worked)


def worked_reply(task: TaskSpec, row: Example, reply: str) -> str:
    """What a worked example replies: the reasoning, and the right answer after its mark.

    Where the task says where answers stand, the reply holds its answer there already.
    """
    if task.answer.extract is not None:
        return without_thought(reply).answer.strip()
    return f"{thought_of(reply)} {MARK} {row.answer}".strip()


def trials_of_bootstrapping(plan: Plan, arm: str) -> int:
    """Trials of the arm's budget that it stands for."""
    spec = plan.experiment.arms[arm]
    asked = len(spec.bootstraps) if isinstance(spec, PromptArm) else 0
    if not asked:
        return 0
    rows = plan.sets[to_reason_about(_setting(plan, arm).bootstrapped)].examples
    return trials_of_rows(asked * rows, len(plan.prepared.splits.validation))


def spent_on_bootstrapping(plan: Plan, arm: str) -> tuple[int, float]:
    """Tokens and seconds that it took, whichever of the arm's searches they are counted for."""
    spent = Spent()
    for (name, _), worked in plan.worked.items():
        if name == arm:
            spent.add(worked.trial, reused=True)
    return spent.tokens, spent.seconds


def _setting(plan: Plan, arm: str) -> PromptSettings:
    setting = plan.default_setting(arm)
    if not isinstance(setting, PromptSettings):
        raise TypeError(f"{arm} is not prompted")
    return setting


def _is_best(metric: MetricInfo, value: float) -> bool:
    """Whether a value is the best there is, so that the answer is right."""
    return math.isclose(value, metric.best, abs_tol=1e-9)


def _told(arm: str, how: str, right: int, rows: int, most: int) -> str:
    found = f"{arm}: of {plural(rows, 'training row')} the model got {right} right, reasoning {how}"
    if not right:
        return f"{found}: worked examples show answers alone"
    return f"{found}: prompts show at most so many worked examples, though {most} are asked for"


__all__ = [
    "EVENT",
    "bootstrap_trials",
    "bootstrapped",
    "spent_on_bootstrapping",
    "trials_of_bootstrapping",
    "with_worked",
    "worked_reply",
]
