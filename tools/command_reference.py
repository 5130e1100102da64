"""The reference of the commands as Markdown, made from the commands themselves."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from harness.cli import COMMANDS, group


def command_reference() -> str:
    """Every command and subcommand: what it does, an example, its arguments and options."""
    context = click.Context(group, info_name="harness")
    sections: list[str] = []
    for name in COMMANDS:
        if command := group.get_command(context, name):
            sections.extend(_sections(command, click.Context(command, context, info_name=name)))
    return "\n\n".join(sections) + "\n"


def _sections(command: click.Command, context: click.Context) -> Iterator[str]:
    yield _section(command, context)
    if isinstance(command, click.Group):
        for name, member in command.commands.items():
            yield from _sections(member, click.Context(member, context, info_name=name))


def _section(command: click.Command, context: click.Context) -> str:
    depth = "##" if context.parent and context.parent.parent is None else "###"
    text, _, example = inspect.cleandoc(command.help or "").partition("\b\nExample:\n")
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    parts = [
        f"{depth} {context.command_path}",
        text.strip(),
        f"```text\n{usage}\n```",
        f"Example:\n\n```sh\n{inspect.cleandoc(example)}\n```",
    ]
    options = [param for param in command.params if isinstance(param, click.Option)]
    if options:
        rows = ["| option | default | meaning |", "|---|---|---|"]
        rows.extend(_row(option, context) for option in options)
        parts.append("\n".join(rows))
    return "\n\n".join(parts)


def _row(option: click.Option, context: click.Context) -> str:
    names = ", ".join(f"`{name}`" for name in option.opts)
    if not option.is_flag:
        choices = option.type.choices if isinstance(option.type, click.Choice) else ()
        shown = (
            ", ".join(f"`{choice}`" for choice in choices) or f"`{option.make_metavar(context)}`"
        )
        names = f"{names} {shown}"
    default = f"`{option.default}`" if option.show_default else ""
    default = "required" if option.required else default
    cells = (names, default, (option.help or "").replace("|", "\\|"))
    return f"| {' | '.join(cells)} |"
