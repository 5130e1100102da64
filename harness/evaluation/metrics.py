"""Score replies against reference answers.

Each reply is read leniently, in the same way for every arm, so that a chatty model is not
punished for its manners in the primary metric; the strict reading has metrics of its own
(``valid_json``, ``valid``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jsonschema

from harness.spec import JsonAnswer, LabelAnswer, TaskSpec
from harness.spec.task import schema_validator

INVALID = "<invalid>"
JsonObject = dict[str, Any]


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
    answer = task.answer
    if isinstance(answer, LabelAnswer):
        known = {normalise_label(label): label for label in (answer.labels or labels)}
        return lambda target, reply: _read_label(known, target, reply)
    if isinstance(answer, JsonAnswer):
        schema = answer.schema_
        validator = schema_validator(schema)
        return lambda target, reply: _read_json(schema, validator, target, reply)
    return _read_text


def normalise_label(text: str) -> str:
    """Case, surrounding punctuation, and the choice of space, dash or underscore do not count."""
    first = text.strip().splitlines()[0] if text.strip() else ""
    return re.sub(r"[\s_\-]+", " ", first.strip(" \t\"'`*.:;,!()[]{}")).casefold()


def first_object(text: str) -> JsonObject | None:
    """The first JSON object in a text, whatever stands around it; None if there is none."""
    decoder = json.JSONDecoder()
    start = text.find("{")
    while start != -1:
        try:
            value, _ = decoder.raw_decode(text, start)
        except (json.JSONDecodeError, RecursionError):
            value = None
        if isinstance(value, dict):
            return value
        start = text.find("{", start + 1)
    return None


def leaves(value: object, path: str = "") -> set[tuple[str, str]]:
    """The (path, value) pairs of a JSON value, values as JSON text.

    List positions do not count and texts fold case; 2 and 2.0 are one number, but not ``"2"``.
    """
    if isinstance(value, dict):
        return {leaf for key, item in value.items() for leaf in leaves(item, f"{path}.{key}")}
    if isinstance(value, list):
        return {leaf for item in value for leaf in leaves(item, f"{path}[]")}
    if isinstance(value, str):
        value = value.strip().casefold()
    elif isinstance(value, float) and value.is_integer():
        value = int(value)
    return {(path, json.dumps(value, ensure_ascii=False))}


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


def _read_label(known: dict[str, str], target: str, reply: str) -> Reading:
    replied = known.get(normalise_label(reply), INVALID)
    right = normalise_label(reply) == normalise_label(target)
    return Reading(
        {"exact_match": float(right), "valid": float(replied != INVALID)},
        {"label": (target, replied)},
    )


def _read_json(
    schema: JsonObject, validator: jsonschema.Draft202012Validator, target: str, reply: str
) -> Reading:
    wanted: JsonObject = json.loads(target)
    found = first_object(reply)
    try:
        whole = isinstance(json.loads(reply.strip()), dict)
    except (json.JSONDecodeError, RecursionError):
        whole = False
    right, given = leaves(wanted), leaves(found) if found is not None else set()
    shared = len(right & given)
    scores = {
        "field_f1": 2 * shared / (len(right) + len(given)) if right or given else 1.0,
        "exact_match": float(found is not None and right == given),
        "valid_json": float(whole),
        "valid": float(found is not None and validator.is_valid(found)),
    }
    properties = schema.get("properties", {})
    finite = [
        name
        for name in properties
        if name in wanted
        and not isinstance(wanted[name], dict | list)
        and ("enum" in properties[name] or properties[name].get("type") in ("integer", "boolean"))
    ]
    replied = found or {}
    classes = {
        name: (
            json.dumps(wanted[name]),
            json.dumps(replied[name]) if name in replied else INVALID,
        )
        for name in finite
    }
    return Reading(scores, classes)


def _read_text(target: str, reply: str) -> Reading:
    import sacrebleu
    from rouge_score.rouge_scorer import RougeScorer

    reply, target = reply.strip(), target.strip()
    rouge = RougeScorer(["rougeL"], use_stemmer=True).score(target, reply)["rougeL"].fmeasure
    return Reading(
        {
            "exact_match": float(" ".join(reply.split()) == " ".join(target.split())),
            "chrf": float(sacrebleu.sentence_chrf(reply, [target]).score / 100),
            "rouge_l": float(rouge),
        },
        {},
    )
