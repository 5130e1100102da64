"""Numbers as people and models write them: grouped, signed, with units, as fractions, in words."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import regex

from harness.answers.characters import plain

DecimalMark = Literal[".", ","]
Mark = Literal["", ".", ",", "either"]
# Beyond this no number of this machine holds it, and a power of ten takes for ever.
_LARGEST, _MOST_CHARACTERS = Fraction(10) ** 300, 400
# Characters of a line that is a number in brackets and nothing else.
_SHORT = 60

_LATEX = (
    # What follows a sign follows it still.
    (regex.compile(r"(?<=[+\-−–])\s*\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}"), r"\1/\2"),
    (regex.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}"), r" \1/\2"),
    (regex.compile(r"(?<=[+\-−–])\s*\\(?:boxed|text|mathrm|mathbf)\s*\{([^{}]*)\}"), r"\1 "),
    (regex.compile(r"\\(?:boxed|text|mathrm|mathbf)\s*\{([^{}]*)\}"), r" \1 "),
    (regex.compile(r"\{,\}"), ","),
    # Around a formula, brackets say nothing of what stands in it.
    (regex.compile(r"\\[,;:! ()\[\]]"), " "),
    (regex.compile(r"\\([%$&#])"), r"\1"),
    (regex.compile(r"\\(?:times|cdot)"), "×"),
    (regex.compile(r"\^\{([^{}]*)\}"), r"^\1"),
)
_TAG = regex.compile(r"</?[A-Za-z][^<>\n]*>")
_VULGAR = regex.compile("[\u00bc-\u00be\u2150-\u215f\u2189]")
_RAISED = regex.compile("(?<=(?<![0-9])10)[⁺⁻]?[⁰¹²³⁴-⁹]+")
_WRITTEN = str.maketrans({
    "٫": ".", "٬": ",", "٪": "%", "⁄": "/", "∕": "/", "‐": "-", "‑": "-", "‒": "-", "–": "-",
    "−": "-", "’": "'", "ʼ": "'", "′": "'", "‘": "'", "·": "×",
})  # fmt: skip

_SCALES = {
    "k": 3, "thousand": 3, "tsd": 3, "lakh": 5, "m": 6, "mn": 6, "mio": 6, "million": 6,
    "crore": 7, "b": 9, "bn": 9, "mrd": 9, "billion": 9, "trillion": 12,
    "tausend": 3, "millionen": 6, "millones": 6, "milliarde": 9, "milliarden": 9, "milliard": 9,
}  # fmt: skip
_NUMBER = regex.compile(
    r"""
    (?<![\p{L}_\d]) (?<!\d[.,'])
    (?P<unclear>[<>≤≥±]\ ?|(?:^|(?<=\b(?:is|equals)\ ))-\ |-\p{Sc}?\()?
    (?P<sign>(?<![\p{L}\d)\]%])[+-]|(?<=[=:(]\ ?)[+-]\ |\b(?:minus|negative)\ )?
    (?:
      (?P<before>
        \p{Sc} | (?:US|C|A|HK|NZ|R)\$ | Rs\.?
        | \b(?:USD|EUR|GBP|JPY|CHF|CNY|INR) | \b[A-Z]{3}(?=\ )
      )
      \ ?(?P<inner>[+-])?
    )?
    (?:
      (?:(?P<whole>\d+)\ )?(?P<over>\d+)\ ?/\ ?(?P<under>\d+)(?![\d/]|[.,]\d)
      | (?!0[xXbBoO][\da-fA-F]) (?P<run>
          \d{1,3}(?:(?P<gap>[\ '_])\d{3})(?:(?P=gap)\d{3})*+(?![\d])(?:[.,]\d+)?
          | \d+(?:[.,]\d+)*
          | [.,]\d+
        )
    )
    (?![\d])
    (?:[eE](?P<exponent>[+-]?\d{1,4})(?![\d.])|\ ?[×x*]\ ?10(?:\^|\*\*)\(?(?P<ten>[+-]?\d{1,4})\)?)?
    (?P<power>\^\(?[+-]?\d{1,4})?
    (?:
      \ ?(?P<scale>(?i:thousand|million|billion|trillion|lakh|crore|mio|mrd|tsd|bn|mn
        |tausend|millionen|millones|milliarden?|milliard))s?\b\.?
      | (?(before)\ ?) (?P<letter>[kKMB])(?![\p{L}\d])
    )?
    (?P<percent>\ ?(?:%|(?i:percent|per\ cent|pct)\b))?
    # Of two units, as feet and inches are written: 5'11; or with the sign behind it.
    (?P<mixed>'\ ?\d|-(?![\w,]))?
    """,
    regex.VERBOSE,
)
# What may follow a number that stands alone: a unit of a few words, a full stop.
_UNIT = regex.compile(
    r"\ ?(?P<unit>\p{Sc}|[\p{L}°µ/²³%‰]+(?:[ \-][\p{L}°/²³]+)?)?[\s\p{P}\p{Sc}`--\p{Pd}]*", regex.V1
)
# As bookkeepers write what is below zero, and others a number that they mention by the way.
_IN_BRACKETS = regex.compile(
    r"[^\w()]*\([^\w()]*(?:\p{Lu}{1,3}\$?\ ?)?[\d.,'\ ]+[^\d()]*\)[^\w()]*"
)
_OPENING = regex.compile(r"[\s*_`\"'“„$]*")


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it was written."""

    value: Fraction
    """Its value; of a percentage the figure before the sign."""
    is_percent: bool = False
    """Whether a percent sign or word follows."""
    unit: str = ""
    """What stands beside it and is not compared: a currency or a unit; empty where nothing does."""
    mark: Mark = ""
    """The decimal mark that its writing shows: empty for none, ``either`` where the one mark in it
    may divide thousands or decimals."""


def cell_number(text: str, decimal: DecimalMark | None = None) -> Number | None:
    """The number that a text is, with at most a sign, a currency and a unit; None for others.

    Args:
        decimal: the decimal mark of numbers that could be read both ways; a point if not given.
    """
    lines = _cleaned(text)
    return _alone(lines[0], decimal) if len(lines) == 1 else None


def reply_number(reply: str, decimal: DecimalMark | None = None) -> Number | None:
    """The number that a reply means; None where it holds none, or several different ones.

    Words around a number do not count. Of several numbers that of the first line is meant if it
    stands there alone, with its unit, as where an explanation follows.
    """
    lines = _cleaned(reply)
    if len(lines) == 1 and len(lines[0]) < _SHORT and _IN_BRACKETS.fullmatch(lines[0]):
        return None
    numbers = [_number(found, decimal) for line in lines for found in _NUMBER.finditer(line)]
    meant = {(number.value, number.is_percent) if number else None for number in numbers}
    if len(meant) == 1:
        return numbers[0]
    return _alone(lines[0], decimal) if lines else None


def _cleaned(text: str) -> list[str]:
    """The lines of a text that are not blank, its digits, signs and marks written in one way."""
    if text.isascii() and not regex.search(r"[\\{<]", text):
        return [line for line in map(_joined, text.splitlines()) if line]
    for pattern, written in _LATEX:
        text = pattern.sub(written, text)
    text = _TAG.sub(" ", text)
    text = _VULGAR.sub(_as_fraction, text)
    text = _RAISED.sub(lambda found: f"^{unicodedata.normalize('NFKC', found[0])}", text)
    text = plain(text).translate(_WRITTEN)
    text = regex.sub(r"[^\D0-9]", lambda found: str(unicodedata.digit(found[0])), text)
    return [line for line in map(_joined, text.splitlines()) if line]


def _as_fraction(found: regex.Match[str]) -> str:
    is_signed = found.string[: found.start()].endswith(("+", "-", "−", "–"))
    return f"{'' if is_signed else ' '}{unicodedata.normalize('NFKC', found[0])}"


def _joined(line: str) -> str:
    return " ".join(line.split())


def _alone(line: str, decimal: DecimalMark | None) -> Number | None:
    """The number that a line is, with a sign, a currency and a unit at most."""
    found = _NUMBER.search(line)
    if found is None or not _OPENING.fullmatch(line, 0, found.start()):
        return None
    unit = _UNIT.fullmatch(line, found.end())
    number = _number(found, decimal)
    if number is None or unit is None:
        return None
    beside = number.unit or (unit["unit"] or "").strip()
    return Number(number.value, number.is_percent, beside, number.mark)


def _number(found: regex.Match[str], decimal: DecimalMark | None) -> Number | None:
    value, mark = _figure(found, decimal)
    shift = _power_of_ten(found)
    unclear = found["unclear"] or found["mixed"] or (found["sign"] and found["inner"])
    if unclear or value is None or shift is None or abs(shift) > _MOST_CHARACTERS:
        return None
    value *= Fraction(10) ** shift
    if value >= _LARGEST:
        return None
    sign = (found["sign"] or found["inner"] or "").strip()
    return Number(
        -value if sign in ("-", "minus", "negative") else value,
        bool(found["percent"]),
        (found["before"] or "").strip(),
        mark,
    )


def _figure(found: regex.Match[str], decimal: DecimalMark | None) -> tuple[Fraction | None, Mark]:
    """The number without sign and power, and the decimal mark that it shows."""
    if len(found[0]) > _MOST_CHARACTERS:
        return None, ""
    if not found["under"]:
        return _read_run(found["run"], decimal)
    over, under = int(found["over"]), int(found["under"])
    return (Fraction(over, under) + int(found["whole"] or 0) if under else None), ""


def _power_of_ten(found: regex.Match[str]) -> int | None:
    """The power of ten by which the figure is multiplied; None for a power of something else."""
    if power := found["power"]:
        is_alone = found["run"] == "10" and not (found["exponent"] or found["ten"])
        return int(power.lstrip("^(")) - 1 if is_alone else None
    scale = (found["scale"] or found["letter"] or "").lower()
    return int(found["exponent"] or found["ten"] or 0) + _SCALES.get(scale, 0)


def _read_run(run: str, decimal: DecimalMark | None) -> tuple[Fraction | None, Mark]:
    """Digits with marks between them, and the decimal mark that they show."""
    if gap := next((gap for gap in " '_" if gap in run), None):
        whole, mark, broken = _halves(run)
        return Fraction(f"{whole.replace(gap, '')}.{broken or 0}"), mark
    points, commas = run.count("."), run.count(",")
    if points + commas < 2:
        return _with_one_mark(run, decimal)
    last, other = (".", ",") if run.rfind(".") > run.rfind(",") else (",", ".")
    shown: Mark = "," if (last == ",") == bool(points and commas) else "."
    if not (points and commas):
        return (Fraction(run.replace(last, "")) if _is_grouped(run, last) else None), shown
    whole, _, broken = run.rpartition(last)
    if last in whole or not _is_grouped(whole, other):
        return None, shown
    return Fraction(f"{whole.replace(other, '')}.{broken}"), shown


def _with_one_mark(run: str, decimal: DecimalMark | None) -> tuple[Fraction, Mark]:
    whole, mark, broken = _halves(run)
    if not mark:
        return Fraction(run), ""
    grouped = len(broken) == 3 and 1 <= len(whole) <= 3 and not whole.startswith("0")
    if grouped and mark != (decimal or "."):
        return Fraction(whole + broken), "either"
    return Fraction(f"{whole or 0}.{broken}"), "either" if grouped else mark


def _halves(run: str) -> tuple[str, Literal["", ".", ","], str]:
    mark: Literal["", ".", ","] = "." if "." in run else "," if "," in run else ""
    whole, _, broken = run.partition(mark) if mark else (run, "", "")
    return whole, mark, broken


def _is_grouped(run: str, mark: str) -> bool:
    """Whether a mark stands at each thousand or, as in India, at each hundred above the first."""
    mark = regex.escape(mark)
    return bool(
        regex.fullmatch(rf"[1-9]\d{{0,2}}(?:{mark}\d{{3}})+", run)
        or regex.fullmatch(rf"[1-9]\d?(?:{mark}\d\d)*{mark}\d{{3}}", run)
    )
