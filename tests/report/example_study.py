"""A plausible study with its findings, with hostile text wherever text comes from outside."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from harness.findings import (
    AbilitiesWithoutFlagged,
    ArmSummary,
    BreakEven,
    Claim,
    Contrast,
    CostSummary,
    CurvePoint,
    EarlyStop,
    EdgeSetting,
    Findings,
    Flip,
    Forgetting,
    GeneralDelta,
    Interval,
    LearningCurve,
    Memorisation,
    MemoryEstimate,
    NextStep,
    Overfitting,
    Perturbation,
    PicturedSetting,
    PicturedTrial,
    RisingSearch,
    SearchChoice,
    SearchPicture,
    SearchSummary,
    Sensitivity,
    SettingEffect,
    TradeOffPoint,
    TuningGain,
    Verdict,
    WithoutFlagged,
)
from harness.records import (
    Aggregate,
    Artifact,
    Canaries,
    Checkpoint,
    Event,
    ExperimentRecord,
    ItemRow,
    LeakedPair,
    ResolvedModel,
    StepReport,
    Study,
    TrialCost,
    TrialSummary,
)
from harness.report import ReportView, build_view
from harness.spec import Experiment
from tests.data_records import audit_record, by_kind, data_record

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
SCRIPT = "<script>alert('x')</script>"
IMAGE = '"><img src=http://evil.example/p.png onerror=alert(1)>'
MARKDOWN = "| a | b |\n![x](http://evil.example/y.png) `tick` @someone <b>bold</b>"
RICH = "[red]not red[/red] [/] [link=http://evil.example]click[/link]"
BIDI = "abc \u202egnp.exe\u202c def\u200b"
CONTROL = "bell\x07 escape \x1b[31mred\x1b[0m null\x00 end"
HUGE = "again " * 2000
FENCE = "```\nout of the fence\n```` \n</code></pre>"
HOSTILE = (SCRIPT, IMAGE, MARKDOWN, RICH, BIDI, CONTROL, HUGE, FENCE)

# For a page that runs a script of its own.
ATTACKS = (
    *HOSTILE,
    "</script><script>window.broken = 1; alert(1)</script>",
    "<img src=x onerror='window.broken = 1; alert(1)'>",
    "<svg onload=alert(1)><a href='javascript:alert(1)'>press</a>",
    "--> ]]> <!-- <style>body { display: none }</style>",
    "\ud800 lone \udfff surrogates \u2028 \u2029",
    "\u2066isolates\u2069 \u202boverrides\u202c \u200frtl",
    "{{ 7 * 7 }} ${alert(1)} {% raw %}",
    "\u0627\u0644\u0639\u0631\u0628\u064a\u0629 is written from right to left",
    "x" * 1_000_000,
)

FINE_TUNED = ("full", "lora", "qlora")
KINDS = {"zero-shot": "prompt", "few-shot": "prompt", "full": "full", "lora": "lora"} | {
    "qlora": "qlora"
}
RULES = (
    ("better_and_kept", "the best fine-tuned arm is better and keeps its general ability"),
    ("worse", "the best prompt arm is better"),
    ("open", "no other rule applies; <i>more data</i> is asked for"),
)


def interval(middle: float, half: float) -> Interval:
    """middle +- half at 95 %."""
    return Interval(middle - half, middle + half)


def contrast(a: str, b: str, difference: float, half: float, *, primary: bool = False) -> Contrast:
    """A contrast whose outcome follows from its interval."""
    low, high = difference - half, difference + half
    outcome = "better" if low > 0 else "worse" if high < 0 else "inconclusive"
    settled = outcome != "inconclusive"
    return Contrast(
        a=a, b=b, task="domain", split="test", metric="field_f1", primary=primary, items=200,
        clusters=61, seeds_a=3, seeds_b=3, mean_a=0.612 + difference, mean_b=0.612,
        difference=difference, interval=Interval(low, high),
        p_value=0.0004 if settled else 0.213, p_adjusted=0.0016 if settled else 0.426,
        test="paired cluster bootstrap", margin=0.03,
        outcome=outcome,  # type: ignore[arg-type]
        minimum_detectable=0.046, items_needed=None if settled else 1240,
        left_out=0 if primary else 2, unscored=1, flagged=12,
        without_flagged=WithoutFlagged(
            188, 0.61 + difference, 0.61, difference - 0.002, interval(difference - 0.002, half),
            outcome if primary else "inconclusive",  # type: ignore[arg-type]
        ) if a != "zero-shot" else None,
    )  # fmt: skip


def equivalent() -> Contrast:
    """LoRA against full fine-tuning, within the margin."""
    return replace(
        contrast("lora", "full", 0.004, 0.024),
        outcome="equivalent",
        items_needed=None,
        equivalence_interval=Interval(-0.016, 0.0243, 0.9),
    )


def cost(arm: str) -> CostSummary:
    """Costs by kind; the zero-shot arm was not priced."""
    trained = arm in FINE_TUNED
    priced = arm != "zero-shot"
    total = 134_515_008
    trainable = {"full": total, "lora": 4_884_480, "qlora": 4_884_480}.get(arm, 0)
    return CostSummary(
        search_seconds=412.0 if trained else 95.0,
        train_seconds=64.2 if trained else 0.0,
        train_tokens=18_432 if trained else 0,
        peak_memory_mib={"full": 2710.0, "lora": 1290.0, "qlora": 980.0}.get(arm, 812.0),
        peak_device_mib=None,
        trainable_parameters=trainable,
        total_parameters=total,
        train_examples=96 if trained else None,
        artifact_bytes={"full": 269_060_552, "lora": 9_812_000, "qlora": 9_812_000}.get(arm, 0),
        prompt_tokens=310.4 if arm == "few-shot" else 78.2,
        completion_tokens=14.0,
        latency_p50=0.412 if priced else None,
        latency_p95=0.655 if priced else None,
        per_thousand_requests={"few-shot": 0.0412}.get(arm, 0.0114) if priced else None,
        monthly={"few-shot": 4.12}.get(arm, 1.14) if priced else None,
        upfront=0.0132 if trained else 0.0,
        first_year=(49.44 if arm == "few-shot" else 13.69) if priced else None,
    )


def arm(name: str, test: float, half: float = 0.041) -> ArmSummary:
    """One row; qlora misses a metric and its out-of-domain scores."""
    trained = name in FINE_TUNED
    whole = name != "qlora"
    metrics = {"field_f1": test, "exact_match": test - 0.2, "valid_json": 0.99, "valid": 0.985}
    if whole:
        metrics["macro_f1"] = test - 0.08
    return ArmSummary(
        arm=name, kind=KINDS[name], tuned=name != "zero-shot",
        budget_trials=1 if name == "zero-shot" else 8,
        complete={"zero-shot": 1, "full": 7}.get(name, 8),
        failed=1 if name == "full" else 0, seeds=(1, 2, 3),
        params={"learning_rate": 0.0004731, "epochs": 2, "rank": 16} if trained else {"shots": 4},
        validation=test + 0.02, default_validation=test - 0.01, test=test,
        test_interval=interval(test, half), metrics=metrics,
        out_of_domain={"movie-reviews": test - 0.11, "tweets": test - 0.06} if whole else {},
        cost=cost(name),
        search_tokens=147_456 if trained else 0, short_of_budget=name == "full",
        settings={"zero-shot": 1, "few-shot": 24}.get(name),
        settings_tried={"zero-shot": 1, "full": 7}.get(name, 8),
    )  # fmt: skip


def delta(name: str, task: str, base: float, change: float, *, binary: bool = True) -> GeneralDelta:
    """One general task; kept where the lower bound is above -0.05."""
    return GeneralDelta(
        arm=name, task=task, metric="acc" if binary else "bits_per_byte", items=100, base=base,
        after=base + change if binary else base - change, chance=0.25 if binary else None,
        change=change, interval=interval(change, 0.028),
        right_to_wrong=7.3333 if binary else None, wrong_to_right=4.0 if binary else None,
        margin=0.05, kept=change - 0.028 > -0.05 if binary else None,
        flagged=3 if task == "capitals" else 0, not_counted="" if binary else "metric",
        knowledge_lost=3.3333 / 0.75 if binary else None, left_out=16 if binary else 0,
    )  # fmt: skip


def forgetting(name: str, mean: float) -> Forgetting:
    """The general suite of one arm."""
    tasks = (
        delta(name, "capitals", 0.62, mean - 0.01),
        delta(name, "grammar", 0.81, mean + 0.005),
        delta(name, "editorial-text", 1.214, mean, binary=False),
    )
    low, high = mean - 0.024, mean + 0.024
    outcome = "kept" if low > -0.05 else "forgot" if high < -0.05 else "inconclusive"
    lost = tuple(one.task for one in tasks if one.kept is False and one.interval.high < -0.05)
    drift = {"full": 0.412, "lora": 0.0871}.get(name)
    return Forgetting(
        name, tasks, mean, Interval(low, high), "capitals", 0.183, 0.05,
        outcome,  # type: ignore[arg-type]
        items_needed=410 if outcome == "inconclusive" else None, divergence=drift,
        divergence_interval=interval(drift, 0.011) if drift is not None else None,
        without_flagged=AbilitiesWithoutFlagged(
            mean + 0.002, interval(mean + 0.002, 0.025), outcome,  # type: ignore[arg-type]
        ) if name != "qlora" else None,
        lost_tasks=lost, family=FINE_TUNED, p_value=0.004 if outcome == "kept" else 0.2,
        p_adjusted=0.012 if outcome == "kept" else 0.4,
        seed_changes={1: mean + 0.01, 2: mean, 3: mean - 0.01},
    )  # fmt: skip


def searches() -> tuple[SearchSummary, ...]:
    """Each way for a search to end, and each reason for what it selected."""

    def search(name: str, asked: int, choice: SearchChoice | None, **more: Any) -> SearchSummary:
        plain = SearchSummary(
            arm=name, asked=asked, complete=asked, pruned=0, failed=0, sampler="tpe",
            pruner="median" if name in FINE_TUNED else "wilcoxon", budget_trials=8,
            budget_tokens=None, budget_minutes=None, tokens=41_000, minutes=1.583,
            ended="budget_spent", limit="trials", stopped=(), choice=choice,
        )  # fmt: skip
        return replace(plain, **more)

    def choice(number: int, score: float, best: int, top: float, **more: Any) -> SearchChoice:
        plain = SearchChoice(number, score, None, best, top, None, None, 8, 8)
        return replace(plain, **more)

    return (
        search("zero-shot", 1, choice(0, 0.41, 0, 0.41), ended="settings_exhausted", limit=""),
        search("few-shot", 8, choice(0, 0.632, 0, 0.632), complete=5, pruned=3,
               stopped=(EarlyStop("items", 3, 100, 180),)),
        search("full", 8, choice(3, 0.64, 5, 0.69, general_change=-0.012, best_change=-0.094,
                                 margin=0.05, kept=3), complete=7, failed=1),
        search("lora", 8, choice(4, 0.715, 4, 0.715, general_change=-0.004, best_change=-0.004,
                                 margin=0.05), tokens=200_400, budget_tokens=200_000,
               limit="tokens",
               edges=(EdgeSetting("learning_rate", 0.0029, 1e-4, 3e-3, upper=True, beyond=0.03),),
               rising=RisingSearch(0.034, 2, 8)),
        search("qlora", 4, choice(1, 0.60, 2, 0.66, general_change=-0.06, best_change=-0.11,
                                  margin=0.05, kept=0, candidates=4),
               ended="", limit="", tokens=None),
    )  # fmt: skip


def pictures() -> list[SearchPicture]:
    """One arm's search: a trial of it lost too much."""
    scores = (0.61, 0.64, 0.7, 0.66, 0.715, 0.69, 0.68, 0.7)
    rates = (1e-4, 2e-4, 5e-4, 1e-3, 2.9e-3, 3e-3, 2e-3, 1e-3)
    return [
        SearchPicture(
            arm="lora",
            trials=tuple(PicturedTrial(n, score, n == 5) for n, score in enumerate(scores)),
            evaluator="fANOVA",
            importances={"learning_rate": 0.7, "epochs": 0.3},
            forgetting={"learning_rate": 0.9, "epochs": 0.1},
            settings=(
                PicturedSetting("epochs", (1, 2, 3, 1, 2, 3, 1, 2), whole=True),
                PicturedSetting("learning_rate", rates, log=True),
                PicturedSetting(
                    "order", (0, 1, 0, 1, 0, 1, 0, 0), ("as <b>is</b>", "reversed $x_")
                ),
            ),
            selected=4,
        ),
    ]


