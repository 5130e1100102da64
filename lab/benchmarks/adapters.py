"""Several adapters of one base, scored one after the other: harness against lm-eval's HFLM.

    python -m lab.benchmarks.adapters [--pairs 5] [--adapters 4] [--items 16]

The peer is what lm-eval does for each adapter: a model of its own, base and adapter loaded from
their folders. On both clocks: all loading, then for each adapter a generated reply to every item
and the likelihood of each valid answer to a quarter of them. Adapters are of rank 16 on all layers,
their weights drawn at random. In float32 every decision must be the same.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lm_eval.models.huggingface import HFLM

from harness.evaluation.local.candidate_lm import CandidateLM
from harness.models.adapters import each_adapter, make_trainable, save_trained
from harness.models.load import load_base
from harness.models.packed_weights import packed_weights
from harness.models.resolve import resolve_model
from harness.models.runtime import choose_runtime
from harness.prompting import PromptRenderer
from harness.records import ResolvedModel, Runtime
from harness.spec import LoraArm, ModelSpec
from lab.benchmarks.pairs import HEADER, alternate, machine, row
from lab.benchmarks.scoring import TASK, answers_of, compare, constant, example

ARM = LoraArm(kind="lora", rank=16)
# Small enough that replies stay text, large enough that adapters answer differently.
SPREAD = 0.003


def main() -> None:
    """Write the adapters, time both sides."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--adapters", type=int, default=4)
    parser.add_argument("--items", type=int, default=16)
    options = parser.parse_args()
    spec = ModelSpec(reference="smollm2-135m-instruct", dtype="float32")
    runtime, resolved = choose_runtime(spec, 32), resolve_model(spec)
    with tempfile.TemporaryDirectory() as name:
        folders = [Path(name) / str(number) for number in range(options.adapters)]
        for number, folder in enumerate(folders):
            write_adapter(resolved, runtime, number, folder)
        renderer = PromptRenderer(
            load_base(resolved, runtime).tokenizer,
            TASK,
            partial(constant, ()),
            TASK.instruction,
        )
        prompts = [renderer.prompt(example(100 + index)) for index in range(options.items)]
        found = alternate(
            partial(loading_each, resolved, runtime, folders, prompts),
            partial(loading_once, resolved, runtime, folders, prompts),
            options.pairs,
        )
    agreements = [
        f"{compare('generate', theirs[0], ours[0], 'float32')}, "
        f"{compare('choice', theirs[1], ours[1], 'float32')}"
        for theirs, ours in zip(found.peer_results[-1], found.own_results[-1], strict=True)
    ]
    print(f"{machine()}; float32, {options.items} items; peer: HFLM for each adapter\n")
    print(HEADER)
    print(row(f"{options.adapters} adapters", found, "; ".join(dict.fromkeys(agreements))))


def write_adapter(resolved: ResolvedModel, runtime: Runtime, seed: int, folder: Path) -> None:
    """An adapter as training would leave it, its weights drawn at random."""
    made = make_trainable(load_base(resolved, runtime), ARM.resolve(ARM.defaults()), seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in made.model.named_parameters():
            if "lora_B" in name:
                weight.normal_(0.0, SPREAD, generator=generator)
    save_trained(made, folder)


def loading_each(
    resolved: ResolvedModel, runtime: Runtime, folders: list[Path], prompts: list[str]
) -> list[tuple[list[Any], list[Any]]]:
    """As lm-eval does it."""
    found = []
    for folder in folders:
        with contextlib.redirect_stdout(io.StringIO()):
            lm = HFLM(
                pretrained=resolved.path,
                peft=str(folder),
                dtype=runtime.dtype,
                device=runtime.device,
                batch_size=runtime.score_batch_size,
            )
        found.append(both(lm, prompts))
    return found


def loading_once(
    resolved: ResolvedModel, runtime: Runtime, folders: list[Path], prompts: list[str]
) -> list[tuple[list[Any], list[Any]]]:
    """As the product does it."""
    found = []
    for one in each_adapter(load_base(resolved, runtime), folders):
        with packed_weights(one.model):
            lm = CandidateLM(one.model, one.tokenizer, runtime.score_batch_size)
            found.append(both(lm, prompts))
    return found


def both(lm: Any, prompts: list[str]) -> tuple[list[Any], list[Any]]:
    """Replies to all items, likelihoods for a quarter of them."""
    return (
        answers_of(lm, "generate_until", prompts, "generate"),
        answers_of(lm, "loglikelihood", prompts[: len(prompts) // 4], "choice"),
    )


if __name__ == "__main__":
    main()
