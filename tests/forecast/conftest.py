"""The tiny models, for this folder."""

import pytest

from harness.forecast import study
from tests.tiny_model import tiny_models

__all__ = ["tiny_models"]


@pytest.fixture(autouse=True)
def _the_machine_is_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it is takes a second to find out."""
    monkeypatch.setattr(study, "busy_share", lambda: 0.0)
