"""Training against transformers' ``Trainer`` with peft and TRL's ``SFTTrainer``.

    python -m lab.benchmarks.training_speed [--pairs 5] [--arms full,lora,qlora]
                                           [--data feedback,long,plain] [--examples 48]
    python -m lab.benchmarks.training_speed --device cuda --model random-1b --attention sdpa
                                           [--packing] [--examples 160]

Every side trains the same examples in the same batches and order, with the same AdamW, schedule,
seed and adapters. Only the training steps are timed: loading, tokenising, and building the
trainer come before. Both peers run once, and the faster one is paired with the product.

Asserted: in float32 every step's loss and the held-out loss after training are the peer's within
``STRICT``; in bfloat16 they differ by no more than ``ROUNDING_FACTOR`` times what rounding changes
in the product's own course (bfloat16 against float32), or by bfloat16's own spacing of the loss.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import get_args

import torch

from harness.models.load import quiet_libraries
from harness.models.runtime import choose_runtime
from harness.spec import ModelSpec
from lab.benchmarks.pairs import HEADER, Pairs, alternate, machine, row
from lab.benchmarks.training_peers import Choices, Course, PeerName, train_own, train_peer
from lab.benchmarks.training_products import seconds_of_products
from lab.benchmarks.training_work import RANDOM_MODELS, Data, Work, find_model, make_work

# Sums are taken in another order: after some steps of float32 that is seen in the fourth decimal.
STRICT = 2e-3
# Two roundings of the same size differ by 1.4 times it; the largest of a dozen steps by more.
ROUNDING_FACTOR = 3.0
# Spacing of bfloat16 numbers, relative.
SPACING = 2**-7
PEERS: tuple[PeerName, ...] = get_args(PeerName)


def main() -> None:
    """Run every arm on every kind of data."""
    options = _options()
    quiet_libraries()
    runtime = choose_runtime(
        ModelSpec(reference="smollm2-135m-instruct", device=options.device, dtype=options.dtype), 32
    )
    torch.set_num_threads(max(1, runtime.threads))
    choices = Choices(options.attention, options.packing)
    print(machine())
    print(f"{options.model} on {runtime.device} in {runtime.dtype}, {options.examples} examples")
    lines = [HEADER]
    with tempfile.TemporaryDirectory() as folder:
        model = find_model(options.model, Path(folder))
        for data in options.data.split(","):
            works = make_work(
                options.arms.split(","), model, runtime, data, options.examples, options.held_out
            )
            for work in works:
                lines.append(_compare(data, work, choices, options))
    print("\n" + "\n".join(lines))


def _compare(data: Data, work: Work, choices: Choices, options: argparse.Namespace) -> str:
    name = f"{work.kind}, {data}"
    print(f"\n{name}: {work.steps} steps, {work.tokens} tokens", flush=True)
    peer, choices = _better_peer(work, choices, options.peer)
    found = alternate(partial(train_peer, peer, work, choices), partial(train_own, work),
                      options.pairs)  # fmt: skip
    steps = Pairs(
        [one.seconds for one in found.peer_results],
        [one.seconds for one in found.own_results],
        found.peer_results,
        found.own_results,
    )
    for side, courses in ((peer, steps.peer_results), ("harness", steps.own_results)):
        rate = work.tokens / statistics.median(one.seconds for one in courses)
        peaks = [one.peak_gib for one in courses if one.peak_gib is not None]
        peak = f", peak {max(peaks):.2f} GiB" if peaks else ""
        print(f"  {side}: {rate:.0f} tokens a second{peak}")
    bound = seconds_of_products(work)
    share = bound / statistics.median(steps.own_seconds)
    print(f"  products alone: {bound:.2f} s, {share:.0%} of what the harness takes", flush=True)
    agreement = _agreement(work, peer, choices, steps) if options.check else "not compared"
    print(f"  {agreement}", flush=True)
    return row(f"training, {name}, {peer}", steps, agreement)


def _better_peer(work: Work, choices: Choices, asked: str) -> tuple[PeerName, Choices]:
    """The fastest of the peers' ways, each run once; adapters with and without autocast."""
    names = PEERS if asked == "better" else tuple(name for name in PEERS if name == asked)
    # What a process does once only, such as imports, is on nobody's clock.
    short = replace(work, examples=work.examples[: work.batch_size])
    train_own(short)
    for name in names:
        train_peer(name, short, Choices(choices.attention))
    casts = (False,) if work.kind == "full" or work.runtime.dtype == "float32" else (False, True)
    seconds: dict[tuple[PeerName, Choices], float] = {}
    for name, autocast in product(names, casts):
        way = Choices(choices.attention, choices.packing and name == "trl", autocast)
        seconds[name, way] = train_peer(name, work, way).seconds
        cast = " with autocast" if autocast else ""
        rate = work.tokens / seconds[name, way]
        print(f"  once, {name}{cast}: {seconds[name, way]:.1f} s, {rate:.0f} tokens a second")
    return min(seconds, key=seconds.__getitem__)


