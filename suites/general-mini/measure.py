"""Score a model on a suite and print the table of the README.

python suites/general-mini/measure.py MODEL_FOLDER [SUITE] [LIMIT]
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import lm_eval
import torch
from lm_eval.models.huggingface import HFLM
from statsmodels.stats.proportion import proportion_confint
from transformers import AutoModelForCausalLM, AutoTokenizer

from harness.evaluation.suites.find import build_general_task, load_suite


def main(folder: str, suite_name: str = "general-mini", limit: int | None = None) -> None:
    """Print one row a task: score, Wilson 95 % interval, chance, seconds."""
    suite = load_suite(suite_name)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    scorer = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=32)
    print("| task | items | metric | score | 95 % interval | chance | seconds |")
    print("|---|---|---|---|---|---|---|")
    total = 0.0
    for entry in suite.tasks:
        task = build_general_task(suite, entry.task, limit)
        started = time.perf_counter()
        found = lm_eval.evaluate(
            scorer,
            {entry.task: task},
            apply_chat_template=entry.chat,
            bootstrap_iters=0,
            log_samples=True,
        )
        seconds = time.perf_counter() - started
        total += seconds
        items = len(found["samples"][entry.task])
        results = found["results"][entry.task]
        score = next(v for k, v in results.items() if k.split(",")[0] == entry.metric)
        interval = ""
        if entry.accuracy:
            low, high = proportion_confint(round(score * items), items, method="wilson")
            interval = f"{low:.3f} to {high:.3f}"
        chance = "" if entry.chance is None else f"{entry.chance:g}"
        print(
            f"| {entry.task} | {items} | {entry.metric} | {score:.3f} | {interval} "
            f"| {chance} | {seconds:.1f} |",
            flush=True,
        )
    print(f"\n{total:.0f} s in all, {torch.get_num_threads()} threads")


if __name__ == "__main__":
    main(sys.argv[1], *sys.argv[2:3], *[int(value) for value in sys.argv[3:4]])
