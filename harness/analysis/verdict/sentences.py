"""The verdict in words: which rule decided, why, and what to keep in mind."""

from __future__ import annotations

from collections.abc import Callable

from harness.analysis import wording
from harness.analysis.arms.cost import overlap, total_money, total_range
from harness.analysis.verdict import both_words, ranking_words
from harness.analysis.verdict.evidence import Evidence
from harness.analysis.verdict.rules import deciding_rule
from harness.findings import Contrast, Verdict

TWO_TUNED = (
    "Two ways of fine-tuning were compared: the verdict says which of them, not whether either is "
    "better than prompting."
)


def decide(evidence: Evidence) -> Verdict:
    """The verdict on the evidence, in words, with the caveats that the evidence itself has."""
    rule = deciding_rule(evidence)
    winner = rule.winner(evidence)
    primary = evidence.primary
    caveats = [
        *([TWO_TUNED] if primary and evidence.two_tuned and rule.outcome != "both" else []),
        *both_words.untried(evidence, winner),
        *(
            ["No general suite was declared, so forgetting was not measured."]
            if primary and not evidence.general_declared and not evidence.prompts_only
            else []
        ),
        *(ranking_words.untested(evidence) if evidence.prompts_only else []),
    ]
    unsettled = evidence.unbeaten() if rule.name == "another_prompt_not_beaten" else primary
    open_contrast = unsettled is not None and unsettled.outcome == "inconclusive"
    open_contrast = open_contrast and not evidence.nothing_right
    needed = unsettled.items_needed if unsettled and open_contrast else None
    if rule.outcome != "inconclusive":
        needed = ranking_words.items_needed(evidence) if rule.name == "prompts_tied" else None
    return Verdict(
        outcome=rule.outcome,
        winner=winner,
        sentence=SENTENCES[rule.name](evidence, winner),
        reasons=tuple(_reasons(evidence, winner)),
        caveats=tuple(caveats),
        items_needed=needed,
        rule=rule.name,
    )


def _not_compared(e: Evidence, _: str) -> str:
    return " ".join(["No decision is possible yet.", *e.missing])


def _nothing_right(e: Evidence, _: str) -> str:
    who = "no prompt" if e.prompts_only else f"neither {e.fine_tuned} nor {e.against}"
    return f"No decision is possible yet: {who} has anything right. {wording.result(_contrast(e))}"


def _fine_tune(e: Evidence, winner: str) -> str:
    return f"Fine-tune with {winner}. {wording.result(_contrast(e, winner))}{_worst(e, winner)}"


def _both(e: Evidence, winner: str) -> str:
    return f"{both_words.both(e, winner)}{_worst(e, winner)}"


def _only_allowed(e: Evidence, winner: str) -> str:
    return f"{_fine_tune(e, winner)} {e.excluded[e.against]}"


def _not_beaten(e: Evidence, _: str) -> str:
    contrast = e.unbeaten()
    if contrast is None:
        raise ValueError("every prompt arm is beaten")
    needed = f" {wording.what_it_takes(contrast)}" if contrast.outcome == "inconclusive" else ""
    return (
        f"No decision is possible yet. {wording.result(contrast)}{needed} Validation had picked "
        f"{e.against} as the best prompt, and {e.fine_tuned} beats that one."
    )


def _another(e: Evidence, winner: str) -> str:
    return (
        f"{_fine_tune(e, winner)} {e.fine_tuned} was to be judged first, but it "
        f"{_abilities_in_words(e, e.fine_tuned)}."
    )


def _forgets(e: Evidence, winner: str) -> str:
    advice = f"stay with {winner}" if winner else e.excluded[e.against].removesuffix(".")
    lost = wording.given_up(e.forgetting[e.fine_tuned])
    return (
        f"Fine-tuning works but forgets too much; {advice}. {wording.result(_contrast(e))} {lost}"
    )


def _lost_ability(e: Evidence, winner: str) -> str:
    advice = f"stay with {winner}" if winner else e.excluded[e.against].removesuffix(".")
    lost = wording.given_up(e.forgetting[e.fine_tuned])
    return (
        f"Fine-tuning works but forgets too much; {advice}. {lost} {wording.result(_contrast(e))}"
    )


def _forgetting_open(e: Evidence, _: str) -> str:
    return (
        f"No decision is possible yet. {wording.result(_contrast(e))} But {e.fine_tuned} "
        f"{_abilities_in_words(e, e.fine_tuned)}.{_doubts(e, e.fine_tuned)}"
    )


