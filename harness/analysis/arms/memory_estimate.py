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
from harness.spec.arms import QuantisedArm
from harness.spec.kinds import TRAINED_KINDS, kind_info

MIB = 2**20
TRAINED = 16.0  # fp32 weight, gradient and two moments
NF4 = 0.5
CONSTANTS = 0.5 / 8
DOUBLY_QUANTISED = 0.127 / 8


def bytes_per_parameter(
    kind: str, dtype: str, trainable_share: float, *, double_quantisation: bool = True
) -> float:
    """Bytes for each parameter of the whole model; of an arm that trains nothing, its weights.

    Args:
        kind: Name of the arm's kind.
        dtype: Compute type, such as ``bfloat16``.
        trainable_share: Trained parameters over all of the base; of no account where every weight
            is trained, or none.
        double_quantisation: Of a quantised base: the constants are quantised too.
    """
    does = kind_info(kind)
    base = 4.0 if dtype == "float32" else 2.0
    if does.quantises:
        base = NF4 + (DOUBLY_QUANTISED if double_quantisation else CONSTANTS)
    if does.adapts:
        return base + TRAINED * trainable_share
    if not does.trains:
        return base
    return TRAINED if dtype == "float32" else base + TRAINED


def estimate_memory(
    arms: Sequence[ArmSummary], experiment: Experiment, dtype: str
) -> tuple[MemoryEstimate, ...]:
    """Estimates for the study's own model and the sizes asked for, by size, then by kind.

    Adapters need a measured share of trained parameters: that of the first arm of the kind, else
    of another kind with adapters. Empty where nothing was trained.
    """
    measured = [arm for arm in arms if arm.cost.trainable_parameters and arm.cost.total_parameters]
    if not measured:
        return ()
    whole = (arm for arm in measured if not kind_info(arm.kind).adapts)
    own = next(whole, measured[0]).cost.total_parameters
    shares = {
        arm.kind: arm.cost.trainable_parameters / arm.cost.total_parameters
        for arm in reversed(measured)
        if kind_info(arm.kind).adapts
    }
    double = all(
        arm.double_quantisation for arm in experiment.arms.values() if isinstance(arm, QuantisedArm)
    )
    estimates = []
    for size in (own, *(round(billions * 1e9) for billions in experiment.cost.sizes_billion)):
        for kind in TRAINED_KINDS:
            others = next(iter(shares.values()), None)
            share = shares.get(kind.name, others) if kind.adapts else 1.0
            if share is not None:
                each = bytes_per_parameter(kind.name, dtype, share, double_quantisation=double)
                estimates.append(MemoryEstimate(kind.name, size, size * each / MIB))
    return tuple(estimates)


__all__ = ["bytes_per_parameter", "estimate_memory"]