def _agreement(work: Work, peer: PeerName, choices: Choices, found: Pairs[Course]) -> str:
    """Assert that both sides learnt the same; says how nearly."""
    own, other = found.own_results[-1], found.peer_results[-1]
    if choices.packing:
        # Packed rows are other batches: only what was learnt in all can be compared.
        return f"held-out loss {own.held_out:.4f} against {other.held_out:.4f} (packed)"
    own_exact, other_exact = own, other
    if work.runtime.dtype != "float32":
        exact = work.computing_in("float32")
        own_exact, other_exact = train_own(exact), train_peer(peer, exact, choices)
    strict = _furthest(own_exact, other_exact)
    assert strict <= STRICT, f"in float32 the losses differ by {strict:.2g}, not within {STRICT}"
    if work.runtime.dtype == "float32":
        return f"losses by step and held-out loss within {strict:.1g} nats (float32)"
    rounding = _furthest(own, own_exact)
    allowed = max(ROUNDING_FACTOR * rounding, SPACING * max(own.losses))
    apart = _furthest(own, other)
    assert apart <= allowed, f"losses differ by {apart:.3f}, rounding explains {allowed:.3f}"
    assert abs(own.held_out - other.held_out) <= allowed
    return (
        f"losses by step within {apart:.3f} nats (rounding explains {allowed:.3f}; in float32 "
        f"within {strict:.1g}), held-out {own.held_out:.3f} and {other.held_out:.3f}"
    )


def _furthest(one: Course, other: Course) -> float:
    """Largest difference between two courses, of any step or of the held-out loss; nats."""
    pairs = zip((*one.losses, one.held_out), (*other.losses, other.held_out), strict=True)
    return max(abs(a - b) for a, b in pairs)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--arms", default="full,lora,qlora")
    parser.add_argument("--data", default="feedback,long,plain", help=", ".join(get_args(Data)))
    parser.add_argument("--examples", type=int, default=48, help="whole batches of 8")
    parser.add_argument("--held-out", type=int, default=24)
    parser.add_argument(
        "--model",
        default="smollm2-135m-instruct",
        help=f"a reference, or drawn at random: {', '.join(RANDOM_MODELS)}",
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="auto", choices=["auto", "bfloat16", "float32"])
    parser.add_argument("--peer", default="better", choices=["better", *PEERS])
    parser.add_argument(
        "--attention", default="sdpa", help="of the peers: sdpa, eager, flash_attention_2"
    )
    parser.add_argument(
        "--packing", action="store_true", help="TRL packs examples into rows of max_length"
    )
    parser.add_argument(
        "--no-check", dest="check", action="store_false", help="time only: compare no losses"
    )
    options = parser.parse_args()
    if options.packing and options.attention != "flash_attention_2":
        sys.exit("--packing: without flash attention the packed examples would see each other")
    return options


if __name__ == "__main__":
    main()
