"""Writes the experiment file, with a reason beside every part."""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, Template

from harness.drafting.request import DraftRequest
from harness.drafting.sizing import Sizing
from harness.spec.data import has_no_path
from harness.spec.names import checked_name
from harness.wording import rough_duration

_WIDTH = 96


def render(
    request: DraftRequest, sizing: Sizing, output: Path, cautions: tuple[str, ...] = ()
) -> str:
    """The file's text. Paths in it are relative to the folder of ``output``."""
    folder = output.resolve().parent
    places = {
        name: _relative(getattr(request, name), folder)
        for name in ("source", "test", "validation")
        if getattr(request, name) is not None
    }
    file = Path(places["source"].rpartition(":")[2])
    name = _name_from(file)
    subject = ", ".join(f"`{answer}`" for answer in request.answers)
    return _template().render(
        w=request,
        sizing=sizing,
        cautions=cautions,
        places=places,
        name=name,
        question=f"Should we fine-tune a model to fill {subject} of {file.name}?",
        output=output.name,
        template=template_of(request),
        metrics=[metric.name for metric in request.form.metrics],
        seeds=list(range(1, sizing.size.seeds + 1)),
        zero_shot_instruction=request.form.without_examples(request.instruction),
        model=_model_place(request.model.reference, folder),
        reasons=request.reasons,
    )


def _name_from(file: Path) -> str:
    """A study's name after its data file, such as every system takes for a folder."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", file.stem).strip("-._")[:64] or "study"
    try:
        return checked_name(name)
    except ValueError:
        return f"study-{name}"[:64]


@cache
def _template() -> Template:
    # The output is YAML, not HTML: every value goes through YAML's own writer.
    templates = Environment(  # noqa: S701
        loader=PackageLoader("harness.drafting", ""),
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {
        "why": _why,
        "duration": rough_duration,
        "yaml": _flow,
        "block": _block,
        "comment": _comment,
        "wrap": _wrapped,
    }
    return templates.get_template("experiment.yaml.j2")


def template_of(request: DraftRequest) -> str:
    """Columns as a prompt shows them: the only one bare, several under their names.

    The choices of a list stand in lines of their own, each after the mark that answers name it by.
    """
    listed = [name for name in request.texts if request.is_choice(name)]
    named = [name for name in request.texts if name not in listed]
    bare = len(named) == 1
    parts = ["{" + name + "}" if bare else f"{name}: {{{name}}}" for name in named]
    if listed:
        marks = _marks(request.form.finite_answers() or (), len(listed))
        pairs = zip(marks, listed, strict=True)
        parts.append("\n".join(f"{mark} {{{name}}}" for mark, name in pairs))
    return "\n\n".join(parts)


def _marks(answers: Collection[str], number: int) -> Sequence[str]:
    """What stands before each of so many choices, where the answers are places or letters."""
    for first in ("0", "1", "A", "a"):
        marks = [chr(ord(first) + place) for place in range(number)]
        if answers and set(answers) <= set(marks):
            return [f"{mark}." for mark in marks]
    return ["-"] * number


def _relative(source: str, folder: Path) -> str:
    if has_no_path(source):
        return source
    return os.path.relpath(source, folder)


def _model_place(reference: str, folder: Path) -> str:
    path = Path(reference).expanduser()
    if not path.exists():
        return reference
    relative = os.path.relpath(path.resolve(), folder)
    return relative if relative.startswith(".") else f"./{relative}"


class _Writer(yaml.SafeDumper):
    """YAML without anchors, which would puzzle readers."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_str(self, data: str) -> yaml.ScalarNode:
        """Text that holds line ends of any kind, or what cannot be seen, is written escaped."""
        style = None if data.isprintable() else '"'
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Writer.add_representer(str, _Writer.represent_str)


def _flow(value: Any) -> str:
    """One line of YAML that reads back as the value."""
    text = yaml.dump(
        _plain(value),
        Dumper=_Writer,
        default_flow_style=True,
        allow_unicode=True,
        width=10**9,
        sort_keys=False,
    )
    return str(text).removesuffix("\n").removesuffix("\n...")


def _block(value: Any, indent: int) -> str:
    """Indented lines of YAML that read back as the value."""
    text = yaml.dump(
        _plain(value),
        Dumper=_Writer,
        default_flow_style=None,
        allow_unicode=True,
        width=_WIDTH - indent,
        sort_keys=False,
    )
    return "\n".join(" " * indent + line for line in str(text).rstrip("\n").split("\n"))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, tuple | list) else value


def _comment(text: object) -> str:
    """Text that ends where its line ends, whatever the data put into it."""
    return "".join(c if c.isprintable() else " " for c in str(text))


def _why(text: object, subject: str = "", indent: int = 2) -> str:
    """A reason as a comment line, with its line break; nothing where there is none."""
    if not text:
        return ""
    reason = f"{subject}: {text}" if subject else str(text)
    return _wrapped(reason, indent) + "\n"


def _wrapped(text: object, indent: int = 0) -> str:
    """A comment, broken into lines."""
    lead = " " * indent + "# "
    return textwrap.fill(
        _comment(text),
        _WIDTH,
        initial_indent=lead,
        subsequent_indent=lead,
        break_long_words=False,
        break_on_hyphens=False,
    )
