"""Estimates, intervals and tests on scores that are aligned item by item."""