def trade_off() -> tuple[TradeOffPoint, ...]:
    """Finalists of every arm, and six search trials of each fine-tuned one."""
    finalists = [
        TradeOffPoint(name, f"{name}-{seed}", seed, gain + seed * 0.006, change - seed * 0.004,
                      on_front=seed == 1 and name != "qlora", on_arm_front=True)
        for name, gain, change in (("full", 0.291, -0.086), ("lora", 0.275, -0.004),
                                   ("qlora", 0.223, -0.027), ("few-shot", 0.204, 0.0))
        for seed in (1, 2, 3)
    ]  # fmt: skip
    searched = [
        TradeOffPoint(name, f"{name}-s{n}", 0, gain + 0.02 * n, change - 0.008 * n**1.3,
                      on_front=False, phase="search", on_arm_front=n in (0, 1),
                      params={"learning_rate": 1e-4 * 2**n, "weight_decay": 0.01})
        for name, gain, change in (("full", 0.12, -0.01), ("lora", 0.1, 0.002), ("qlora", 0.08, 0))
        for n in range(6)
    ]  # fmt: skip
    return (*finalists, *searched)


def curve(name: str, last_gain: float, gap_change: float) -> LearningCurve:
    """Four sizes; the smallest has no score on its training sample."""
    points = tuple(
        CurvePoint(
            size, 3, None if at == 0 else 0.9 - 0.03 * at, score,
            interval(score, 0.045), None if at == 0 else 0.9 - 0.03 * at - score,
            None if at == 0 else interval(0.9 - 0.03 * at - score, 0.05), full=at == 3,
        )
        for at, (size, score) in enumerate(
            ((32, 0.48), (64, 0.58), (128, 0.66), (160, 0.66 + last_gain))
        )
    )  # fmt: skip
    return LearningCurve(name, "field_f1", points, gap_change, interval(gap_change, 0.04),
                         last_gain, interval(last_gain, 0.025))  # fmt: skip


