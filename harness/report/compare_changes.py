"""What was changed between two studies, apart from what only follows from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness import wording
from harness.findings import SettingDifference, StudyComparison

# Parts of the setting that can change a score on the task.
SCORING = {
    "model": "the model",
    "data": "the data",
    "task": "the task's wording",
    "arms": "the arms",
    "search": "the search",
    "machine": "versions or machine",
}
# Where model and data lie; what they hold is told by what is found in them.
_PLACES = frozenset({"model.reference", "data.source"})
# Part -> what is found in it, not set: it differs where a setting does, or the files do.
_FOUND = {
    "model": ("model.fingerprint",),
    "data": (
        "data.fingerprint",
        "data.test_fingerprint",
        "data.dropped_rows",
        "data.groups",
        "examples.",
    ),
}
# Part -> the parts whose settings decide what is found in it. What an arm cannot read is no
# reason, as the files themselves may be others, too.
_DECIDED_BY = {"model": ("model",), "data": ("data", "task")}
_HELD = {"model": "what the model's files hold", "data": "what the data hold"}


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs between the reference and another study, and could change a score."""

    named: tuple[str, ...]
    """What was changed, each as the subject of *differs*, or as a clause of its own."""
    parts: tuple[str, ...]
    """The parts that it belongs to, in words."""
    follow: tuple[str, ...]
    """Names of what differs because of it."""
    arms: frozenset[str] | None
    """Names of the arms that were changed, where nothing else was; else None."""

    def sentence(self, reference: str, study: str) -> str:
        """What a difference in the scores can be put down to."""
        pair = f"{wording.cell(reference)} and {wording.cell(study)}"
        if not self.named:
            return f"Between {pair} nothing differs that could change a score, but chance."
        them = "it" if len(self.named) == 1 else "them"
        verb = wording.agreeing(len(self.follow), "follows", "follow")
        follow = f"; {wording.listed(self.follow)} {verb} from {them}" if self.follow else ""
        if len(self.named) == 1:
            (only,) = self.named
            return f"Between {pair} only {only}{follow}."
        return (
            f"Between {pair} {len(self.named)} settings differ ({wording.listed(self.parts)}): "
            f"what changed in the score belongs to all of them together{follow}."
        )


def changes_of(comparison: StudyComparison, place: int) -> Changes:
    """What was changed in the study at ``place``, against the first one."""
    differing = [
        setting
        for setting in comparison.settings
        if setting.part in SCORING and setting.values[place] != setting.values[0]
    ]
    found = {part: [row.setting for row in differing if _is_found(row, part)] for part in _FOUND}
    declared = [
        row
        for row in differing
        if row.setting not in found.get(row.part, ())
        # Another place with the same in it changes nothing.
        and (row.setting not in _PLACES or found[row.part])
    ]
    named = dict(_in_words(declared, place))
    parts, follow = {row.part for row in declared}, list[str]()
    for part, names in found.items():
        if not names:
            continue
        if parts.isdisjoint(_DECIDED_BY[part]):
            named[part] = f"{_HELD[part]} differs ({wording.listed(names)})"
            parts = parts | {row.part for row in differing if row.setting in names}
        else:
            follow += names
    return Changes(
        tuple(named.values()),
        tuple(text for part, text in SCORING.items() if part in parts),
        tuple(follow),
        frozenset(_arm(row) for row in declared) if parts == {"arms"} else None,
    )


def _is_found(row: SettingDifference, part: str) -> bool:
    return row.part == part and any(
        row.setting == name or (name.endswith(".") and row.setting.startswith(name))
        for name in _FOUND[part]
    )


def _in_words(rows: Sequence[SettingDifference], place: int) -> Iterator[tuple[str, str]]:
    """Name -> what became of it, of each setting; an arm that one study lacks is one of them."""
    lacking = {
        _arm(row): "was added" if row.values[0] is None else "was left out"
        for row in rows
        if row.part == "arms"
        and row.setting.endswith(".kind")
        and None in (row.values[0], row.values[place])
    }
    for row in rows:
        arm = _arm(row)
        if arm in lacking:
            yield f"arms.{arm}", f"the arm {wording.cell(arm)} {lacking[arm]}"
        else:
            yield row.setting, f"{wording.cell(row.setting)} differs"


def _arm(row: SettingDifference) -> str:
    return row.setting.split(".")[1] if row.part == "arms" else ""


__all__ = ["Changes", "changes_of"]
