"""The reference of the experiment file as Markdown, made from the models themselves.

Names, types, defaults and descriptions are read from the fields, so the page cannot say anything
that the models do not.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Iterator, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types as limits
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from harness.answers import KINDS, Answer
from harness.records.frozen_spec import FrozenSpec
from harness.spec.arm_base import ArmBase
from harness.spec.experiment import Experiment
from harness.spec.spaces import Choice, FloatRange, IntRange
from harness.wording import listed

TOP = "the experiment"
SPACES = (FloatRange, IntRange, Choice)
_WORDS: dict[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "`true` or `false`",
    NoneType: "`null`",
    FloatRange: "a range",
    IntRange: "a range of whole numbers",
}


def experiment_reference() -> str:
    """Every key of an experiment file: a section per mapping, a table row per key."""
    parts = [_section(TOP, Experiment, _doc(Experiment))]
    parts.extend(_below(Experiment, ""))
    parts.append(_heading("ranges and choices"))
    parts.extend(f"{_doc(space)}\n\n{_table(space, list(space.model_fields))}" for space in SPACES)
    parts.append(_metrics())
    return "\n\n".join(parts) + "\n"


def experiment_schema() -> str:
    """A JSON Schema of experiment files, for editors; it knows keys and types, not all rules."""
    return json.dumps(Experiment.model_json_schema(), indent=1, ensure_ascii=False) + "\n"


def _below(model: type[BaseModel], prefix: str) -> Iterator[str]:
    """Sections of the models that ``model`` holds, each followed by those that it holds itself."""
    for name, field in model.model_fields.items():
        path = f"{prefix}{field.alias or name}"
        if _is_mapping(field.annotation):
            path += ".NAME"
        members = _models(field.annotation)
        if len(members) > 1 and all("kind" in member.model_fields for member in members):
            yield from _union_sections(path, members)
            continue
        for member in members:
            title = path if len(members) == 1 else f"{path}, {_title(member)}"
            yield _section(title, member, _doc(member))
            yield from _below(member, f"{path}.")


def _union_sections(path: str, members: Sequence[type[BaseModel]]) -> Iterator[str]:
    """What the members share, said once, then what each has of its own."""
    bases = dict.fromkeys(
        base
        for member in members
        for base in reversed(member.__mro__)
        if base not in members and issubclass(base, FrozenSpec) and base is not FrozenSpec
    )
    for base in bases:
        if not _own_fields(base):
            # It has rules, and no keys.
            continue
        kinds = [_kind(member) for member in members if issubclass(member, base)]
        title = f"{path}, shared by {listed(kinds)}"
        text = "What all kinds of answers share." if base is Answer else _doc(base)
        yield _section(title, base, text, _own_fields(base))
        if base in (Answer, ArmBase):
            yield from _below(base, f"{path}.")
    for member in members:
        parents = [other for other in members if other is not member and issubclass(member, other)]
        text = _doc(member)
        if parents:
            text += f" Has the keys of {listed([_kind(other) for other in parents])} as well."
        yield _section(f"{path}, kind {_kind(member)}", member, text, _own_fields(member))


def _section(
    title: str, model: type[BaseModel], text: str, names: Sequence[str] | None = None
) -> str:
    table = _table(model, list(model.model_fields) if names is None else names)
    return f"{_heading(title)}\n\n{text}\n\n{table}"


def _heading(title: str) -> str:
    return (
        f"### {title[0].upper()}{title[1:]}"
        if " " in title and "." not in title
        else (f"### {title}")
    )


def _table(model: type[BaseModel], names: Sequence[str]) -> str:
    rows = ["| key | value | default | meaning |", "|---|---|---|---|"]
    for name in names:
        field = model.model_fields[name]
        cells = (
            f"`{field.alias or name}`",
            _value(field.annotation, field.metadata),
            _default(field),
            field.description or _description(name, field),
        )
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)


def _description(name: str, field: FieldInfo) -> str:
    """For fields that leave it to the models they hold, or to the text over the table."""
    if name == "kind":
        return "Says which of the kinds this is."
    models = _models(field.annotation)
    if len(models) > 1:
        return "One of the kinds below."
    return _doc(models[0]) if models else ""


# --------------------------------------------------------------------------- values


def _value(annotation: Any, metadata: Iterable[Any] = ()) -> str:
    """A type in words."""
    if get_origin(annotation) is not None:
        return _composed(get_origin(annotation), get_args(annotation))
    if _is_choice(annotation):
        return "choices"
    if _models(annotation):
        return "mapping"
    return _WORDS.get(annotation, "any value") + _bounds(metadata)


def _composed(origin: Any, arguments: Sequence[Any]) -> str:
    """A type that is made of others."""
    match origin:
        case _ if origin is Annotated:
            return _value(arguments[0], _constraints(arguments[1:]))
        case _ if origin in (Union, UnionType):
            return _alternatives([word for part in arguments for word in _words(part)])
        case _ if origin is Literal:
            return _alternatives([f"`{value}`" for value in arguments])
        case _ if origin is tuple:
            return f"list, each {_value(arguments[0])}"
        case _ if origin is dict:
            held = arguments[1]
            return f"mapping of names to {'mappings' if _models(held) else _value(held)}"
        case _:
            return "any value"


def _words(member: Any) -> list[str]:
    """A member of a union; the values of a literal stand beside the other members."""
    if get_origin(member) is Literal:
        return [f"`{value}`" for value in get_args(member)]
    return [_value(member)]


def _alternatives(parts: Sequence[str]) -> str:
    parts = list(dict.fromkeys(parts))
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} or {parts[-1]}"


def _constraints(extras: Iterable[Any]) -> list[Any]:
    found: list[Any] = []
    for extra in extras:
        found.extend(extra.metadata if isinstance(extra, FieldInfo) else [extra])
    return found


def _bounds(metadata: Iterable[Any]) -> str:
    low = high = ""
    for bound in metadata:
        match bound:
            case limits.Gt(gt=number):
                low = f"above {number}"
            case limits.Ge(ge=number):
                low = f"{number} or more"
            case limits.Lt(lt=number):
                high = f"below {number}"
            case limits.Le(le=number):
                high = f"at most {number}"
            case _:
                pass
    both = ", ".join(part for part in (low, high) if part)
    return f" ({both})" if both else ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, FloatRange | IntRange | Choice):
        given = {name: getattr(value, name) for name in type(value).model_fields}
        inner = ", ".join(f"{name}: {_yaml(item)}" for name, item in given.items())
        return f"`{{{inner}}}`"
    if isinstance(value, BaseModel):
        return "its defaults"
    return f"`{_yaml(value)}`"


def _yaml(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, str):
        return value or '""'
    return json.dumps(value)


# --------------------------------------------------------------------------- models


def _models(annotation: Any) -> list[type[BaseModel]]:
    """Models with a section of their own within an annotation; ranges and choices have one."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [] if annotation in SPACES or _is_choice(annotation) else [annotation]
    found: list[type[BaseModel]] = []
    for argument in get_args(annotation):
        found.extend(_models(argument))
    return list(dict.fromkeys(found))


