"""Experiments as earlier versions stored them, in the form of this version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def current_form(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The experiment with its values where this version has them; unchanged if they are there.

    Before there was a section ``search``, ``budget`` named the sampler, and a search looked at
    nothing but validation scores and stopped no trial early.
    """
    plain = dict(stored)
    budget = plain.get("budget")
    if "search" in plain or not isinstance(budget, Mapping):
        return plain
    rest = {key: value for key, value in budget.items() if key != "sampler"}
    search = {"forgetting": "ignore", "pruner": "none", "prompt_pruner": "none"}
    if "sampler" in budget:
        search["sampler"] = budget["sampler"]
    return {**plain, "budget": rest, "search": search}
