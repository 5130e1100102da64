"""Words and letters that multiply a number: 5 hundred, 3tn, $5m, 2 Milliarden, 5万."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping

import regex

# Power of ten -> words that mean it behind whatever number, in the singular where English has one.
_WORDS: Mapping[int, str] = {
    2: "hundred hundert honderd hundra hundrede",
    3: "thousand tsd tausend duizend tusen tusind mille mila ribu tys tysiąc tysiące tysięcy "
    "тыс тысяча тысячи тысяч हज़ार हजार ألف آلاف",
    5: "lakh lac लाख",
    6: "million mn mio mln millionen millioner millones millón milione milioni milhão milhões "
    "miljoen miljon miljoner milion miliony milionów milyon juta "
    "млн миллион миллиона миллионов مليون ملايين",
    7: "crore करोड़",
    9: "billion bn bln mrd mld milliarde milliarden milliard milliarder miliardo miliardi "
    "bilhão bilhões miljard miljarder miliard miliardy miliardów milyar miliar "
    "млрд миллиард миллиарда миллиардов مليار",
    12: "trillion tn trn billionen billones billón biljoen biljon trilhão trilhões "
    "трлн триллион триллиона триллионов",
    15: "quadrillion",
    18: "quintillion trillionen",
}  # fmt: skip
# Of money alone: behind another number m is a metre, mm a thousandth of one, t a ton.
_OF_MONEY: Mapping[int, str] = {
    3: "grand",
    6: "m mm mill mi",
    9: "b bi md mds",
    12: "t tri",
}
_OF_RUPEES: Mapping[int, str] = {5: "l", 7: "cr"}
# Behind a number without a space, and behind one another.
_SIGNS: Mapping[int, str] = {2: "百백", 3: "千천", 4: "万萬만", 8: "亿億억", 12: "조"}


def _factors(words: Mapping[int, str]) -> dict[str, int]:
    return {
        word: 10**power
        for power, listed in words.items()
        for word in unicodedata.normalize("NFC", listed).split()
    }


def _any_of(words: Iterable[str]) -> str:
    return "|".join(sorted(words, key=len, reverse=True))


_NAMED = {**_factors(_WORDS), "dozen": 12}
_MONEY, _RUPEES = _factors(_OF_MONEY), _factors(_OF_RUPEES)
_SIGNED = {sign: 10**power for power, signs in _SIGNS.items() for sign in signs}
_ALL = {**_NAMED, **_MONEY, **_RUPEES, **_SIGNED, "k": 1000}

_NAME = rf"(?i:{_any_of(_NAMED)})s?\b"
# 千米 is a kilometre, 千克 a kilogram.
_SIGN = rf"(?:千(?![米克瓦卡赫焦帕伏安升])|[{''.join(set(_SIGNED) - {'千'})}])"
# A letter that is a word by itself, and of no formula such as $5 m$ or $5 m/s$.
_ALONE = r"(?![\p{L}\d/^²³]|-\p{L}|[^$]*\$(?!\ ?\d))"
_CURRENCY = r"(?:€|£|¥|₹|₽|₩|(?:EUR|GBP|CHF|USD)\b)"
# Marks that make a number bold, or a formula, may stand between.
_JOINT = r"(?:[*_`$]{1,3}\ ?|[\ -])?"

SCALE = rf"""
    {_JOINT}{_NAME}(?:[\ -]{_NAME})*\.?
    | {_SIGN}+
    | (?(rupees)\ ?(?i:{_any_of(_RUPEES)}){_ALONE}|(?!))
    | (?(money)(?:\ ?(?i:{_any_of(set(_MONEY) - {"t"})})|[tT]|\ [kK]){_ALONE}|(?!))
    | (?:[KMB]|\ ?k)(?![\p{{L}}\d]|-\p{{L}})
    | \ ?(?i:k|m|mm|b|md|mds)(?=\ ?{_CURRENCY}(?!\ ?\d))
    | \ [KMB](?=\ ?\$(?!\ ?\d))(?<!\$.*)
"""
"""What may follow a number and multiply it, as a part of a verbose pattern.

Its groups `money` and `rupees` match where the number has a currency before it.
"""

OTHERWISE = rf"""
    # mil is a thousand in Spanish, a million in slang and a part of an inch; 兆 is a million or a
    # million millions; T€ are thousands or millions of millions.
    {_JOINT}mils?\b | 兆 | \ ?[tT]\ ?{_CURRENCY}
    # Behind a currency, letters multiply; those that are known are read before.
    | (?(money)(?=\p{{Latin}})(?![A-Z]{{3}}\b)(?!\p{{Latin}}[^$]*\$(?!\ ?\d))|(?!))
    | {_JOINT}(?:third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|(?:hundred|thousand|m?illion
        |billion)th)s?\b
    | \ (?:squared|cubed|factorial)\b
    | [\ -](?:and|&)[\ -](?:a|one|two|three)[\ -](?:half|quarter|third|fifth)s?\b
"""
"""What may follow a number and makes another of it; which one is not said, or not read."""

_BETWEEN = regex.compile(r"[\s\p{P}\p{S}]+")


def factor(scale: str) -> int:
    """By how much what :data:`SCALE` matches multiplies; 1 for an empty text."""
    product = 1
    for word in filter(None, _BETWEEN.split(scale.lower())):
        known = _ALL.get(word) or _ALL.get(word.removesuffix("s"))
        for part in (known,) if known else map(_SIGNED.__getitem__, word):
            product *= part
    return product
