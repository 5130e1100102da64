"""The rules of the verdict, as one ordered table: the first that applies decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.analysis.verdict import ranking, reference
from harness.analysis.verdict.evidence import Evidence
from harness.findings import VerdictOutcome
from harness.records import content_hash


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the verdict."""

    name: str
    """Name of the rule."""
    text: str
    """When the rule applies and what follows, in words."""
    applies: Callable[[Evidence], bool]
    """Whether it applies to the evidence."""
    outcome: VerdictOutcome
    """The outcome that follows."""
    winner: Callable[[Evidence], str]
    """The arm to use, from the evidence; empty where none is named."""


def _nobody(_: Evidence) -> str:
    return ""


def _settled(e: Evidence) -> bool:
    return e.outcome in ("better", "worse")


def _worse(e: Evidence) -> bool:
    return e.outcome == "worse" and e.against not in e.excluded


def _equivalent_but_forgot(e: Evidence) -> bool:
    equal = e.outcome == "equivalent" and e.against not in e.excluded
    return equal and e.lost_too_much(e.fine_tuned)


def _open_but_all_forgot(e: Evidence) -> bool:
    return e.outcome == "inconclusive" and e.all_lost_too_much() and e.against not in e.excluded


def _hardly_tried(e: Evidence) -> bool:
    prefers_prompt = _worse(e) or _equivalent_but_forgot(e) or _open_but_all_forgot(e)
    return prefers_prompt and bool(e.shortfalls)


def _only_allowed(e: Evidence) -> str:
    """The usable one of two fine-tuned arms where the other breaks a limit and is no better."""
    able = [arm for arm in e.pair if e.usable(arm)]
    broken = [arm for arm in e.pair if arm in e.excluded]
    if len(able) != 1 or len(broken) != 1:
        return ""
    not_worse = e.outcome == "equivalent" or (_settled(e) and able[0] == e.pair[0])
    return able[0] if not_worse else ""


