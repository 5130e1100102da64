"""harness init"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.options import near
from harness.cli.printing import fitted, in_one_line, say, tell
from harness.cli.problems import problem_lines

if TYPE_CHECKING:
    from harness.drafting.draft import Draft


@click.command()
@click.argument("data", metavar="DATA")
@click.option("--test", metavar="FILE", help="Test rows, where they are a file of their own.")
@click.option("--validation", metavar="FILE", help="Validation rows, likewise; needs --test.")
@click.option("--text", "texts", multiple=True, help="Column that the model sees; may be repeated.")
@click.option(
    "--answer",
    "answers",
    multiple=True,
    help="Column that holds the right answer; repeated, each is a field of a JSON object.",
)
@click.option(
    "--kind",
    type=click.Choice(["labels", "label", "number", "calls", "json", "text"]),
    help="What kind of answer it is.",
)
@click.option("--group", help="Column whose equal values must stay in one split, or none.")
@click.option("--id", "identity", help="Column that names each row, or none.")
@click.option("--instruction", help="What the model is asked to do.")
@click.option("--model", help="Base model.  [default: smollm2-135m-instruct]")
@click.option("--minutes", type=float, help="How long the first run may take.  [default: 60]")
@click.option(
    "--margin", type=float, help="Percentage points below which nothing differs.  [default: 2]"
)
@click.option(
    "--bad-rows",
    type=click.Choice(["drop", "stop"]),
    help="Leave unusable rows out, or write nothing while there are any.",
)
@click.option("--encoding", help="Encoding of text files, such as windows-1252.")
@click.option(
    "--measure/--no-measure",
    default=True,
    help="Measure for up to a minute how fast this machine is, or give a rough time.",
    show_default=True,
)
@click.option("-y", "--yes", is_flag=True, help="Ask nothing; take what is guessed.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("experiment.yaml"),
    show_default=True,
    help="Experiment file to write.",
)
@click.option("--force", is_flag=True, help="Write over an existing file.")
def command(
    data: str,
    texts: tuple[str, ...],
    answers: tuple[str, ...],
    identity: str | None,
    output: Path,
    measure: bool,
    yes: bool,
    force: bool,
    **options: Any,
) -> None:
    """Write a commented experiment for DATA, a file of texts and right answers.

    On a terminal it asks what the file is for, with a guess to accept by Enter; elsewhere, and
    with --yes, it takes the guesses. Every guess is said with its reason, and written into the
    file. An option answers its question beforehand. Exit code 2 when `harness check` refuses
    what was written.

    \b
    Example:
      harness init tickets.csv --text message --answer category
    """
    from harness.errors import InputError, Problem, writing

    if output.exists() and not force:
        raise InputError(
            Problem(str(output), "exists already; --force writes over it, --output elsewhere")
        )
    if not output.resolve().parent.is_dir():
        raise InputError(Problem(str(output), "its folder does not exist; make it first"))
    say(f"Reading {near(data)} ...", err=True)
    # What it takes is loaded once it is said what is done.
    from harness.cli.check import refusal_of
    from harness.drafting.answers import Answers, take_default
    from harness.drafting.draft import draft_experiment
    from harness.drafting.machine import look_at_machine

    asking = not yes and is_terminal()
    if asking:
        say("Enter accepts what stands in brackets.")
    preset = Answers(texts=texts, answers=answers, id=identity, **options)
    draft = draft_experiment(
        data,
        preset,
        asked if asking else take_default,
        look_at_machine,
        output,
        Path.cwd(),
        measured_seconds if measure else None,
        refusal_of,
    )
    with writing(output, "name another file with --output"):
        # Not by way of another file: a link, or a device, is written through.
        output.write_text(draft.text, encoding="utf-8")
    _show(draft, data, output)
    if draft.refusal is not None:
        said = "is written, but harness check refuses it as it is; change it, or draft it anew"
        raise InputError([Problem(str(output), said), *draft.refusal.problems])


def measured_seconds(experiment: Path) -> float | None:
    """Seconds that a run of the file takes here, by the small trials of `harness plan`.

    None where the model would have to be fetched first, or could not be measured; says why.
    """
    import tempfile

    from harness.engine import open_engine, start_server
    from harness.errors import HarnessError
    from harness.forecast.study import forecast_study
    from harness.models.resolve import model_here
    from harness.spec import ExecutionSpec, load_experiment
    from harness.study.executing import executing
    from harness.study.rehearsal import rehearse
    from harness.study.run import plan_study

    spec = load_experiment(experiment)
    if model_here(spec.model) is None:
        say("The model is not on this machine yet, so that the time is a rough sum.", err=True)
        return None
    say("Measuring how fast this machine is: a minute or so ...", err=True)
    start_server()
    try:
        with tempfile.TemporaryDirectory(prefix="harness-init-") as name:
            folder = Path(name)
            plan = plan_study(spec, folder)
            forecast = forecast_study(
                folder,
                rehearse(plan, folder, folder),
                # One trial at a time, so that each is measured alone.
                lambda: open_engine("child", executing(), ExecutionSpec()),
            )
    except HarnessError as error:
        say(near(f"Nothing could be measured, so that the time is a rough sum: {error}"), err=True)
        return None
    for warning in forecast.warnings:
        say(f"warning: {near(warning)}", err=True)
    unknown = next((arm for arm in forecast.arms if arm.seconds is None), None)
    if unknown is not None:
        say(f"The time is a rough sum, as {unknown.arm} {unknown.unknown}.", err=True)
        return None
    return forecast.seconds.expected


def is_terminal() -> bool:
    """Whether somebody at a terminal can answer."""
    return sys.stdin.isatty()


def asked(question: str, default: str, why: str, check: Callable[[str], Any]) -> str:
    """Ask until the answer can be used."""
    from harness.errors import InputError

    def checked(typed: str) -> str:
        try:
            if typed.strip() != default:
                check(typed.strip())
        except InputError as error:
            raise click.BadParameter(str(error)) from error
        return typed.strip()

    click.secho(fitted(f"\n{near(why)}", sys.stdout), dim=True)
    # Column names are the file's, so click must not show the default as it is.
    shown = fitted(f"{question} [{default}]", sys.stdout)
    answer: str = click.prompt(shown, default=default, show_default=False, value_proc=checked)
    return answer


def _show(draft: Draft, data: str, output: Path) -> None:
    from harness.wording import plural, rough_duration

    request, sizing, reasons = draft.request, draft.sizing, draft.request.reasons
    tell(f"{output}: {draft.rows} rows of {data}")
    lines = [
        ("text", ", ".join(request.texts), reasons["texts"]),
        ("answer", ", ".join(request.answers), reasons["answer"]),
        ("kind", request.form.kind, reasons["kind"]),
        ("group", request.group or "none", reasons["group"]),
        ("id", request.id or "none", reasons["id"]),
        ("model", request.model.reference, reasons["model"]),
    ]
    if request.test:
        lines.insert(0, ("test rows", near(request.test), reasons["files"]))
    if request.validation:
        lines.insert(1, ("validation", near(request.validation), reasons["validation"]))
    if request.encoding != "utf-8":
        lines.append(("encoding", request.encoding, reasons["encoding"]))
    counts = ", ".join(
        f"{getattr(sizing.size, name):,} of {draft.prepared.counts[name]:,} {name}"
        for name in ("train", "validation", "test")
    )
    lines.append(("rows used", counts, reasons["splits"] if sizing.shares else ""))
    if request.unused:
        without = "neither shown nor asked for: --text and --answer name columns"
        lines.insert(-1, ("not used", ", ".join(request.unused), without))
    names = ", ".join(arm.name for arm in sizing.arms.arms)
    lines.append(("arms", names, "what this model and machine allow"))
    lines += [("", f"without {name}", why) for name, why in sizing.arms.left_out.items()]
    budget = f"{plural(sizing.size.trials, 'trial')} per arm, {plural(sizing.size.seeds, 'seed')}"
    lines.append(("budget", budget, reasons["budget"]))
    how = "measured here" if sizing.measured else "a rough sum; harness plan measures it"
    lines.append(("time", f"about {rough_duration(sizing.seconds)}", how))
    for name, value, why in lines:
        # Names of columns are the file's, and may hold line ends.
        tell(in_one_line(f"  {name:<10} {value}" + (f": {why}" if why else "")))
    for line in problem_lines(draft.problems, "left out"):
        tell(line)
    if draft.problems:
        tell(reasons["bad_rows"])
    for caution in draft.cautions:
        tell(in_one_line(f"caution: {caution}"))
    if draft.refusal is not None:
        return
    tell(f"\nRead the instruction and the arms in {output}, then:")
    tell(f"  harness check {output}    # free: validates, audits the data")
    tell(f"  harness plan {output}     # measures what it will take")
    tell(f"  harness run {output}")
