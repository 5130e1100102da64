"""AdamW whose state and weights are fp32 while the model computes in a shorter type.

bfloat16 keeps 8 bits of mantissa: an update below 1/256 of a weight is rounded away, so training
bfloat16 weights in place silently loses small learning rates. The optimiser therefore owns fp32
master copies (Micikevicius et al. 2018, "Mixed Precision Training") and writes them back, rounded,
after each step.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch.distributed.tensor import DTensor


@dataclass(slots=True)
class MasterWeightAdamW:
    """AdamW over fp32 masters of ``parameters``; fp32 parameters are their own masters.

    Weight decay is decoupled and left off vectors (biases, norms), as is usual.
    """

    parameters: Iterable[torch.nn.Parameter]
    weight_decay: float
    optimiser: torch.optim.AdamW = field(init=False)
    _pairs: list[tuple[torch.nn.Parameter, torch.nn.Parameter]] = field(init=False)

    def __post_init__(self) -> None:
        trainable = [p for p in self.parameters if p.requires_grad]
        self._pairs = [
            (p, p if p.dtype == torch.float32 else torch.nn.Parameter(p.detach().float()))
            for p in trainable
        ]
        masters = [master for _, master in self._pairs]
        self.optimiser = torch.optim.AdamW(
            [
                {"params": [m for m in masters if m.ndim > 1], "weight_decay": self.weight_decay},
                {"params": [m for m in masters if m.ndim <= 1], "weight_decay": 0.0},
            ],
            lr=0.0,
            # One pass over memory instead of ten: on a CPU a full step is bound by that.
            fused=not any(isinstance(master, DTensor) for master in masters),
        )

    def step(self, learning_rate: float, max_grad_norm: float) -> float:
        """Clip, update masters, round back into the model. Returns the norm before clipping."""
        for parameter, master in self._pairs:
            if master is not parameter and parameter.grad is not None:
                master.grad = parameter.grad.float()
                parameter.grad = None
        masters = [master for _, master in self._pairs]
        norm = whole(torch.nn.utils.clip_grad_norm_(masters, max_grad_norm))
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        with torch.no_grad():
            for parameter, master in self._pairs:
                if master is not parameter:
                    parameter.copy_(master)
        return float(norm)


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor itself, put together where each of several processes holds a part of it."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
