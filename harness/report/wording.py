"""Numbers and names as a reader sees them: the only place where anything is rounded."""

from __future__ import annotations

import math
import unicodedata
from typing import TypeGuard

from harness.findings import Interval

NOT_MEASURED = "not measured"
NOT_APPLICABLE = "-"
TEXT_LIMIT = 600
CELL_LIMIT = 160
MINUS = "−"

METRICS: dict[str, tuple[str, str]] = {
    "field_f1": ("field F1", "share of the answer's fields that are right, balanced over missing "
                 "and surplus fields; 1 is best"),
    "exact_match": ("exact match", "share of answers that equal the right answer; 1 is best"),
    "valid_json": ("valid JSON", "share of answers that can be read as JSON; 1 is best"),
    "valid": ("valid answer", "share of answers that the task allows (label listed, schema "
              "fulfilled); 1 is best"),
    "macro_f1": ("macro F1", "F1 averaged over the classes, rare ones counting as much as common "
                 "ones; 1 is best"),
    "chrf": ("chrF", "overlap of character sequences with the reference; higher is better"),
    "rouge_l": ("ROUGE-L", "longest common word sequence with the reference; higher is better"),
    "acc": ("accuracy", "share of items answered rightly; 1 is best"),
    "acc_norm": ("accuracy, length-normalised", "accuracy where the likelihood of each choice is "
                 "divided by its length; 1 is best"),
    "bits_per_byte": ("bits per byte", "how surprised the model is by ordinary text; lower is "
                      "better"),
}  # fmt: skip
KINDS = {
    "prompt": "prompt",
    "full": "full fine-tuning",
    "lora": "LoRA",
    "qlora": "QLoRA",
    "base": "untouched base",
}
FORMS = {
    "base": "base model",
    "base-nf4": "base model, quantised to 4 bits (NF4)",
    "base-fp4": "base model, quantised to 4 bits (FP4)",
    "full": "fully fine-tuned weights",
    "merged": "adapter merged into the base",
    "endpoint": "model on a server",
}

FOUR_BITS = {"nf4": "4 bits (NF4)", "fp4": "4 bits (FP4)"}


def is_number(value: float | None) -> TypeGuard[float]:
    """Whether there is a finite value to show."""
    return value is not None and math.isfinite(value)


def level(interval: Interval) -> str:
    """Confidence level of an interval, as ``95 %``."""
    return f"{interval.level * 100:g} %"


def p_value(value: float | None, missing: str = NOT_MEASURED) -> str:
    """A p-value, never rounded to zero."""
    if value is None or not math.isfinite(value):
        return missing
    return "below 0.001" if value < 0.001 else f"{value:.3f}"


def count(value: float | None, missing: str = NOT_MEASURED) -> str:
    """A whole number with thousands separated."""
    return missing if value is None or not math.isfinite(value) else _minus(f"{value:,.0f}")


def decimal(value: float | None, missing: str = NOT_MEASURED) -> str:
    """A mean count: one decimal, none where it is whole."""
    if value is None or not math.isfinite(value):
        return missing
    return _minus(f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}")


def number(value: float | None, missing: str = NOT_MEASURED) -> str:
    """A setting or measure on an unknown scale: four significant digits."""
    return missing if value is None or not math.isfinite(value) else _minus(f"{value:.4g}")


def seconds(value: float | None, missing: str = NOT_MEASURED) -> str:
    """A duration in the unit that suits it."""
    if value is None or not math.isfinite(value):
        return missing
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 59.95:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min" if minutes else f"{hours:,} h"


def mebibytes(value: float | None, missing: str = NOT_MEASURED) -> str:
    """Memory given in MiB."""
    if value is None or not math.isfinite(value):
        return missing
    return f"{value:.0f} MiB" if value < 1024 else f"{value / 1024:.1f} GiB"


