"""Claims that guides to fine-tuning make, each checked by one rule on what this study measured.

A claim is *held* or *not held* only where the measurement settles it, *inconclusive* where the
interval leaves it open, and *not tested* where the study has nothing that bears on it. It is
checked on one task with one model: a claim not held here may hold elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from harness.analysis import wording
from harness.analysis.claims.facts import Answer, ClaimFacts, by_outcome, memory_saved
from harness.findings import Claim, ClaimStatus, Interval
from harness.spec.kinds import FULL, LORA, QLORA, KindInfo, kind_info
from harness.spec.served_arms import endpoints, judge_servers, writer_servers
from harness.wording import mebibytes, money, per_cent

LEAST_MEMORY_SAVED = 0.6
LEAST_TOKENS_SAVED = 0.5
LEAST_MONEY = 100.0
ONE_GPU_MIB = 80e9 / 2**20  # 80 GB, the largest common single device
FORM_KEPT = 0.95


def check_claims(facts: ClaimFacts) -> tuple[Claim, ...]:
    """Every claim in the order of the table, with what was measured."""
    return tuple(_claim(key, claim, rule(facts)) for key, claim, rule in CLAIMS)


def _claim(key: str, claim: str, answer: Answer) -> Claim:
    return Claim(key, claim, answer.measured, answer.interval, answer.status, answer.why)


def _accuracy(facts: ClaimFacts) -> Answer:
    contrast = facts.between(facts.fine_tuned, facts.prompt)
    if contrast is None:
        return Answer("not_tested", "No fine-tuned arm was compared with a prompt arm.")
    status, why = by_outcome(
        contrast,
        better=("held", f"{contrast.a} is better than {contrast.b}."),
        worse=("not_held", f"{contrast.a} is worse than {contrast.b}."),
        equivalent=("not_held", "The difference is too small to matter."),
    )
    if status == "held" and facts.findings.verdict.rule == "another_prompt_not_beaten":
        status, why = "inconclusive", "Another prompt arm is not shown to be beaten."
    if status == "not_held" and contrast.a in facts.hardly_tried():
        status, why = "inconclusive", f"{contrast.a} was hardly tried."
    return Answer(status, why, wording.result(contrast), contrast.interval)


def _close(facts: ClaimFacts, kind: KindInfo) -> Answer:
    adapted, full = facts.best(kind), facts.best(FULL)
    contrast = facts.between(adapted.arm, full.arm) if adapted and full else None
    if contrast is None:
        return Answer("not_tested", f"No {kind.name} arm was compared with a full fine-tuning arm.")
    status, why = by_outcome(
        contrast,
        better=("held", f"{contrast.a} is even better than {contrast.b}."),
        worse=("not_held", f"{contrast.a} is worse than {contrast.b}."),
        equivalent=("held", "The two are equivalent within the declared margin."),
    )
    return Answer(status, why, wording.result(contrast), contrast.interval)


def _lora_close(facts: ClaimFacts) -> Answer:
    return _close(facts, LORA)


def _memory(facts: ClaimFacts) -> Answer:
    full = facts.best(FULL)
    savings = {
        arm.arm: saving
        for kind in (LORA, QLORA)
        if full is not None
        and (arm := facts.best(kind)) is not None
        and (saving := memory_saved(facts, arm.arm, full.arm)) is not None
    }
    if not savings:
        return Answer(
            "not_tested",
            "No LoRA or QLoRA arm's peak memory could be put beside that of full fine-tuning.",
        )
    first, (saved, interval, where) = next(iter(savings.items()))
    sentences = [
        f"{name} needs {per_cent(saving)} less peak memory ({place}) than full fine-tuning"
        for name, (saving, _, place) in savings.items()
    ]
    runtime = " The host's peak includes the runtime itself." if where == "host" else ""
    single = "" if interval else " It is a single measurement."
    low, high = (interval.low, interval.high) if interval else (saved, saved)
    status: ClaimStatus = "inconclusive"
    if low >= LEAST_MEMORY_SAVED:
        status = "held"
    elif high < LEAST_MEMORY_SAVED:
        status = "not_held"
    return Answer(
        status,
        f"Held where {first} saves at least {per_cent(LEAST_MEMORY_SAVED)}.{runtime}{single}",
        f"{'; '.join(sentences)}.{_estimated_saving(facts)}",
        interval,
    )


def _estimated_saving(facts: ClaimFacts) -> str:
    own = {estimate.kind: estimate.mib for estimate in reversed(facts.findings.memory[:3])}
    if FULL.name not in own:
        return ""
    savings = [
        f"{kind.name} {per_cent(1 - own[kind.name] / own[FULL.name])}"
        for kind in (LORA, QLORA)
        if kind.name in own
    ]
    return f" Estimated without activations: {', '.join(savings)}." if savings else ""


def _qlora(facts: ClaimFacts) -> Answer:
    answer = _close(facts, QLORA)
    large = max(
        (e for e in facts.findings.memory if kind_info(e.kind) is QLORA),
        key=lambda estimate: estimate.parameters,
        default=None,
    )
    if large is None or answer.status == "not_tested":
        return answer
    fits = large.mib <= ONE_GPU_MIB
    size = f"{large.parameters / 1e9:,.3g} billion parameters"
    measured = (
        f"{answer.measured} QLoRA of {size} is estimated to take {mebibytes(large.mib)} without "
        f"activations; a device of 80 GB has {mebibytes(ONE_GPU_MIB)}."
    )
    if not fits:
        return Answer("not_held", f"{size} do not fit one device.", measured, answer.interval)
    return replace(
        answer,
        measured=measured,
        why=f"{answer.why} That {size} fit one device is estimated, not measured.",
    )


def _overfitting(facts: ClaimFacts) -> Answer:
    curves = [c for c in facts.findings.curves if c.gap_change_interval is not None]
    curve = next((c for c in curves if c.arm == facts.fine_tuned), next(iter(curves), None))
    if curve is None or curve.gap_change is None or curve.gap_change_interval is None:
        gaps = [
            f"{overfitting.arm} {wording.number(overfitting.generalisation_gap, 1, sign=True)}"
            for overfitting in facts.findings.overfitting
            if overfitting.generalisation_gap is not None
            and overfitting.arm in facts.experiment.trained_arms()
        ]
        here = f"Train minus test at this size: {', '.join(gaps)}." if gaps else ""
        return Answer("not_tested", "The size of the training set was not varied.", here)
    interval = curve.gap_change_interval
    first, last = curve.points[0], curve.points[-1]
    change = wording.number(curve.gap_change, 1, sign=True)
    measured = (
        f"The gap of {curve.arm} between training and held-out score with "
        f"{first.train_items:,} training examples, less that with {last.train_items:,}: {change} "
        f"({wording.span(interval, 1)})."
    )
    why = "Held where the interval of the change in the gap lies above 0."
    return Answer(_above(interval), why, measured, interval)


def _forgetting(facts: ClaimFacts) -> Answer:
    measures = [f for f in facts.findings.forgetting if math.isfinite(f.mean_change)]
    if not measures:
        return Answer("not_tested", "What the fine-tuned arms forgot was not measured.")
    lost = any(f.interval.high < 0 or f.lost_tasks for f in measures)
    kept = not lost and all(f.outcome == "kept" for f in measures)
    rates = [e for e in facts.findings.effects if e.parameter == "learning_rate"]
    effect = next((e for e in rates if e.arm == facts.fine_tuned), next(iter(rates), None))
    changes = ", ".join(
        f"{f.arm} {wording.number(f.mean_change, 100, sign=True)}" for f in measures
    )
    measured = f"Mean general change in percentage points: {changes}."
    if effect is None:
        status: ClaimStatus = "not_held" if kept else "inconclusive"
        why = "Every arm kept what the base could do. " if kept else ""
        return Answer(status, f"{why}Learning rates were not compared.", measured)
    measured += (
        f" Rank correlation of the learning rate of {effect.arm} with the general change: "
        f"{wording.number(effect.correlation, 1, sign=True)} over {effect.trials} trials."
    )
    helps = effect.interval.high < 0
    if lost and helps:
        status = "held"
    elif effect.interval.low > 0 or (kept and not helps):
        status = "not_held"
    else:
        status = "inconclusive"
    why = (
        "Held where an arm lost something and higher rates went with larger losses; an "
        "association over search trials, not an experiment."
    )
    return Answer(status, why, measured, effect.interval)


def _tokens(facts: ClaimFacts) -> Answer:
    tuned, prompt = facts.arm(facts.fine_tuned), facts.arm(facts.prompt)
    if (
        tuned is None
        or prompt is None
        or not tuned.cost.prompt_tokens
        or not prompt.cost.prompt_tokens
    ):
        return Answer("not_tested", "Prompt tokens of both kinds of arm were not measured.")
    saved = 1 - tuned.cost.prompt_tokens / prompt.cost.prompt_tokens
    counted = " The server counts by its own tokenizer." if prompt.cost.by_token else ""
    return Answer(
        "held" if saved >= LEAST_TOKENS_SAVED else "not_held",
        f"Held where at least {per_cent(LEAST_TOKENS_SAVED)} are saved; a count, without interval."
        f"{counted}",
        f"{tuned.arm} takes {tuned.cost.prompt_tokens:,.1f} prompt tokens a request, {prompt.arm} "
        f"{prompt.cost.prompt_tokens:,.1f}: {per_cent(abs(saved))} "
        f"{'fewer' if saved >= 0 else 'more'}.",
    )


def _form(facts: ClaimFacts) -> Answer:
    contrast = facts.form
    if contrast is None:
        return Answer("not_tested", "No measure of form was compared between the kinds of arm.")
    style = facts.experiment.task.answer.is_free_text
    status, why = by_outcome(
        contrast,
        better=("held", f"{contrast.a} holds it better than {contrast.b}."),
        worse=("not_held", f"{contrast.a} holds it worse than {contrast.b}."),
        equivalent=("not_held", f"{contrast.a} holds it no better than {contrast.b}."),
    )
    if not style and status != "held" and contrast.mean_a >= FORM_KEPT and status != "inconclusive":
        beside = "better" if contrast.outcome == "worse" else "as well"
        status = "held"
        why = f"At least {per_cent(FORM_KEPT)} hold the form; {contrast.b} does it {beside}."
    likeness = " Likeness to the reference stands in for style." if style else ""
    return Answer(status, f"{why}{likeness}", wording.result(contrast), contrast.interval)


def _money(facts: ClaimFacts) -> Answer:
    spent = [arm.cost.upfront for arm in facts.findings.arms if arm.cost.upfront is not None]
    if not spent:
        return Answer("not_tested", "No training was measured.")
    currency, price = facts.experiment.cost.currency, facts.experiment.cost.machine_per_hour
    by_token = any(arm.cost.by_token for arm in facts.findings.arms)
    charges = ", and what servers charged for tokens" if by_token else ""
    return Answer(
        "held" if sum(spent) >= LEAST_MONEY else "not_held",
        f"Held from {money(LEAST_MONEY, currency)}. People's time and data are not in it.",
        f"Search and one final run of every arm took {money(sum(spent), currency)} at "
        f"{money(price, currency)} an hour{charges}.",
    )


def _in_house(facts: ClaimFacts) -> Answer:
    data = facts.experiment.data
    model = facts.record.model
    remote = [
        source
        for source in (data.source, *data.out_of_domain.values())
        if source.startswith("hub:")
    ]
    # Only a model from a hub is pinned to a revision when it is resolved.
    if model.revision:
        remote.insert(0, model.reference)
    if remote:
        return Answer(
            "not_tested",
            f"Fetched from a hub: {', '.join(remote)}. The run does not show that it can do "
            "without a network.",
        )
    here = f"Model {model.reference}, data {data.source}: trained and scored on this machine."
    asked = [
        f"{arm} asks {endpoint.url}"
        for arm, endpoint in endpoints(facts.experiment).items()
        if not endpoint.local
    ]
    asked += [
        f"judge {name} asks {server.url}"
        for name, server in judge_servers(facts.experiment).items()
        if not server.local
    ]
    asked += [
        f"the instruction of {arm} is written by {server.url}"
        for arm, server in writer_servers(facts.experiment).items()
        if not server.local
    ]
    if asked:
        return Answer(
            "held",
            "Fine-tuning calls no service elsewhere, and its model and data came from packages or "
            "local files. That is not so of the arms, judges or writers that ask a server: they "
            "sent it texts of the data.",
            f"{here} But {', '.join(asked)}.",
        )
    return Answer(
        "held",
        "No arm calls a service elsewhere; model and data came from packages or local files.",
        here,
    )


CLAIMS: tuple[tuple[str, str, Callable[[ClaimFacts], Answer]], ...] = (
    ("accuracy", "Fine-tuning improves accuracy for the use case.", _accuracy),
    ("lora_close", "LoRA comes close to full fine-tuning.", _lora_close),
    ("lora_memory", "LoRA needs 60 to 80 % less training memory.", _memory),
    ("qlora", "QLoRA matches full fine-tuning, and 65 billion parameters fit one GPU.", _qlora),
    ("small_data", "Small data sets overfit.", _overfitting),
    ("forgetting", "Fine-tuning forgets, and low learning rates help.", _forgetting),
    ("tokens", "Fine-tuning saves 50 to 70 % of the tokens of a request.", _tokens),
    ("form", "Fine-tuning holds a format or a voice.", _form),
    ("money", "Fine-tuning costs hundreds to thousands.", _money),
    ("in_house", "Fine-tuning can stay in-house.", _in_house),
)


def _above(interval: Interval) -> ClaimStatus:
    if interval.low > 0:
        return "held"
    return "not_held" if interval.high <= 0 else "inconclusive"


__all__ = ["CLAIMS", "check_claims"]
