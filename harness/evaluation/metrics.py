"""Score replies against reference answers.

Each reply is read leniently, in the same way for every arm, so that a chatty model is not
punished for its manners in the primary metric; the strict reading has metrics of its own
(``valid_json``, ``valid``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.answers.json_text import JsonObject, first_object, whole_object
from harness.answers.json_values import Value, ValueReader, field_f1
from harness.answers.labels import LabelReader
from harness.answers.texts import TextLikeness
from harness.evaluation.thoughts import without_thought
from harness.spec import JsonAnswer, LabelAnswer, TaskSpec
from harness.spec.task import schema_validator

INVALID = "<invalid>"


@dataclass(frozen=True, slots=True)
class Reading:
    """One reply against its target: per-item metrics in [0, 1], and class pairs for macro F1.

    classes: field -> (target class, replied class); the single field of a label is ``label``.
    """

    metrics: dict[str, float]
    classes: dict[str, tuple[str, str]]


def reader(task: TaskSpec, labels: Sequence[str] = ()) -> Callable[[str, str], Reading]:
    """The function (target, reply) -> Reading for ``task``.

    labels: the closed list of valid labels, for a label task that does not list its own.
    """
    read = _reader_of_answers(task, labels)
    return lambda target, reply: read(answer_part(target) or target, answer_part(reply))


def answer_part(reply: str) -> str:
    """The part of a reply that is read as its answer: what follows a thought."""
    return without_thought(reply).answer.strip()


def _reader_of_answers(task: TaskSpec, labels: Sequence[str]) -> Callable[[str, str], Reading]:
    answer = task.answer
    if isinstance(answer, LabelAnswer):
        known = LabelReader(answer.labels or labels)
        return lambda target, reply: _read_label(known, target, reply)
    if isinstance(answer, JsonAnswer):
        return _JsonReader(answer.schema_).read
    likeness = TextLikeness()
    return lambda target, reply: Reading(likeness.compare(target, reply), {})


def mean(values: Sequence[float]) -> float:
    """Mean over items: how a metric with a value per item is aggregated."""
    return sum(values) / len(values)


def macro_f1(pairs: Sequence[dict[str, tuple[str, str]]]) -> float:
    """Mean over fields of the macro-averaged F1 over the classes that occur as targets."""
    from sklearn.metrics import f1_score

    fields = sorted({field for item in pairs for field in item})
    scores = []
    for field in fields:
        targets, replies = zip(*(item[field] for item in pairs if field in item), strict=True)
        labels = sorted(set(targets))
        scores.append(f1_score(targets, replies, labels=labels, average="macro", zero_division=0))
    return float(sum(scores) / len(scores)) if scores else 0.0


def _read_label(known: LabelReader, target: str, reply: str) -> Reading:
    replied = known.read(reply)
    return Reading(
        {"exact_match": float(replied == target), "valid": float(replied is not None)},
        {"label": (target, INVALID if replied is None else replied)},
    )


class _JsonReader:
    """Reads replies to a JSON task; exact match, field F1 and classes see the same values."""

    def __init__(self, schema: JsonObject) -> None:
        self._values = ValueReader(schema)
        self._validator = schema_validator(schema)
        self._finite = [
            name
            for name, field in schema.get("properties", {}).items()
            if isinstance(field, dict)
            and ("enum" in field or field.get("type") in ("integer", "boolean"))
        ]

    def read(self, target: str, reply: str) -> Reading:
        """The reading of a reply; all of it is 0 where no JSON object is found."""
        wanted = self._values.read(json.loads(target))
        found = first_object(reply)
        given = None if found is None else self._values.read(found)
        scores = {
            "field_f1": field_f1(wanted, given) if given else 0.0,
            "exact_match": float(wanted == given),
            "valid_json": float(given is not None and whole_object(reply)),
            "valid": float(found is not None and self._validator.is_valid(found)),
        }
        return Reading(scores, self._classes(wanted, given))

    def _classes(self, wanted: Value, given: Value | None) -> dict[str, tuple[str, str]]:
        targets, replies = dict(wanted.parts), dict(given.parts if given else ())
        return {
            name: (_class_of(targets[name]), _class_of(replies.get(name)))
            for name in self._finite
            if name in targets and targets[name].kind not in ("object", "list")
        }


def _class_of(value: Value | None) -> str:
    """A name for a scalar; what is missing, nested or none of the listed texts has the same."""
    if value is None or value.kind in ("object", "list", "unlisted"):
        return INVALID
    return json.dumps(value.scalar)