def file_size(value: float | None, missing: str = NOT_MEASURED) -> str:
    """A size given in bytes."""
    if value is None or not math.isfinite(value):
        return missing
    if value < 1024:
        return f"{value:.0f} bytes"
    kib = value / 1024
    return f"{kib:.0f} KiB" if kib < 1024 else mebibytes(kib / 1024)


def money(value: float | None, currency: str, missing: str = NOT_MEASURED) -> str:
    """An amount: two decimals, or two significant digits where it is small."""
    if value is None or not math.isfinite(value):
        return missing
    if value == 0 or abs(value) >= 0.1:
        return f"{_minus(f'{value:,.2f}')} {currency}"
    places = 1 - math.floor(math.log10(abs(value)))
    return f"{_minus(f'{value:.{places}f}')} {currency}"


def parameters(trainable: int, total: int) -> str:
    """Trainable parameters and their share."""
    if trainable == 0:
        return "none"
    if total <= 0:
        return _scaled(trainable)
    share = trainable / total * 100
    return f"{_scaled(trainable)} ({'100' if share == 100 else f'{share:.2g}'} %)"


def metric(name: str) -> str:
    """A metric's name in words."""
    return METRICS[name][0] if name in METRICS else clean(name, limit=60)


def kind(name: str) -> str:
    """An arm's kind in words."""
    return KINDS.get(name, clean(name, limit=60))


def form(name: str) -> str:
    """What was scored, in words."""
    if name.startswith("adapter-on-"):
        base = name.removeprefix("adapter-on-")
        return f"adapter on the base in {FOUR_BITS.get(base) or clean(base)}"
    return FORMS.get(name, clean(name))


def plural(number_of: int, one: str, many: str = "") -> str:
    """``1 item``, ``2 items``."""
    return f"{number_of:,} {one if number_of == 1 else many or one + 's'}"


def capitalised(text: str) -> str:
    """Text that starts with a capital, the rest as it is."""
    return text[:1].upper() + text[1:]


def listed(names: list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def setting(value: object) -> str:
    """A hyperparameter's value on one line."""
    if value is None:
        return NOT_APPLICABLE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return number(value)
    if isinstance(value, list | tuple):
        return ", ".join(setting(part) for part in value) or NOT_APPLICABLE
    return cell(str(value))


def clean(text: str, limit: int = TEXT_LIMIT) -> str:
    """Text from outside, safe to look at: cut at ``limit``, invisible characters made visible.

    Control characters, direction marks and the like could hide or reorder what a reader sees,
    or drive a terminal; they are shown by name. Line breaks and tabs stay.
    """
    shown = text[:limit].replace("\r\n", "\n")
    # Nearly every text has nothing to show by name, and Python tells so at once.
    if not shown.replace("\n", " ").replace("\t", " ").isprintable():
        shown = "".join(_visible(character) for character in shown)
    if len(text) > limit:
        shown += f" … [cut: {len(text) - limit:,} more characters]"
    return shown


def cell(text: str, limit: int = CELL_LIMIT) -> str:
    """:func:`clean` on one line, for tables and sentences."""
    return clean(text.strip(), limit).replace("\n", " ⏎ ").replace("\t", " ")


def short(text: str, limit: int = 24) -> str:
    """:func:`cell` cut to a label's length."""
    shown = cell(text)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def _visible(character: str) -> str:
    code = ord(character)
    if character in "\n\t" or character in "\u200c\u200d":  # joiners: Persian, emoji
        return character
    category = unicodedata.category(character)
    if category in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}:
        return f"⟨U+{code:04X}⟩"
    return character


def _minus(text: str) -> str:
    if text.startswith("-") and not any(digit in "123456789" for digit in text):
        return text[1:]
    return text.replace("-", MINUS, 1) if text.startswith("-") else text


def _scaled(value: int) -> str:
    for size, unit in ((1_000_000_000, "B"), (1_000_000, "M"), (1_000, "k")):
        if value >= size:
            return f"{value / size:.1f} {unit}"
    return str(value)
