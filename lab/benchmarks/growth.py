"""How the seconds of replies grow, against lm-eval's HFLM and what the products alone take.

    python -m lab.benchmarks.growth [--picture docs/growth.svg] [--rounds 1] [--only "prompt"]

With the length of replies, the number of them, the length of prompts that share nothing, and the
size of the model, one after the other; of several rounds the least counts. Prints a table and draws
it. Every reply is as long as it may be. Models of other sizes than the packaged one have random
weights; what they write repeats itself, so that none of it is guessed.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from harness.evaluation.local import row_generation
from harness.evaluation.local.candidate_lm import CandidateLM
from harness.models.load import LoadedModel
from harness.models.packed_layer import Copies
from harness.models.packed_weights import packed_weights
from harness.models.runtime import choose_runtime
from harness.report.charts.svg import RC, written
from harness.spec import ModelSpec
from lab.benchmarks.generation import (
    Case,
    let_end,
    packed_replies,
    products,
    prompts_of,
    replies,
    requests_of,
)
from lab.benchmarks.pairs import alternate, machine
from lab.benchmarks.sides import loaded_apart, peer_of
from lab.benchmarks.training_work import find_model

PACKAGED = "smollm2-135m-instruct"
ZERO_SHOT = Case("zero-shot", 0, "fixed", 0)
SIDES = ("HFLM", "harness", "products alone")
UNGUESSED: dict[str, Any] = {"CHEAP": 0, "CHEAP_IN_TILES": 0}
COLOURS = ("#c0392b", "#1f6fb2", "#7f8c8d")


@dataclass(frozen=True, slots=True)
class Point:
    """What is asked of a model at once."""

    growing: str
    """What grows from point to point."""
    size: float
    """How far it has grown."""
    room: int
    """Tokens of each reply."""
    items: int = 32
    """Number of replies."""
    prompt: int | None = None
    """Tokens of each prompt, all its own; None for the zero-shot prompts of address lines."""
    model: str = PACKAGED
    """The model, or one of random weights."""


POINTS = (
    *(Point("tokens of a reply", room, room) for room in (16, 32, 64, 128, 256)),
    *(Point("replies at once", items, 64, items) for items in (1, 4, 16, 32, 64)),
    *(Point("tokens of a prompt", n, 16, 16, prompt=n) for n in (32, 128, 512, 1024)),
    *(
        Point("weights, millions", size, 16, model=model)
        for size, model in ((31, "random-30m"), (135, PACKAGED), (1073, "random-1b"))
    ),
)


def main() -> None:
    """Measure all points, print them and draw them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--picture", type=Path, help="where to draw it, as SVG")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", default="", help="what grows, as far as it begins so")
    options = parser.parse_args()
    asked = [point for point in POINTS if point.growing.startswith(options.only)]
    found: dict[Point, tuple[float, ...]] = {}
    with tempfile.TemporaryDirectory() as cleanup:
        for name in dict.fromkeys(point.model for point in asked):
            of_model = [point for point in asked if point.model == name]
            for point, seconds in measured(name, of_model, options.rounds, Path(cleanup)):
                found[point] = seconds
    print(f"{machine()}\n")
    print(f"| what grows | to | {' | '.join(f'{side}, s' for side in SIDES)} | times as fast |")
    print("| --- | --- | --- | --- | --- | --- |")
    for point in asked:
        peer, own, bound = found[point]
        cells = f"{peer:.2f} | {own:.2f} | {bound:.2f} | {peer / own:.2f}"
        print(f"| {point.growing} | {point.size:g} | {cells} |")
    if options.picture:
        options.picture.write_text(drawn(found), encoding="utf-8")


def measured(
    name: str, points: Sequence[Point], rounds: int, cleanup: Path
) -> Iterator[tuple[Point, tuple[float, ...]]]:
    """Seconds of each side at each point of one model, in the order of :data:`SIDES`."""
    resolved = find_model(name, cleanup)
    runtime = choose_runtime(ModelSpec(reference=PACKAGED), 32)
    torch.set_num_threads(runtime.threads)
    ours, theirs = loaded_apart(resolved, runtime)
    for loaded in (ours, theirs):
        let_end(loaded, ends=False)
    copies: Copies = {}
    for point in points:
        prompts = made_prompts(point, ours)
        requests = requests_of(point.room, prompts)
        mine = CandidateLM(ours.model, ours.tokenizer, point.items)
        peer = peer_of(theirs, point.items)
        with packed_weights(ours.model, kept=copies):
            encoded = [mine.tok_encode(prompt) for prompt in prompts]
            bound = products(ours.model, point.room, encoded, time.perf_counter)
        with nullcontext() if name == PACKAGED else patch.multiple(row_generation, **UNGUESSED):
            pairs = alternate(
                partial(replies, peer, requests),
                partial(packed_replies, mine, requests, copies),
                rounds,
            )
        yield point, (min(pairs.peer_seconds), min(pairs.own_seconds), bound.seconds)


def made_prompts(point: Point, loaded: LoadedModel) -> list[str]:
    """As many prompts as the point asks for."""
    prompts = prompts_of(ZERO_SHOT, loaded.tokenizer, point.items)
    if point.prompt is None:
        return prompts
    lines = loaded.tokenizer(" ".join(prompts), add_special_tokens=False)["input_ids"]
    # Each begins elsewhere, and with the last of them all begin again.
    cuts = [np.resize(np.roll(lines, -97 * n), point.prompt) for n in range(point.items)]
    return [loaded.tokenizer.decode(cut) for cut in cuts]


def drawn(found: Mapping[Point, tuple[float, ...]]) -> str:
    """Seconds over what grows, a panel each, both axes by factors, as SVG."""
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator

    names = list(dict.fromkeys(point.growing for point in found))
    with mpl.rc_context(RC):
        figure = Figure((2.5 * len(names), 2.6), facecolor="white", layout="constrained")
        panels: Any = figure.subplots(1, len(names), squeeze=False)[0]
        for name, panel in zip(names, panels, strict=True):
            points = sorted(
                (point for point in found if point.growing == name), key=lambda point: point.size
            )
            sizes = [point.size for point in points]
            for place, (side, colour) in enumerate(zip(SIDES, COLOURS, strict=True)):
                seconds = [found[point][place] for point in points]
                panel.plot(sizes, seconds, color=colour, marker="o", markersize=3, label=side)
            panel.set_xscale("log", base=2)
            panel.set_yscale("log")
            # Plain numbers: exponents would be mathematics, which is not parsed.
            panel.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            panel.yaxis.set_major_formatter("{x:g}")
            panel.set_xticks(sizes, [f"{size:g}" for size in sizes])
            panel.minorticks_off()
            panel.set_xlabel(name)
            panel.grid(axis="y", linewidth=0.3)
        panels[0].set_ylabel("seconds")
        panels[0].legend(frameon=False, fontsize=8)
        return written(figure)


if __name__ == "__main__":
    main()
