"""harness rm"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.options import near, results_option
from harness.cli.printing import say, tell

if TYPE_CHECKING:
    from harness.study.removal import Removal


@click.command()
@click.argument("names", nargs=-1, required=True)
@results_option()
@click.option("--yes", is_flag=True, help="Remove without asking.")
def command(names: tuple[str, ...], results: Path, yes: bool) -> None:
    """Remove studies (NAMES, or starts of ids) from the store, with their folders.

    What goes is shown first, and asked about. A name that several studies have removes none of
    them: give ids. Accesses to test sets stay on record, since what was read stays read, and so
    do scores that other studies use.

    \b
    Example:
      harness rm 3f2a91bc
    """
    from harness.errors import InputError
    from harness.study.removal import carry_out, plan_removal

    removals = {
        found.study.experiment.experiment_id: found
        for found in (plan_removal(results, name) for name in names)
    }
    for removal in removals.values():
        for line in _lines(removal):
            tell(near(line))
    if not yes:
        if not asked_at_a_terminal():
            raise InputError(
                "there is no terminal to ask at, and nothing was removed; say so with --yes"
            )
        number = "this study" if len(removals) == 1 else f"these {len(removals)} studies"
        if not click.confirm(f"Remove {number} for good?"):
            say("Nothing was removed.")
            return
    for removal in removals.values():
        carry_out(results, removal)
        say(f"Removed {removal.study.experiment.name} ({removal.study.short_id}).")


def asked_at_a_terminal() -> bool:
    """Whether somebody is there to answer."""
    return sys.stdin.isatty()


def _lines(removal: Removal) -> list[str]:
    from harness.wording import file_size, plural

    study = removal.study
    trials = plural(study.ended, "trial")
    place = (
        f"{file_size(removal.size)} in {removal.folder}"
        if removal.folder.exists()
        else f"no folder {removal.folder}"
    )
    return [
        f"{study.experiment.name} ({study.short_id}): {trials}, {place}",
        *(
            f"  {plural(one.trials, 'trial')} in common with {one.name} "
            f"({one.experiment_id[: len(study.short_id)]}), which keeps what it needs"
            for one in removal.shared
        ),
    ]
