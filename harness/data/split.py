"""Division into train, validation and test: by group, by hash, the same for any row order.

Examples with the same text are joined into one group first, together with the groups that the
user named, so that neither a customer nor a duplicate stands on both sides.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from harness.answers.characters import folded
from harness.data.normalise import normalised
from harness.errors import DataError
from harness.records import Example, whole_conversations
from harness.wording import listed, per_cent, plural

_WHOLE_NUMBER = re.compile(r"([+-]?\d+)\.0+")


def one_spelling(
    read: Mapping[str, Sequence[Example]],
) -> dict[str, tuple[Example, ...]]:
    """The examples of each file, a group that is written in several ways under one name in all.

    Letters' case and width, white space, and the ``.0`` of a whole number, which a table with a gap
    in the column gives to all of them, tell no two groups apart: one customer too few costs little,
    one on both sides much. The name is the least of its spellings.
    """
    name_of = {name: min(names) for names in _spellings(read.values()) for name in names}
    return {
        file: tuple(_in_group(example, name_of[example.group]) for example in examples)
        for file, examples in read.items()
    }


def _spellings(read: Iterable[Sequence[Example]]) -> list[set[str]]:
    """The names of each group, in the order in which they are met."""
    spellings: defaultdict[str, set[str]] = defaultdict(set)
    for name in dict.fromkeys(example.group for examples in read for example in examples):
        spellings[_spelt_alike(name)].add(name)
    return list(spellings.values())


def _spelt_alike(group: str) -> str:
    """What all spellings of a group's name have in common."""
    same = folded(group)
    whole = _WHOLE_NUMBER.fullmatch(same)
    return whole[1] if whole else same


def joined_spellings(read: Iterable[Sequence[Example]]) -> str:
    """A sentence on groups that :func:`one_spelling` joins; empty where it joins none."""
    several = [sorted(names) for names in _spellings(read) if len(names) > 1]
    if not several:
        return ""
    shown = "; ".join(listed([repr(name) for name in names[:3]]) for names in several[:3])
    number = plural(len(several), "group")
    return f"{number} written in several ways count as one each, such as {shown}"


def merge_duplicates(examples: Sequence[Example]) -> tuple[Example, ...]:
    """The examples in the same order, groups joined wherever they share a text (union-find).

    Of a conversation whose turns are examples the longest counts, which holds all of it: many begin
    with the same few words. A joined group takes the least of its groups' names.
    """
    parent = {example.group: example.group for example in examples}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    group_of_text: dict[str, str] = {}
    for example in whole_conversations(examples):
        known = group_of_text.setdefault(normalised(example), example.group)
        one, other = sorted((root(known), root(example.group)))
        parent[other] = one
    return tuple(_in_group(example, root(example.group)) for example in examples)


def _in_group(example: Example, group: str) -> Example:
    return example if example.group == group else replace(example, group=group)


def shuffled(examples: Iterable[Example], seed: int) -> tuple[Example, ...]:
    """The examples in an order that depends on the seed and their content alone."""
    return tuple(sorted(examples, key=lambda example: (_digest(example, seed), example.id)))


def split_groups(
    examples: Sequence[Example], shares: Mapping[str, float], seed: int
) -> dict[str, tuple[Example, ...]]:
    """Divide examples by whole groups so that each split comes close to its share.

    Groups come in a hashed order and each goes to the split that is relatively emptiest. A group
    above half of the smallest split's share would upset the shares if it came late, so such
    groups are dealt first, to the split with most room.

    Args:
        shares: split -> share of the examples, summing to 1.

    Returns:
        split -> examples, shuffled by the seed; no group stands in two splits.

    Raises:
        DataError: there are fewer groups than splits, so that one would be empty.
    """
    groups = _groups(examples, seed)
    if len(groups) < len(shares):
        raise DataError(_too_few(groups, shares))
    total = len(examples)
    large = max(1, min(shares.values()) * total / 2)
    first = sorted((group for group in groups if len(group) > large), key=len, reverse=True)
    rest = [group for group in groups if len(group) <= large]
    dealt: dict[str, list[Example]] = {name: [] for name in shares}
    for number, group in enumerate((*first, *rest)):
        empty = [name for name in shares if not dealt[name]]
        open_to = empty if len(groups) - number <= len(empty) else list(shares)
        room = {name: shares[name] * total - len(dealt[name]) for name in open_to}
        if number >= len(first):
            room = {name: left / shares[name] for name, left in room.items()}
        dealt[max(room, key=lambda name: room[name])].extend(group)
    return {name: shuffled(chosen, seed) for name, chosen in dealt.items()}


def limited(examples: Sequence[Example], limit: int | None, seed: int) -> tuple[Example, ...]:
    """At most ``limit`` examples, drawn over all groups.

    The groups of a split are already apart from those of the others, so cutting some leaks
    nothing, and a sample spread over many groups says more than one of a few whole groups.
    """
    if limit is None or len(examples) <= limit:
        return tuple(examples)
    return shuffled(examples, seed)[:limit]


def _digest(example: Example, seed: int) -> bytes:
    content = "\x1f".join((str(seed), *example.inputs.values(), example.answer))
    return hashlib.sha256(content.encode()).digest()


def _groups(examples: Sequence[Example], seed: int) -> list[list[Example]]:
    """Groups in hashed order. Named by content, so that line numbers and row order are no matter.

    The least digest of a large group is smaller by chance than that of a small one; hashing it
    once more keeps the order free of size.
    """
    members: defaultdict[str, list[Example]] = defaultdict(list)
    least: dict[str, bytes] = {}
    for example in examples:
        members[example.group].append(example)
    # Many conversations begin alike, so that each counts as a whole.
    for example in whole_conversations(examples):
        digest = _digest(example, seed)
        least[example.group] = min(digest, least.get(example.group, digest))
    order = sorted(members, key=lambda group: (hashlib.sha256(least[group]).digest(), group))
    return [members[group] for group in order]


def _too_few(groups: Sequence[Sequence[Example]], shares: Mapping[str, float]) -> str:
    total = sum(map(len, groups))
    largest = max(groups, key=len, default=[])
    empty = listed(list(shares)[len(groups) :])
    what = f"{empty} would be empty: {total} example(s) fall into {len(groups)} group(s)"
    if largest:
        share = len(largest) / total
        what += f", the largest, {largest[0].group!r}, with {per_cent(share)} of the examples"
    return (
        f"{what}. A group (and any two examples of the same text) is never divided: give more "
        "data, or name a finer column in data.group"
    )
