"""Mirrored standard tasks against lm-eval's own command line, item by item.

    python -m lab.benchmarks.mirror_parity [--blimp 100] [--pubmedqa 50] ...

Scores BLiMP, PubMedQA and WikiText-2 with the packaged model in float32 on the CPU: once as a suite
with mirrors, through the product; once by ``lm_eval run`` in a process of its own, whose task files
include lm-eval's and name the data for the ``datasets`` library to read. Items are paired by
lm-eval's hash of their content. Needs the folder of real data sets beside the project.

Fails where an item is missing on one side, a decision differs, or a log-likelihood differs by both
1e-3 nats and 1e-5 of its size.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lm_eval.tasks
import yaml
from lm_eval.utils import handle_non_serializable, hash_string

from harness.evaluation.local.candidate_lm import CandidateLM
from harness.evaluation.score import score_task
from harness.evaluation.suites.find import build_general_task, load_suite
from harness.models.load import load_base
from harness.models.resolve import resolve_model
from harness.models.runtime import choose_runtime
from harness.records import ScoreRequest
from harness.spec import ModelSpec
from lab.benchmarks.pairs import machine
from tests.real_data import SHARED, write_pubmedqa, write_wikitext_pages

STANDARD = Path(lm_eval.tasks.__file__).parent
# pubmedqa's columns under other names, to be put right by the mirror.
RENAMED = {"QUESTION": "question", "CONTEXTS": "abstract", "final_decision": "answer"}


@dataclass(slots=True)
class Answers:
    """What one side found for a task."""

    likelihoods: dict[str, list[float]] = field(default_factory=dict)
    """Hash of an item -> its log-likelihoods, nats."""
    scores: dict[str, float] = field(default_factory=dict)
    """Hash of an item -> its score."""
    score: float = 0.0
    """Score of the task."""


class Recording(CandidateLM):
    """Keeps every log-likelihood that it gives, by item."""

    def loglikelihood(
        self, requests: list[Any], disable_tqdm: bool = True
    ) -> list[tuple[float, bool]]:
        found = super().loglikelihood(requests)
        self.kept = _by_item(requests, [value for value, _ in found])
        return found

    def loglikelihood_rolling(self, requests: list[Any], disable_tqdm: bool = True) -> list[float]:
        found = super().loglikelihood_rolling(requests)
        self.kept = _by_item(requests, found)
        return found


def _by_item(requests: list[Any], values: list[float]) -> dict[str, list[float]]:
    kept: dict[str, list[float]] = {}
    for request, value in zip(requests, values, strict=True):
        kept.setdefault(hash_of(request.doc), []).append(value)
    return kept


def hash_of(doc: Mapping[str, Any]) -> str:
    """As lm-eval takes it."""
    text = json.dumps(doc, indent=2, default=handle_non_serializable, ensure_ascii=False)
    return str(hash_string(text))


@dataclass(frozen=True, slots=True)
class Mirrored:
    """One task on both sides."""

    task: str
    """Name of the lm-eval task."""
    metric: str
    """Name of the metric that is compared."""
    yaml: str
    """Task file of lm-eval."""
    mirror: Any
    """The mirror as a suite of ours names it."""
    plain: Path
    """The file that the command line reads."""
    split: str
    """Split of the items."""
    limit: int
    """Number of items at most."""
    unused: tuple[str, ...] = ()
    """Splits of the task file that the copy lacks."""


def prepare(folder: Path, limits: argparse.Namespace) -> list[Mirrored]:
    """Write the files of both sides."""
    tasks = [
        Mirrored(
            f"blimp_{path.stem}",
            "acc",
            f"blimp/{path.stem}.yaml",
            str(path),
            path,
            "train",
            limits.blimp,
        )
        for path in sorted((SHARED / "blimp").glob("*.jsonl"))
    ]
    plain = folder / "pubmedqa.jsonl"
    write_pubmedqa(SHARED, plain)
    copy = folder / "copies" / "pubmedqa" / "pubmed_qa_labeled_fold0_source" / "test.jsonl"
    copy.parent.mkdir(parents=True)
    with copy.open("w", encoding="utf-8") as file:
        for line in plain.read_text("utf-8").splitlines():
            row = {RENAMED.get(name, name): value for name, value in json.loads(line).items()}
            file.write(json.dumps(row) + "\n")
    pages = folder / "copies" / "wikitext" / "test.jsonl"
    pages.parent.mkdir()
    write_wikitext_pages(SHARED, pages)
    lines = [line for line in pages.read_text("utf-8").split("\n") if line]
    short = [line for line in lines if len(json.loads(line)["page"]) <= limits.longest_page]
    pages.write_text("".join(f"{line}\n" for line in short), encoding="utf-8")
    unused = ("training_split", "validation_split")
    mirror = {"path": "copies/pubmedqa", "columns": RENAMED}
    return [
        *tasks,
        Mirrored(
            "pubmedqa", "acc", "pubmedqa/pubmedqa.yaml", mirror, plain, "test",
            limits.pubmedqa, unused,
        ),
        Mirrored(
            "wikitext", "bits_per_byte", "wikitext/wikitext.yaml", "copies/wikitext", pages, "test",
            limits.wikitext, unused,
        ),
    ]  # fmt: skip


def ours(tasks: list[Mirrored], folder: Path, reference: str) -> dict[str, Answers]:
    """Scores of a suite with mirrors, by the product."""
    values = {
        "name": "mirrored",
        "default_tasks": True,
        "tasks": [{"task": t.task, "metric": t.metric, "text": t.task} for t in tasks],
        "mirrors": {t.task: t.mirror for t in tasks},
    }
    path = folder / "mirrored.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    suite = load_suite(path)
    spec = ModelSpec(reference=reference, dtype="float32", device="cpu")
    runtime = choose_runtime(spec, 32)
    loaded = load_base(resolve_model(spec), runtime)
    lm = Recording(loaded.model, loaded.tokenizer, runtime.score_batch_size)
    found = {}
    for one in tasks:
        request = ScoreRequest(
            "k", one.task, "general", "test", suite_path=str(path), limit=one.limit
        )
        record = score_task(
            lm, build_general_task(suite, one.task, one.limit), request, loaded.form
        )
        scores = {
            item.doc_hash: item.value
            for item in record.item_scores
            if item.metric == one.metric and item.value is not None
        }
        found[one.task] = Answers(lm.kept, scores, record.aggregates[one.metric])
        print(f"ours: {one.task}", file=sys.stderr, flush=True)
    return found


def theirs(
    tasks: list[Mirrored], folder: Path, reference: str, batch: int, wanted: dict[str, Answers]
) -> dict[str, Answers]:
    """Scores by lm-eval's command line, in a process of its own, of the items that are wanted."""
    include = folder / "include"
    include.mkdir()
    samples = {}
    for one in tasks:
        config = {
            "include": str(STANDARD / one.yaml),
            "task": f"local_{one.task}",
            "dataset_path": "json",
            "dataset_name": None,
            "dataset_kwargs": {"data_files": {one.split: str(one.plain)}},
            **dict.fromkeys(one.unused),
        }
        (include / f"{one.task}.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        docs = [json.loads(line) for line in one.plain.read_text("utf-8").split("\n") if line]
        hashes = wanted[one.task].scores
        samples[f"local_{one.task}"] = [n for n, doc in enumerate(docs) if hash_of(doc) in hashes]
    model = resolve_model(ModelSpec(reference=reference)).path
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(folder / "cache")}
    subprocess.run(
        [
            sys.executable, "-m", "lm_eval", "run", "--model", "hf",
            "--model_args", f"pretrained={model},dtype=float32", "--device", "cpu",
            "--batch_size", str(batch), "--include_path", str(include), "--log_samples",
            "--tasks", ",".join(samples), "--samples", json.dumps(samples),
            "--output_path", str(folder / "out"),
        ],
        check=True, env={**os.environ, **offline}, stdout=sys.stderr,
    )  # fmt: skip
    (results,) = (folder / "out").rglob("results_*.json")
    totals = json.loads(results.read_text("utf-8"))["results"]
    found = {}
    for one in tasks:
        (log,) = (folder / "out").rglob(f"samples_local_{one.task}_*.jsonl")
        answers = Answers(score=totals[f"local_{one.task}"][f"{one.metric},none"])
        for line in log.read_text("utf-8").split("\n"):
            if line:
                sample = json.loads(line)
                key = sample["doc_hash"]
                # A log-likelihood and whether it is greedy, or a log-likelihood alone.
                replies = [reply[0] for reply in sample["resps"]]
                answers.likelihoods[key] = [
                    float(reply[0] if isinstance(reply, list) else reply) for reply in replies
                ]
                value = sample[one.metric]
                answers.scores[key] = value if isinstance(value, float | int) else float(value[0])
        found[one.task] = answers
    return found


