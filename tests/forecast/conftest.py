"""The tiny models, for this folder."""

from tests.tiny_model import tiny_models

__all__ = ["tiny_models"]
