"""Words and letters that multiply a number: 5 hundred, 3tn, $5m, 2 Milliarden, 5万."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping

import regex

# Power of ten -> words that mean it behind whatever number, in the singular where English has one.
_WORDS: Mapping[int, str] = {
    1: "dizaine decena dezena десятка десятков",
    2: "hundred hundert honderd hundra hundrede centaine centena centinaio centinaia sute "
    "сотни сотен सौ",
    3: "thousand tsd tausend duizend tusen tusind mille millier mila ribu tys tysiąc tysiące "
    "tysięcy tisíc tisíce tisíců ezer mii nghìn ngàn tuhat tuhatta tisuća hiljada хиляди "
    "millar millares milhar milhares migliaio migliaia тыс тис тысяча тысячи тысяч "
    "тисяча тисячі тисяч χιλιάδες हज़ार हजार ألف آلاف هزار ہزار হাজার אלף",
    5: "lakh लाख لاکھ লাখ",
    6: "million mn mio mln millionen millioner millones millón milione milioni milhão milhões "
    "milió milions miljoen miljon miljoner milion miliony milionów milionu milionů milióny "
    "miliónov milyon juta millió triệu milioane miljoona miljoonaa milijun milijuna miliona "
    "млн миллион миллиона миллионов мільйон мільйони мільйона мільйонів милион милиона милиони "
    "εκατομμύριο εκατομμύρια मिलियन مليون ملايين میلیون מיליון",
    7: "crore करोड़ कोटी کروڑ কোটি",
    9: "billion bn bln mrd mld milliarde milliarden milliard milliarder miliardo miliardi "
    "bilhão bilhões miljard miljarder miliard miliardy miliardów miliarda miliárd milyar miliar "
    "milliárd tỷ tỉ miliarde miljardi miljardia milijarda milijarde milijardi "
    "млрд миллиард миллиарда миллиардов мільярд мільярди мільярда мільярдів милиард милиарда "
    "милиарди δισ δισεκατομμύριο δισεκατομμύρια बिलियन مليار میلیارد מיליארד",
    12: "trillion tn trn billionen billones billón biljoen biljon trilhão trilhões trilyon "
    "трлн триллион триллиона триллионов трильйон трильйона трильйонів ट्रिलियन",
    15: "quadrillion",
    18: "quintillion trillionen",
    21: "sextillion",
    24: "septillion",
}  # fmt: skip
_DOZENS = (
    "dozen dutzend douzaine docena dozzina dozzine dúzia dozijn dussin dusin дюжина дюжины дюжин"
)
# Of money alone: behind another number m is a metre, mm a thousandth of one, t a ton.
_OF_MONEY: Mapping[int, str] = {
    6: "m mm mi",
    9: "b bi md mds",
    12: "t tri",
}
# Likewise, and never without a space.
_SLANG: Mapping[int, str] = {3: "grand", 6: "mill"}
_OF_RUPEES: Mapping[int, str] = {5: "l lac lacs", 7: "cr"}
# Of scripts without spaces: behind one another, with whatever behind them.
_SIGNS: Mapping[int, str] = {
    2: "百 백 ร้อย", 3: "千 천 พัน", 4: "万 萬 만 หมื่น", 5: "แสน", 6: "ล้าน", 8: "亿 億 억", 12: "조",
}  # fmt: skip


def _factors(words: Mapping[int, str]) -> dict[str, int]:
    return {
        word: 10**power
        for power, listed in words.items()
        for word in unicodedata.normalize("NFC", listed).split()
    }


def _any_of(words: Iterable[str]) -> str:
    return "|".join(sorted(words, key=len, reverse=True))


_NAMED = {**_factors(_WORDS), **dict.fromkeys(_DOZENS.split(), 12)}
_MONEY, _RUPEES, _SIGNED = map(_factors, (_OF_MONEY, _OF_RUPEES, _SIGNS))
_ALL = {**_NAMED, **_MONEY, **_factors(_SLANG), **_RUPEES, **_SIGNED, "k": 1000}

_NAME = rf"(?i:{_any_of(_NAMED)})s?\b"
_NAMES = rf"{_NAME}(?:[\ -]{_NAME})*"
# 千米 is a kilometre, 千克 a kilogram; พันธุ์ is a kind, ร้อยละ per cent, 百分 a part of it.
_SIGN = (
    rf"(?:千(?![米克瓦卡赫焦帕伏安升])|百(?!分)|พัน(?!ธ)|ร้อย(?!ละ)"
    rf"|{_any_of(set(_SIGNED) - {'千', '百', 'พัน', 'ร้อย'})})"
)
# Behind a space they may begin a word, as 万能 and 만화 do, unless what is counted follows.
_COUNTED = (
    r"(?![^\P{Han}元円圆圓块塊个個人名件次台張张美欧日港韩年本吨噸公]"
    r"|[^\P{Hangul}원명개달유년은는이가을를입])"
)
_PERIOD = r"(?i:year|yr|y|annum|quarter|qtr|month|mo|week|wk|day|hour|hr|person|employee|unit)\b"
# A letter that is a word by itself, and of no formula such as $5 m$ or $5 m/s$.
_ALONE = rf"(?![\p{{L}}\d^²³]|[-&]\p{{L}}|/(?!\ ?{_PERIOD})|[^$]*\$(?!\ ?\d))"
_NO_LENGTH = r"(?!\ (?i:long|wide|tall|high|deep|thick|cable)\b)"
# Behind a space, letters and slang multiply where nothing follows that they may be a part of, as
# in $5 m cable, $5 mill rate and $5 grand prize.
_GO_ON = (
    "in|for|to|on|from|per|an?|each|every|of|at|by|and|or|but|is|was|are|were|as|with|more|less|last"
    "|this|next|over|under|after|before|during|since|so|which|that|than|annually|yearly|monthly"
    "|USD|EUR|GBP|dollars?|euros?"
)
_DEALS = (
    "deal|loan|funds?|funding|investment|budget|grant|round|revenues?|company|contract|valuation"
    "|house|home|mansion|project|sales?|profit|loss|market|raise|lawsuit|settlement|fine|business"
)


def _apart(words: str) -> str:
    """A pattern of what ends there, or goes on with one of some words."""
    return (
        rf"{_ALONE}(?=\W*$|[*_`\"']*(?:\.?[,;:!?)\]]|\.\ |\ ?/|\ [(\p{{Pd}}=|≈]"
        rf"|\ (?i:{words})\b))"
    )


_CURRENCY = r"(?:€|£|¥|₹|₽|₩|(?:EUR|GBP|CHF|USD)\b)"
# Marks that make a number bold, or a formula, may stand between.
# Those that make it bold, if they stand before it too: 2*k is a product.
_BOLD = r"(?:(?<=[*_`][\d.,\p{Sc}]{1,20})[*_`]{1,3})?"
_JOINT = r"(?:[*_`$]{1,3}\ ?|[\ -])?"

SCALE = rf"""
    # A hundred-dollar bill, of which there may be five, is another thing than 5-hundred; in
    # Vietnamese the words for a million and a milliard begin those for a symptom and a ratio.
    (?:-|(?(money){_JOINT}|(?!))){_NAMES}\.?
    | {_JOINT}{_NAMES}(?!-\p{{L}}|\ (?:chứng|lệ|số)\b)\.?
    | {_SIGN}+ | \ {_SIGN}+{_COUNTED}
    | (?(rupees)(?:(?i:{_any_of(_RUPEES)}){_ALONE}|\ (?i:{_any_of(_RUPEES)}){_apart(_GO_ON)})|(?!))
    | (?(money){_BOLD}(?:(?i:{_any_of(_MONEY)}){_ALONE}{_NO_LENGTH}
        |\ (?i:{_any_of(set(_MONEY) - {"t"})}|k){_apart(f"{_GO_ON}|{_DEALS}")}
        |\ (?i:{_any_of(_factors(_SLANG))}){_apart(_GO_ON)})|(?!))
    | {_BOLD}[KMBk](?![\p{{L}}\d]|[-&]\p{{L}}) | \ k{_apart(_GO_ON)}
    | \ ?(?i:k|m|mm|b|md|mds)(?=\ ?{_CURRENCY}(?!\ ?\d))
    | \ [KMB](?=\ ?\$(?!\ ?\d))(?<!\$.*)
