"""General English text: the openings of newspaper editorials."""

from __future__ import annotations

import re
from typing import Any

from datasets import Dataset

from harness.packaged.data_sets import editorial_articles

ARTICLES = 100
CHARACTERS = 360


def openings(**_: Any) -> dict[str, Dataset]:
    """The first hundred articles, each cut at the last sentence end within 360 characters."""
    items = []
    for number, article in enumerate(editorial_articles(), start=1):
        text = opening(article)
        if len(text) >= CHARACTERS // 4:
            items.append(
                {"id": f"text-{number:03d}", "cluster": f"text-{number:03d}", "text": text}
            )
    return {"test": Dataset.from_list(items[:ARTICLES])}


def opening(article: str) -> str:
    """The article's whole sentences within the limit; a longer first sentence is cut at a word."""
    if len(article) <= CHARACTERS:
        return article
    head = article[:CHARACTERS]
    ends = [match.end() for match in re.finditer(r"[.!?][\"'”’)]*(?=\s)", head)]
    return head[: ends[-1]] if ends else head.rsplit(" ", 1)[0]
