"""Arms that are trained under the instruction that the search of a prompt arm selects.

Prompts that are optimised first and weights that are trained after them can do better than either
alone (Soylu et al., "Fine-Tuning and Prompt Optimization: Two Great Steps that Work Better
Together", arXiv 2407.10930).
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.spec.arms import Arm
from harness.spec.instruction import InstructionFrom
from harness.spec.kinds import kind_info


def instruction_source(arm: Arm) -> str | None:
    """The prompt arm whose instruction an arm is trained under; None where it has its own."""
    return arm.instruction.arm if isinstance(arm.instruction, InstructionFrom) else None


def foreseen(arms: Mapping[str, Arm], name: str) -> Arm:
    """An arm as far as it is known before any search.

    One that takes its instruction from another stands under those that this one chooses among, and
    under the task's where this one's is yet to be written.
    """
    arm, source = arms[name], instruction_source(arms[name])
    if source is None:
        return arm
    written = arms[source].optimiser is not None
    chosen = None if written else arms[source].instruction
    return arm.model_copy(update={"instruction": chosen})


def each_alone(arms: Mapping[str, Arm], name: str) -> tuple[str, ...]:
    """What an arm that is trained under another's instruction must beat, to be worth both.

    That is the prompt arm whose instruction it has, and every arm of its kind that is trained under
    an instruction of its own; nothing where there is none of these, or where the arm takes its
    instruction from nowhere.
    """
    source = instruction_source(arms[name])
    alike = [
        other
        for other, arm in arms.items()
        if arm.kind == arms[name].kind and instruction_source(arm) is None
    ]
    return (source, *alike) if source is not None and alike else ()


def check_sources(arms: Mapping[str, Arm]) -> None:
    """See that every arm that takes its instruction from another can have it.

    Raises:
        ValueError: it cannot; says why, and what to do.
    """
    able = [
        name
        for name, arm in arms.items()
        if not _why_no_source(arm)
        and (arm.optimiser is not None or set(arm.values_of("instruction")) != {None})
    ]
    rather = f"name one of {', '.join(able)}" if able else "no prompt arm has one to give"
    for name, arm in arms.items():
        source = instruction_source(arm)
        if source is None or source in able:
            continue
        where = f"arms.{name}.instruction.from"
        if source not in arms:
            raise ValueError(f"{where}: no arm is called {source!r}; {rather}")
        if why := _why_no_source(arms[source]):
            raise ValueError(f"{where}: {source!r} {why}; {rather}")
        raise ValueError(
            f"{where}: {source!r} has no instruction but the task's, which every arm has: give it "
            "instruction: {choices: [...]}, or leave `from` out"
        )


def _why_no_source(arm: Arm) -> str:
    """Why no other arm can be trained under the instruction of this one; empty where one can."""
    kind = kind_info(arm.kind)
    if not kind.language_model:
        return "is no language model, and has no instruction"
    if kind.fine_tuned:
        return "is fine-tuned, and the instruction is to come from a prompt arm"
    if getattr(arm, "asks_another_model", False):
        return "asks another model, whose instructions are not this one's"
    return ""


__all__ = ["check_sources", "each_alone", "foreseen", "instruction_source"]
