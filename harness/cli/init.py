"""harness init"""

from __future__ import annotations

import os
import re
from pathlib import Path

import click

from harness.cli.printing import in_one_line, say, yaml_text


@click.command()
@click.argument("data", metavar="DATA")
@click.option("--text", help="Column that holds the item's text; guessed if not given.")
@click.option("--answer", help="Column that holds the right answer; guessed if not given.")
@click.option("--group", help="Column whose equal values must stay in one split.")
@click.option("--instruction", help="What the model is asked to do; a draft if not given.")
@click.option("--model", default="smollm2-135m-instruct", show_default=True, help="Base model.")
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
    text: str | None,
    answer: str | None,
    group: str | None,
    instruction: str | None,
    model: str,
    output: Path,
    force: bool,
) -> None:
    """Write a commented experiment for DATA: a .jsonl, .csv or .parquet file.

    What the file is for is guessed from its columns and said in the experiment's header.

    \b
    Example:
      harness init tickets.csv --text message --answer category
    """
    from jinja2 import Environment, PackageLoader

    from harness.data.infer import propose
    from harness.errors import InputError, Problem
    from harness.spec import load_experiment
    from harness.spec.task import template_fields

    if output.exists() and not force:
        raise InputError(
            Problem(str(output), "exists already; --force writes over it, --output elsewhere")
        )
    found = propose(data, text, answer, group)
    try:
        nameable = template_fields(f"{{{found.text}}}") == (found.text,)
    except ValueError:
        nameable = False
    if not nameable:
        raise InputError(
            Problem(
                data,
                f"the column {found.text!r} cannot stand in a template, where braces, brackets, "
                "dots, colons and exclamation marks mean something else; rename it, or name "
                "another with --text",
            )
        )
    local = not data.startswith(("packaged:", "hub:"))
    source = os.path.relpath(data, output.resolve().parent) if local else data
    name = (
        re.sub(r"[^A-Za-z0-9._-]+", "-", Path(data.rpartition(":")[2]).stem).strip("-._") or "study"
    )
    # The output is YAML, not HTML: every value goes through a filter of ours.
    templates = Environment(  # noqa: S701
        loader=PackageLoader("harness.cli", ""), keep_trailing_newline=True, trim_blocks=True
    )
    templates.filters |= {"quoted": yaml_text, "comment": in_one_line}
    rendered = templates.get_template("experiment.yaml.j2").render(
        question=f"Should we fine-tune a model to fill `{found.answer}` of {Path(source).name}?",
        file=output.name,
        reasons=found.reasons,
        name=name[:64],
        model=model,
        source=source,
        group=found.group,
        instruction=instruction or _draft(found.answer_kind, found.answer, found.labels),
        text=found.text,
        kind=found.answer_kind,
        answer=found.answer,
        labels=list(found.labels),
        schema=found.schema,
        choice=found.answer_kind == "label" and len(found.labels) <= 50,
    )
    output.write_text(rendered, encoding="utf-8")
    load_experiment(output)
    say(f"{output}: {found.rows} rows of {data}")
    for reason in found.reasons:
        say(f"  {in_one_line(reason)}")
    say("Read the instruction and the arms in it, then: harness check " + str(output))


def _draft(kind: str, answer: str, labels: tuple[str, ...]) -> str:
    if kind == "label":
        return f"Classify the text. Reply with exactly one of these labels: {', '.join(labels)}"
    if kind == "json":
        return "Extract the information from the text. Reply with JSON only."
    return f"Write the {answer} for the text."