def sensitivity() -> Sensitivity:
    """Two assumptions turn the verdict, two do not; leaving seed 2 out turns it too."""
    return Sensitivity(
        flips=(
            Flip("contrast.margin", "up", 0.03, 0.0412, 0.3, "inconclusive", "",
                 f"With a margin of 0.041 or more it is undecided. {SCRIPT}"),
            Flip("general.margin", "down", 0.05, 0.032, 0.0, "inconclusive", "", ""),
            Flip("constraints.latency_ms", "down", None, 655.0, 1.0, "prompt", "few-shot", ""),
            Flip("cost.requests_per_month", "up", 100_000.0, None, 1e8, None, "", ""),
            Flip("cost.requests_per_month", "down", 100_000.0, None, 0.0, None, "", ""),
        ),
        perturbations=(
            Perturbation("seed 1", "fine_tune", "lora", changed=False),
            Perturbation("seed 2", "inconclusive", "", changed=True),
            Perturbation("items that share text with training", "fine_tune", "lora",
                         changed=False),
            Perturbation(f"few-shot, for {RICH}", "fine_tune", "lora", changed=False),
        ),
    )  # fmt: skip


def claims() -> tuple[Claim, ...]:
    """One of each status; one with hostile words."""
    return (
        Claim("accuracy", "Fine-tuning improves accuracy for the use case",
              "+0.083 field F1 (95 % interval +0.041 to +0.125)", Interval(0.041, 0.125), "held",
              "the interval of the primary contrast lies above 0"),
        Claim("lora_close", "LoRA comes close to full fine-tuning", "+0.004 field F1",
              Interval(-0.016, 0.0243, 0.9), "held", "equivalent within ±0.03"),
        Claim("memory", "LoRA needs 60 to 80 % less training memory", "52 % less", None, "not_held",
              f"52 % is outside 60 to 80 % {SCRIPT}"),
        Claim("rates", "Lower learning rates forget less", "rank correlation −0.31",
              Interval(-0.8, 0.4), "inconclusive", "the interval holds 0"),
        Claim("voice", f"It holds a voice {MARKDOWN}", "", None, "not_tested",
              "the task has no reference texts"),
    )  # fmt: skip


