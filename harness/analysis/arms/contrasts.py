"""Which pairs of arms are compared: one primary contrast, and a short list of secondary ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations

from harness.analysis.arms.table import Sides
from harness.findings import ArmSummary
from harness.spec.kinds import TRAINED_KINDS, kind_info

# Each kind against those that save less memory: LoRA is said to come close to full fine-tuning,
# QLoRA to both.
KINDS_COMPARED = tuple((b.name, a.name) for a, b in combinations(TRAINED_KINDS, 2))


def secondary_pairs(
    sides: Sides, arms: dict[str, ArmSummary], alone: Mapping[str, Iterable[str]]
) -> tuple[tuple[str, str], ...]:
    """Pairs (a, b) beside the primary one, of arms with a test result, each pair once.

    Every other fine-tuned arm against the best prompt arm; fine-tuning methods against each
    other; what is trained under the instruction of a prompt arm against either alone; the first arm
    of the primary contrast, and the best prompt arm, against every other prompt arm.

    Args:
        alone: arm trained under the instruction of another -> what of it there is alone, see
            :func:`~harness.spec.instruction_sources.each_alone`.
    """
    tested = {name: arm for name, arm in arms.items() if arm.test is not None}
    prompts = [name for name, arm in tested.items() if not kind_info(arm.kind).fine_tuned]
    trained = [name for name in tested if name not in prompts]
    pairs = [(name, sides.prompt) for name in trained]
    for kind_a, kind_b in KINDS_COMPARED:
        pairs += [
            (a, b)
            for a in trained
            for b in trained
            if tested[a].kind == kind_a and tested[b].kind == kind_b
        ]
    # What the program trained itself against what another one did.
    pairs += [
        (a, b)
        for a in trained
        for b in trained
        if not kind_info(tested[a].kind).outside and kind_info(tested[b].kind).outside
    ]
    pairs += [(name, other) for name in trained for other in alone.get(name, ())]
    pairs += [(sides.fine_tuned, name) for name in prompts]
    pairs += [(name, sides.prompt) for name in prompts]
    seen = {frozenset((sides.fine_tuned, sides.against))}
    chosen = []
    for a, b in pairs:
        if a != b and a in tested and b in tested and frozenset((a, b)) not in seen:
            seen.add(frozenset((a, b)))
            chosen.append((a, b))
    return tuple(chosen)


__all__ = ["KINDS_COMPARED", "secondary_pairs"]
