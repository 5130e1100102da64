"""Replies to address lines against lm-eval's own HFLM: same model, same requests, alternating.

    python -m lab.benchmarks.generation [--pairs 3] [--items 32] [--dtype auto] [--only zero-shot]

Every reply is as long as it may be, except in the row "with ends", where it ends as it wants to.
Beside each row stands what the machine's products alone take: every linear layer by itself on as
many tokens as there are, at the best rate that was reached for that number of tokens.

In float32 it asserts that every reply is the same. In bfloat16 both round differently: it prints
after how many tokens each side's replies part from those in float32, which must be no sooner for
the product than two thirds of the peer's number.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lm_eval.api.instance import Instance

from harness.data import prepare
from harness.evaluation.local.candidate_lm import CandidateLM
from harness.models.load import LoadedModel, load_base
from harness.models.packed_layer import Copies
from harness.models.packed_weights import packed_model, packed_weights
from harness.models.resolve import resolve_model
from harness.models.runtime import choose_runtime
from harness.models.token_tree import common_beginning
from harness.prompting import PromptRenderer, ShotSelector
from harness.records import Example
from harness.spec import ModelSpec
from harness.spec.load import load_experiment
from lab.benchmarks.pairs import HEADER, alternate, machine, row
from lab.benchmarks.sides import loaded_apart, peer_of

EXPERIMENT = Path(__file__).parents[2] / "experiments" / "quickstart.yaml"
POOL = 256
# A token that the packaged model never writes, in the place of the one that ends a text.
UNWRITTEN = "<reponame>"


@dataclass(frozen=True, slots=True)
class Case:
    """A row of the table."""

    name: str
    """What prompts are made of."""
    shots: int
    """Worked examples in a prompt."""
    selection: str
    """How they are chosen."""
    room: int
    """Tokens of a reply, at most."""
    ends: bool = False
    """Whether a reply ends where the model ends it."""

    @property
    def title(self) -> str:
        """Name and length."""
        return f"{self.name}, {self.room} tokens"


CASES = (
    Case("zero-shot", 0, "fixed", 16),
    Case("zero-shot", 0, "fixed", 64),
    Case("zero-shot", 0, "fixed", 128),
    Case("zero-shot", 0, "fixed", 256),
    Case("8 shots for all", 8, "fixed", 64),
    Case("8 nearest shots", 8, "nearest", 64),
    Case("8 shots for all with ends", 8, "fixed", 64, ends=True),
)


def main() -> None:
    """Run all cases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--items", type=int, default=32)
    parser.add_argument("--dtype", default="auto", choices=["auto", "bfloat16", "float32"])
    parser.add_argument("--only", default="", help="cases whose title begins so")
    parser.add_argument(
        "--busy",
        action="store_true",
        help="other work runs beside: one thread, and seconds of the processor",
    )
    parser.add_argument(
        "--modules",
        action="store_true",
        help="against the product's own path through the model's modules, not HFLM",
    )
    parser.add_argument("--exact", action="store_true", help="compare with float32 too")
    options = parser.parse_args()
    spec = ModelSpec(reference="smollm2-135m-instruct", dtype=options.dtype)
    runtime, resolved = choose_runtime(spec, 32), resolve_model(spec)
    torch.set_num_threads(1 if options.busy else runtime.threads)
    clock = time.thread_time if options.busy else time.perf_counter
    ours, theirs = loaded_apart(resolved, runtime)
    exact = load_base(resolved, replace(runtime, dtype="float32")) if options.exact else None
    copies: Copies = {}
    peer_name = "its modules" if options.modules else "HFLM"
    print(f"{machine()}; {runtime.dtype}, {options.items} items; peer: {peer_name}, 32 at once\n")
    print(HEADER.replace("results |\n", "products alone | results |\n") + " --- |")
    for case in CASES:
        if not case.title.startswith(options.only):
            continue
        for loaded in (ours, theirs, exact):
            if loaded is not None:
                let_end(loaded, ends=case.ends)
        prompts = prompts_of(case, ours.tokenizer, options.items)
        mine = CandidateLM(ours.model, ours.tokenizer, 32)
        peer = peer_of(theirs, 32)
        requests = requests_of(case.room, prompts)
        with packed_weights(ours.model):
            encoded = [mine.tok_encode(one) for one in prompts]
            bound = products(ours.model, case.room, encoded, clock)
        theirs_of = (
            partial(replies_by_modules, mine, requests, copies)
            if options.modules
            else partial(replies, peer, requests)
        )
        ours_of = partial(packed_replies, mine, requests, copies)
        found = alternate(theirs_of, ours_of, options.pairs, clock)
        agreement = compare(found.peer_results[-1], found.own_results[-1], runtime.dtype)
        if exact is not None:
            reference = CandidateLM(exact.model, exact.tokenizer, 32)
            true = packed_replies(reference, requests, {})
            agreement += distances(exact, true, found.peer_results[-1], found.own_results[-1])
        cells = row(case.title, found, agreement).rsplit(" | ", 1)
        print(f"{cells[0]} | {bound} | {cells[1]}", flush=True)


