"""What a chat template may be told beside the messages: the names that it reads."""

from __future__ import annotations

import re
from collections.abc import Mapping

from harness.errors import SpecError
from harness.records import JsonValue
from harness.wording import listed

# A tag of transformers' own, which marks answers and writes nothing.
_GENERATION = re.compile(r"\{%-?\s*(end)?generation\s*-?%\}")
# What transformers hands to every template.
_HANDED = frozenset(
    {"messages", "tools", "documents", "add_generation_prompt", "strftime_now", "raise_exception"}
)


def check_template_args(template: str, args: Mapping[str, JsonValue]) -> None:
    """See whether a chat template reads all that it is told.

    Raises:
        SpecError: a name is none that it reads, so that it would change nothing.
    """
    unread = sorted(set(args) - names_read(template)) if args else []
    if not unread:
        return
    known = sorted(name for name in names_read(template) - _HANDED if not name.endswith("_token"))
    reads = f"it reads {listed(f'`{name}`' for name in known)}" if known else "it reads none"
    raise SpecError(
        f"chat_template_args: the model's chat template reads no "
        f"{listed(f'`{name}`' for name in unread)} ({reads}), so it would change nothing; correct "
        "the name, or leave it out"
    )


def names_read(template: str) -> frozenset[str]:
    """Names that a chat template takes from outside; empty where it cannot be read at all."""
    import jinja2
    from jinja2 import meta

    environment = jinja2.Environment(extensions=["jinja2.ext.loopcontrols"], autoescape=False)  # noqa: S701
    try:
        parsed = environment.parse(_GENERATION.sub("", template))
    except jinja2.TemplateSyntaxError:
        # That it cannot be read is said where it is to write something.
        return frozenset()
    return frozenset(meta.find_undeclared_variables(parsed))
