"""Text that training shares with the data meant for judging."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness import wording
from harness.records import LEAK_KINDS, AuditRecord, ItemsByKind, LeakedPair
from harness.report.document import Block, Column, Prose, Section, Table, Unmeasured
from harness.report.sections.material import Material


def leakage_section(material: Material) -> Section:
    """Counts by split and kind, general tasks, and the pairs to look at."""
    return Section("leakage", "Text shared with training", tuple(_blocks(material)))


def _blocks(material: Material) -> list[Block]:
    audit = material.audit
    shared = {f"{name}, with training": kinds for name, kinds in audit.flagged.items()}
    shared["test, with validation"] = audit.selection
    found = {name: kinds for name, kinds in shared.items() if any(kinds[k] for k in LEAK_KINDS)}
    none = [wording.cell(name, 60) for name in shared if name not in found]
    note = f"None: {'; '.join(none)}."
    counts: Block = _counts("Items that share text", "Data", found, (note,) if none else ())
    if not found:
        counts = Prose(
            f"No {wording.listed([wording.cell(name, 60) for name in audit.flagged], 'or')} item "
            "shares text with training, and no test item with validation, which chose the settings."
        )
    return [counts, *_general(audit), *([_pairs(audit.strongest)] if audit.strongest else [])]


def _general(audit: AuditRecord) -> list[Block]:
    if not audit.general and not audit.general_not_audited:
        return [
            Unmeasured(
                "Text shared between training and the general suite",
                "A suite whose items are at hand is audited.",
            )
        ]
    flagged = {task: kinds for task, kinds in audit.general.items() if any(kinds.values())}
    blocks: list[Block] = []
    if flagged:
        blocks.append(_counts("General items that share text with training", "Task", flagged))
    elif audit.general:
        blocks.append(Prose("No general item that was compared shares text with training."))
    if audit.general_not_audited:
        names = wording.listed([wording.cell(name, 60) for name in audit.general_not_audited])
        blocks.append(
            Prose(f"Not compared with training, as their items are not at hand: {names}.")
        )
    return blocks


def _counts(
    caption: str, first: str, flagged: Mapping[str, ItemsByKind], notes: tuple[str, ...] = ()
) -> Table:
    return Table(
        caption,
        (Column(first), *(Column(wording.LEAKS[kind], numeric=True) for kind in LEAK_KINDS)),
        tuple(
            (wording.cell(name, 60), *(wording.count(len(kinds[kind])) for kind in LEAK_KINDS))
            for name, kinds in flagged.items()
        ),
        notes,
    )


def _pairs(pairs: Sequence[LeakedPair]) -> Table:
    return Table(
        "Pairs that share most text",
        (
            Column("Example"),
            Column("of"),
            Column("Judged item"),
            Column("of"),
            Column("Kind"),
            Column("Similarity", numeric=True),
            Column("Longest passage (words)", numeric=True),
        ),
        tuple(
            (
                wording.cell(pair.seen_id, 80),
                wording.cell(pair.seen_in, 80),
                wording.cell(pair.other_id, 80),
                wording.cell(pair.split, 80),
                wording.LEAKS[pair.kind],
                wording.number(pair.similarity),
                wording.number(pair.longest_run),
            )
            for pair in pairs
        ),
        folded=True,
    )
