"""Numbers as people and models write them: grouped, signed, with units, as fractions, in words."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Literal

import regex

from harness.answers.number_text import lines_of, unquoted
from harness.answers.number_words import GOES_ON, SIGN, UNSIGNED, UNSPACED
from harness.answers.scales import OTHERWISE, SCALE, factor

DecimalMark = Literal[".", ","]
Mark = Literal["", ".", ",", "either"]
# No right answer is worth as much, and errors of such numbers cannot be squared and added up; a
# power of ten may take for ever.
_LARGEST, _MOST_CHARACTERS = Fraction(10) ** 100, 400
# Characters of a line that is a number in brackets and nothing else.
_SHORT = 60

# Of functions whose value is none of what stands in them.
_FUNCTION = r"(?:sqrt|cbrt|log|ln|exp|sin|cos|tan)"
_NUMBER = rf"""
    # A letter before it makes it a part of a word, but in scripts without spaces.
    (?: (?<![\p{{L}}_\d]) | (?<={UNSPACED}) ) (?<!\d[.,'])
    (?P<unclear>
      {UNSIGNED} | (?:^|(?<=\b(?:is|equals)\ ))-\  | (?<=\+\ ?/?\ ?)-\ ? | (?<=[+-])[+-]
      # Of these, what stands before is looked at, since a letter may stand before that: x<5.
      | (?<=(?:[<>≤≥≦≧≲≳≪≫±∓≠]|[<>!≤≥]=|=<)\ ?) | (?<=\^[({{]?) | (?<=-\p{{Sc}}?\(\ ?)
      | (?<=(?:π|\b(?i:pi))\ ?[/×*]\ ?)
      | (?<=(?:[√∛∜]|\b{_FUNCTION}(?=\ ?[(\{{]))\ ?[({{]?\ ?)
    )?
    (?P<sign>(?<![\p{{L}}\d)\]%])[+-](?:\*\*)?|(?<=[=:(]\ ?)[+-]\ |{SIGN})?
    (?:
      (?P<before>
        (?P<money>
          (?P<rupees>₹|Rs\.?|\bINR) | \p{{Sc}} | (?:US|C|A|HK|NZ|R)\$
          | \b(?:USD|EUR|GBP|JPY|CHF|CNY|AUD|CAD|SEK|NOK|DKK|PLN|BRL|MXN)
        )
        | \b[A-Z]{{3}}(?=\ )
      )
      \ ?(?P<inner>[+-])?
    )?
    (?:
      (?:(?P<whole>\d+)\ )?(?P<over>\d+)\ ?/\ ?(?P<under>\d+)(?![\d/]|[.,]\d)
      | (?!0[xXbBoO][\da-fA-F]) (?P<run>
          \d{{1,3}}(?:(?P<gap>[\ '_])\d{{3}})(?:(?P=gap)\d{{3}})*+(?![\d])(?:[.,]\d+)?
          | \d+(?:[.,]\d+)*
          # Behind other points it is the last of an ellipsis.
          | (?<![.,]|\.\ \.\ )[.,]\d+
        )
    )
    (?![\d])
    (?:
      [eE](?P<exponent>[+-]?\d{{1,4}})(?!\d|[.,]\d)
      | \ ?[×xX*]\ ?10(?:\^|\*\*)\(?(?P<ten>[+-]?\d{{1,4}})\)?(?!\d|[.,]\d)
    )?
    (?:(?:\^|\*\*)\(?(?P<power>[+-]?\d{{1,4}})\)?(?!\d|[.,]\d))?
    (?P<scale>{SCALE})?
    (?P<percent>\ ?(?:%|(?i:percent|per\ cent|pct)\b))?
    (?P<unsure>
      # Of two units, as feet and inches are written: 5'11; or with the sign behind it.
      '\ ?\d | (?!\p{{L}}{{1,3}}[23](?!\w|[.,]\d))\p{{Latin}}+\d | -(?![\w,])
      # A sum, a range, a time, a power, at least so much, a bound, decimals that go on.
      | \ ?[+±≤≥≪≫] | -\d | \ -\ \d | :\d | [xX×÷]\ ?\d | \ [xX×÷*]\ \d | \*\*?\d
      | \^ | [⁰¹²³⁴-⁹⁺⁻] | \ ?[<>]=?\ ?\p{{L}}\b | \d | [.,]\(\d | [\u0304\u0305\u0307]
      | \ point\ \d | \ ?[×*]?\ ?(?:\p{{Latin}}?\ ?π|(?:\p{{Latin}}\ ?[×*]\ ?)?[Pp]i\b)
      | {OTHERWISE} | {GOES_ON}
    )?
    """
# What may follow a number that stands alone: a unit of a few words, a full stop.
_UNIT = regex.compile(
    r"\ ?(?P<unit>\p{Sc}|[\p{L}°µ/²³%‰]+(?:[ \-][\p{L}°/²³]+)?)?[\s\p{P}\p{Sc}`--\p{Pd}]*", regex.V1
)
# As bookkeepers write what is below zero, and others a number that they mention by the way.
_IN_BRACKETS = regex.compile(
    r"[^\w()]*\([^\w()]*(?:\p{Lu}{1,3}\$?\ ?)?[\d.,'\ ]+[^\d()]*\)[^\w()]*"
)
_OPENED, _CLOSED = "([{⟨", ")]}⟩"
_ARGUMENT = regex.compile(r"\\[A-Za-z]+\*?\s*(?:\[[^\[\]]*\])?\{$")
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


@cache
def _numbers() -> regex.Pattern[str]:
    """The pattern of a number, made when the first one is read: it takes longer than all imports of
    this room."""
    return regex.compile(_NUMBER, regex.VERBOSE)


def cell_number(text: str, decimal: DecimalMark | None = None) -> Number | None:
    """The number that a text is, with at most a sign, a currency and a unit; None for others.

    Args:
        decimal: the decimal mark of numbers that could be read both ways; a point if not given.
    """
    lines = lines_of(text)
    return _alone(lines[0], decimal) if len(lines) == 1 else None


def reply_number(reply: str, decimal: DecimalMark | None = None) -> Number | None:
    """The number that a reply means; None where it holds none, or several different ones.

    Words around a number do not count. Of several numbers that of the first line is meant if it
    stands there alone, with its unit, as where an explanation follows.
    """
    lines = lines_of(unquoted(reply))
    if len(lines) == 1 and len(lines[0]) < _SHORT and _IN_BRACKETS.fullmatch(lines[0]):
        return None
    numbers = [_number(found, decimal) for line in lines for found in _numbers().finditer(line)]
    meant = {(number.value, number.is_percent) if number else None for number in numbers}
    if len(meant) == 1:
        return numbers[0]
    return _alone(lines[0], decimal) if lines else None


def _alone(line: str, decimal: DecimalMark | None) -> Number | None:
    """The number that a line is, with a sign, a currency and a unit at most."""
    found = _numbers().search(line)
    if found is None or not _OPENING.fullmatch(line, 0, found.start()):
        return None
    unit = _UNIT.fullmatch(line, found.end())
    number = _number(found, decimal)
    if number is None or unit is None:
        return None
    behind = (unit["unit"] or "").strip()
    beside = " ".join(dict.fromkeys(filter(None, (number.unit, behind))))
    return Number(number.value, number.is_percent, beside, number.mark)


def _number(found: regex.Match[str], decimal: DecimalMark | None) -> Number | None:
    value, mark = _figure(found, decimal)
    shift = _power_of_ten(found)
    unclear = found["unclear"] is not None or found["unsure"] is not None or _is_list(found)
    if unclear or (found["sign"] and found["inner"]):
        return None
    if value is None or shift is None or abs(shift) > _MOST_CHARACTERS:
        return None
    value *= Fraction(10) ** shift * factor(found["scale"] or "")
    if value >= _LARGEST:
        return None
    sign = (found["sign"] or found["inner"] or "+").strip(" *")
    return Number(
        value if sign == "+" else -value,
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
        return int(power) - 1 if is_alone else None
    return int(found["exponent"] or found["ten"] or 0)


def _is_list(found: regex.Match[str]) -> bool:
    """Whether what stands in brackets may be several numbers, as (1,2) and [1,234] are."""
    run = found["run"] or ""
    if "," not in run or found["before"]:
        return False
    ahead = found.string[: found.start()].rstrip()
    # What a command holds is its argument.
    before = "" if _ARGUMENT.search(ahead) else ahead[-1:]
    behind = found.string[found.end() :].lstrip(" \\").removeprefix("right").lstrip(" \\")[:1]
    if before not in _OPENED or behind not in _CLOSED or not (before and behind):
        return False
    return (before, behind) != ("(", ")") or not _is_grouped(run.partition(".")[0], ",")


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
