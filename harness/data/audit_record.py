"""The leakage audit as the store keeps it."""

from __future__ import annotations

from collections import Counter
from typing import Any

from harness.data.audit import items_by_kind, strongest_first
from harness.data.prepare import Prepared
from harness.records import Splits, to_plain

PAIRS_KEPT = 50


def audit_record(prepared: Prepared) -> dict[str, Any]:
    """Plain data on what was found and on what is in force in the splits as they are used.

    As found, before any training example was dropped:

    - ``counts``: kind -> flagged examples of all splits; ``by_split``: split -> the same;
    - ``dropped_from_train``: training examples dropped for it.

    In force, ids being those of the judged items, each under its strongest kind:

    - ``flagged_items``: split or out-of-domain set -> kind -> ids, against training;
    - ``selection``: kind -> number of test items that share text with validation;
      ``selection_items``: kind -> their ids;
    - ``general``: task -> kind -> ids, against training; ``general_not_audited``: tasks that could
      not be read. Both empty where no suite was audited;
    - ``shared_groups``: split or out-of-domain set -> its groups that training has too, which only
      split files can bring about;
    - ``strongest``: the strongest pairs of all three, as :class:`LeakedPair`.
    """
    audit, remaining, general = prepared.audit, prepared.remaining, prepared.general
    counts: Counter[str] = Counter()
    for kinds in audit.flagged.values():
        counts.update(kinds)
    pairs = [*remaining.pairs, *remaining.selection_pairs, *(general.pairs if general else ())]
    return {
        "counts": dict(counts),
        "by_split": audit.flagged,
        "dropped_from_train": len(audit.dropped),
        "flagged_items": remaining.flagged_items(),
        "selection": remaining.selection_flagged,
        "selection_items": items_by_kind(remaining.selection_pairs),
        "general": general.flagged_items() if general else {},
        "general_not_audited": list(prepared.general_not_audited),
        "shared_groups": _shared_groups(prepared.splits),
        "strongest": [to_plain(pair) for pair in strongest_first(pairs)[:PAIRS_KEPT]],
    }


def _shared_groups(splits: Splits) -> dict[str, int]:
    trained = {example.group for example in splits.train}
    others = {"validation": splits.validation, "test": splits.test, **splits.out_of_domain}
    return {
        name: len(trained & {example.group for example in examples})
        for name, examples in others.items()
    }
