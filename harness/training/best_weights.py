"""The weights of the best check of a training, held while it goes on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.distributed.tensor import DTensor

from harness.training.master_weights import own_part, part_of, whole


def trainable_weights(model: Any) -> dict[str, torch.Tensor]:
    """Name -> weight that training changes."""
    return {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}


@dataclass(slots=True)
class BestWeights:
    """What the trained weights were at the best check so far.

    It is the one with the best score where checks are scored, of equals and elsewhere that with the
    lowest validation loss, of equals the earliest; what is not a number never counts. One copy is
    held, in main memory and in the type in which the model computes; of a model that several
    processes divide, each holds its own part.
    """

    higher_is_better: bool = True
    """Direction of scores."""
    step: int | None = None
    """Step of the check, from 1; None while there was none."""
    loss: float = math.inf
    """Mean cross-entropy of the validation answers there, nats a token."""
    score: float | None = None
    """Primary metric of replies there; None where checks are not scored."""
    weights: dict[str, torch.Tensor] = field(default_factory=dict)
    """Name -> the weight then; empty where the model has these weights still, after its last
    step."""

    def look(
        self, model: Any, step: int, loss: float, score: float | None = None, *, last: bool
    ) -> None:
        """Take a check into account.

        Args:
            loss, score: what was measured; no score where none was asked for, in any check.
            last: no step follows, so that the weights need no copy.
        """
        if not self._is_better(loss, score):
            return
        self.step, self.loss, self.score = step, loss, score
        if last:
            self.weights = {}
            return
        for name, weight in trainable_weights(model).items():
            own = own_part(weight)
            if name in self.weights:
                self.weights[name].copy_(own)
            else:
                self.weights[name] = own.to("cpu", copy=True)

    def _is_better(self, loss: float, score: float | None) -> bool:
        if score is None or score == self.score:
            return loss < self.loss
        if math.isnan(score):
            return False
        return self.score is None or (score > self.score) == self.higher_is_better

    def whole_copied_bytes(self, model: Any) -> int:
        """What :meth:`whole` takes of main memory beside what is held."""
        weights = trainable_weights(model).values() if self.weights else ()
        return size_of(weight for weight in weights if isinstance(weight, DTensor))

    def whole(self, model: Any, *, held: bool = True) -> dict[str, torch.Tensor]:
        """Name -> the weight of the best check, put together where processes divide the model.

        Args:
            model: the one that is trained, which says how it is divided.
            held: whether this process wants them; one that does not is given nothing.
        """
        found = {}
        for name, weight in trainable_weights(model).items() if self.weights else ():
            own = self.weights[name]
            if isinstance(weight, DTensor):
                parts = DTensor.from_local(
                    own.to(weight.device), weight.device_mesh, weight.placements,
                    shape=weight.shape, stride=weight.stride(),
                )  # fmt: skip
                own = whole(parts)
            if held:
                found[name] = own.cpu().contiguous()
        return found

    def restore(
        self,
        model: Any,
        step: int,
        loss: float,
        score: float | None,
        weights: Mapping[str, torch.Tensor],
    ) -> None:
        """Hold what :meth:`whole` gave of an earlier run."""
        self.step, self.loss, self.score = step, loss, score
        trained = trainable_weights(model)
        self.weights = {
            name: own_part(part_of(weight, trained[name])).to("cpu", copy=True)
            for name, weight in weights.items()
        }

    def put_back(self, model: Any) -> None:
        """Give the model the weights of the best check, bit by bit, and hold them no longer."""
        if not self.weights:
            return
        with torch.no_grad():
            for name, weight in trainable_weights(model).items():
                own_part(weight).copy_(self.weights[name])
        self.weights = {}


def size_of(weights: Iterable[torch.Tensor]) -> int:
    """Bytes that weights take."""
    return sum(weight.numel() * weight.element_size() for weight in weights)
