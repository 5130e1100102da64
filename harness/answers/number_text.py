"""The lines of a reply before numbers are looked for: LaTeX, digits and signs in one notation."""

from __future__ import annotations

import html
import unicodedata

import regex

from harness.answers.characters import plain

# Commands that change how what stands in their braces looks, and not what it means.
_LOOK = (
    r"\\(?:boxed|fbox|framebox|mbox|hbox|text(?:bf|it|rm|sf|tt|sc|sl|up|normal)?"
    r"|math(?:rm|bf|it|sf|tt|bb|cal|normal)?|underline|emph|num|bm|boldsymbol|ensuremath"
    r"|operatorname|(?:textcolor|colorbox)\s*\{[^{}]*\})\s*\{\s*([^{}]*?)\s*\}"
)
_FRACTION = r"\\[dtc]?frac\s*\{\s*([^{}]*?)\s*\}\s*\{\s*([^{}]*?)\s*\}"
_SIGNED = r"(?<=[+\-−–])\s*"
# Around which others may stand: from the innermost to the outermost.
_NESTED = (
    # What follows a sign follows it still.
    (regex.compile(_SIGNED + _FRACTION), r"\1/\2"),
    (regex.compile(_FRACTION), r" \1/\2"),
    (regex.compile(_SIGNED + _LOOK), r"\1 "),
    (regex.compile(_LOOK), r" \1 "),
    (regex.compile(r"\\(?:SI|qty)\s*\{([^{}]*)\}\s*\{([^{}]*)\}"), r" \1 \2 "),
)
_DEEPEST = 8


def _raised(command: str) -> str:
    """A pattern of what stands raised, in braces or not; braces around both are left alone."""
    return rf"\s?\^\s*(?:{command}|\{{\s*{command}\s*\}})"


_FIRST = (
    (regex.compile(r"<sup>\s*([+\-−]?\w{1,4})\s*</sup>"), r"^\1"),
    # As marks of thousands and decimals are kept from being followed by a space.
    (regex.compile(r"\{([,.])\}"), r"\1"),
    (regex.compile(r"\\text\s*\{,\}"), ","),
    (regex.compile(r"(?<=\d,)\\!(?=\d)"), ""),
    (regex.compile(r"(?<=\d)(?:~|\{\\[,;: ]\})(?=[\p{L}\d\\])"), " "),
    # No powers: degrees, minutes and ordinals.
    (regex.compile(_raised(r"\\(?:circ|degree)(?![A-Za-z])")), "°"),
    (regex.compile(r"\\(?:text)?degree(?:s|Celsius)?(?![A-Za-z])"), "°"),
    # A footnote is not read.
    (regex.compile(r"(?<=\d)" + _raised(r"(?:\*|\\(?:ast|star|dagger)(?![A-Za-z]))")), ""),
    (regex.compile(_raised(r"\\prime\s*\\prime(?![A-Za-z])")), '"'),
    (regex.compile(_raised(r"\\prime(?![A-Za-z])")), "'"),
)
_LAST = (
    (regex.compile(r"(?<=\d)" + _raised("o(?![A-BD-EG-Za-z])")), "°"),
    (regex.compile(r"(?<=\d)" + _raised(r"(?:st|nd|rd|th)(?![A-Za-z])")), "th"),
    (regex.compile(r"\\(?:leq?|geq?|leqslant|geqslant|lt|gt)(?![A-Za-z])"), "≤"),
    (regex.compile(r"\\(?:pm|mp|neq?)(?![A-Za-z])"), "±"),
    # Neither a root, a function nor decimals that repeat are what stands in them.
    (
        regex.compile(
            r"\\(?:arc)?(?:sin|cos|tan|cot|sec|csc|log|ln|exp)(?![A-Za-z])"
            r"(?:_(?:\{[^{}]*\}|\w))?\s*(?=[\d({])"
        ),
        "√",
    ),
    (regex.compile(r"\\(?:sqrt(?:\[[^\[\]]*\])?|overline|bar)(?![A-Za-z])"), "√"),
    (regex.compile(r"\\pi(?![A-Za-z])"), "π"),
    (regex.compile(r"\\[lc]?dots(?![A-Za-z])"), "..."),
    # Around a formula, brackets say nothing of what stands in it.
    (regex.compile(r"\\[,;:! ()\[\]]"), " "),
    (regex.compile(r"\\([%$&#])"), r"\1"),
    (regex.compile(r"\\(?:times|cdot)"), "×"),
    (regex.compile(r"\^\{([^{}]*)\}"), r"^\1"),
    # Arrows are no signs of a bound, but behind a variable of a limit; => may be one behind a word.
    (regex.compile(r"(?<!(?:^|[^\p{L}])\p{L}\s?)(?<!-)-+>"), " → "),
    (regex.compile(r"(?m)(?:^|(?<=[.,:;!?]))[ \t]*=+>(?![=>])"), " → "),
)
_QUOTED = regex.compile(r"(?m)^[ \t]*(?:>[ \t]+)+(?=[^\s\p{L}<>=]*\d[^\s\p{L}<>=]*[ \t]*$)")
# Units of more than a letter, of which a power is no power of the number before them; of single
# letters only m is no variable when it stands directly behind a number with a power of its own.
_LONG_UNIT = (
    r"(?:[nµμmcdk]m|[cmdk]?L|inch(?:es)?|in|ft|foot|feet|yds?|yards?|mi|miles?|kilomet(?:er|re)s?"
    r"|(?:centi|milli)?met(?:er|re)s?|units?|sec(?:ond)?s?|min|hrs?|hours?|days?|[kmµ]g|lbs?|mol|Pa"
    r"|[kM]?Hz|[kM][NJWV])"
)
_UNIT_POWER = r"\s?\$?\^[({]?[+-]?[1-9][)}]?(?![.,]?\d)"
_UNITS = regex.compile(
    rf"(?<=\d[*_`$]{{0,3}})\s{{0,3}}"
    rf"(?:{_LONG_UNIT}|m|[sghNJWKAVL](?!{_UNIT_POWER}))(?!\p{{L}})(?:{_UNIT_POWER})?"
    rf"(?:\s{{0,3}}[/×*·]?\s{{0,3}}\(?(?:{_LONG_UNIT}|[msghNJWKAVL])(?!\p{{L}})(?:{_UNIT_POWER})?)*"
)
_POWER = regex.compile(r"\s?(\$?)\^[({]?([+-]?\d)[)}]?")
_TO_RAISED = str.maketrans("0123456789+-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻")

