"""Fixtures that tests of several rooms share."""

from real_data import shared_data

__all__ = ["shared_data"]
