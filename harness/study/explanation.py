"""Why a trial is not known: what differs from the nearest trial that is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.errors import NoRoomError
from harness.records import JsonValue, TrialSpec
from harness.store import STORE_FILE, StoreReader
from harness.store.reuse import StoredIdentity
from harness.study.asked_models import BASE
from harness.study.observer import ArmExplanation, Observer
from harness.study.plan import Plan
from harness.study.rehearsal import Rehearsal, rehearse
from harness.wording import listed, plural, short

_FINGERPRINT = re.compile(r"[0-9a-f]{16,}")
SHOWN = 40


def say_what_is_known(plan: Plan, results: Path, observer: Observer) -> None:
    """Of a study that is new to a store that is not, tell which trials others have run."""
    reader = StoreReader(results / STORE_FILE)
    if reader.named_ids(plan.experiment_id) or not reader.identities():
        return
    try:
        with TemporaryDirectory(prefix="harness-known-") as folder:
            rows = explain(rehearse(plan, results, Path(folder)), (BASE, *plan.experiment.arms))
    except (OSError, NoRoomError) as error:
        observer.warning(f"what is known is not told beforehand: {error}")
        return
    if any(row.known for row in rows):
        observer.known(rows)


def explain(rehearsal: Rehearsal, arms: Iterable[str]) -> list[ArmExplanation]:
    """Of each arm, and of the base, what is known and why more is to be run."""
    library = rehearsal.reader.identities()
    rows = []
    for arm in arms:
        specs = [spec for spec in rehearsal.to_run if spec.arm == arm]
        why = _why(specs[0], library, rehearsal.plan.experiment.name) if specs else ""
        if arm in rehearsal.waiting:
            why = f"waits for the instruction that the search of {rehearsal.waiting[arm]} selects"
        rows.append(ArmExplanation(arm, rehearsal.known[arm], len(specs), why))
    return rows


def differences(
    identity: Mapping[str, JsonValue], other: Mapping[str, JsonValue]
) -> dict[str, tuple[JsonValue, JsonValue]]:
    """Name -> the two values, of all in which two trials differ, in the order of the first."""
    names = [*identity, *(name for name in other if name not in identity)]
    return {
        name: (identity.get(name), other.get(name))
        for name in names
        if identity.get(name) != other.get(name)
    }


def _why(spec: TrialSpec, library: Sequence[StoredIdentity], study: str) -> str:
    if spec.adds:
        return _what_is_added(spec)
    alike = [
        (differences(spec.identity, stored.identity), stored)
        for stored in library
        if stored.kind == spec.kind and stored.identity.keys() & spec.identity.keys()
    ]
    if not alike:
        return "no trial like it is in the store"

    def far(
        pair: tuple[dict[str, tuple[JsonValue, JsonValue]], StoredIdentity],
    ) -> tuple[int, bool]:
        differing, stored = pair
        return len(differing), all(not name.endswith(f"/{spec.arm}") for name in stored.named_by)

    # Of equally near ones one of the same arm, and of these the newest.
    differing, nearest = min(reversed(alike), key=far)
    name, values = next(iter(differing.items()))
    # The rehearsed study names what it knows, too, but who reads this looks for one that ran.
    where = min(
        nearest.named_by,
        key=lambda name: name.startswith(f"{study}/"),
        default=f"trial {nearest.trial_id[:8]}",
    )
    more = len(differing) - 1
    rest = f", and {plural(more, 'difference')} more" if more else ""
    trained = "; its weights are at hand, so that nothing is trained" if spec.trained_path else ""
    return f"{_difference(name, values, where)}{rest}{trained}"


def _what_is_added(spec: TrialSpec) -> str:
    missing = [request for request in spec.scores if request.key not in spec.known_scores]
    what = listed(dict.fromkeys(f"{request.task} ({request.split})" for request in missing))
    how = "its replies or the base are at hand"
    if spec.weights_id:
        how = (
            "its weights are at hand"
            if spec.trained_path
            else ("its weights are not, so that it is trained again where its replies do not do")
        )
    return f"known, and to be scored on {what}: {how}"


def _difference(name: str, values: tuple[JsonValue, JsonValue], where: str) -> str:
    mine, theirs = values
    if isinstance(mine, dict) and isinstance(theirs, dict):
        inner, values = next(iter(differences(mine, theirs).items()))
        return _difference(f"{name}: {inner}", values, where)
    if any(isinstance(value, str) and _FINGERPRINT.fullmatch(value) for value in values):
        return f"{name} differ from those of {where}"
    return f"{name} is {_shown(mine)} here, {_shown(theirs)} in {where}"


def _shown(value: JsonValue) -> str:
    return "not set" if value is None else short(str(value), SHOWN)
