"""Small studies on public data sets, as the gallery of the documentation shows them.

``python -m lab.public_studies FOLDER --banking77 DIR --snips DIR --pubmedqa DIR`` writes the rows
that the studies read, and an experiment for each, into FOLDER. A DIR is the data set as its authors
publish it, a clone of their repository or the part of it that holds the files; a data set without a
DIR is left out. Each study is small enough for minutes on two CPU cores; none is large enough to
decide for somebody else's data.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import yaml

from harness.errors import InputError
from lab.example_studies import MODEL, Row

INTENTS = (
    "AddToPlaylist",
    "BookRestaurant",
    "GetWeather",
    "PlayMusic",
    "RateBook",
    "SearchCreativeWork",
    "SearchScreeningEvent",
)
"""Intents of SNIPS, as its files name them."""


@dataclass(frozen=True, slots=True)
class PublicStudy:
    """One data set and the study on it."""

    origin: str
    """Repository of the authors, owner and name on GitHub."""
    licence: str
    """Licence of the data."""
    rows: Callable[[Path], Iterator[Row]]
    """Reads the rows out of the authors' folder."""
    experiment: Callable[[Sequence[Row]], Row]
    """The experiment for these rows, without name, model and source."""


def find_file(folder: Path, name: str) -> Path:
    """The file of that name in the folder or below.

    Raises:
        InputError: there is none.
    """
    found = sorted(folder.rglob(name))
    if not found:
        raise InputError(f"{folder}: no file {name} in it or below; name the authors' folder")
    return found[0]