RULES: tuple[Rule, ...] = (
    Rule(
        "not_compared",
        "No two arms could be compared on test as the primary contrast: inconclusive.",
        lambda e: e.primary is None,
        "inconclusive",
        _nobody,
    ),
    Rule(
        "nothing_right",
        "Both arms, or every tested prompt, have the metric's worst score: inconclusive.",
        lambda e: e.nothing_right,
        "inconclusive",
        _nobody,
    ),
    Rule(
        "only_prompt_allowed",
        "Prompts only: one arm breaks no limit and every other one does: that one.",
        ranking.alone_within_limits,
        "best_prompt",
        lambda e: e.prompt,
    ),
    Rule(
        "wrong_arm_declared",
        "An arm that the experiment names for the primary contrast breaks a limit while another "
        "of its side does not: inconclusive.",
        lambda e: e.replaceable(e.fine_tuned) or e.replaceable(e.against),
        "inconclusive",
        _nobody,
    ),
    Rule(
        "nothing_allowed",
        "Both arms break a declared limit, and nothing may stand in for either: inconclusive.",
        lambda e: e.fine_tuned in e.excluded and e.against in e.excluded,
        "inconclusive",
        _nobody,
    ),
    Rule(
        "leading_prompt",
        "Prompts only: the arm that validation picked is, after correction, better than every "
        "other one within the limits, or equivalent and not dearer: that one.",
        ranking.leader_is_best,
        "best_prompt",
        lambda e: e.prompt,
    ),
    Rule(
        "another_prompt_leads",
        "Prompts only: one arm is better, after correction, than the one that validation picked, "
        "which is better than all others: the better one.",
        ranking.another_is_best,
        "best_prompt",
        ranking.prompt_named,
    ),
    Rule(
        "prompts_tied",
        "Prompts only, and none of these holds: no single best one. An arm that is better than the "
        "one that validation picked is named; else the cheapest of that one and those that it is "
        "not better than.",
        lambda e: e.prompts_only,
        "prompts_tied",
        ranking.prompt_named,
    ),
    Rule(
        "two_tuned_one_allowed",
        "Both arms are fine-tuned and one breaks a declared limit; the other is better or "
        "equivalent and kept the general abilities (or none were declared): fine-tune with that "
        "one.",
        lambda e: e.two_tuned and bool(_only_allowed(e)),
        "fine_tune",
        _only_allowed,
    ),
    Rule(
        "two_tuned_both",
        "Both arms are fine-tuned; one is better, breaks no limit, kept the general abilities (or "
        "none were declared), is trained under the instruction that a prompt arm's search "
        "selected, and is better, after correction, than that arm, than the best prompt arm and "
        "than every arm of its kind trained under an instruction of its own: both.",
        lambda e: (
            e.two_tuned and _settled(e) and e.usable(e.pair[0]) and e.beats_either_alone(e.pair[0])
        ),
        "both",
        lambda e: e.pair[0],
    ),
    Rule(
        "two_tuned_better_and_kept",
        "Both arms are fine-tuned; one is better, breaks no limit and kept the general abilities "
        "(or none were declared): fine-tune with that one.",
        lambda e: e.two_tuned and _settled(e) and e.usable(e.pair[0]),
        "fine_tune",
        lambda e: e.pair[0],
    ),
    Rule(
        "two_tuned_better_but_forgot",
        "Both arms are fine-tuned; the better one breaks no limit but lost more than the margin of "
        "the general abilities, on average or of one of them: it forgets too much; the other, if "
        "it kept them within the limits, is the one to use.",
        lambda e: (
            e.two_tuned
            and _settled(e)
            and e.pair[0] not in e.excluded
            and e.lost_too_much(e.pair[0])
        ),
        "forgets_too_much",
        lambda e: e.pair[1] if e.usable(e.pair[1]) else "",
    ),
    Rule(
        "two_tuned_equivalent",
        "Both arms are fine-tuned, equivalent within the margin and within the limits, and at "
        "least one kept the general abilities (or none were declared): either; the cheaper of "
        "those that kept them is named.",
        lambda e: (
            e.two_tuned
            and e.outcome == "equivalent"
            and not e.excluded.keys() & {*e.pair}
            and any(map(e.usable, e.pair))
        ),
        "equivalent",
        Evidence.cheaper,
    ),
    Rule(
        "two_tuned_both_forgot",
        "Both arms are fine-tuned, equivalent and within the limits, and both lost more than the "
        "margin of the general abilities, on average or of one of them: they forget too much.",
        lambda e: (
            e.two_tuned
            and e.outcome == "equivalent"
            and not e.excluded.keys() & {*e.pair}
            and all(map(e.lost_too_much, e.pair))
        ),
        "forgets_too_much",
        _nobody,
    ),
    Rule(
        "two_tuned_open",
        "Both arms are fine-tuned and none of these holds: inconclusive.",
        lambda e: e.two_tuned,
        "inconclusive",
        _nobody,
    ),
    Rule(
        "fine_tuning_not_allowed",
        "Every fine-tuned arm breaks a declared limit and the prompt arm does not: prompt.",
        lambda e: e.fine_tuned in e.excluded,
        "prompt",
        lambda e: e.prompt,
    ),
    Rule(
        "prompt_not_allowed",
        "Every prompt arm breaks a declared limit; fine-tuning does not, is better or equivalent, "
        "and kept the general abilities (or none were declared): fine-tune.",
        lambda e: (
            e.against in e.excluded
            and e.outcome in ("better", "equivalent")
            and e.acceptable(e.fine_tuned)
        ),
        "fine_tune",
        lambda e: e.fine_tuned,
    ),
    Rule(
        "another_prompt_not_beaten",
        "Fine-tuning is better than the prompt arm that validation picked, but another prompt arm "
        "did better on test and is not shown to be beaten: inconclusive.",
        lambda e: e.outcome == "better" and e.unbeaten() is not None,
        "inconclusive",
        _nobody,
    ),
    Rule(
        "both",
        "Fine-tuning under the instruction that a prompt arm's search selected is better than the "
        "best prompt arm and, after correction, than the prompt arm it has the instruction of and "
        "than every arm of its kind trained under an instruction of its own; its general "
        "abilities were kept (or none were declared): both.",
        lambda e: (
            e.outcome == "better"
            and e.acceptable(e.fine_tuned)
            and e.beats_either_alone(e.fine_tuned)
        ),
        "both",
        lambda e: e.fine_tuned,
    ),
    Rule(
        "better_and_kept",
        "Fine-tuning is better and its general abilities were kept: fine-tune.",
        lambda e: e.outcome == "better" and e.abilities(e.fine_tuned) == "kept",
        "fine_tune",
        lambda e: e.fine_tuned,
    ),
    Rule(
        "better_none_declared",
        "Fine-tuning is better and no general suite was declared: fine-tune, with the caveat that "
        "forgetting was not measured.",
        lambda e: e.outcome == "better" and e.abilities(e.fine_tuned) == "undeclared",
        "fine_tune",
        lambda e: e.fine_tuned,
    ),
    Rule(
        "another_kept",
        "The best fine-tuned arm is better but did not demonstrably keep the general abilities; "
        "another one did, also beats the prompt (after correction) and every other prompt arm that "
        "did better on test, and the experiment names no arm: fine-tune with that one.",
        lambda e: e.outcome == "better" and bool(e.alternative()),
        "fine_tune",
        Evidence.alternative,
    ),
    Rule(
        "better_but_forgot",
        "Fine-tuning is better but lost more than the margin of the general abilities on average: "
        "it forgets too much; the prompt arm, if within the limits, is the one to use.",
        lambda e: e.outcome == "better" and e.abilities(e.fine_tuned) == "forgot",
        "forgets_too_much",
        Evidence.prompt_if_allowed,
    ),
    Rule(
        "better_but_lost_ability",
        "Fine-tuning is better and the mean change is no loss beyond the margin, but one of the "
        "general abilities lost more than that: it forgets too much; the prompt arm, if within the "
        "limits, is the one to use.",
        lambda e: e.outcome == "better" and e.abilities(e.fine_tuned) == "lost_ability",
        "forgets_too_much",
        Evidence.prompt_if_allowed,
    ),
    Rule(
        "better_forgetting_open",
        "Fine-tuning is better but whether it kept the general abilities is not settled or was not "
        "measured: inconclusive.",
        lambda e: e.outcome == "better",
        "inconclusive",
        _nobody,
    ),
    Rule(
        "hardly_tried",
        "One of the rules below would say prompt, for what fine-tuning does to the task or to the "
        "general abilities, but the fine-tuned arm was hardly tried: not decided.",
        _hardly_tried,
        "hardly_tried",
        _nobody,
    ),
    Rule(
        "worse",
        "Fine-tuning is worse than prompting and the prompt arm breaks no limit: prompt.",
        _worse,
        "prompt",
        lambda e: e.prompt,
    ),
    Rule(
        "equivalent_but_forgot",
        "The two are equivalent on the task, fine-tuning lost more than the margin of the general "
        "abilities, on average or of one of them, and the prompt arm breaks no limit: prompt.",
        _equivalent_but_forgot,
        "prompt",
        lambda e: e.prompt,
    ),
    Rule(
        "equivalent",
        "The two are equivalent within the margin: either; the cheaper over the declared volume "
        "and horizon is named, and a fine-tuned arm only if it kept the general abilities.",
        lambda e: e.outcome == "equivalent" and e.against not in e.excluded,
        "equivalent",
        Evidence.cheaper,
    ),
    Rule(
        "open_but_all_forgot",
        "Whether fine-tuning does the task better is open, but every fine-tuned arm within the "
        "limits lost more than the margin of the general abilities, on average or of one of them, "
        "and the prompt arm breaks no limit: prompt.",
        _open_but_all_forgot,
        "prompt",
        lambda e: e.prompt,
    ),
    Rule("open", "None of these: inconclusive.", lambda _: True, "inconclusive", _nobody),
)


def rules() -> list[tuple[str, str]]:
    """Name and text of every rule in the order they are tried; the first that applies decides.

    The last one, on arms without a language model, holds beside it.
    """
    return [*((rule.name, rule.text) for rule in RULES), (reference.RULE, reference.TEXT)]


def rules_hash() -> str:
    """Hash of the rules' names, texts and order."""
    return content_hash([list(rule) for rule in rules()])


def deciding_rule(evidence: Evidence) -> Rule:
    """The first rule that applies."""
    return next(rule for rule in RULES if rule.applies(evidence))


__all__ = ["RULES", "Rule", "deciding_rule", "rules", "rules_hash"]
