"""Fixtures that tests of several rooms share."""

from hypothesis import HealthCheck, settings
from real_data import shared_data

# How fast a machine draws examples says nothing about the code.
settings.register_profile(
    "any-machine", suppress_health_check=[HealthCheck.too_slow], deadline=None
)
settings.load_profile("any-machine")

__all__ = ["shared_data"]
