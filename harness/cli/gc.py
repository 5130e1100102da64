"""harness gc"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.options import results_option

if TYPE_CHECKING:
    from harness.store.reuse import UnnamedWeights
    from harness.study.unnamed_checkpoints import UnnamedCheckpoint


@click.command()
@results_option()
@click.option("--yes", is_flag=True, help="Do not ask.")
def command(results: Path, yes: bool) -> None:
    """Free the disk of trained weights and checkpoints that no study names, after a question.

    A study that was removed with `harness rm` leaves its weights behind, since another may name
    them. What was scored of them stays known: only what has not been scored yet would have to
    train them again.

    \b
    Example:
      harness gc
    """
    from harness.cli.terminal import Terminal
    from harness.errors import InputError
    from harness.study.unnamed_checkpoints import free_checkpoints, unnamed_checkpoints
    from harness.study.unnamed_weights import free_weights, freeable
    from harness.wording import file_size, plural

    weights = freeable(results)
    checkpoints = unnamed_checkpoints(results)
    terminal = Terminal()
    if not weights and not checkpoints:
        terminal.print("Nothing to free: every trained model is named by a study.")
        return
    for each in weights:
        size = file_size(each.bytes)
        terminal.print(f"  {each.trial_id[:12]}  {each.kind}  {each.ended_at[:10]}  {size}")
    for half in checkpoints:
        terminal.print(f"  {half.trial_id[:12]}  half-trained  {file_size(half.bytes)}")

    def in_all(whole: Sequence[UnnamedWeights], halves: Sequence[UnnamedCheckpoint]) -> str:
        numbers = {"trained model": len(whole), "half-trained model": len(halves)}
        parts = [plural(number, name) for name, number in numbers.items() if number]
        taken = sum(each.bytes for each in whole) + sum(each.bytes for each in halves)
        size = file_size(taken)
        return f"{' and '.join(parts) or plural(0, 'trained model')}, {size}"

    total = in_all(weights, checkpoints)
    if not yes:
        if not sys.stdin.isatty():
            raise InputError(f"{total} would be removed; say so with --yes, as nobody can be asked")
        click.confirm(f"Remove {total}?", abort=True)
    freed = in_all(free_weights(results, weights), free_checkpoints(results, checkpoints))
    terminal.print(f"Removed {freed}.")
