"""Every test item with every reply, in columns that the page's script searches and sorts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from harness import wording
from harness.findings import Samples
from harness.report.document import Explorer, Run, Side
from harness.report.sections.material import Material

# Each text is cut at the first of these that keeps all of them together within CHARACTERS: a
# page much larger than that opens slowly.
LIMITS = (4_000, 1_000, 250)
CHARACTERS = 48_000_000
DIGITS = 6  # of scores; none is shown with as many

T = TypeVar("T")


def build_explorer(material: Material, samples: Samples, start: tuple[str, str]) -> Explorer:
    """All items with all replies, and in words how many there are, and what is cut or left out.

    Args:
        start: the two arms that are compared at first.
    """
    distinct = set(_texts(samples))
    limit = next((n for n in LIMITS if _size(distinct, n) <= CHARACTERS), LIMITS[-1])
    kept = _kept(samples, CHARACTERS / max(1, _size(distinct, limit)))
    pool = _Pool(limit)
    runs: list[Run] = []
    sides: list[Side] = []
    begins: dict[str, int] = {}
    for arm in sorted(samples.arms, key=lambda arm_samples: _place(material, arm_samples.arm)):
        first = len(runs)
        begins[arm.arm] = len(sides)
        name = wording.cell(arm.arm)
        for run in arm.runs:
            several = f"{name}, seed {run.seed}" if len(arm.runs) > 1 else name
            runs.append(Run(several, tuple(pool.place(run.outputs[at]) for at in kept)))
        places = tuple(range(first, len(runs)))
        if len(places) > 1:
            mean = f"{name}, mean of {len(places)} seeds"
            sides.append(Side(mean, places, _scores(arm.scores, kept), _picked(arm.valid, kept)))
        for place, run in zip(places, arm.runs, strict=True):
            scores, valid = _scores(run.scores, kept), _picked(run.valid, kept)
            sides.append(Side(runs[place].name, (place,), scores, valid))
    return Explorer(
        heading="Every test item",
        ids=tuple(name_of(samples, at) for at in kept),
        inputs=tuple(pool.place(samples.texts[at]) for at in kept),
        targets=tuple(pool.place(samples.targets[at]) for at in kept),
        runs=tuple(runs),
        sides=tuple(sides),
        start=(begins[start[0]], begins[start[1]]),
        full=samples.full,
        higher_is_better=samples.higher_is_better,
        scale=material.scale,
        texts=tuple(pool.texts),
        summary=_summary(samples, len(kept), pool),
    )


def name_of(samples: Samples, at: int) -> str:
    """What an item is called: its id in the data, or its hash where it has none."""
    return wording.cell(samples.item_ids[at] or samples.doc_hashes[at], 80)


@dataclass(slots=True)
class _Pool:
    """Distinct texts, each made safe to look at, in the order in which they were first met."""

    limit: int
    """Characters after which a text is cut."""
    texts: list[str] = field(default_factory=list)
    """The texts, made safe and cut."""
    cut: int = 0
    """Number of texts that were cut."""
    _places: dict[str, int] = field(default_factory=dict)
    """Text as it was -> its place in ``texts``."""

    def place(self, text: str | None) -> int:
        """Where the text stands; -1 for no text."""
        if text is None:
            return -1
        place = self._places.get(text)
        if place is None:
            place = self._places[text] = len(self.texts)
            self.texts.append(wording.clean(text, self.limit))
            self.cut += len(text) > self.limit
        return place


def _texts(samples: Samples) -> Iterator[str]:
    yield from samples.texts
    yield from samples.targets
    for arm in samples.arms:
        for run in arm.runs:
            yield from (text for text in run.outputs if text)


def _size(texts: set[str], limit: int) -> int:
    return sum(min(len(text), limit) for text in texts)


def _kept(samples: Samples, share: float) -> list[int]:
    """Places of the items to show, in their order: all, or as many as fit, drawn by hash."""
    places = range(len(samples.doc_hashes))
    if share >= 1:
        return list(places)
    drawn = sorted(places, key=lambda at: samples.doc_hashes[at])
    return sorted(drawn[: max(1, int(share * len(places)))])


def _scores(scores: Sequence[float | None], kept: list[int]) -> tuple[float | None, ...]:
    picked = _picked(scores, kept)
    return tuple(None if score is None else round(score, DIGITS) for score in picked)


def _picked(values: Sequence[T], kept: list[int]) -> tuple[T, ...]:
    return tuple(values[at] for at in kept)


def _place(material: Material, arm: str) -> int:
    arms = material.arms
    return arms.index(arm) if arm in arms else len(arms)


def _summary(samples: Samples, shown: int, pool: _Pool) -> str:
    total = len(samples.doc_hashes)
    runs = sum(len(arm.runs) for arm in samples.arms)
    arms = wording.plural(len(samples.arms), "arm")
    of = f"the replies of {arms}" + (f" in {runs} runs" if runs > len(samples.arms) else "")
    sentences = [
        f"All {total:,} items of the test set with {of}."
        if shown == total
        else f"{shown:,} of the {total:,} items of the test set, drawn by their hash, with {of}; "
        f"the other {total - shown:,} are left out, because the page would be too large."
    ]
    if pool.cut:
        sentences.append(
            f"{wording.plural(pool.cut, 'text')} longer than {pool.limit:,} characters "
            f"{'is' if pool.cut == 1 else 'are'} cut, with the number of characters cut said."
        )
    return " ".join(sentences)


__all__ = ["build_explorer", "name_of"]
