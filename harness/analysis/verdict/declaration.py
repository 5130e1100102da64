"""What was planned before anything was seen, and what of it was changed later."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from harness.analysis.verdict.rules import rules, rules_hash
from harness.findings import PlanLock
from harness.records import Study
from harness.versions import __version__

# What had been seen when something was changed, the weightiest last.
SEEN = (
    "before any result was seen",
    "after results of the search or of the untouched base had been seen and before those of any "
    "arm on test",
    "after test results had been seen",
)
LONGEST = 60


def plan_lock(study: Study) -> PlanLock | None:
    """The plan as it was locked before the first trial; None where it was not."""
    locked = next((event.detail for event in study.events if event.kind == "locked"), None)
    if locked is None:
        return None
    now = dict(rules())
    then = {str(rule["name"]): str(rule["text"]) for rule in locked["rules"]}
    changed = (
        ()
        if locked["rules_hash"] == rules_hash()
        else tuple(name for name in dict.fromkeys([*then, *now]) if then.get(name) != now.get(name))
        or ("their order",)
    )
    return PlanLock(
        hash=str(locked["hash"]),
        locked_at=str(locked["locked"]),
        harness=str(locked["harness"]),
        changed_rules=changed,
    )


def declaration_caveats(study: Study) -> list[str]:
    """Sentences on fields that were declared otherwise later, and on rules that changed."""
    caveats = []
    by_seen: defaultdict[int, list[str]] = defaultdict(list)
    seen = 0
    for event in study.events:
        if event.kind == "test_access":
            seen = max(seen, 1 if event.detail.get("phase") == "baseline" else 2)
        if event.kind == "declared":
            seen = max(seen, 1 if event.detail.get("search_seen") else 0)
            by_seen[seen] += [
                f"{field} {_sides(sides)}"
                for key in ("changes", "facts")
                for field, sides in (event.detail.get(key) or {}).items()
                if not _is_calibration(field)
            ]
    changes = [
        f"{SEEN[seen]}, {'; '.join(fields)}" for seen, fields in sorted(by_seen.items()) if fields
    ]
    if changes:
        late = by_seen[2] and " The result is not that of a plan made beforehand."
        caveats.append(
            f"The declaration was changed after the plan was made: {'. '.join(changes)}."
            f"{late or ''}"
        )
    lock = plan_lock(study)
    if lock is not None and lock.changed_rules:
        caveats.append(
            f"The verdict is not by the rules of the locked plan: it was made with harness "
            f"{lock.harness}, and harness {__version__} has other rules "
            f"({', '.join(lock.changed_rules)})."
        )
    return caveats


def _is_calibration(field: str) -> bool:
    """Whether a field holds people's marks of replies, which cannot be there before these are."""
    return field.startswith("data.calibration") or (
        field.startswith("judges.") and field.endswith(".calibration")
    )


def _sides(sides: Mapping[str, Any]) -> str:
    """What a field was and is; a side that is missing had no such field."""
    before, after = (_shown(sides, side) for side in ("before", "after"))
    return f"from {before} to {after}"


def _shown(sides: Mapping[str, Any], side: str) -> str:
    text = str(sides[side]) if side in sides else "nothing"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


__all__ = ["declaration_caveats", "plan_lock"]
