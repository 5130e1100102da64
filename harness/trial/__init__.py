"""The story of one trial: load, check, train, check again, score.

A trial is a function of its specification alone, so it gives the same record in this process, in
a child, or on another machine.
"""

from harness.trial.story import run_trial

__all__ = ["run_trial"]
