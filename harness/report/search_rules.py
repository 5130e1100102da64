"""The rules of the search, as the experiment declares them."""

from __future__ import annotations

from collections.abc import Mapping

from harness.report import wording
from harness.report.document import Block, Facts
from harness.report.material import Material
from harness.report.scales import PER_CENT
from harness.spec import SearchSpec

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
    declared = material.declared("search")
    if not isinstance(declared, Mapping):
        return []
    rules = SearchSpec.model_validate(declared)
    facts = (
        ("Settings proposed by", SAMPLERS.get(rules.sampler, rules.sampler)),
        ("Trials of an arm at once, at most", wording.count(rules.ahead)),
        ("Forgetting in the search of fine-tuned arms", _forgetting(material, rules)),
        ("Fine-tuning trials stopped early", _trained(rules)),
        ("Prompt trials stopped early", _prompts(rules)),
    )
    return [Facts(facts)]


def _forgetting(material: Material, rules: SearchSpec) -> str:
    margin = material.declared("general", "margin")
    if rules.forgetting == "ignore" or margin is None or not _watched(material):
        return "plays no part"
    accepted = PER_CENT.gap(float(margin))
    if rules.forgetting == "objective":
        return f"a second objective; settings that lose more than {accepted} are selected last"
    return f"settings that lose more than {accepted} are selected last"


def _watched(material: Material) -> bool:
    """Whether search trials are scored on the general suite; they are unless it is switched off."""
    limit = material.declared("general", "search_limit")
    return limit is None or bool(limit)


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