def findings() -> Findings:
    """LoRA wins; full fine-tuning forgets; QLoRA is undecided."""
    primary = contrast("lora", "few-shot", 0.083, 0.042, primary=True)
    return Findings(
        verdict=Verdict(
            outcome="fine_tune",
            winner="lora",
            sentence="Fine-tune with lora. lora scores 0.695 and few-shot 0.612 in field F1 on "
            "200 test items: lora is better by 0.083 (95 % interval 0.041 to 0.125).",
            reasons=(
                "lora is better than few-shot on held-out data by more than the margin.",
                "Its general ability changed by less than the accepted loss.",
            ),
            caveats=(
                "The prompt arm zero-shot was not tuned.",
                f"A reason with markup: {SCRIPT} {RICH}",
            ),
            items_needed=None,
            rule="better_and_kept",
        ),
        primary=primary,
        secondary=(
            contrast("full", "few-shot", 0.061, 0.047),
            contrast("qlora", "few-shot", 0.031, 0.044),
            equivalent(),
            contrast("zero-shot", "few-shot", -0.204, 0.051),
        ),
        arms=(
            arm("zero-shot", 0.408),
            arm("few-shot", 0.612),
            arm("full", 0.673),
            arm("lora", 0.695),
            arm("qlora", 0.643),
        ),
        forgetting=(
            forgetting("full", -0.094),
            forgetting("lora", -0.008),
            forgetting("qlora", -0.031),
        ),
        overfitting=(
            Overfitting("few-shot", None, 0.632, 0.612, None, None, 0.02, interval(0.02, 0.06),
                        selected=0.632),
            Overfitting("full", 0.88, 0.69, 0.673, 0.207, interval(0.207, 0.05), 0.017,
                        interval(0.017, 0.06), selected=0.69),
            Overfitting("lora", 0.77, 0.715, 0.695, 0.075, interval(0.075, 0.05), 0.02,
                        interval(0.02, 0.06), selected=0.715),
        ),
        break_even=(
            BreakEven("lora", "few-shot", 443.0,
                      "lora repays its upfront EUR 0.013 after about 440 requests."),
        ),
        trade_off=trade_off(),
        general_unscored=("ifeval",),
        tuning=(
            TuningGain("few-shot", True, {"shots": 4}, {"shots": 4}, 0.612, 0.612, 0.0,
                       Interval(0.0, 0.0), "equivalent", 3),
            TuningGain("lora", False, {"learning_rate": 0.0003, "epochs": 2, "rank": 16},
                       {"learning_rate": 0.0004731, "epochs": 2, "rank": 8}, 0.661, 0.695, 0.034,
                       interval(0.034, 0.02), "better", 3),
            TuningGain("full", False, {"learning_rate": 5e-5}, {"learning_rate": 0.0004731}, None,
                       0.673, None, None, None, 0),
        ),
        curves=(curve("full", 0.012, 0.03), curve("lora", 0.041, 0.07)),
        memorisation=(
            Memorisation("full", 64, 60, 0.141, 0.017, 0.016, 0.124, interval(0.124, 0.09), 0.21,
                         interval(0.21, 0.08), memorised=True),
            Memorisation("lora", 64, 60, 0.016, 0.017, 0.016, 0.0, interval(0.0, 0.03), 0.06,
                         interval(0.06, 0.04), memorised=True),
            Memorisation("qlora", 64, 60, 0.016, 0.017, 0.016, 0.0, interval(0.0, 0.03), 0.01,
                         interval(0.01, 0.04), memorised=False),
        ),
        effects=(
            SettingEffect("lora", "learning_rate", 8, -0.71, Interval(-0.94, -0.12), 0.047),
            SettingEffect("lora", "epochs", 8, -0.2, Interval(-0.7, 0.5), 0.61),
        ),
        sensitivity=sensitivity(),
        memory=tuple(
            MemoryEstimate(kind, size, size * per / 2**20)
            for size in (134_515_008, 7_000_000_000, 65_000_000_000)
            for kind, per in (("full", 16.0), ("lora", 2.3), ("qlora", 0.9))
        ),
        claims=claims(),
        searches=searches(),
        next_steps=(
            NextStep("harder", "Try lora harder", ("budget.trials: 16", "arms.lora.epochs: 4"),
                     command=False, changes=f"It may do better than it did here. {SCRIPT}",
                     seconds=1500.0),
            NextStep("use", f"Use lora {RICH}", ("harness ask feedback --file rows.csv",),
                     command=True, changes="It answers exactly as it was scored."),
        ),
    )  # fmt: skip


