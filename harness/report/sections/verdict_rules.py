"""The rules by which the verdict was reached."""

from __future__ import annotations

from harness import wording
from harness.report.document import Column, Prose, Section, Table
from harness.report.sections.material import Material


def rules_section(material: Material) -> Section:
    """The rules of the verdict, as the analysis states them."""
    heading, rules = "How the verdict was reached", material.rules
    if not rules:
        return Section("rules", heading, ())
    decided = material.findings.verdict.rule
    text = "The rules were fixed before the run; the first one that applies decides."
    strong = tuple(place for place, (name, _) in enumerate(rules) if name == decided)
    if strong:
        text += f" Here it was rule {strong[0] + 1} of {len(rules)}: {_rule(decided)}."
    rows = tuple((_rule(name), wording.cell(condition, 600)) for name, condition in rules)
    columns = (Column("Rule"), Column("When it applies, and what follows"))
    table = Table("Rules of the verdict", columns, rows, strong=strong)
    return Section("rules", heading, (Prose(text), table))


def _rule(name: str) -> str:
    return wording.cell(name.replace("_", " "))


__all__ = ["rules_section"]
