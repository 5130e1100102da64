"""What a model was asked to compute."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModelWork:
    """What a model was asked to compute: units that its seconds are a linear function of."""

    passes: float = 0.0
    """Calls of the model, each with a batch."""
    read: float = 0.0
    """Tokens of texts that were computed, padding too; what texts share counts once."""
    written: float = 0.0
    """Tokens of replies, each computed in a pass of its own or with those of other replies."""
    predicted: float = 0.0
    """Positions after which logits of the whole vocabulary were computed."""

    def __add__(self, other: ModelWork) -> ModelWork:
        """Both."""
        return ModelWork(
            self.passes + other.passes,
            self.read + other.read,
            self.written + other.written,
            self.predicted + other.predicted,
        )

    def __mul__(self, times: float) -> ModelWork:
        """So often the same."""
        return ModelWork(
            self.passes * times, self.read * times, self.written * times, self.predicted * times
        )


NO_WORK = ModelWork()

__all__ = ["NO_WORK", "ModelWork"]
