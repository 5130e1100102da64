"""Analytic training memory: weights, gradients and optimiser state; activations are not in it.

Bytes a parameter, as training works here (AdamW, fp32 master weights):

* ``full``: the copy that computes (4 in fp32, where it is its own master; 2 else, and 4 for the
  master), an fp32 gradient (4) and two fp32 moments (8): 16 or 18.
* ``lora``: the frozen base in the compute type (4 or 2), and 16 for each adapter parameter, which
  is kept in fp32.
* ``qlora``: NF4, half a byte, and the quantisation constants: 0.5 bit with one fp32 constant for
  64 weights, 0.127 bit if these are quantised too (Dettmers et al. 2023); 16 for each adapter
  parameter. Embeddings, which stay unquantised, are counted as if quantised: they are a fifth of a
  model of 135M parameters and under 2 % of one of 65B.

The share of adapter parameters is the measured one, at every size. At a fixed rank it falls as a
model widens, so larger models need less than estimated.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.findings import ArmSummary, MemoryEstimate
from harness.spec import Experiment
from harness.spec.arms import QloraArm

MIB = 2**20
TRAINED = 16.0  # fp32 weight, gradient and two moments
NF4 = 0.5
CONSTANTS = 0.5 / 8
DOUBLY_QUANTISED = 0.127 / 8


def bytes_per_parameter(
    kind: str, dtype: str, trainable_share: float, *, double_quantisation: bool = True
) -> float:
    """Bytes for each parameter of the whole model.

    Args:
        kind: ``full``, ``lora`` or ``qlora``.
        dtype: compute type, such as ``bfloat16``.
        trainable_share: trained parameters over all of the base; of no account for ``full``.
        double_quantisation: for ``qlora``: the constants are quantised too.
    """
    computing = 4.0 if dtype == "float32" else 2.0
    match kind:
        case "full":
            return TRAINED if dtype == "float32" else computing + TRAINED
        case "lora":
            return computing + TRAINED * trainable_share
        case _:
            constants = DOUBLY_QUANTISED if double_quantisation else CONSTANTS
            return NF4 + constants + TRAINED * trainable_share


def estimate_memory(
    arms: Sequence[ArmSummary], experiment: Experiment, dtype: str
) -> tuple[MemoryEstimate, ...]:
    """Estimates for the study's own model and the sizes asked for, by size, then by kind.

    ``lora`` and ``qlora`` need a measured share of trained parameters: that of the first such arm
    of the kind, else of the other kind. Empty where nothing was trained.
    """
    measured = [arm for arm in arms if arm.cost.trainable_parameters and arm.cost.total_parameters]
    if not measured:
        return ()
    own = next((arm for arm in measured if arm.kind == "full"), measured[0]).cost.total_parameters
    shares = {
        arm.kind: arm.cost.trainable_parameters / arm.cost.total_parameters
        for arm in reversed(measured)
        if arm.kind != "full"
    }
    double = all(
        arm.double_quantisation for arm in experiment.arms.values() if isinstance(arm, QloraArm)
    )
    found = []
    for size in (own, *(round(billions * 1e9) for billions in experiment.cost.sizes_billion)):
        for kind, other in (("full", ""), ("lora", "qlora"), ("qlora", "lora")):
            share = 1.0 if kind == "full" else shares.get(kind, shares.get(other))
            if share is not None:
                each = bytes_per_parameter(kind, dtype, share, double_quantisation=double)
                found.append(MemoryEstimate(kind, size, size * each / MIB))
    return tuple(found)


__all__ = ["bytes_per_parameter", "estimate_memory"]
