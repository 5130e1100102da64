"""Reports of a training command: what is read of them, whatever it writes."""

from __future__ import annotations

import pytest

from harness.trial.command_reports import Reports


def heard(*lines: str) -> Reports:
    reports = Reports()
    for line in lines:
        reports.hear(line)
    return reports


@pytest.mark.parametrize(
    "line",
    [
        '{"step": null, "loss": 1.0}',
        '{"step": "1"}',
        '{"step": 0}',
        '{"step": 1.5}',
        '{"step": true}',
        '{"step": 1, "loss": NaN}',
        '{"step": 1, "steps": -1}',
        f'{{"step": {10**400}}}',
        '{"step": 1e400}',
        # More than the store's columns hold.
        f'{{"step": {2**31}}}',
        f'{{"step": 1, "tokens": {2**63}}}',
    ],
)
def test_what_is_no_report_is_counted_and_ends_nothing(line: str) -> None:
    reports = heard(line, '{"step": 2, "loss": 0.5}')
    assert [(step.step, step.loss) for step in reports.steps] == [(2, 0.5)]
    assert reports.unread == 1
    assert line[:80] in reports.note()


def test_tokens_that_a_later_report_leaves_out_are_those_so_far() -> None:
    """The last report may be of a check alone."""
    reports = heard(
        '{"step": 5, "steps": 6, "tokens": 100}',
        '{"step": 5, "validation_loss": 2.0}',
        '{"step": 6, "validation_loss": 1.0}',
    )
    assert [(step.step, step.steps, step.tokens) for step in reports.steps] == [
        (5, 6, 100),
        (6, 6, 100),
    ]
    assert [step.validation_loss for step in reports.steps] == [2.0, 1.0]