def _hardly_tried(e: Evidence, _: str) -> str:
    signs = " ".join(reason.sentence for reason in e.shortfalls)
    return (
        f"Not decided: {e.fine_tuned} was hardly tried. {wording.result(_contrast(e))} {signs} "
        f"{wording.run_next(e.shortfalls)}"
    )


def _prompt(e: Evidence, winner: str) -> str:
    return f"Use prompting ({winner}). {wording.result(_contrast(e))}"


def _prompt_kept(e: Evidence, winner: str) -> str:
    return f"{_prompt(e, winner)} {wording.given_up(e.forgetting[e.fine_tuned])}"


def _prompt_as_all_forgot(e: Evidence, winner: str) -> str:
    return (
        f"Use prompting ({winner}). Every fine-tuned arm lost more of what the base could do than "
        f"is accepted: {wording.given_up(e.forgetting[e.fine_tuned])} "
        f"{wording.result(_contrast(e))}"
    )


def _either(e: Evidence, winner: str) -> str:
    other = e.against if winner == e.fine_tuned else e.fine_tuned
    return (
        f"Both do the task equally well; {_why_cheaper(e, winner, other)} "
        f"{wording.result(_contrast(e))}"
    )


def _open(e: Evidence, _: str) -> str:
    contrast = _contrast(e)
    needed = f" {wording.what_it_takes(contrast)}" if contrast.outcome == "inconclusive" else ""
    limits = "".join(f" {e.excluded[name]}" for name in e.pair if name in e.excluded)
    return f"No decision is possible yet. {wording.result(contrast)}{needed}{limits}"


def _of_two(e: Evidence, winner: str) -> str:
    limits = "".join(f" {e.excluded[name]}" for name in e.pair if name in e.excluded)
    return (
        f"Of the two, fine-tune with {winner}. {wording.result(_contrast(e))}{limits}"
        f"{_worst(e, winner)}"
    )


def _of_two_forgets(e: Evidence, winner: str) -> str:
    ahead, behind = e.pair
    if winner:
        advice = f"use {winner}, which {_abilities_in_words(e, winner)}"
    elif behind in e.excluded:
        advice = e.excluded[behind].removesuffix(".")
    else:
        advice = f"and {behind} {_abilities_in_words(e, behind)}"
    joint = "; " if winner or behind in e.excluded else ", "
    lost = wording.given_up(e.forgetting[ahead])
    return (
        f"{ahead} is better but forgets too much{joint}{advice}. {wording.result(_contrast(e))} "
        f"{lost}"
    )


def _both_forget(e: Evidence, _: str) -> str:
    lost = " ".join(wording.given_up(e.forgetting[arm]) for arm in sorted(e.pair))
    return f"Both forget too much. {wording.result(_contrast(e))} {lost}"


def _of_two_open(e: Evidence, _: str) -> str:
    unsettled = [
        f" {arm} {_abilities_in_words(e, arm)}.{_doubts(e, arm)}"
        for arm in (e.pair if e.outcome == "equivalent" else e.pair[:1])
        if e.outcome != "inconclusive" and not e.acceptable(arm)
    ]
    return _open(e, "") + "".join(unsettled)


SENTENCES: dict[str, Callable[[Evidence, str], str]] = {
    "not_compared": _not_compared,
    "nothing_right": _nothing_right,
    "wrong_arm_declared": lambda e, _: " ".join(
        [
            "No decision is possible yet: an arm named for the comparison may not be used.",
            *(e.excluded[name] for name in (e.fine_tuned, e.against) if e.replaceable(name)),
            "Name another arm, or none.",
        ]
    ),
    "nothing_allowed": lambda e, _: " ".join(
        ["No arm may be used: each breaks a declared limit.", *e.excluded.values()]
        if not e.two_tuned
        else [
            f"Neither {e.fine_tuned} nor {e.against} may be used: each breaks a declared limit.",
            *(e.excluded[name] for name in e.pair),
        ]
    ),
    "only_prompt_allowed": ranking_words.alone,
    "leading_prompt": ranking_words.best,
    "another_prompt_leads": ranking_words.another_best,
    "prompts_tied": ranking_words.tied,
    "two_tuned_one_allowed": _of_two,
    "two_tuned_both": _both,
    "two_tuned_better_and_kept": _of_two,
    "two_tuned_better_but_forgot": _of_two_forgets,
    "two_tuned_equivalent": _either,
    "two_tuned_both_forgot": _both_forget,
    "two_tuned_open": _of_two_open,
    "fine_tuning_not_allowed": lambda e, winner: (
        f"Use prompting ({winner}). {e.excluded[e.fine_tuned]}"
    ),
    "prompt_not_allowed": _only_allowed,
    "another_prompt_not_beaten": _not_beaten,
    "both": _both,
    "better_and_kept": _fine_tune,
    "better_none_declared": _fine_tune,
    "another_kept": _another,
    "better_but_forgot": _forgets,
    "better_but_lost_ability": _lost_ability,
    "better_forgetting_open": _forgetting_open,
    "hardly_tried": _hardly_tried,
    "worse": _prompt,
    "equivalent_but_forgot": _prompt_kept,
    "equivalent": _either,
    "open_but_all_forgot": _prompt_as_all_forgot,
    "open": _open,
}


