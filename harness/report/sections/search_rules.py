"""The rules of the search, as the experiment declares them."""

from __future__ import annotations

from harness import wording
from harness.report.document import Block, Facts
from harness.report.sections.material import Material
from harness.spec import SearchSpec
from harness.wording import PER_CENT

SAMPLERS = {
    "tpe": "tree-structured Parzen estimator",
    "gp": "Gaussian process",
    "qmc": "quasi-Monte Carlo sequence",
    "random": "random",
    "nsga2": "NSGA-II, a genetic algorithm",
}
NEVER = "never"


def search_rules(material: Material) -> list[Block]:
    """Sampler, pruners, what is made of forgetting, how far trials are asked ahead."""
    rules = material.experiment.search
    trained = (
        ("Forgetting in the search of fine-tuned arms", _forgetting(material, rules)),
        ("Fine-tuning trials stopped early", _trained(rules)),
    )
    facts = (
        ("Settings proposed by", SAMPLERS.get(rules.sampler, rules.sampler)),
        ("Searches of each arm", wording.count(rules.repeats)),
        ("Trials of an arm at once, at most", wording.count(rules.ahead)),
        *(() if material.prompts_only else trained),
        ("Prompt trials stopped early", _prompts(rules)),
    )
    return [Facts(facts, folded=True)]


def _forgetting(material: Material, rules: SearchSpec) -> str:
    experiment = material.experiment
    margins = {experiment.search_margin(arm) for arm in experiment.trained_arms()} - {None}
    if not margins:
        return "plays no part"
    accepted = PER_CENT.margin(margins.pop())
    if rules.forgetting == "objective":
        return f"a second objective; settings that lose more than {accepted} are selected last"
    return f"settings that lose more than {accepted} are selected last"


def _trained(rules: SearchSpec) -> str:
    checks = f"{wording.plural(rules.checks_per_epoch, 'check')} of validation loss an epoch"
    match rules.trained_pruner:
        case "median":
            return f"when below the median of the others; {checks}"
        case "halving":
            return f"by successive halving; {checks}"
        case _:
            return NEVER


def _prompts(rules: SearchSpec) -> str:
    if rules.prompt_pruner == "none":
        return NEVER
    return (
        "when worse than the best one by a Wilcoxon signed-rank test at level "
        f"{wording.number(rules.prompt_pruner_level)}, after "
        f"{wording.plural(rules.prompt_pruner_items, 'item')}"
    )


__all__ = ["search_rules"]