def steps(name: str, seed: int) -> tuple[StepReport, ...]:
    """Forty steps, validated every tenth; full fine-tuning turns up again."""
    floor = {"full": 0.21, "lora": 0.31}.get(name, 0.38)
    reports = []
    for step in range(1, 41):
        loss = floor + 1.6 * math.exp(-step / 7) + 0.03 * math.sin(step * 1.7 + seed)
        rise = 0.008 * max(0, step - 20) if name == "full" else 0.0
        check = floor + 0.12 + 1.4 * math.exp(-step / 8) + rise if step % 10 == 0 else None
        reports.append(
            StepReport(step, 40, step / 20, loss, 4e-4, 0.8, step * 460, step * 1.6, check)
        )
    return tuple(reports)


def checkpoint(reports: tuple[StepReport, ...]) -> Checkpoint | None:
    """The best check of the steps; the last weights score a little less."""
    checks = [step for step in reports if step.validation_loss is not None]
    if not checks:
        return None
    best = min(checks, key=lambda step: step.validation_loss or 0.0)
    last = checks[-1]
    return Checkpoint(
        best.step, last.step, best.epoch or 0.0, best.validation_loss, last.validation_loss,
        None if best is last else 0.6781,
    )  # fmt: skip


def trial(name: str, phase: str, number: int, seed: int, **changes: object) -> TrialSummary:
    """One complete trial."""
    trained = name in FINE_TUNED
    form = "full" if name == "full" else "adapter-on-nf4" if name == "qlora" else "base"
    form = "adapter-on-bfloat16" if name == "lora" else form
    found = tuple(
        Aggregate(
            "domain",
            "domain",
            "test",
            form,
            metric,
            value,
            200,
            78.2,
            14.0,
            12.0,
            reused=False,
            higher_is_better=True,
            chance=None,
        )
        for metric, value in (("field_f1", 0.4), ("valid_json", 0.97), ("exact_match", 0.18))
    )
    if phase == "baseline":
        found += (replace(found[0], suite="out_of_domain", task="tweets", value=0.31),)  # fmt: skip
    if trained and phase == "finalist":
        found += (replace(found[0], split="validation", value=0.7032),)
    summary = TrialSummary(
        trial_id=f"{name}-{phase}-{number}-{seed}", arm=name, kind=KINDS.get(name, "base"),
        phase=phase,  # type: ignore[arg-type]
        number=number, seed=seed, status="complete", params={}, started_at="2026-01-01T10:00:00Z",
        ended_at="2026-01-01T10:01:00Z", failure_kind="", failure_message="",
        canaries=Canaries(0.0, 1.25, prompt_tokens_equal=True) if trained else None,
        cost=TrialCost(1.0, 64.0, 12.0, 18_432, 1290.0, None, 134_515_008, 4_884_480, 9_812_000),
        aggregates=found, steps=steps(name, seed) if trained else (),
        training_memory=(
            "micro-batches of 8 examples, activations kept; training was expected to take 1,020 "
            f"MiB beyond the weights, of {seed + 7},000 MiB available"
        ) * trained,
        artifacts=(
            Artifact("artifact/adapter_config.json", "0" * 64, 1200),
            Artifact("artifact/adapter_model.safetensors", "1" * 64, 9_810_800),
        ) * (trained and phase == "finalist"),
        checkpoint=checkpoint(steps(name, seed)) if trained else None,
    )  # fmt: skip
    return replace(summary, **changes)  # type: ignore[arg-type]


