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
from dataclasses import dataclass, field

from harness.data.normalise import normalised
from harness.data.overlap import KINDS, LeakKind, Overlap, Texts, longest_run, overlaps
from harness.records import Example


@dataclass(frozen=True, slots=True)
class LeakedPair:
    """An example that the study learns from and an example to judge by that share text.

    seen_in: ``train``, or ``validation``, on which settings are selected.
    split: where the other stands: a split, an out-of-domain set or a general task.
    similarity: 1 for exact; Jaccard similarity of 3-shingles for near; for ngram, the share of the
        other example's 8-grams that the seen one holds.
    longest_run: words of the longest run that both hold.
    """

    kind: LeakKind
    seen_in: str
    seen_id: str
    split: str
    other_id: str
    similarity: float
    longest_run: int


@dataclass(frozen=True, slots=True)
class LeakageAudit:
    """What the audit found.

    pairs: with training, for each flagged example, of either side, its strongest pair by split
        and kind; not every pair, whose number may be quadratic.
    flagged: split -> kind -> number of its examples that share text with training, each counted
        under its strongest kind. Every audited split and kind is there, if only with 0.
    selection_pairs, selection_flagged: the same for test (``other_id``) against validation
        (``seen_id``); empty where there is no such comparison.
    dropped: ids of training examples that were removed because of ``pairs``.
    """

    pairs: tuple[LeakedPair, ...]
    flagged: dict[str, dict[str, int]]
    selection_pairs: tuple[LeakedPair, ...] = ()
    selection_flagged: dict[str, int] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()

    def flagged_ids(self, split: str, kinds: Iterable[LeakKind] = KINDS) -> frozenset[str]:
        """Ids of the examples of a split that share text with training, by any of the kinds."""
        wanted = set(kinds)
        return frozenset(
            pair.other_id for pair in self.pairs if pair.split == split and pair.kind in wanted
        )

    def training_ids(self, kinds: Iterable[LeakKind] = ("exact", "near")) -> frozenset[str]:
        """Ids of the training examples in pairs of the kinds."""
        wanted = set(kinds)
        return frozenset(pair.seen_id for pair in self.pairs if pair.kind in wanted)

    def flagged_items(self) -> dict[str, dict[str, list[str]]]:
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
    found = _against("train", train, others, texts)
    selection: tuple[LeakedPair, ...] | None = None
    if "validation" in others and "test" in others:
        shared = overlaps(texts["validation"], texts["test"])
        selection = tuple(
            _strongest("validation", others["validation"], "test", others["test"], shared)
        )
    return LeakageAudit(
        pairs=found,
        flagged={split: _counts(p for p in found if p.split == split) for split in others},
        selection_pairs=selection or (),
        selection_flagged={} if selection is None else _counts(selection),
    )


def audit_general(
    train: Sequence[Example], tasks: Mapping[str, Sequence[tuple[str, str]]]
) -> LeakageAudit:
    """Compare training with the items of a general suite; a task is reported as a split.

    Training's answers are looked at too: a model learns them word for word, unlike its inputs.

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
    found = _against("train", [*train, *answers.values()], items, texts)
    return LeakageAudit(
        pairs=found,
        flagged={task: _counts(p for p in found if p.split == task) for task in items},
    )


def items_by_kind(pairs: Iterable[LeakedPair]) -> dict[str, list[str]]:
    """Kind -> sorted ids of the judged examples of one split, each under its strongest kind."""
    best: dict[str, LeakKind] = {}
    for pair in pairs:
        best[pair.other_id] = min(best.get(pair.other_id, pair.kind), pair.kind, key=KINDS.index)
    return {kind: sorted(i for i, known in best.items() if known == kind) for kind in KINDS}


def strongest_first(pairs: Iterable[LeakedPair]) -> list[LeakedPair]:
    """By kind, then similarity, then longest run; the same for any order given."""
    return sorted(
        pairs,
        key=lambda pair: (
            KINDS.index(pair.kind),
            -pair.similarity,
            -pair.longest_run,
            pair.split,
            pair.other_id,
            pair.seen_id,
        ),
    )


def _counts(pairs: Iterable[LeakedPair]) -> dict[str, int]:
    return {kind: len(ids) for kind, ids in items_by_kind(pairs).items()}


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
    found: Iterable[Overlap],
) -> list[LeakedPair]:
    """The pairs that are the strongest of their seen or of their other example."""
    ranked = sorted(
        found, key=lambda pair: (KINDS.index(pair.kind), -pair.similarity, pair.a, pair.b)
    )
    kept: list[LeakedPair] = []
    known_seen: set[str] = set()
    known_other: set[str] = set()
    for pair in ranked:
        one, other = seen[pair.a], others[pair.b]
        if one.id not in known_seen or other.id not in known_other:
            kept.append(
                LeakedPair(
                    kind=pair.kind,
                    seen_in=seen_in,
                    seen_id=one.id,
                    split=split,
                    other_id=other.id,
                    similarity=round(pair.similarity, 4),
                    longest_run=longest_run(one, other),
                )
            )
        known_seen.add(one.id)
        known_other.add(other.id)
    return kept
