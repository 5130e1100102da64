"""Numbers, names and texts as a reader sees them: the same amount is rounded alike everywhere."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol, TypeGuard

NOT_MEASURED = "not measured"
NOT_APPLICABLE = "-"
UNKNOWN = "not known"
RUN_NEXT = "Run next: "  # begins a reason that is a next step
TEXT_LIMIT = 600
CELL_LIMIT = 160
MINUS = "−"
# How two texts are alike, as the audit for leaks tells it.
LEAKS = {"exact": "same text", "near": "nearly the same", "ngram": "long passage in common"}


class Bounds(Protocol):
    """An interval."""

    @property
    def low(self) -> float:
        """Its lower end."""

    @property
    def high(self) -> float:
        """Its upper end."""

    @property
    def level(self) -> float:
        """Confidence level, 0 to 1."""


def is_number(value: float | None) -> TypeGuard[float]:
    """Whether there is a finite value to show."""
    return value is not None and math.isfinite(value)


def level(interval: Bounds) -> str:
    """Confidence level of an interval, as ``95 %``."""
    return confidence(interval.level)


def confidence(share: float) -> str:
    """A level, 0 to 1, as ``95 %`` or ``98.33 %``; never rounded to certainty."""
    shown = f"{share * 100:.4g}"
    return f"{share * 100:.15g} %" if shown == "100" and share < 1 else f"{shown} %"


def per_cent(share: float, decimals: int = 0) -> str:
    """A share, 0 to 1, as ``20 %``."""
    return f"{share * 100:.{decimals}f} %"


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


def rough_duration(seconds: float) -> str:
    """A duration, rounded as a rough sum deserves."""
    minutes = seconds / 60
    if minutes < 1.5:
        return "a minute"
    if minutes < 90:
        return f"{minutes:.0f} minutes" if minutes < 10 else f"{5 * round(minutes / 5)} minutes"
    hours = minutes / 60
    return f"{hours:.0f} hours" if hours < 48 else f"{hours / 24:,.0f} days"


def ago(seconds: float) -> str:
    """How long ago something was, as ``3 days ago``."""
    return "just now" if seconds < 30 else f"{rough_duration(seconds)} ago"


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


def money(value: float | Decimal | None, currency: str = "", missing: str = NOT_MEASURED) -> str:
    """An amount: two decimals, or two significant digits where it is small."""
    if value is None or not math.isfinite(value):
        return missing
    size = abs(float(value))
    places = 1 - math.floor(math.log10(size)) if 0 < size < 0.1 else 2
    return f"{_minus(f'{value:,.{places}f}')} {currency}".rstrip()


def large(value: int) -> str:
    """A large count of little precision: ``134.5 M``, ``7 B``."""
    for size, unit in ((1_000_000_000, "B"), (1_000_000, "M"), (1_000, "k")):
        if value >= size:
            return f"{value / size:.1f}".removesuffix(".0") + f" {unit}"
    return str(value)


def parameters(trainable: int, total: int) -> str:
    """Trainable parameters and their share."""
    if trainable == 0:
        return "none"
    if total <= 0:
        return large(trainable)
    share = trainable / total * 100
    return f"{large(trainable)} ({'100' if share == 100 else f'{share:.2g}'} %)"


def plural(number_of: int, one: str, many: str = "") -> str:
    """``1 item``, ``2 items``."""
    return f"{number_of:,} {agreeing(number_of, one, many or one + 's')}"


def agreeing(number_of: int, one: str, many: str) -> str:
    """The word that goes with so many: ``is`` or ``are``."""
    return one if number_of == 1 else many


def capitalised(text: str) -> str:
    """Text that starts with a capital, the rest as it is."""
    return text[:1].upper() + text[1:]


def listed(names: Iterable[str], last: str = "and") -> str:
    """``a``, ``a and b``, ``a, b and c``; empty for none."""
    *first, final = [*names] or [""]
    return f"{', '.join(first)} {last} {final}" if first else final


# What is smaller is rounding of sums, and shown as zero.
TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Scale:
    """How the scores of a metric are written."""

    factor: float
    """Number that scores are multiplied by."""
    decimals: int
    """Decimals of a number below 10; larger ones have one."""
    unit: str
    """Unit of a score, with a space before it; may be empty."""
    difference_unit: str
    """Unit of a difference, with a space before it; may be empty."""

    def scaled(self, value: float | None) -> float | None:
        """A score as it is drawn; None where there is none."""
        return value * self.factor if is_number(value) else None

    def score(self, value: float | None, missing: str = NOT_MEASURED) -> str:
        """One score."""
        return missing if not is_number(value) else self.number(value) + self.unit

    def difference(self, value: float | None, missing: str = NOT_MEASURED) -> str:
        """A signed difference; what rounds to zero has no sign."""
        return missing if not is_number(value) else self.signed(value) + self.difference_unit

    def gap(self, value: float | None, missing: str = NOT_MEASURED) -> str:
        """The size of a difference."""
        return missing if not is_number(value) else self.number(value) + self.difference_unit

    def margin(self, value: float | None, missing: str = NOT_MEASURED) -> str:
        """A declared margin, or what is set against one: three digits that count are shown."""
        return missing if not is_number(value) else self.exact(value) + self.difference_unit

    def interval(self, bounds: Bounds | None, missing: str = NOT_MEASURED) -> str:
        """Bounds of a score, in the score's unit."""
        if bounds is None or not (is_number(bounds.low) and is_number(bounds.high)):
            return missing
        return f"{self.number(bounds.low)} to {self.number(bounds.high)}"

    def difference_interval(self, bounds: Bounds | None, missing: str = NOT_MEASURED) -> str:
        """Bounds of a difference, in the difference's unit."""
        if bounds is None or not (is_number(bounds.low) and is_number(bounds.high)):
            return missing
        return f"{self.signed(bounds.low)} to {self.signed(bounds.high)}"

    def axis(self, text: str, difference: bool = False) -> str:
        """An axis label with its unit."""
        unit = (self.difference_unit if difference else self.unit).strip()
        return f"{text} ({unit})" if unit else text

    def number(self, value: float) -> str:
        """A score without its unit."""
        text = f"{value * self.factor:.{self._places(value)}f}"
        return text.removeprefix("-") if float(text) == 0 else text.replace("-", MINUS)

    def exact(self, value: float) -> str:
        """A declared difference without its unit: more decimals where the usual would round it."""
        whole = f"{value * self.factor:.3g}"
        usual = f"{value * self.factor:.{self._places(value)}f}"
        return _minus(usual if float(usual) == float(whole) else whole)

    def signed(self, value: float) -> str:
        """A difference without its unit; what rounds to zero has no sign."""
        text = f"{value * self.factor:+.{self._places(value)}f}"
        return text[1:] if float(text) == 0 else text.replace("-", MINUS)

    def _places(self, value: float) -> int:
        size = abs(value * self.factor)
        if not self.unit and TINY < size < 0.5 * 10**-self.decimals:
            # Of an error in small units every number may be as small as this.
            return 1 - math.floor(math.log10(size))
        return self.decimals if size < 10 else 1


PLAIN = Scale(factor=1, decimals=3, unit="", difference_unit="")
PER_CENT = Scale(factor=100, decimals=1, unit=" %", difference_unit=" points")
CORRELATION = Scale(factor=1, decimals=2, unit="", difference_unit="")


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