_TAG = regex.compile(r"</?[A-Za-z][^<>\n]*>")
_VULGAR = regex.compile("[\u00bc-\u00be\u2150-\u215f\u2189]")
_RAISED = regex.compile("(?<=(?<![0-9])10)[⁺⁻]?[⁰¹²³⁴-⁹]+")
_WRITTEN = str.maketrans({
    "٫": ".", "٬": ",", "٪": "%", "⁄": "/", "∕": "/", "‐": "-", "‑": "-", "‒": "-", "–": "-",
    "−": "-", "’": "'", "ʼ": "'", "′": "'", "‘": "'", "·": "×",
})  # fmt: skip


def lines_of(text: str) -> list[str]:
    """The lines of a text that are not blank, its digits, signs and marks written in one way."""
    if "&" in text:
        text = html.unescape(text)
    if text.isascii() and not regex.search(r"[\\{<>^~]", text):
        return [line for line in map(_joined, text.splitlines()) if line]
    text = _without_latex(text)
    text = _TAG.sub(" ", text)
    text = _VULGAR.sub(_as_fraction, text)
    text = _RAISED.sub(lambda found: f"^{unicodedata.normalize('NFKC', found[0])}", text)
    text = plain(text).translate(_WRITTEN)
    text = regex.sub(r"[^\D0-9]", lambda found: str(unicodedata.digit(found[0])), text)
    return [line for line in map(_joined, text.splitlines()) if line]


def unquoted(reply: str) -> str:
    """A reply without the marks of a quotation before a figure that has a line for itself.

    Before more than a figure, as in ``> 72 kg``, it may be the sign of a bound.
    """
    return str(_QUOTED.sub("", html.unescape(reply)))


def _without_latex(text: str) -> str:
    for pattern, written in _FIRST:
        text = pattern.sub(written, text)
    for _ in range(_DEEPEST):
        before = text
        for pattern, written in _NESTED:
            text = pattern.sub(written, text)
        if text == before:
            break
    for pattern, written in _LAST:
        text = pattern.sub(written, text)
    return str(_UNITS.sub(_with_raised, text))


def _with_raised(found: regex.Match[str]) -> str:
    """Units whose powers are raised, as in m/s²: no figure stands on the line beside them."""
    return str(_POWER.sub(lambda power: power[1] + power[2].translate(_TO_RAISED), found[0]))


def _as_fraction(found: regex.Match[str]) -> str:
    is_signed = found.string[: found.start()].endswith(("+", "-", "−", "–"))
    return f"{'' if is_signed else ' '}{unicodedata.normalize('NFKC', found[0])}"


def _joined(line: str) -> str:
    return " ".join(line.split())
