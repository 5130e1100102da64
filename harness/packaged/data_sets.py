"""Packaged data sets: lines of US addresses, and sentences that people have rated.

``us-addresses`` is explained in :mod:`harness.packaged.addresses`.

The others are sentences with mean ratings (Hutto and Gilbert, ICWSM 2014), and have the columns
``id`` (as published), ``review`` (the document that the sentence is from; the id itself where
there is none), ``text``, ``rating`` (mean over the raters, -4 to 4), and two that are made from
the rating:

- ``sentiment``: ``negative`` where rating <= -0.5, ``positive`` where rating >= 0.5, else
  ``neutral``;
- ``intensity``: the absolute rating rounded half up, at most 4, so its cut points are 0.5, 1.5,
  2.5 and 3.5, and 0 means exactly ``neutral``.

``general-text`` is made of the rated sentences, with the columns ``id``, ``from`` and ``text``:
general English to repeat during fine-tuning. In turn come the opening of an editorial, a sentence
of a film review and a tweet, without their ratings. The first 120 editorials are left out, since
the suite ``general-mini`` asks about the openings of 100 of them. Film reviews and tweets may also
serve as out-of-domain sets; the texts that such a set holds are dropped from the study that has
it.
"""

from __future__ import annotations

import difflib
import math
from functools import lru_cache

from harness.errors import HarnessError, UnknownReferenceError
from harness.packaged.addresses import parse_addresses
from harness.packaged.fetch import Progress, fetch
from harness.packaged.rows import PackagedRow

ADDRESSES = "us-addresses"
DATA_SETS: dict[str, str] = {
    ADDRESSES: "lines of US addresses, with their parts",
    "product-feedback": "sentences of customers' product reviews, 300 reviews",
    "movie-reviews": "sentences of film reviews",
    "editorials": "sentences of newspaper editorials, 498 articles",
    "tweets": "short public messages",
}
"""Name -> what it holds."""
GENERAL_TEXT = "general-text"

_PASSAGE_CHARACTERS = 360
_ARTICLES_OF_SUITES = 120

_NEUTRAL_BELOW = 0.5
_MOST_INTENSE = 4


def packaged_rows(name: str, *, progress: Progress | None = None) -> tuple[PackagedRow, ...]:
    """All rows of a packaged data set, in the published order.

    Raises:
        UnknownReferenceError: there is no such data set.
        HarnessError: it could not be fetched.
    """
    if name == GENERAL_TEXT:
        return _general_text(progress)
    if name not in DATA_SETS:
        names = [*DATA_SETS, GENERAL_TEXT]
        close = difflib.get_close_matches(name, names, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise UnknownReferenceError(
            f"no packaged data set is called {name!r}{hint} (there are: {', '.join(names)})"
        )
    content = fetch(name, progress=progress).read_bytes()
    return parse_addresses(content) if name == ADDRESSES else _parse(name, content)


def editorial_articles() -> tuple[str, ...]:
    """Whole editorials: the sentences of each article joined in order. General English text."""
    return tuple(" ".join(sentences) for sentences in _articles(None).values())


def sentiment_of(rating: float) -> str:
    """A rating as ``negative``, ``neutral`` or ``positive``, cut where the module says."""
    if abs(rating) < _NEUTRAL_BELOW:
        return "neutral"
    return "positive" if rating > 0 else "negative"


def intensity_of(rating: float) -> int:
    """A rating as 0 to 4, its size rounded half up; 0 exactly where the sentiment is neutral."""
    return min(_MOST_INTENSE, math.floor(abs(rating) + 0.5))


def _articles(progress: Progress | None) -> dict[str, list[str]]:
    """Article -> its sentences in order."""
    articles: dict[str, list[str]] = {}
    for row in packaged_rows("editorials", progress=progress):
        articles.setdefault(row.values["review"], []).append(row.values["text"])
    return articles


def _general_text(progress: Progress | None) -> tuple[PackagedRow, ...]:
    articles = list(_articles(progress).items())[_ARTICLES_OF_SUITES:]
    sources: dict[str, list[tuple[str, str]]] = {
        "editorials": [(article, _opening(sentences)) for article, sentences in articles]
    }
    for name in ("movie-reviews", "tweets"):
        rows = packaged_rows(name, progress=progress)
        sources[name] = [(row.values["id"], row.values["text"]) for row in rows]
    # The shortest source ends it, so that any first texts hold all sources alike.
    turns = zip(*sources.values(), strict=False)
    texts = [
        {"id": f"{name}-{identity}", "from": name, "text": text}
        for turn in turns
        for name, (identity, text) in zip(sources, turn, strict=True)
    ]
    return tuple(PackagedRow(number, values) for number, values in enumerate(texts, start=1))


def _opening(sentences: list[str]) -> str:
    """The first whole sentences within the limit, at least one."""
    text = sentences[0]
    for sentence in sentences[1:]:
        if len(text) + len(sentence) >= _PASSAGE_CHARACTERS:
            break
        text = f"{text} {sentence}"
    return text


@lru_cache(maxsize=len(DATA_SETS))
def _parse(name: str, content: bytes) -> tuple[PackagedRow, ...]:
    rows = []
    for number, raw in enumerate(content.split(b"\n"), start=1):
        line = _decode(raw).rstrip("\r")
        if not line:
            continue
        fields = line.split("\t")
        if len(fields) != 3:
            raise HarnessError(f"packaged:{name}:{number}: {len(fields)} fields, expected 3")
        identity, rating, text = fields
        rows.append(
            PackagedRow(
                number,
                {
                    "id": identity,
                    "review": identity.partition("_")[0],
                    "text": text,
                    "rating": rating,
                    "sentiment": sentiment_of(float(rating)),
                    "intensity": str(intensity_of(float(rating))),
                },
            )
        )
    return tuple(rows)


def _decode(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("cp1252", errors="replace")


__all__ = [
    "DATA_SETS",
    "GENERAL_TEXT",
    "PackagedRow",
    "editorial_articles",
    "intensity_of",
    "packaged_rows",
    "sentiment_of",
]
