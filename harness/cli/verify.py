"""harness verify"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.options import final_run_options, meant, results_option
from harness.cli.printing import say

if TYPE_CHECKING:
    from harness.deployment.finalist import Progress
    from harness.deployment.forms import Form
    from harness.deployment.verification import Verification
    from harness.export.final_run import FinalRun

SHOWN_DIFFERENCES = 5
FORM_NAMES = ("float32", "bfloat16", "8-bit", "4-bit")


@click.command()
@click.argument("name", metavar="[STUDY]", required=False)
@results_option()
@final_run_options("verify")
@click.option("--endpoint", metavar="URL", help="Base address of a server, such as http://HOST/v1.")
@click.option("--model", metavar="NAME", help="The name under which the server has the model.")
@click.option("--key-variable", metavar="NAME", help="Environment variable with the server's key.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    help="Folder that is shipped (adapter, whole model, GGUF), or a GGUF file.",
)
@click.option(
    "--form",
    "forms",
    multiple=True,
    type=click.Choice([*FORM_NAMES, "all"]),
    help="The winner's own weights in another form; may be given several times.",
)
@click.option(
    "--items", type=click.IntRange(min=2), help="Ask this many test items; all if not given."
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="JSON file to write, with every reply that differs.",
)
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@click.pass_context
def command(
    context: click.Context,
    name: str | None,
    results: Path,
    arm: str | None,
    seed: int | None,
    endpoint: str | None,
    model: str | None,
    key_variable: str | None,
    folder: Path | None,
    forms: tuple[str, ...],
    items: int | None,
    out: Path | None,
    force: bool,
) -> None:
    """Ask what is served or shipped the test items again, and compare reply by reply.

    Ends with 0 where every reply is the scored one, or the metric is not worse by the study's
    margin; else with 1. STUDY: name or start of id; else the newest.

    \b
    Example:
      harness verify support --endpoint http://localhost:8000/v1 --model winner
      harness verify support --folder winner
      harness verify support --form 8-bit --form 4-bit
    """
    from harness.deployment.predictions import check_writable
    from harness.errors import writing
    from harness.export.final_run import find_final_run
    from harness.records import write_whole

    asked = [endpoint is not None, folder is not None, bool(forms)]
    if sum(asked) != 1:
        raise click.UsageError("say what to verify: --endpoint, --folder or --form, one of them")
    if endpoint is not None and model is None:
        raise click.UsageError("--endpoint needs --model, the name that the server knows")
    if out is not None:
        check_writable(out, force=force)
    run = find_final_run(results, meant(results, name), arm, seed)
    say(run.why, err=True)
    found = _verify(run, endpoint, model or "", key_variable, folder, forms, items)
    if out is not None:
        from harness.deployment.verification import as_json

        text = json.dumps([as_json(one) for one in found], indent=2)
        with writing(out, "name another file with --out"):
            write_whole(out, text + "\n")
    for one in found:
        printed(one)
    if len(found) > 1:
        _print_forms(found)
    context.exit(0 if all(one.passed for one in found) else 1)


def _verify(
    run: FinalRun,
    endpoint: str | None,
    model: str,
    key_variable: str | None,
    folder: Path | None,
    forms: Sequence[str],
    items: int | None,
) -> list[Verification]:
    from harness.cli.ask import shown
    from harness.deployment.forms import FORMS
    from harness.deployment.verify_endpoint import verify_endpoint
    from harness.deployment.verify_folder import verify_folder

    with shown(items or 0) as progress:
        if endpoint is not None:
            return [
                verify_endpoint(
                    run,
                    endpoint,
                    model,
                    key_variable=key_variable,
                    limit=items,
                    on_progress=progress,
                )
            ]
        if folder is not None:
            return [verify_folder(run, folder, limit=items, on_progress=progress)]
        chosen = [form for form in FORMS if form in forms or "all" in forms]
        return [_form(run, form, items, progress) for form in chosen]


def _form(run: FinalRun, form: Form, items: int | None, progress: Progress) -> Verification:
    from harness.deployment.verify_folder import verify_form

    return verify_form(run, form, limit=items, on_progress=progress)


def printed(found: Verification) -> None:
    """Print what a verification found."""
    from rich.table import Table
    from rich.text import Text

    from harness.cli.terminal import Terminal
    from harness.wording import cell

    console = Terminal()
    agreement, contrast = found.agreement, found.agreement.contrast
    items = len(agreement.pairs)
    table = Table(title=Text(f"{found.what} against {found.run.title}"), title_justify="left")
    table.add_column("Deployed against scored")
    table.add_column("Found", justify="right")
    table.add_row("Test items asked", f"{items:,}")
    table.add_row("Equal replies", f"{agreement.equal:,} ({agreement.equal / items:.1%})")
    if contrast is not None:
        low, high = contrast.interval.low, contrast.interval.high
        table.add_row(Text(f"Mean {contrast.metric}, scored"), f"{contrast.mean_b:.4f}")
        table.add_row(Text(f"Mean {contrast.metric}, deployed"), f"{contrast.mean_a:.4f}")
        level = f"{contrast.interval.level:.0%}"
        table.add_row("Difference", f"{contrast.difference:+.4f}")
        table.add_row(f"Interval at {level}", f"{low:+.4f} to {high:+.4f}")
        table.add_row("Margin of the study", f"{contrast.margin:g}")
    for load in found.loads:
        table.add_row(
            f"{load.at_once} at once: median, 95th percentile",
            f"{1000 * load.median:,.0f} ms, {1000 * load.p95:,.0f} ms",
        )
        table.add_row(f"{load.at_once} at once: requests a second", f"{load.per_second:,.2f}")
    if found.megabytes is not None:
        table.add_row("Weights", f"{found.megabytes:,.1f} MB")
    console.print(table)
    for culprit in found.culprits:
        why = "" if culprit.explains or not agreement.apart else " (not shown to make these differ)"
        console.print(f"{culprit.name}{why}: {culprit.found}.", markup=False, highlight=False)
    for pair in agreement.apart[:SHOWN_DIFFERENCES]:
        console.print(
            f"item {cell(pair.item.id, 60)}: {cell(pair.scored, 80)!r} scored, "
            f"{cell(pair.deployed, 80)!r} deployed",
            markup=False,
            highlight=False,
        )
    console.print(found.sentence, markup=False, highlight=False)


def _print_forms(found: Sequence[Verification]) -> None:
    from rich.table import Table

    from harness.cli.terminal import Terminal

    table = Table(title="Forms of the same weights", title_justify="left")
    for heading in ("Form", "MB", "Equal replies", "Difference", "Interval", "Not worse"):
        table.add_column(heading, justify="left" if heading == "Form" else "right")
    for one in found:
        contrast = one.agreement.contrast
        table.add_row(
            one.what,
            f"{one.megabytes or 0:,.1f}",
            f"{one.agreement.equal / len(one.agreement.pairs):.1%}",
            f"{contrast.difference:+.3f}" if contrast else "-",
            f"{contrast.interval.low:+.3f} to {contrast.interval.high:+.3f}" if contrast else "-",
            "yes" if one.passed else "not shown",
        )
    Terminal().print(table)
