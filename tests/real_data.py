"""Real data sets for tests, read from the folder beside the project; never copied into it."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lab.public_studies import INTENTS, snips_file, snips_requests, snips_rows

SHARED = Path(__file__).resolve().parents[1].parent / "shared" / "data"

SNIPS_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "intent": {"enum": list(INTENTS)},
        "slots": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    "required": ["intent", "slots"],
    "additionalProperties": False,
}


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets; the test is skipped, saying so, where it is missing."""
    if not SHARED.is_dir():
        pytest.skip(f"the folder of real data sets is not there: {SHARED}")
    return SHARED


def write_snips(
    shared: Path,
    path: Path,
    *,
    intents: Sequence[str] = INTENTS,
    part: str = "train",
    per_intent: int | None = None,
) -> int:
    """Write SNIPS as JSONL with columns ``text`` and ``answer``; returns the number of rows."""
    seen: Counter[str] = Counter()
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in snips_rows(shared / "snips", intents, part):
            intent = row["answer"]["intent"]
            if per_intent is None or seen[intent] < per_intent:
                seen[intent] += 1
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return seen.total()


def write_snips_undecoded(shared: Path, path: Path, intent: str) -> int:
    """Write one training intent as JSONL with the published bytes, whatever their encoding."""
    text = snips_file(shared / "snips", intent, "train").read_text(
        "utf-8", errors="surrogateescape"
    )
    rows = list(snips_requests(intent, text))
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return len(rows)


def frequent_intents(shared: Path, number: int = 12) -> tuple[str, ...]:
    """The most frequent intents of the Banking77 training file, most frequent first."""
    with (shared / "banking77" / "train.csv").open(encoding="utf-8", newline="") as file:
        counts = Counter(row["category"] for row in csv.DictReader(file))
    return tuple(sorted(counts, key=lambda intent: (-counts[intent], intent))[:number])


def write_banking77(
    shared: Path,
    path: Path,
    *,
    part: str = "train",
    intents: Sequence[str] | None = None,
    limit: int | None = None,
) -> int:
    """Write Banking77 rows of some intents (the 12 most frequent by default) as CSV.

    Columns ``text,category``; ``limit`` takes the first rows. Returns the number of rows.
    """
    wanted = set(frequent_intents(shared) if intents is None else intents)
    written = 0
    with (
        (shared / "banking77" / f"{part}.csv").open(encoding="utf-8", newline="") as source,
        path.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.DictWriter(file, ["text", "category"])
        writer.writeheader()
        for row in csv.DictReader(source):
            if row["category"] in wanted and (limit is None or written < limit):
                writer.writerow(row)
                written += 1
    return written


def write_pubmedqa(shared: Path, path: Path) -> int:
    """Write the 500 test questions of PubMedQA as JSONL, with the hub's columns, in file order."""
    questions = json.loads((shared / "pubmedqa" / "ori_pqal.json").read_text("utf-8"))
    tested = json.loads((shared / "pubmedqa" / "test_ground_truth.json").read_text("utf-8"))
    rows = [row for identity, row in questions.items() if identity in tested]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return len(rows)


def write_wikitext_pages(shared: Path, path: Path) -> int:
    """Write the lines of WikiText-2's test part as JSONL of whole pages, column ``page``.

    A page begins at a heading of the first level, ``= Title =``; lines keep their spaces, as in the
    hub's set of documents. The words here are those of the published tokens, ``<unk>`` included,
    where the hub's set has the raw text.
    """
    pages: list[list[str]] = [[]]
    for line in (shared / "wikitext2" / "test.txt").read_text("utf-8").split("\n"):
        words = line.split()
        heading = len(words) > 2 and words[0] == words[-1] == "="
        if heading and "=" not in (words[1], words[-2]):
            pages.append([])
        pages[-1].append(line)
    whole = ["\n".join(lines) for lines in pages]
    written = [json.dumps({"page": text}) + "\n" for text in whole if text.strip()]
    path.write_text("".join(written), encoding="utf-8")
    return len(written)