def banking77_rows(folder: Path) -> Iterator[Row]:
    """Messages of bank customers as ``text`` and ``category``, one of 77 intents."""
    with find_file(folder, "train.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield {"text": row["text"], "category": row["category"]}


def snips_rows(
    folder: Path, intents: Iterable[str] = INTENTS, part: str = "train"
) -> Iterator[Row]:
    """SNIPS requests as ``{"text", "answer": {"intent", "slots"}}``, in file order.

    A slot named twice keeps its first value. One file holds an emoji written as two surrogates
    (CESU-8), which is not UTF-8; it is read as the emoji.

    Args:
        part: ``train`` or ``validate``.
    """
    for intent in intents:
        text = snips_file(folder, intent, part).read_text("utf-8", errors="surrogatepass")
        joined = text.encode("utf-16", errors="surrogatepass").decode("utf-16")
        yield from snips_requests(intent, joined)


def snips_file(folder: Path, intent: str, part: str) -> Path:
    """The file of one intent as the authors name it."""
    full = "_full" if part == "train" else ""
    return find_file(folder, f"{part}_{intent}{full}.json")


def snips_requests(intent: str, text: str) -> Iterator[Row]:
    """The requests of one intent's file."""
    for request in json.loads(text)[intent]:
        slots: dict[str, str] = {}
        for piece in request["data"]:
            if "entity" in piece:
                slots.setdefault(piece["entity"], piece["text"].strip())
        whole = "".join(piece["text"] for piece in request["data"])
        yield {"text": " ".join(whole.split()), "answer": {"intent": intent, "slots": slots}}


def pubmedqa_rows(folder: Path) -> Iterator[Row]:
    """Questions on biomedical abstracts, answered yes, no or maybe, with the abstract's text."""
    for row in json.loads(find_file(folder, "ori_pqal.json").read_text("utf-8")).values():
        yield {
            "question": row["QUESTION"],
            "abstract": " ".join(row["CONTEXTS"]),
            "decision": row["final_decision"],
        }


def _banking77(rows: Sequence[Row]) -> Row:
    labels = sorted({row["category"] for row in rows})
    named = "What does the bank's customer ask about? Reply with one of: " + ", ".join(labels)
    return {
        "data": {"limits": {"train": 462, "validation": 77, "test": 154}},
        "task": {
            # Who was trained, or is shown the nearest messages, needs no list of 77 names.
            "instruction": "What does the bank's customer ask about? Reply with its label.",
            "template": "{text}",
            "answer": {"kind": "label", "column": "category", "labels": labels},
        },
        "arms": {
            "zero-shot": {"kind": "prompt", "instruction": named},
            "few-shot": {"kind": "prompt", "shots": 8, "selection": "nearest"},
            "lora": {"kind": "lora", "epochs": 3, "learning_rate": 2e-3},
            "classifier": {"kind": "classifier"},
        },
    }


def _snips(rows: Sequence[Row]) -> Row:
    schema = {
        "type": "object",
        "properties": {
            "intent": {"enum": list(INTENTS)},
            "slots": {"type": "object", "additionalProperties": {"type": "string"}},
        },
        "required": ["intent", "slots"],
        "additionalProperties": False,
    }
    return {
        "data": {"limits": {"train": 168, "validation": 28, "test": 84}},
        "task": {
            "instruction": "What does the speaker want? Give intent and slots as JSON.",
            "template": "{text}",
            "answer": {"kind": "json", "column": "answer", "schema": schema},
        },
        "arms": {
            "few-shot": {"kind": "prompt", "shots": 4, "selection": "nearest"},
            "lora": {"kind": "lora", "epochs": 2, "batch_size": 4, "learning_rate": 2e-3},
        },
    }


def _pubmedqa(rows: Sequence[Row]) -> Row:
    return {
        "data": {"limits": {"train": 96, "validation": 32, "test": 96}},
        "task": {
            "instruction": "Answer the question from the abstract: yes, no or maybe.",
            "template": "{abstract}\n\nQuestion: {question}",
            "answer": {"kind": "label", "column": "decision", "labels": ["yes", "no", "maybe"]},
        },
        "arms": {
            "zero-shot": {"kind": "prompt", "answering": "choice"},
            "few-shot": {
                "kind": "prompt",
                "answering": "choice",
                "shots": 2,
                "selection": "balanced",
            },
            "lora": {
                "kind": "lora",
                "epochs": 1,
                "batch_size": 4,
                "learning_rate": 1e-3,
                "answering": "choice",
            },
            "classifier": {"kind": "classifier"},
        },
    }


STUDIES = {
    "banking77": PublicStudy(
        "PolyAI-LDN/task-specific-datasets", "CC-BY-4.0", banking77_rows, _banking77
    ),
    "snips": PublicStudy("sonos/nlu-benchmark", "CC0-1.0", snips_rows, _snips),
    "pubmedqa": PublicStudy("pubmedqa/pubmedqa", "MIT", pubmedqa_rows, _pubmedqa),
}
"""Name of a study -> its data set."""


def write_rows(
    name: str, source: Path, folder: Path, taken: Callable[[Row], Row] | None = None
) -> list[Row]:
    """Write the rows of one data set to NAME.jsonl, in an order that is the same at every call.

    Args:
        taken: what of a row is written; all of it if not given.

    Raises:
        InputError: a file of the data set is not there.
    """
    rows = list(STUDIES[name].rows(source))
    if taken is not None:
        rows = list(map(taken, rows))
    # The authors' files are sorted by label.
    Random(name).shuffle(rows)
    folder.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    return rows


def write_study(name: str, source: Path, folder: Path) -> Path:
    """Write the rows and the experiment of one study; the same at every call.

    Args:
        source: the authors' folder.

    Returns:
        The experiment file.

    Raises:
        InputError: a file of the data set is not there.
    """
    study, rows = STUDIES[name], write_rows(name, source, folder)
    drafted = study.experiment(rows)
    experiment: dict[str, Any] = {
        "name": name,
        "model": MODEL,
        "data": {
            "source": f"{name}.jsonl",
            "splits": {"train": 0.5, "validation": 0.2, "test": 0.3},
            **drafted.pop("data"),
        },
        **drafted,
        "budget": {"trials": 2, "test_default": False},
        "seeds": [1],
        "general": {"suite": "general-mini", "margin": 0.1, "limit": 12, "search_limit": 4},
        "train_gap_items": 8,
        "memorisation_items": 8,
        "contrast": {"margin": 0.05},
    }
    path = folder / f"{name}.yaml"
    text = yaml.safe_dump(experiment, sort_keys=False, allow_unicode=True)
    path.write_text(f"# Data: github.com/{study.origin}, {study.licence}\n{text}", "utf-8")
    return path


def main() -> None:
    """Write the studies whose data are named, and say how to run them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="where rows and experiments are written")
    for name, study in STUDIES.items():
        parser.add_argument(
            f"--{name}",
            type=Path,
            metavar="DIR",
            help=f"clone of github.com/{study.origin}, or its folder with the files",
        )
    options = vars(parser.parse_args())
    if not any(options[name] for name in STUDIES):
        parser.error("name the folder of at least one data set")
    for name in STUDIES:
        if options[name]:
            try:
                print(f"harness run {write_study(name, options[name], options['folder'])}")
            except InputError as error:
                parser.error(str(error))


if __name__ == "__main__":
    main()