"""
"""What may follow a number and multiply it, as a part of a verbose pattern.

Its groups `money` and `rupees` match where the number has a currency before it.
"""

_ORDINALS = (
    r"third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|twelfth|sixteenth|twentieth"
    r"|(?:hundred|thousand|m?illion|billion)th"
)
_COUNT = (
    r"(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty"
    r"|sixty|seventy|eighty|ninety|(?:thir|four|fif|six|seven|eigh|nine)teen)"
)

OTHERWISE = rf"""
    # mil is a thousand in Spanish, a million in slang and a part of an inch; 兆 is a million or a
    # million millions; T€ are thousands or millions of millions; bin is a thousand in Turkish,
    # lacs are lakhs or in French lakes, अरब is a milliard or Arab, mie a thousand or my, thou a
    # thousand or a thousandth, εκ a million or a centimetre; and short ones, which may be a
    # name, as that of those who are MIA is.
    {_JOINT}(?i:mils?|mill|lacs?|अरब|mie|thou|tr|εκ|mia|rb|jt)\b
    | \ ?(?i:[tkm]kr|mdkr|[tkm](?:SEK|EUR|USD))\b | \ (?i:bin)\b | \ ?兆 | \ ?[tT]\ ?{_CURRENCY}
    # What is known to multiply, where it is not certain that it does: hundred-dollar bills.
    | {_JOINT}{_NAME} | \ ?{_SIGN} | \ ?百分
    | (?(money){_BOLD}\ (?:(?i:{_any_of({*_MONEY, *_factors(_SLANG), "k"} - {"t"})})|T)\b
        (?![-&]\p{{L}})(?![^$]*\$(?!\ ?\d))|(?!))
    | (?(rupees)\ (?i:{_any_of(_RUPEES)})\b|(?!))
    | [KMBk](?=[-&]\p{{L}}) | \ k\b | \ grand{_apart(_GO_ON)}
    # More is added to it: 3 hundred fifty; but not in $2 million three years ago.
    | (?(scale)[\ -](?:and\ )?{_COUNT}\b
        (?:(?<=(?:hundred|thousand)[\ -](?:and\ )?{_COUNT})(?!-(?!{_COUNT}\b)\p{{L}})
          |(?=\W*$|[.,;:]|[\ -](?:{_COUNT}|hundred|thousand)\b))|(?!))
    # Behind a currency, letters multiply; those that are known are read before.
    | (?(money)(?=\p{{Latin}})(?![A-Z]{{3}}\b)(?!\p{{Latin}}[^$]*\$(?!\ ?\d))|(?!))
    # Parts; but those who are fourth graders are whole.
    | {_JOINT}(?:(?i:(?:{_ORDINALS}|quarter)s|halves|tens)\b
        |(?i:{_ORDINALS}|quarter|half)(?=\ of\b|[*_`]*(?:[.,;:!?)]|$)))
    | \ (?:squared|cubed|factorial)\b
    | [\ -](?:and|&)[\ -](?:a|one|two|three)[\ -](?:half|quarter|third|fifth)s?\b
"""
"""What may follow a number and makes another of it; which one is not said, or not read."""

_BETWEEN = regex.compile(r"[\s\p{P}\p{S}]+")
_PART = regex.compile(_any_of(_SIGNED))


def factor(scale: str) -> int:
    """By how much what :data:`SCALE` matches multiplies; 1 for an empty text."""
    product = 1
    for word in filter(None, _BETWEEN.split(scale.lower())):
        known = _ALL.get(word) or _ALL.get(word.removesuffix("s"))
        for part in (known,) if known else map(_SIGNED.__getitem__, _PART.findall(word)):
            product *= part
    return product
