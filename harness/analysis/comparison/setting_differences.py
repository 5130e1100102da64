"""What is not the same in the settings of several studies, and in what they were run on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.findings import Part, SettingDifference
from harness.records import ExperimentRecord, JsonValue, flattened

PARTS: dict[str, Part] = {
    "model": "model",
    "data": "data",
    "task": "task",
    "arms": "arms",
    "budget": "search",
    "search": "search",
    "seeds": "search",
    "general": "measuring",
    "score_batch_size": "measuring",
    "train_gap_items": "measuring",
    "memorisation_items": "measuring",
    "latency_items": "measuring",
    "question": "judging",
    "contrast": "judging",
    "cost": "judging",
    "constraints": "judging",
    "execution": "machine",
}
ORDER: tuple[Part, ...] = (
    "model", "data", "task", "arms", "search", "measuring", "judging", "machine",
)  # fmt: skip
# What is known of the data beside the experiment file; the rest follows from these.
DATA_FACTS = ("fingerprint", "test_fingerprint", "dropped_rows", "groups")

Place = tuple[Part, str]


def setting_differences(records: Sequence[ExperimentRecord]) -> tuple[SettingDifference, ...]:
    """Every setting with more than one value among the studies, part by part.

    An arm that some lack is one difference; its settings are told only where the studies that
    have it differ.
    """
    all_facts = [_facts(record) for record in records]
    arms = [record.spec["arms"] for record in records]
    places = dict.fromkeys(place for facts in all_facts for place in facts)
    differences = []
    for part, setting in places:
        values = tuple(facts.get((part, setting)) for facts in all_facts)
        having = [
            value
            for value, declared in zip(values, arms, strict=True)
            if part != "arms" or setting.split(".")[1] in declared
        ]
        kind_alone = part == "arms" and setting.endswith(".kind") and len(having) < len(values)
        if any(value != having[0] for value in having) or kind_alone:
            differences.append(SettingDifference(part, setting, values))
    return tuple(sorted(differences, key=lambda difference: ORDER.index(difference.part)))


def _facts(record: ExperimentRecord) -> dict[Place, JsonValue]:
    spec = {name: value for name, value in record.spec.items() if name != "name"}
    facts: dict[Place, JsonValue] = {
        (PARTS.get(key.split(".")[0], "measuring"), key): value
        for key, value in flattened(_with_spaces_closed(spec)).items()
    }
    facts["model", "model.fingerprint"] = record.model.fingerprint
    for name in DATA_FACTS:
        facts["data", f"data.{name}"] = getattr(record.data, name)
    for name, examples in record.splits.items():
        facts["data", f"examples.{name}"] = examples
    facts["measuring", "general.tasks"] = list(record.general_tasks)
    for name, text in record.environment.items():
        facts["machine", name] = text
    return facts


def _with_spaces_closed(value: JsonValue) -> JsonValue:
    """Settings with each range or choice as one text in place of a mapping."""
    if not isinstance(value, Mapping):
        return value
    default = "" if value.get("default") is None else f", at first {value['default']}"
    if {"low", "high"} <= value.keys() <= {"low", "high", "log", "default"}:
        scale = ", on a logarithmic scale" if value.get("log") else ""
        return f"{value['low']} to {value['high']}{scale}{default}"
    if {"choices"} <= value.keys() <= {"choices", "default"}:
        return f"one of {', '.join(map(str, value['choices']))}{default}"
    return {name: _with_spaces_closed(part) for name, part in value.items()}


__all__ = ["setting_differences"]