def items() -> tuple[ItemRow, ...]:
    """Replies of the two best arms: each hostile text once from each side."""
    rows = []
    for number in range(24):
        hostile = HOSTILE[number % len(HOSTILE)]
        good, bad = '{"sentiment": "positive", "intensity": 3}', hostile
        first = number % 3 != 0
        for name, text, value in (
            ("lora", good if first else bad, 1.0 if first else 0.1),
            ("few-shot", bad if first else good, 0.2 if first else 1.0),
        ):
            rows.append(
                ItemRow(
                    name,
                    1,
                    f"hash{number:02}",
                    f"item {number} <&>",
                    good,
                    text,
                    value,
                    f"Feedback number {number}. {HOSTILE[(number + 3) % len(HOSTILE)]}",
                )
            )
    rows.append(ItemRow("lora", 1, "unscored", "unscored", "x", "y", None))
    rows.append(ItemRow("few-shot", 1, "unscored", "unscored", "x", "y", None))
    return tuple(rows)


AUDIT = audit_record(
    found={"validation": {"exact": 1, "near": 0, "ngram": 0},
           "test": {"exact": 1, "near": 5, "ngram": 0}},
    dropped_from_train=4,
    flagged={"validation": by_kind(exact=["v1"]),
             "test": by_kind(exact=["t1"], near=["t2", "t3", "t4", "t5"])},
    selection=by_kind(near=["t6", "t7", "t8"], ngram=["t9"]),
    general={"capitals": by_kind(near=["c1", "c2"], ngram=["c3"]), "grammar": by_kind()},
    general_not_audited=("editorial-text",),
    strongest=(LeakedPair("exact", "train", f"17 {SCRIPT}", "test", "t1", 1.0, 23),),
)  # fmt: skip

