"""Which pairs of arms are compared: one primary contrast, and a short list of secondary ones."""

from __future__ import annotations

from harness.analysis.arms import Sides
from harness.findings import ArmSummary

# The claims usually made of the methods: LoRA comes close to full, QLoRA to both.
KINDS_COMPARED = (("lora", "full"), ("qlora", "full"), ("qlora", "lora"))


def secondary_pairs(sides: Sides, arms: dict[str, ArmSummary]) -> tuple[tuple[str, str], ...]:
    """Pairs (a, b) beside the primary one, of arms with a test result, each pair once.

    Every other fine-tuned arm against the best prompt arm; fine-tuning methods against each
    other; the first arm of the primary contrast, and the best prompt arm, against every other
    prompt arm.
    """
    tested = {name: arm for name, arm in arms.items() if arm.test is not None}
    prompts = [name for name, arm in tested.items() if arm.kind == "prompt"]
    trained = [name for name in tested if name not in prompts]
    pairs = [(name, sides.prompt) for name in trained]
    for kind_a, kind_b in KINDS_COMPARED:
        pairs += [
            (a, b)
            for a in trained
            for b in trained
            if tested[a].kind == kind_a and tested[b].kind == kind_b
        ]
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
