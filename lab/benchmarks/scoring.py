"""Scoring against lm-eval's own HFLM: same model, same requests, same run, alternating.

    python -m lab.benchmarks.scoring [--pairs 5] [--items 16] [--dtype auto]

In float32 it asserts that every decision is the same and every log-likelihood equal within 1e-3. In
bfloat16 both round differently: it prints how many replies agree, and how far each side's
log-likelihoods are from those in float32, which must be no further for the product than half as
much again.
"""

from __future__ import annotations

import argparse
import contextlib
import io
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from lm_eval.api.instance import Instance

from harness.evaluation.local.candidate_lm import CandidateLM
from harness.models.load import load_base
from harness.models.packed_layer import Copies
from harness.models.packed_weights import packed_weights
from harness.models.resolve import resolve_model
from harness.models.runtime import choose_runtime
from harness.prompting import PromptRenderer
from harness.records import Example
from harness.spec import ModelSpec, TaskSpec
from lab.benchmarks.pairs import HEADER, alternate, machine, row
from lab.benchmarks.sides import loaded_apart, peer_of

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

LONG = (
    f"{TASK.instruction} "
    "Sentiment is what the customer feels about the product, whatever the tone of the message: a "
    "polite complaint is negative, a grumbling recommendation is positive. A message is neutral "
    "where it states facts without judging them, where praise and blame are of equal weight, or "
    "where it asks a question. Intensity says how strongly the feeling is put: 0 where there is "
    "none, 1 where it is hinted at, 2 where it is stated plainly, 3 where it is stressed by "
    "adverbs, repetition or capital letters, 4 where nothing stronger could have been said. Judge "
    "the message as a whole, not its last sentence. Do not take the price into account unless the "
    "customer does. Delivery and service count as part of the product. Irony counts as what is "
    "meant. Numbers at the head of a message are its number in the file and mean nothing. If the "
    "message is in another language, rate it all the same. Give no explanation."
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
    answers = TASK.answer.finite_answers() or ()
    return [
        Instance("loglikelihood", {}, (prompt, answer), k, metadata=("bench", i, 1))
        for i, prompt in enumerate(prompts)
        for k, answer in enumerate(answers)
    ]


def main() -> None:
    """Run all six workloads."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--items", type=int, default=16)
    parser.add_argument("--dtype", default="auto", choices=["auto", "bfloat16", "float32"])
    options = parser.parse_args()
    spec = ModelSpec(reference="smollm2-135m-instruct", dtype=options.dtype)
    runtime = choose_runtime(spec, 32)
    resolved = resolve_model(spec)
    ours, theirs = loaded_apart(resolved, runtime)
    mine = CandidateLM(ours.model, ours.tokenizer, runtime.score_batch_size)
    # Its automatic size begins by trying 64 rows of 2,048 tokens, whose logits take 26 GB here.
    size = "auto" if runtime.device.startswith("cuda") else runtime.score_batch_size
    peer = peer_of(theirs, size)
    print(f"{machine()}; {runtime.dtype}, {options.items} items; peer: HFLM, batch size {size}\n")
    print(HEADER)
    likelihoods: list[Likelihoods] = []
    copies: Copies = {}
    for name, instruction, shots in (
        ("zero-shot", TASK.instruction, 0),
        ("eight-shot", TASK.instruction, 8),
        ("long instruction", LONG, 0),
    ):
        chosen = tuple(
            Example(f"s{k}", {"text": example(k).inputs["text"]}, answer(k), f"s{k}")
            for k in range(shots)
        )
        renderer = PromptRenderer(ours.tokenizer, TASK, partial(constant, chosen), instruction)
        prompts = [renderer.prompt(example(100 + index)) for index in range(options.items)]
        for kind in ("generate", "choice"):
            method = "generate_until" if kind == "generate" else "loglikelihood"
            # Fifteen answers for each item make the peer's choice runs long.
            used = prompts if kind == "generate" else prompts[: options.items // 4]
            found = alternate(
                partial(answers_of, peer, method, used, kind),
                partial(packed_answers, mine, copies, method, used, kind),
                options.pairs,
            )
            agreement = compare(kind, found.peer_results[-1], found.own_results[-1], runtime.dtype)
            print(row(f"{name}, {kind}", found, agreement), flush=True)
            if kind == "choice":
                both = found.peer_results[-1], found.own_results[-1]
                likelihoods.append(Likelihoods(name, used, *both))
    if runtime.dtype != "float32":
        exact = load_base(resolved, replace(runtime, dtype="float32"))
        reference = CandidateLM(exact.model, exact.tokenizer, runtime.score_batch_size)
        print_errors(reference, likelihoods)


@dataclass(frozen=True, slots=True)
class Likelihoods:
    """Answers' log-likelihoods of both sides."""

    name: str
    """Name of the case."""
    prompts: list[str]
    """Prompts that the answers follow."""
    peer: list[tuple[float, bool]]
    """Log-likelihood (nats) of each answer, and whether it is the greedy one, of the peer."""
    own: list[tuple[float, bool]]
    """The same of the product."""


def print_errors(exact: CandidateLM, found: list[Likelihoods]) -> None:
    """How far both sides are from float32."""
    print("\nRoot mean square distance of log-likelihoods from float32, nats")
    for one in found:
        true = np.array(answers_of(exact, "loglikelihood", one.prompts, "choice"))[:, 0]
        peer, own = (
            float(np.sqrt(np.mean((np.array(side)[:, 0] - true) ** 2)))
            for side in (one.peer, one.own)
        )
        print(f"  {one.name}: peer {peer:.3f}, harness {own:.3f}", flush=True)
        assert own <= 1.5 * peer, "less exact than the peer"


def answers_of(lm: Any, method: str, prompts: list[str], kind: str) -> list[Any]:
    """What a model answers; the peer prints how it chose its batch size."""
    with contextlib.redirect_stdout(io.StringIO()):
        answers: list[Any] = getattr(lm, method)(requests(prompts, kind), disable_tqdm=True)
    return answers


def packed_answers(lm: CandidateLM, kept: Copies, *asked: Any) -> list[Any]:
    """What the product's model answers.

    Args:
        kept: packed copies of its weights, which a process makes once for all trials.
    """
    with packed_weights(lm.model, kept=kept):
        return answers_of(lm, *asked)


def answer(index: int) -> str:
    """The answer of a worked example."""
    sentiment = ("negative", "neutral", "positive")[index % 3]
    return f'{{"sentiment": "{sentiment}", "intensity": {index % 5}}}'


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
    width = len(TASK.answer.finite_answers() or ())
    furthest = max(abs(a[0] - b[0]) for a, b in zip(peer, ours, strict=True))
    starts = range(0, len(peer), width)
    decisions = [(best(peer[i : i + width]), best(ours[i : i + width])) for i in starts]
    same = sum(a == b for a, b in decisions)
    assert dtype != "float32" or (same == len(decisions) and furthest < 1e-3), "a decision differs"
    return f"{same} of {len(decisions)} choices equal, log-likelihoods within {furthest:.2g}"


if __name__ == "__main__":
    main()