EXPERIMENT = Experiment.model_validate({
    "name": "feedback", "question": "Should the small model be fine-tuned to rate feedback?",
    "model": "smollm2-135m-instruct", "data": {"source": "packaged:product-feedback"},
    "task": {
        "instruction": f"Rate the feedback. {SCRIPT}", "metrics": ["field_f1"],
        "answer": {"kind": "json", "column": "rating", "schema": {
            "type": "object", "required": ["sentiment", "intensity"],
            "properties": {"sentiment": {"enum": ["positive", "negative"]},
                           "intensity": {"type": "integer", "minimum": 0, "maximum": 3}},
        }},
    },
    "arms": {name: {"kind": kind} for name, kind in KINDS.items()},
    "budget": {"trials": 8}, "search": {"sampler": "gp", "ahead": 2, "checks_per_epoch": 2},
    "cost": {"currency": "EUR", "machine_per_hour": 0.1, "requests_per_month": 100000},
})  # fmt: skip


def study() -> Study:
    """The study that :func:`findings` speaks of."""
    finalists = [trial(name, "finalist", 0, seed) for name in KINDS for seed in (1, 2, 3)]
    searched = [trial(name, "search", number, 0) for name in KINDS for number in range(2)]
    failed = trial(
        "full", "search", 2, 0, status="failed", failure_kind="out_of_memory", aggregates=(),
        failure_message=f"needed 9 GiB, had 8; {RICH} {CONTROL}", steps=(), canaries=None,
    )  # fmt: skip
    model = ResolvedModel("smollm2-135m-instruct", "/models/smollm2", "5af571cb" * 8)
    return Study(
        experiment=ExperimentRecord(
            experiment_id="a1b2c3d4e5f6", name="feedback", created_at="2026-01-01T09:58:00Z",
            spec=EXPERIMENT.plain(), splits={"train": 160, "validation": 60, "test": 200},
            data=data_record(
                fingerprint="9f8e7d6c" * 8, source="packaged:product-feedback", dropped_rows=3,
                audit=AUDIT,
                answers={"train": {"label": {"positive": 90, MARKDOWN: 1}},
                         "test": {"label": {"positive": 110}}},
            ),
            model=model,
            environment={"torch": "2.8.0", "lm-eval": "0.4.13", "cpu": f"two cores {BIDI}"},
        ),
        trials=(trial("base", "baseline", 0, 0), *searched, failed, *finalists),
        vectors=(),
        items=items(),
        events=(
            Event("2026-01-01T09:58:00Z", "declared", "analyst", {}),
            Event("2026-01-01T10:40:00Z", "test_access", "analyst", {"arm": "lora", "seed": 1}),
            Event("2026-01-01T10:41:00Z", "test_access", "analyst", {"arm": "few-shot"}),
        ),
    )  # fmt: skip


