"""Write the suite's items. Same packages, same bytes: the seed is fixed.

python suites/general-mini/build.py              write the JSONL files beside this script
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import facts  # noqa: E402
import grammar  # noqa: E402
import instructions  # noqa: E402
import words  # noqa: E402
from items import Question, multiple_choice  # noqa: E402

TASKS: dict[str, Callable[[random.Random], list[Question]]] = {
    "capitals": facts.capitals,
    "cities": facts.cities,
    "elements": facts.elements,
    "sums": facts.sums,
    "grammar": grammar.minimal_pairs,
    "opposites": words.opposites,
    "kinds": words.kinds,
}


def build() -> dict[str, str]:
    """File name -> text of every data file of the suite."""
    files: dict[str, str] = {}
    for name, make in TASKS.items():
        # One generator a task: a change to one task leaves the items of the others alone.
        rng = random.Random(f"general-mini {name}")  # noqa: S311 - a fixed seed, not a secret
        files[f"{name}.jsonl"] = _lines(multiple_choice(name, make(rng), rng))
    rng = random.Random("general-mini instructions")  # noqa: S311
    files["instructions.jsonl"] = _lines(instructions.instructions(rng))
    return files


def _lines(items: list[dict[str, Any]]) -> str:
    return "".join(
        json.dumps(item, ensure_ascii=False, separators=(",", ":")) + "\n" for item in items
    )


if __name__ == "__main__":
    for file_name, text in build().items():
        (HERE / file_name).write_text(text, encoding="utf-8")
        print(f"{file_name}: {text.count(chr(10))} items, {len(text.encode())} bytes")