HEADER = """\
| task | items | equal decisions | largest difference | of its size | our score | lm_eval's score |
| --- | --- | --- | --- | --- | --- | --- |"""


def compare(one: Mirrored, own: Answers, peer: Answers) -> tuple[str, bool]:
    """A line of the table, and whether the two sides agree; texts have no decisions."""
    assert own.likelihoods.keys() == peer.likelihoods.keys(), f"{one.task}: other items"
    assert len(own.scores) == len(peer.scores) > 0
    pairs = [
        (a, b)
        for key, mine in own.likelihoods.items()
        for a, b in zip(mine, peer.likelihoods[key], strict=True)
    ]
    furthest = max(abs(a - b) for a, b in pairs)
    relative = max(abs(a - b) / max(1.0, abs(b)) for a, b in pairs)
    same = "none made"
    equal = True
    if one.metric == "acc":
        decisions = [own.scores[key] == value for key, value in peer.scores.items()]
        same, equal = f"{sum(decisions)} of {len(decisions)}", all(decisions)
    line = (
        f"| {one.task} | {len(own.scores)} | {same} | {furthest:.1e} | {relative:.1e} "
        f"| {own.score:.6f} | {peer.score:.6f} |"
    )
    return line, equal and (furthest < 1e-3 or relative < 1e-5)


def main() -> None:
    """Score on both sides and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--blimp", type=int, default=100, help="items of each paradigm; 0: none")
    parser.add_argument("--pubmedqa", type=int, default=50, help="questions; 0: none")
    parser.add_argument("--wikitext", type=int, default=10, help="pages; 0: none")
    parser.add_argument("--longest-page", type=int, default=8000, help="characters of a page")
    parser.add_argument("--batch", type=int, default=1, help="of the command line; pages need 1")
    options = parser.parse_args()
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tasks = [one for one in prepare(folder, options) if one.limit]
        own = ours(tasks, folder, options.model)
        peer = theirs(tasks, folder, options.model, options.batch, own)
        print(f"{machine()}; {options.model}, float32\n\n{HEADER}")
        compared = [compare(one, own[one.task], peer[one.task]) for one in tasks]
    for line, _ in compared:
        print(line)
    if not all(agrees for _, agrees in compared):
        raise SystemExit("the two sides differ")


if __name__ == "__main__":
    main()
