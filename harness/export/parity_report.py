"""What the check of an export found, as blocks of its model card and as a table."""

from __future__ import annotations

from harness import wording
from harness.export.parity import Parity
from harness.report.document import Block, Bullets, Column, Prose, Table
from harness.report.naming import metric_name


def parity_blocks(parity: Parity | None) -> tuple[Block, ...]:
    """Whether the export is what was scored, for its model card."""
    if parity is None:
        return (
            Prose(
                "NOT CHECKED. The exported weights were not scored again, at the wish of whoever "
                "exported them; the scores below are those of the trial."
            ),
        )
    apart = wording.plural(parity.different, "item")
    if not parity.different:
        verdict = "Every item that was asked again is answered and scored as in the trial."
    elif not parity.of_other_weights:
        verdict = (
            f"{apart} of {parity.items:,} have another reply, each a near tie: the exported form "
            f"finds the two replies equally likely within {parity.tolerance:.2g} nats, which "
            "rounding decides. All others are answered and scored as in the trial."
        )
    else:
        verdict = (
            f"{apart} of {parity.items:,} DIFFER from the trial: the scores below are those of "
            "the trial, not of these weights."
        )
    notes: tuple[Block, ...] = ()
    if parity.circumstances:
        notes = (Bullets("How the check differs from the trial", parity.circumstances),)
    return (Prose(verdict), parity_table(parity), *notes)


def parity_table(parity: Parity) -> Table:
    """What was compared, in rows of a name and a value."""
    rows = [
        ("Test items asked again", f"{parity.items:,} of {parity.test_items:,}"),
        ("Equal", f"{parity.equal:,}"),
        ("Different", f"{parity.different:,}"),
        *_ties(parity),
        ("Same reply, letter by letter", f"{parity.same_replies:,}"),
        ("Same value under every metric", f"{parity.same_scores:,}"),
        ("Largest difference of a score", f"{parity.largest_score_difference:.6g}"),
        (
            "Largest difference of a right answer's log-likelihood (nats)",
            "none: the weights are the trial's own files"
            if parity.largest_likelihood_difference is None
            else f"{parity.largest_likelihood_difference:.3g}",
        ),
        (f"Mean {metric_name(parity.metric)} in the trial", f"{parity.trial_mean:.6f}"),
        (f"Mean {metric_name(parity.metric)} exported", f"{parity.exported_mean:.6f}"),
        ("Computed in, on", f"{parity.dtype}, {parity.device}"),
    ]
    columns = (Column("Exported form against the trial"), Column("Found", numeric=True))
    return Table("Loaded afresh and scored again", columns, tuple(rows))


def _ties(parity: Parity) -> list[tuple[str, str]]:
    gaps = [gap for one in parity.differences if (gap := one.likelihood_gap) is not None]
    if parity.tolerance is None:
        return []
    return [
        (
            f"Of these near ties (replies equally likely within {parity.tolerance:.2g} nats)",
            f"{parity.near_ties:,}",
        ),
        ("Largest difference of two replies' log-likelihood (nats)", f"{max(gaps, default=0):.2g}"),
    ]
