"""AdamW whose state and weights are fp32 while the model computes in a shorter type.

bfloat16 keeps 8 bits of mantissa: an update below 1/256 of a weight is rounded away, so training
bfloat16 weights in place silently loses small learning rates. The optimiser therefore owns fp32
master copies (Micikevicius et al. 2018, "Mixed Precision Training") and writes them back, rounded,
after each step.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

import torch
from torch.distributed.tensor import DTensor, distribute_tensor


@dataclass(slots=True)
class MasterWeightAdamW:
    """AdamW over fp32 masters of ``parameters``; fp32 parameters are their own masters.

    Weight decay is decoupled and left off vectors (biases, norms), as is usual.
    """

    parameters: Iterable[torch.nn.Parameter]
    """Parameters of the model; those that need no gradient are passed over."""
    weight_decay: float
    """Decoupled weight decay."""
    optimiser: torch.optim.AdamW = field(init=False)
    """AdamW over the masters."""
    _pairs: list[tuple[torch.nn.Parameter, torch.nn.Parameter]] = field(init=False)
    """Each trained parameter with its fp32 master."""

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
        """Clip, update masters, round back into the model.

        Returns:
            The norm of the gradient before clipping.
        """
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

    @property
    def state_bytes(self) -> int:
        """About what :meth:`state` takes: a master and two moments a weight, float32."""
        return sum(12 * master.numel() for _, master in self._pairs)

    @property
    def state_copied_bytes(self) -> int:
        """About what :meth:`state` takes of main memory: what lies there whole is not copied."""
        return sum(12 * m.numel() for _, m in self._pairs if is_elsewhere(m))

    def state(self, *, held: bool = True) -> dict[str, torch.Tensor]:
        """All that the next step follows from, by name, whole and in main memory.

        Every process has to ask for it where several divide the weights.

        Args:
            held: whether this process wants it; one that does not is given nothing.
        """
        found = {}
        for number, (_, master) in enumerate(self._pairs):
            parts = {"weight": master.detach(), **self.optimiser.state[master]}
            for name, part in parts.items():
                gathered = whole(part)
                if held:
                    found[f"{number}.{name}"] = gathered.cpu().contiguous()
        return found

    def restore(self, tensor_of: Callable[[str], torch.Tensor], names: Collection[str]) -> None:
        """Put masters, moments and the model's weights where :meth:`state` found them.

        Args:
            tensor_of: gives a tensor of that state.
            names: those that it has.
        """
        with torch.no_grad():
            for number, (parameter, master) in enumerate(self._pairs):
                master.copy_(part_of(tensor_of(f"{number}.weight"), master))
                if master is not parameter:
                    parameter.copy_(master)
                # A weight that no step has touched yet has no moments.
                state = self.optimiser.state[master]
                for name in ("exp_avg", "exp_avg_sq"):
                    if f"{number}.{name}" in names:
                        # Laid out as its master is, which a fused step goes by.
                        moment = torch.zeros_like(master, memory_format=torch.preserve_format)
                        state[name] = moment.copy_(part_of(tensor_of(f"{number}.{name}"), master))
                if f"{number}.step" in names:
                    fused = self.optimiser.defaults["fused"]
                    count = tensor_of(f"{number}.step")
                    state["step"] = count.to(master.device) if fused else count


def own_part(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor itself; of one that several processes divide, what this one holds of it."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def is_elsewhere(tensor: torch.Tensor) -> bool:
    """Whether to have it whole in main memory takes a copy."""
    return isinstance(tensor, DTensor) or tensor.device.type != "cpu"


def part_of(tensor: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """A whole tensor on the device of ``like``, divided as that one is, if it is."""
    tensor = tensor.to(like.device)
    if not isinstance(like, DTensor):
        return tensor
    # Every process has the whole, and takes its own part of it.
    return distribute_tensor(tensor, like.device_mesh, like.placements, src_data_rank=None)


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor itself, put together where each of several processes holds a part of it."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