def _contrast(e: Evidence, arm: str = "") -> Contrast:
    """The contrast of a fine-tuned arm with the other side; the primary one by default."""
    if arm and arm != e.fine_tuned:
        for contrast in e.secondary:
            if (contrast.a, contrast.b) == (arm, e.against):
                return contrast
    if e.primary is None:
        raise ValueError("there is no primary contrast to put into words")
    return e.primary


def _reasons(e: Evidence, winner: str) -> list[str]:
    if e.prompts_only:
        return list(ranking_words.reasons(e))
    sentences = list(e.missing)
    if e.primary is None:
        return sentences
    sentences.append(wording.result(e.primary))
    sentences.extend(both_words.reasons(e, winner or e.fine_tuned))
    sentences.extend(
        wording.abilities(e.forgetting[arm])
        for arm in (e.fine_tuned, e.against)
        if arm in e.forgetting
    )
    alternative = e.alternative()
    if alternative:
        sentences.append(f"Among the other arms: {wording.result(_contrast(e, alternative))}")
        if alternative in e.forgetting:
            sentences.append(wording.abilities(e.forgetting[alternative]))
    if e.two_tuned:
        sentences.extend(
            f"Against prompting: {wording.result(contrast)}"
            for contrast in e.secondary
            if contrast.b == e.prompt and contrast.a in ([winner] if winner else e.pair)
        )
    sentences.extend(e.excluded.values())
    costs = wording.costs(e.experiment, e.arms, e.fine_tuned, e.against)
    if costs:
        sentences.append(costs)
    if e.primary.outcome == "inconclusive" and not e.nothing_right:
        sentences.append(wording.what_it_takes(e.primary))
        sentences.extend(reason.sentence for reason in e.shortfalls)
        sentences.extend([wording.run_next(e.shortfalls)] if e.shortfalls else [])
    return sentences


def _abilities_in_words(e: Evidence, arm: str) -> str:
    match e.abilities(arm):
        case "kept":
            return "kept what the base could do"
        case "forgot":
            return "lost more of what the base could do than the declared margin"
        case "lost_ability":
            lost = ", ".join(e.forgetting[arm].lost_tasks)
            return f"lost an ability of the base beyond the declared margin ({lost})"
        case "unmeasured" | "undeclared":
            return "was not measured on what the base could do"
        case _:
            return "may have lost more of what the base could do than the declared margin"


def _worst(e: Evidence, arm: str) -> str:
    """The general task that fared worst, after a space; empty where none was measured."""
    if e.abilities(arm) in ("undeclared", "unmeasured"):
        return ""
    return f" {wording.worst_task(e.forgetting[arm])}"


def _doubts(e: Evidence, arm: str) -> str:
    """Why it is open whether the arm kept abilities, each sentence after a space."""
    if e.abilities(arm) != "inconclusive":
        return ""
    doubts = wording.doubts_on(e.forgetting[arm])
    return "".join(f" {sentence}" for sentence in doubts) + _worst(e, arm)


def _why_cheaper(e: Evidence, winner: str, other: str) -> str:
    months = e.experiment.cost.months
    mine = total_money(e.arms[winner].cost, months)
    theirs = total_money(e.arms[other].cost, months)
    currency = e.experiment.cost.currency
    if not e.usable(other):
        return f"{winner} is named, as {other} {_abilities_in_words(e, other)}."
    tuned = winner in e.experiment.trained_arms()
    why = "leaves no more to deploy" if tuned else "needs no training"
    if mine is None or theirs is None:
        return f"{winner} is named, as it {why} and the costs were not all measured."
    if mine == theirs:
        return f"{winner} is named, as it {why} and costs the same."
    costs = (e.arms[winner].cost, e.arms[other].cost)
    within = "; the difference is within the measurement's range" if overlap(*costs, months) else ""
    shown = " against ".join(
        wording.money_within(amount, total_range(cost, months), currency)
        for amount, cost in zip((mine, theirs), costs, strict=True)
    )
    return f"{winner} is cheaper: {shown} over {months} months{within}."


__all__ = ["SENTENCES", "decide"]
