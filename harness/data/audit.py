"""Leakage audit: text that a study learns from and that also stands in data meant for judging.

Three kinds, from certain to suggestive, each pair reported under the first that applies:

- ``exact``: the same words, without case and punctuation;
- ``near``: Jaccard similarity of word 3-shingles of at least 0.8. MinHash proposes the pairs, the
  true similarity decides;
- ``ngram``: 8 words in a row in common. Texts below 8 words cannot match so.

Three comparisons: training against every other split; validation against test, since a setting
selected on an item is flattered where that item is tested; and training against the items of the
general suite. Few-shot examples are drawn from the training split, so the first covers them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness.data.normalise import normalised
from harness.data.overlap import Overlap, Texts, longest_run, overlaps
from harness.records import (
    LEAK_KINDS,
    Example,
    ItemsByKind,
    LeakedPair,
    LeakKind,
    count_by_kind,
)


@dataclass(frozen=True, slots=True)
class LeakageAudit:
    """What the audit found."""

    pairs: tuple[LeakedPair, ...]
    """Pairs with training: for each flagged example, of either side, its strongest pair by split
    and kind; not every pair, whose number may be quadratic."""
    flagged: dict[str, dict[LeakKind, int]]
    """Split -> kind -> number of its examples that share text with training, each counted under its
    strongest kind. Every audited split and kind is there, if only with 0."""
    selection_pairs: tuple[LeakedPair, ...] = ()
    """The same pairs of test (``other_id``) against validation (``seen_id``); empty where there is
    no such comparison."""
    selection_flagged: dict[LeakKind, int] = field(default_factory=dict)
    """Kind -> number of test examples that share text with validation; empty where there is no such
    comparison."""
    dropped: tuple[str, ...] = ()
    """Ids of training examples that were removed because of ``pairs``."""

    def flagged_ids(self, split: str, kinds: Iterable[LeakKind] = LEAK_KINDS) -> frozenset[str]:
        """Ids of the examples of a split that share text with training, by any of the kinds."""
        counted = set(kinds)
        return frozenset(
            pair.other_id for pair in self.pairs if pair.split == split and pair.kind in counted
        )

    def training_ids(self, kinds: Iterable[LeakKind] = ("exact", "near")) -> frozenset[str]:
        """Ids of the training examples in pairs of the kinds."""
        counted = set(kinds)
        return frozenset(pair.seen_id for pair in self.pairs if pair.kind in counted)

    def flagged_items(self) -> dict[str, ItemsByKind]:
        """Split -> kind -> sorted ids of what ``flagged`` counts."""
        return {
            split: items_by_kind(pair for pair in self.pairs if pair.split == split)
            for split in self.flagged
        }


def audit_leakage(
    train: Sequence[Example], others: Mapping[str, Sequence[Example]]
) -> LeakageAudit:
    """Compare the inputs of training with those of every other split, and validation with test.

    Answers are not looked at.

    Args:
        others: split name, or name of an out-of-domain set -> examples.
    """
    texts = {split: Texts(examples) for split, examples in others.items()}
    pairs = _against("train", train, others, texts)
    selection: tuple[LeakedPair, ...] | None = None
    if "validation" in others and "test" in others:
        shared = overlaps(texts["validation"], texts["test"])
        selection = tuple(
            _strongest("validation", others["validation"], "test", others["test"], shared)
        )
    return LeakageAudit(
        pairs=pairs,
        flagged={split: _counts(p for p in pairs if p.split == split) for split in others},
        selection_pairs=selection or (),
        selection_flagged={} if selection is None else _counts(selection),
    )


def audit_general(
    train: Sequence[Example], tasks: Mapping[str, Sequence[tuple[str, str]]]
) -> LeakageAudit:
    """Compare training with the items of a general suite; a task is reported as a split.

    Training's answers are looked at too: a model learns them word for word, unlike its inputs. The
    system messages of conversations, and tools, are not: a suite's items have none.

    Args:
        tasks: task -> (item id, text). An item may have several texts, each compared whole.
    """
    answers: dict[str, Example] = {}
    for example in train:
        answer = Example(example.id, {"answer": example.answer}, "", example.group)
        answers.setdefault(normalised(answer), answer)
    items = {
        task: [Example(identity, {"text": text}, "", identity) for identity, text in texts]
        for task, texts in tasks.items()
    }
    texts = {task: Texts(examples) for task, examples in items.items()}
    seen = [_without_setting(example) for example in train]
    pairs = _against("train", [*seen, *answers.values()], items, texts)
    return LeakageAudit(
        pairs=pairs,
        flagged={task: _counts(p for p in pairs if p.split == task) for task in items},
    )


def _without_setting(example: Example) -> Example:
    """The example as the items of a suite are: without a system message or tools of its own."""
    inputs = {name: text for name, text in example.inputs.items() if text != example.tools}
    return replace(example, messages=(), tools="", inputs=inputs)


def items_by_kind(pairs: Iterable[LeakedPair]) -> ItemsByKind:
    """Kind -> sorted ids of the judged examples of one split, each under its strongest kind."""
    best: dict[str, LeakKind] = {}
    for pair in pairs:
        best[pair.other_id] = min(
            best.get(pair.other_id, pair.kind), pair.kind, key=LEAK_KINDS.index
        )
    return {
        kind: tuple(sorted(i for i, known in best.items() if known == kind)) for kind in LEAK_KINDS
    }


def strongest_first(pairs: Iterable[LeakedPair]) -> list[LeakedPair]:
    """The pairs by kind, then similarity, then longest run; the same for any order given."""
    return sorted(
        pairs,
        key=lambda pair: (
            LEAK_KINDS.index(pair.kind),
            -pair.similarity,
            -pair.longest_run,
            pair.split,
            pair.other_id,
            pair.seen_id,
        ),
    )


def _counts(pairs: Iterable[LeakedPair]) -> dict[LeakKind, int]:
    return count_by_kind(items_by_kind(pairs))


def _against(
    seen_in: str,
    seen: Sequence[Example],
    others: Mapping[str, Sequence[Example]],
    texts: Mapping[str, Texts],
) -> tuple[LeakedPair, ...]:
    mine = Texts(seen)
    return tuple(
        pair
        for split, examples in others.items()
        for pair in _strongest(seen_in, seen, split, examples, overlaps(mine, texts[split]))
    )


def _strongest(
    seen_in: str,
    seen: Sequence[Example],
    split: str,
    others: Sequence[Example],
    shared: Iterable[Overlap],
) -> list[LeakedPair]:
    """The pairs that are the strongest of their seen or of their other example."""
    ranked = sorted(
        shared, key=lambda pair: (LEAK_KINDS.index(pair.kind), -pair.similarity, pair.a, pair.b)
    )
    kept: list[LeakedPair] = []
    known_seen: set[str] = set()
    known_other: set[str] = set()
    for pair in ranked:
        seen_example, other_example = seen[pair.a], others[pair.b]
        if seen_example.id not in known_seen or other_example.id not in known_other:
            kept.append(
                LeakedPair(
                    kind=pair.kind,
                    seen_in=seen_in,
                    seen_id=seen_example.id,
                    split=split,
                    other_id=other_example.id,
                    similarity=round(pair.similarity, 4),
                    longest_run=longest_run(seen_example, other_example),
                )
            )
        known_seen.add(seen_example.id)
        known_other.add(other_example.id)
    return kept
