"""The tiny models, and training processes that start at once, for this folder."""

from tests.tiny_model import tiny_models
from tests.training.forked import forked

__all__ = ["forked", "tiny_models"]
