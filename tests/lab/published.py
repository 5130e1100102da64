"""Data sets in small, as their authors publish them."""

import json
from pathlib import Path


def write_pubmedqa(folder: Path) -> None:
    """Write 60 questions on abstracts in the form of PubMedQA."""
    questions = {
        str(n): {
            "QUESTION": f"Does w{n} work?",
            "CONTEXTS": [f"We tried v{n} u{n}.", "It did."],
            "final_decision": ("yes", "no", "maybe")[n % 3],
        }
        for n in range(60)
    }
    (folder / "ori_pqal.json").write_text(json.dumps(questions), encoding="utf-8")
