"""Scoring against lm-eval's own HFLM: same model, same requests, same run, alternating.

    python tests/benchmarks/scoring.py [--pairs 5] [--dtype float32]

Prints the median seconds of each and their ratio. In float32 it also asserts that every decision
is the same and every log-likelihood equal within 1e-3; in bfloat16 both round differently, and it
prints how many replies agree.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

from harness.evaluation.candidate_lm import CandidateLM
from harness.models.load import load_base
from harness.models.resolve import resolve_model
from harness.prompting import PromptRenderer
from harness.records import Example, Runtime
from harness.spec import ModelSpec, TaskSpec

ITEMS = 48
SENTENCES = (
    "the battery died after a week",
    "easy to set up and it works as it should",
    "it arrived on a monday",
    "worst purchase of the year, avoid",
    "the screen is bright and the sound is clear, though the menu takes getting used to",
)
TASK = TaskSpec.model_validate(
    {
        "instruction": "Rate the feedback. Reply with JSON only: sentiment and intensity 0 to 4.",
        "answer": {
            "kind": "json",
            "column": "answer",
            "schema": {
                "type": "object",
                "properties": {
                    "sentiment": {"enum": ["negative", "neutral", "positive"]},
                    "intensity": {"type": "integer", "minimum": 0, "maximum": 4},
                },
                "required": ["sentiment", "intensity"],
            },
        },
    }
)


def example(index: int) -> Example:
    """One item; texts differ in length."""
    text = " ".join(SENTENCES[(index + k) % len(SENTENCES)] for k in range(1 + index % 3))
    return Example(str(index), {"text": f"{index}: {text}"}, "{}", str(index))


def requests(prompts: list[str], kind: str) -> list[Instance]:
    """Generation of 14 tokens for each prompt, or the likelihood of each valid answer."""
    if kind == "generate":
        settings = {"until": ["<|im_end|>"], "max_gen_toks": 14, "do_sample": False}
        pairs: list[tuple[Any, ...]] = [(prompt, dict(settings)) for prompt in prompts]
        return [
            Instance("generate_until", {}, pair, 0, metadata=("bench", i, 1))
            for i, pair in enumerate(pairs)
        ]
    answers = TASK.finite_answers() or ()
    return [
        Instance("loglikelihood", {}, (prompt, answer), k, metadata=("bench", i, 1))
        for i, prompt in enumerate(prompts)
        for k, answer in enumerate(answers)
    ]


def timed(call: Callable[..., Any], given: list[Instance]) -> tuple[float, Any]:
    """Seconds, and what the call returned."""
    began = time.perf_counter()
    answer = call(given, disable_tqdm=True)
    return time.perf_counter() - began, answer


def main() -> None:
    """Run all four workloads."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float32"])
    options = parser.parse_args()
    resolved = resolve_model(ModelSpec(reference="smollm2-135m-instruct"))
    # Two loads: what the product does to its model must not speed up the peer.
    ours = load_base(resolved, Runtime("cpu", options.dtype, 32))
    theirs = load_base(resolved, Runtime("cpu", options.dtype, 32))
    theirs.model.get_output_embeddings()._forward_pre_hooks.clear()
    mine = CandidateLM(ours.model, ours.tokenizer, 32)
    peer = HFLM(pretrained=theirs.model, tokenizer=theirs.tokenizer, batch_size=32)
    shots = tuple(
        Example(f"s{k}", {"text": SENTENCES[k]}, '{"sentiment": "neutral", "intensity": 0}', "s")
        for k in range(4)
    )
    print(f"{options.dtype}, {ITEMS} items, {options.pairs} pairs; seconds, median")
    print(f"{'workload':<22} {'HFLM':>8} {'harness':>8} {'ratio':>7}  agreement")
    for name, chosen in (("zero-shot", ()), ("four-shot", shots)):
        renderer = PromptRenderer(ours.tokenizer, TASK, partial(constant, chosen))
        prompts = [renderer.prompt(example(index)) for index in range(ITEMS)]
        for kind in ("generate", "choice"):
            method = "generate_until" if kind == "generate" else "loglikelihood"
            # Fifteen answers for each item make the peer's choice runs long.
            used = prompts if kind == "generate" else prompts[: ITEMS // 4]
            times: dict[str, list[float]] = {"peer": [], "ours": []}
            answers: dict[str, Any] = {}
            for _ in range(options.pairs):
                for side, lm in (("peer", peer), ("ours", mine)):
                    call = getattr(lm, method)
                    seconds, answers[side] = timed(call, requests(used, kind))
                    times[side].append(seconds)
            agreement = compare(kind, answers["peer"], answers["ours"], options.dtype)
            slow, fast = (statistics.median(times[side]) for side in ("peer", "ours"))
            label = f"{name} {kind}"
            print(f"{label:<22} {slow:8.2f} {fast:8.2f} {slow / fast:6.1f}x  {agreement}")


def constant(shots: tuple[Example, ...], item: Example) -> tuple[Example, ...]:
    """The same worked examples for every item."""
    return shots


def best(answers: list[tuple[float, bool]]) -> int:
    """Index of the likeliest answer."""
    return max(range(len(answers)), key=[answer[0] for answer in answers].__getitem__)


def compare(kind: str, peer: list[Any], ours: list[Any], dtype: str) -> str:
    """How far the answers agree; in float32 they must."""
    if kind == "generate":
        same = sum(a == b for a, b in zip(peer, ours, strict=True))
        assert dtype != "float32" or same == len(peer), "a reply differs"
        return f"{same} of {len(peer)} replies equal"
    width = len(TASK.finite_answers() or ())
    furthest = max(abs(a[0] - b[0]) for a, b in zip(peer, ours, strict=True))
    starts = range(0, len(peer), width)
    decisions = [(best(peer[i : i + width]), best(ours[i : i + width])) for i in starts]
    same = sum(a == b for a, b in decisions)
    assert dtype != "float32" or (same == len(decisions) and furthest < 1e-3), "a decision differs"
    return f"{same} of {len(decisions)} choices equal, log-likelihoods within {furthest:.2g}"


if __name__ == "__main__":
    main()
