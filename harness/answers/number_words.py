"""Words and letters around a number that are a sign of it, or a part of what it says."""

from __future__ import annotations

UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}ー\p{Hangul}\p{Thai}]"
"""Letters of scripts that put no space between a word and a number, as a part of a pattern."""

_MINUS = r"\b(?i:minus|moins|menos|meno|минус|мінус|eksi)"
_NEGATIVE = r"\b(?i:negative|negativo|négatif|negativ|отрицательное)"
_UNSPACED_MINUS = r"(?:负|負|マイナス|마이너스|零下|氷点下|영하)"
_BEFORE_FIGURE = r"(?:\ |-(?=[\d*_`]))(?:[*_`]{1,3}(?=[\d.\p{Sc}]))?"
# Behind other words something may be subtracted: the total minus 5.
_STATED = (
    r"(?<=(?:^|[^\w\s)\]}%\-]\ ?|\b(?i:is|are|was|be|equals?|to|at|of|by|as|about|around"
    r"|approximately|gets?|got|gives?|gave|has|have|had|yields?|reache[sd]|reads?|shows?|scored?|becomes?|remains?"
    r"|fell|dropped|only|just|exactly|roughly|nearly|almost|than|or|said|says?|answer|result"
    r"|temperature|est|fait|es|son|hace|è|é|de|da|a|à|vale|sono|равно|это|ist|sind|war|waren|är|er"
    r"|bei|auf)\ ))"
)
# At least 5, and about 5, in languages in which that is said with minus.
_AT_LEAST = r"(?<=\b(?i:au|du|al|lo|pelo|ao|m[áa]s\ o|mais\ ou|più\ o)\ )"
# Copulas and particles behind which a sign is one of the number.
_IS = r"[是为為於于は가이은는]"

SIGN = rf"""
    (?:(?<!\b(?i:or|ou|o|или|oder|plus)\ ){_STATED}{_MINUS}|{_NEGATIVE}){_BEFORE_FIGURE}
    | {_UNSPACED_MINUS}\ ? | (?<={_IS})[+-](?=[\d.\p{{Sc}}])
"""
"""Words that are a sign of the number behind them, as a part of a verbose pattern."""

UNSIGNED = rf"""
    # Plus or minus, and the sign of a sign.
    (?<=\b(?i:or|ou|o|или|oder)\ )(?<!{_AT_LEAST})(?:{_MINUS}|{_NEGATIVE}){_BEFORE_FIGURE}
    | (?<=[正±胜勝]|プラス|플러스){_UNSPACED_MINUS}\ ?
    | (?<=(?:{_MINUS}|{_NEGATIVE}|{_UNSPACED_MINUS})\ ?)[+-]\ ?
    | (?<!{_STATED})(?<!{_AT_LEAST}){_MINUS}{_BEFORE_FIGURE}
    | (?<={UNSPACED})(?<!{_IS})[+-](?=\p{{Sc}}?[\d.])
    # The rest of a number, of which a part is written in words: 三万5千, and of a part: 3分の2;
    # what is subtracted, or a number below zero.
    | (?<=[零〇一二三四五六七八九十百千万萬億亿兆点點之]|[减減]|减去|分の|분의\ ?)
    | (?<=[负負]数|(?:[负負]|マイナス)の)
    | (?<=ลบ\ ?)
"""
"""What stands before a number and may or may not change it, as a part of a verbose pattern."""

GOES_ON = r"""
    # Of a date, a time or a length of time; a part; more than so many; and a half.
    \ ?(?:[年月日号號时時点點分秒년월일시분]|小时|小時|時間|시간)\ ?\d
    # Or of a measure in two units, a product, a sum or a score.
    | [\p{Han}\p{Hangul}]{1,2}\d
    | \ ?(?:f(?:ee|oo)?t|(?:h|hours?|hrs?|lbs?|pounds?|minutes?|mins?|years?),?(?:\ and)?)\.?\ \d
    | \ (?i:times|plus|by|(?:multiplied|divided)\ by|fois|mal|por)\ \d
    | \ ?(?:[比対對대乘加减減除]|かける|たす|ひく|곱하기|더하기|빼기|나누기)以?\ ?\d
    | \ ?分[の之] | 분의 | [零〇一二三四五六七八九十多余餘几幾割] | 成(?!\p{Han}) | \p{Han}{0,2}半
    | \ ?(?:°\ ?[CF]?\ ?|(?i:degrees?)\ (?:\p{L}+\ )?)?(?i:below\ (?:zero|freezing))\b
"""
"""What may follow a number and makes another of it, as a part of a verbose pattern."""
