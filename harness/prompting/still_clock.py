"""A clock that stands still for chat templates that write the date."""

from __future__ import annotations

import datetime
from typing import Any

# A template is handed plain values only, so a clock that stands still is written in its language.
_CLOCK = (
    "{%- macro strftime_now(format) -%}{%- set shown = namespace(text=format) -%}"
    "{%- for sign, value in still_clock.items() -%}"
    "{%- set shown.text = shown.text | replace(sign, value) -%}"
    # The line break is swallowed, so that the template begins as it would by itself.
    "{%- endfor -%}{{ shown.text }}{%- endmacro %}\n"
)
_SIGNS = tuple(f"%{sign}" for sign in ("-d", "-m", "-H", "-I", "-M", "-S", "-j", "-y",
               *"aAbBcdDeFGHIjmMpSTuUVwWxXyYzZ", "%"))  # fmt: skip


def stopped_clock(template: str, date: str | None) -> dict[str, Any]:
    """What tells a template that asks for the time that it is the beginning of that day.

    Args:
        template: its source.
        date: the day, as YYYY-MM-DD; None leaves it the real time.
    """
    if date is None or "strftime_now" not in template:
        return {}
    day = datetime.datetime.fromisoformat(date)
    clock = {sign: day.strftime(sign) for sign in _SIGNS}
    return {"chat_template": _CLOCK + template, "still_clock": clock}
