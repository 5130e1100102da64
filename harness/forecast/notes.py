"""Sentences of a forecast: what will not work, and what its numbers rest on."""

from __future__ import annotations

from harness.forecast.findings import Forecast
from harness.forecast.served import REPLY_SECONDS, TOKENIZERS
from harness.spec import TrainedArm
from harness.spec.kinds import kind_info
from harness.study.plan import Plan

# From here on other programs slow a trial down.
BUSY = 0.2


def warnings_of(forecast: Forecast) -> tuple[str, ...]:
    """What will fail or stop early, a sentence each."""
    warnings = []
    if forecast.busy_share > BUSY:
        warnings.append(
            f"other programs used {forecast.busy_share:.0%} of the processors when measuring "
            "began: times are too long, or too short if more start; measure again when it is quiet"
        )
    for arm in forecast.arms:
        if arm.unknown:
            warnings.append(f"{arm.arm}: its time is not known: {arm.unknown}")
        peak = arm.peak_mib
        if peak is not None and peak.high > forecast.available_mib:
            warnings.append(
                f"{arm.arm}: may take {peak.high:,.0f} MiB of memory and "
                f"{forecast.available_mib:,.0f} are available: lower micro_batch_size, max_length "
                "or score_batch_size, or free memory"
            )
        server = arm.server
        if server is not None and server.cap is not None and server.money.high > server.cap:
            surely = "will" if server.money.low > server.cap else "may"
            warnings.append(
                f"{arm.arm}: {surely} reach its spending_cap of {server.cap:g} {forecast.currency} "
                "before it is done; trials that cannot be paid for fail"
            )
    for judge in forecast.judges:
        if judge.least_mib > forecast.available_mib:
            warnings.append(
                f"judge {judge.judge}: needs at least {judge.least_mib:,.0f} MiB of memory and "
                f"{forecast.available_mib:,.0f} are available: take a smaller one, or a server"
            )
        if judge.cap is not None and judge.money.expected > judge.cap:
            warnings.append(
                f"judge {judge.judge}: may reach its spending_cap of {judge.cap:g} "
                f"{forecast.currency} before it is done; trials whose marks cannot be paid for fail"
            )
    if forecast.disk_mib.high > forecast.free_mib:
        warnings.append(
            f"results take up to {forecast.disk_mib.high:,.0f} MiB and {forecast.free_mib:,.0f} "
            "are free on their disk"
        )
    return tuple(warnings)


def notes_on(forecast: Forecast, plan: Plan, *, thorough: bool) -> tuple[str, ...]:
    """What the numbers rest on and leave out, a sentence each."""
    experiment = plan.experiment
    workers = experiment.execution.workers
    at_once = f" The file allows {workers} at once." if workers > 1 else ""
    notes = [
        "Times are for one trial at a time on this machine, as busy as it was while measuring. "
        f"Where several run at once, divide by their number and multiply memory by it.{at_once}"
    ]
    searched = [name for name, arm in experiment.arms.items() if arm.search_space()]
    if searched:
        notes.append(
            "The search decides which settings are tested, and whether defaults are tested beside "
            "them; ranges cover the settings that may be selected."
        )
    if any(arm.optimiser for arm in experiment.arms.values()):
        notes.append(
            "Writing an instruction is counted as the trials that would spend as many tokens, the "
            "writer's own among them; the low ends are for wording that is seen not to matter."
        )
    if any(
        (name, how) not in plan.worked
        for name, arm in experiment.prompt_arms().items()
        for how in arm.bootstraps
    ):
        notes.append(
            "Worked examples that reason are counted as long as their answers until they are "
            "written: prompts that show them will be longer, by reasoning_tokens each at most."
        )
    rules = experiment.search
    prunes = [name for name in searched if not kind_info(experiment.arms[name].kind).trains]
    if (rules.prompt_pruner != "none" and prunes) or rules.trained_pruner != "none":
        notes.append(
            "Trials that are stopped early (search.pruner, search.prompt_pruner) make the search "
            "shorter than expected here; the low ends allow for it."
        )
    if experiment.trained_arms():
        notes.append(
            "A trained model is expected to answer as briefly as its training data; the high ends "
            "are for one that runs on. Failed trials and repeats are not counted."
        )
    if any(arm.server for arm in forecast.arms):
        low, high = REPLY_SECONDS.low, REPLY_SECONDS.high
        notes.append(
            f"Nothing was sent to a server: its tokens are counted by the local tokenizer (within "
            f"{TOKENIZERS:.0%}), and a reply is assumed to take {low:g} to {high:g} seconds."
        )
    if forecast.judges:
        notes.append(
            "No judge was asked: a local one is taken to read as fast as the arms' models, by its "
            "number of weights, and replies to be as long as right answers. Equal replies are "
            "marked once, so that judges may take less."
        )
    if any(kind_info(arm.kind).trains for arm in forecast.arms) and _replays(plan):
        notes.append("Training tokens leave out general texts (replay, kl_weight); times do not.")
    commanded = [arm.arm for arm in forecast.arms if kind_info(arm.kind).commanded]
    if commanded:
        notes.append(
            f"No training command was run: that of {', '.join(commanded)} is taken to last as long "
            "as in trials that have run or, before there are any, as `minutes` says; its memory, "
            "tokens and disk are not known then, and its scoring is timed with the base."
        )
    if not thorough:
        notes.append("Default settings were measured, on few items; --thorough measures more.")
    return tuple(notes)


def _replays(plan: Plan) -> bool:
    arms = plan.experiment.arms.values()
    return any(isinstance(arm, TrainedArm) and arm.uses_general_text() for arm in arms)