def let_end(loaded: LoadedModel, *, ends: bool) -> None:
    """Let replies end at the token that ends a turn, or at none that is ever written."""
    loaded.tokenizer.eos_token = "<|im_end|>" if ends else UNWRITTEN
    loaded.model.generation_config.eos_token_id = loaded.tokenizer.eos_token_id


def prompts_of(case: Case, tokenizer: Any, items: int) -> list[str]:
    """Prompts for address lines that no worked example is taken from."""
    experiment = load_experiment(EXPERIMENT)
    limits = {"train": POOL, "validation": 1, "test": items}
    data = experiment.data.model_copy(
        update={"limits": experiment.data.limits.model_copy(update=limits)}
    )
    splits = prepare(experiment.model_copy(update={"data": data})).splits
    task = experiment.task

    def text(item: Example) -> str:
        return item.inputs["text"]

    selector = ShotSelector(
        splits.train, case.shots, case.selection, text, np.random.default_rng(1)
    )
    renderer = PromptRenderer(tokenizer, task, selector.select)
    return [renderer.prompt(item) for item in splits.test]


def requests_of(room: int, prompts: Sequence[str]) -> list[Instance]:
    """A reply of ``room`` tokens to each prompt."""
    settings = {"until": [UNWRITTEN], "max_gen_toks": room, "do_sample": False}
    return [
        Instance("generate_until", {}, (prompt, dict(settings)), 0, metadata=("bench", i, 1))
        for i, prompt in enumerate(prompts)
    ]


def replies(lm: Any, requests: list[Instance]) -> list[str]:
    """What a model answers; the peer prints how it chose its batch size."""
    with contextlib.redirect_stdout(io.StringIO()):
        answers: list[str] = lm.generate_until(requests, disable_tqdm=True)
    return answers


def packed_replies(lm: CandidateLM, requests: list[Instance], kept: Copies) -> list[str]:
    """What the product's model answers.

    Args:
        kept: packed copies of its weights, which a process makes once for all trials.
    """
    with packed_weights(lm.model, kept=kept):
        return replies(lm, requests)


def replies_by_modules(lm: CandidateLM, requests: list[Instance], kept: Copies) -> list[str]:
    """The same, every pass through the model's own modules."""
    with packed_weights(lm.model, kept=kept):
        packed = packed_model(lm.model)
        if packed is not None:
            packed.decoder = False
        return replies(lm, requests)


@dataclass(frozen=True, slots=True)
class Products:
    """What the linear layers alone take."""

    seconds: float
    """Of all prompts, what they share once, and of their replies."""
    step: float
    """Seconds of a token of each reply."""
    read: int
    """Tokens of prompts."""

    def __str__(self) -> str:
        return f"{self.seconds:.2f} s, {self.step * 1e3:.1f} ms a step, {self.read} tokens read"


def products(
    model: Any, room: int, prompts: Sequence[Sequence[int]], clock: Callable[[], float]
) -> Products:
    """How long all products take that replies of ``room`` tokens to these prompts need."""
    shared = min(common_beginning(prompts[0], prompt) for prompt in prompts)
    tokens = shared + sum(len(prompt) - shared for prompt in prompts)
    width = min(1024, tokens)
    reading = seconds_of_products(model, width, clock, head=False) * tokens / width
    step = seconds_of_products(model, len(prompts), clock, head=True)
    return Products(reading + step * (room - 1), step, tokens)


def seconds_of_products(
    model: Any, tokens: int, clock: Callable[[], float], *, head: bool
) -> float:
    """Seconds of every linear layer on ``tokens`` tokens, one layer after the other; best of 5."""
    output = model.get_output_embeddings()
    layers = [
        layer
        for layer in model.modules()
        if isinstance(layer, torch.nn.Linear) and (head or layer is not output)
    ]
    inputs = {
        layer.in_features: torch.randn(1, tokens, layer.in_features).to(layer.weight.dtype)
        for layer in layers
    }
    best = float("inf")
    with torch.inference_mode():
        for _ in range(5):
            began = clock()
            for layer in layers:
                layer.forward(inputs[layer.in_features])
            best = min(best, clock() - began)
    return best


def compare(peer: Sequence[str], own: Sequence[str], dtype: str) -> str:
    """How many replies are equal; in float32 all must be."""
    same = sum(a == b for a, b in zip(peer, own, strict=True))
    assert dtype != "float32" or same == len(peer), "a reply differs"
    return f"{same} of {len(peer)} replies equal"


def distances(
    exact: LoadedModel, true: Sequence[str], peer: Sequence[str], own: Sequence[str]
) -> str:
    """After how many tokens the replies of each side part from those in float32, on average."""

    def mean(side: Sequence[str]) -> float:
        alike = [
            common_beginning(exact.tokenizer(a)["input_ids"], exact.tokenizer(b)["input_ids"])
            for a, b in zip(true, side, strict=True)
        ]
        return sum(alike) / len(alike)

    theirs, ours = mean(peer), mean(own)
    assert ours >= 2 / 3 * theirs, "less exact than the peer"
    return f"; as in float32 for {theirs:.1f} tokens (peer), {ours:.1f} (harness)"


if __name__ == "__main__":
    main()