def unfinished_study() -> Study:
    """Declared, but nothing has run."""
    whole = study()
    spec = {**whole.experiment.spec, "question": ""}
    record = replace(whole.experiment, spec=spec, data=data_record(), environment={})
    return replace(whole, experiment=record, trials=(), items=(), events=())


def view_of(study: Study, findings: Findings, **parts: Any) -> ReportView:
    """The report's contents, with the experiment that the study declares."""
    return build_view(study, Experiment.model_validate(study.experiment.spec), findings, **parts)


def no_findings() -> Findings:
    """What the analysis says where there is nothing to analyse."""
    verdict = Verdict("inconclusive", "", "There is no result yet.", (), (), None)
    return Findings(verdict, None, (), (), (), (), (), ())


def older() -> Findings:
    """What is known of a study from before curves, claims and the like were measured."""
    whole = findings()
    return replace(
        whole, tuning=(), curves=(), memorisation=(), effects=(), sensitivity=None, memory=(),
        claims=(), searches=(), verdict=replace(whole.verdict, rule=""),
        trade_off=tuple(point for point in whole.trade_off if point.phase == "finalist"),
        secondary=tuple(_bare(found) for found in whole.secondary),
        forgetting=tuple(
            replace(row, divergence=None, divergence_interval=None, without_flagged=None,
                    items_needed=None, tasks=tuple(replace(t, flagged=0) for t in row.tasks))
            for row in whole.forgetting
        ),
        primary=_bare(whole.primary) if whole.primary else None,
    )  # fmt: skip


def _bare(found: Contrast) -> Contrast:
    return replace(
        found, equivalence_interval=None, left_out=0, unscored=0, flagged=0, without_flagged=None
    )


def unaudited_study() -> Study:
    """The same study without a general suite that was audited."""
    whole = study()
    audit = replace(AUDIT, general={}, general_not_audited=())
    return replace(
        whole,
        experiment=replace(whole.experiment, data=replace(whole.experiment.data, audit=audit)),
    )


def undecided() -> Findings:
    """An inconclusive primary contrast with missing values."""
    whole = findings()
    primary = contrast("lora", "few-shot", 0.011, 0.042, primary=True)
    first = replace(whole.arms[0], test=None, test_interval=None, metrics={"field_f1": np.nan})
    verdict = Verdict("inconclusive", "", "The data cannot tell.", (), (), 1240)
    return replace(whole, primary=primary, verdict=verdict, arms=(first, *whole.arms[1:]))