def _is_choice(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Choice)


def _is_mapping(annotation: Any) -> bool:
    return get_origin(annotation) is dict and bool(_models(annotation))


def _own_fields(model: type[BaseModel]) -> list[str]:
    own = inspect.get_annotations(model)
    return [name for name in model.model_fields if name in own]


def _kind(member: type[BaseModel]) -> str:
    return f"`{get_args(member.model_fields['kind'].annotation)[0]}`"


def _title(model: type[BaseModel]) -> str:
    """Words of a class name: ``SplitFiles`` is ``split files``."""
    return "".join(f" {c.lower()}" if c.isupper() else c for c in model.__name__).strip()


def _doc(model: type[BaseModel]) -> str:
    """The first paragraph of the docstring, on one line."""
    paragraph = inspect.cleandoc(model.__doc__ or "").split("\n\n")[0]
    return " ".join(paragraph.split()).replace("``", "`")


def _metrics() -> str:
    rows = ["| kind of answer | metrics by default, the primary one first | may stand first |"]
    rows.append("|---|---|---|")
    for kind, answer in KINDS.items():
        first = [metric for metric in answer.metrics if metric.per_item]
        shown = (", ".join(f"`{one.name}`" for one in some) for some in (answer.metrics, first))
        rows.append(f"| `{kind}` | {' | '.join(shown)} |")
    text = (
        "The first of `task.metrics` is the primary metric: it selects settings and decides the "
        "comparison, so it must have a value for each item."
    )
    return "\n\n".join((_heading("metrics by kind of answer"), text, "\n".join(rows)))


__all__ = ["experiment_reference", "experiment_schema"]
