"""The leakage audit as the store keeps it."""

from __future__ import annotations

from harness.data.audit import items_by_kind, strongest_first
from harness.data.prepare import Prepared
from harness.records import AuditRecord, Splits

PAIRS_KEPT = 50


def audit_record(prepared: Prepared) -> AuditRecord:
    """What was found, and what is in force in the splits as they are used."""
    audit, remaining, general = prepared.audit, prepared.remaining, prepared.general
    pairs = [*remaining.pairs, *remaining.selection_pairs, *(general.pairs if general else ())]
    return AuditRecord(
        found=audit.flagged,
        dropped_from_train=len(audit.dropped),
        flagged=remaining.flagged_items(),
        selection=items_by_kind(remaining.selection_pairs),
        general=general.flagged_items() if general else {},
        general_not_audited=prepared.general_not_audited,
        shared_groups=_shared_groups(prepared.splits),
        strongest=tuple(strongest_first(pairs)[:PAIRS_KEPT]),
        brought={arm: found.flagged for arm, found in prepared.brought.items()},
        brought_unread={arm: found.unread for arm, found in prepared.brought.items()},
    )


def _shared_groups(splits: Splits) -> dict[str, int]:
    trained = {example.group for example in splits.train}
    others = {"validation": splits.validation, "test": splits.test, **splits.out_of_domain}
    return {
        name: len(trained & {example.group for example in examples})
        for name, examples in others.items()
    }
