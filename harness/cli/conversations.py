"""What harness check shows of conversations: how many, and one as it is trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from harness.cli.terminal import Terminal
    from harness.data import Prepared
    from harness.records import Example
    from harness.spec import Experiment
    from harness.study.preflight import Preflight

# Around what is learnt; colour alone is lost where output goes to a file.
BEGIN, END = "⟦", "⟧"
# Characters of a text that are shown, at its beginning and at its end.
LONGEST = 300


def print_conversations(
    console: Terminal, spec: Experiment, prepared: Prepared, prompts: Preflight
) -> None:
    """Print what the conversations are like; nothing where items are none."""
    from rich.markup import escape

    if spec.data.conversations is None:
        return
    splits = {
        "train": prepared.splits.train,
        "validation": prepared.splits.validation,
        "test": prepared.splits.test,
        **prepared.splits.out_of_domain,
    }
    console.print(_table(splits))
    shown = prompts.shown(splits)
    if shown is None:
        return
    does = "trains on" if shown.arm in spec.trained_arms() else "is asked"
    console.print(
        f"Conversation {escape(shown.identity)} as {escape(shown.arm)} {does} it; what is learnt, "
        f"or scored, stands in {BEGIN} {END}:"
    )
    if len(shown.sequences) > 1:
        console.print(
            f"(its {shown.answers} answers take {len(shown.sequences)} sequences, since the chat "
            "template writes what was answered before otherwise than an answer that is learnt)"
        )
    for sequence in shown.sequences:
        text = "".join(
            f"[bold green]{BEGIN}{escape(_cut(part))}{END}[/]" if is_learnt else escape(_cut(part))
            for is_learnt, part in sequence
        )
        console.print(text, soft_wrap=True)


def _cut(text: str) -> str:
    return text if len(text) <= 2 * LONGEST else f"{text[:LONGEST]} … {text[-LONGEST:]}"


def _table(splits: Mapping[str, Sequence[Example]]) -> Table:
    from rich.table import Table

    from harness.data.conversation_counts import conversation_counts

    table = Table(
        "split",
        "conversations",
        "answers",
        "messages",
        "longest",
        "system",
        "tools",
        title="Conversations",
        title_justify="left",
    )
    for name, counts in conversation_counts(splits).items():
        row = (
            counts.conversations,
            counts.answers,
            counts.messages,
            counts.longest,
            counts.with_system,
            counts.with_tools,
        )
        table.add_row(name, *map(str, row))
    return table
