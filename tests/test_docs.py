"""The pages say what the program does: commands, experiments, links, the reference."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from jsonschema import Draft202012Validator

import harness
from harness.cli import COMMANDS, group
from harness.spec import Experiment, load_experiment
from tests.doc_pages import PAGES, ROOT, Block, blocks, blocks_of, name_of, text_of
from tools.command_reference import command_reference
from tools.experiment_reference import experiment_reference, experiment_schema
from tools.metric_reference import metric_reference
from tools.store_reference import store_reference

EXPERIMENTS = sorted((ROOT / "experiments").glob("*.yaml"))
START, END = "<!-- reference:start -->\n", "<!-- reference:end -->"
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`(harness [^`]+)`")
LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")


def _place(block: Block) -> str:
    return f"{block.page}: {block.content.splitlines()[0]}"


def command_lines() -> Iterator[tuple[str, str]]:
    """(where, line) of every ``harness`` command that a page, an experiment or a help text shows.

    In running text a bare command name stands for the command, not for a call of it.
    """
    for page in PAGES:
        lines = [
            one for block in blocks_of(page) if block.language == "sh" for one in block.lines()
        ]
        shown = [line for line in lines if line.startswith("harness ")]
        inline = [line for line in INLINE.findall(text_of(page)) if len(line.split()) > 2]
        yield from ((name_of(page), line) for line in (*shown, *inline))
    for path in EXPERIMENTS:
        for line in re.findall(r"^# *(?:Command: *)?(harness .*)$", text_of(path), re.MULTILINE):
            yield path.name, line
    for name in COMMANDS:
        for line in re.findall(r"^ +(harness .*)$", command_named(name).help or "", re.MULTILINE):
            yield f"harness {name} --help", line


def command_named(name: str) -> click.Command:
    command = group.get_command(click.Context(group), name)
    assert command is not None, f"there is no command `harness {name}`"
    return command


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_explains_itself_and_is_in_the_docs(name: str) -> None:
    command = command_named(name)
    assert command.help
    assert f"harness {name}" in command.help, "the help text shows no example"
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"harness {name} {parameter.opts[0]} has no help text"
    pages = "\n".join(text_of(page) for page in PAGES)
    assert f"harness {name}" in pages, f"no page mentions `harness {name}`"


@pytest.mark.parametrize(("where", "line"), sorted(set(command_lines())))
def test_each_command_shown_can_be_parsed(where: str, line: str) -> None:
    words = shlex.split(line, comments=True)
    assert words[0] == "harness"
    if words[1].startswith("-"):
        assert words[1] in ("--help", "-h", "--version")
        return
    with contextlib.suppress(click.exceptions.Exit):  # of --help
        command_named(words[1]).make_context(f"harness {words[1]}", words[2:])


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.name)
def test_the_header_of_an_experiment_says_question_command_and_cost(path: Path) -> None:
    text = text_of(path)
    for word in ("# Question:", "# Command:", "# Cost:"):
        assert f"\n{word}" in f"\n{text}", f"{path.name} has no line {word!r}"
    assert f"harness run experiments/{path.name}" in text
    assert load_experiment(path).name == path.stem


def test_there_are_pages_commands_and_examples_to_check() -> None:
    assert len(PAGES) >= 7
    assert len(EXPERIMENTS) >= 2
    assert len(list(command_lines())) > 15
    assert any(one.content.startswith("name:") for one in blocks("yaml"))


@pytest.mark.parametrize("block", [one for one in blocks("yaml") if not one.file], ids=_place)
def test_each_yaml_block_is_valid(block: Block) -> None:
    """Whole experiments as they stand; parts of one in place of those of a plain experiment.

    A block that is a file is used by the commands after it, which test_docs_commands.py runs.
    """
    values: dict[str, Any] = yaml.safe_load(block.content) or {}
    plain: dict[str, Any] = {
        "name": "plain",
        "model": "any",
        "data": {"source": "any.csv"},
        "task": {"instruction": "Sort.", "answer": {"kind": "label", "column": "label"}},
        "arms": {"zero-shot": {"kind": "prompt"}},
    }
    whole = block.content.startswith("name:")
    Experiment.model_validate(values if whole else plain | values)


def test_the_python_in_the_docs_uses_what_there_is() -> None:
    from harness.api import StudyResult

    found = blocks("python")
    assert found
    for block in found:
        for node in ast.walk(ast.parse(block.content)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                owner = {"harness": harness, "result": StudyResult}.get(node.value.id)
                assert owner is None or hasattr(owner, node.attr), ast.unparse(node)


def test_each_make_target_shown_exists() -> None:
    targets = re.findall(r"^([\w-]+):", text_of(ROOT / "Makefile"), re.MULTILINE)
    shown = re.findall(r"(?:^ {4}|`)make (\w+)", text_of(ROOT / "README.md"), re.MULTILINE)
    assert {"demo", "test"} <= set(shown) <= set(targets)


def links() -> Iterator[tuple[Path, str]]:
    for page in PAGES:
        for target in LINK.findall(FENCE.sub("", text_of(page))):
            if not re.match(r"\w+:", target):
                yield page, target


@pytest.mark.parametrize(("page", "target"), links(), ids=lambda value: str(value)[-40:])
def test_each_relative_link_leads_somewhere(page: Path, target: str) -> None:
    name, _, anchor = target.partition("#")
    path = (page.parent / name).resolve() if name else page
    assert path.exists(), f"{page.name} links to {target}, which is not there"
    if anchor:
        headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text_of(path)), re.MULTILINE)
        slugs = [re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings]
        assert anchor in slugs, f"{path.name} has no heading for #{anchor}"


def test_the_index_lists_every_page() -> None:
    index = text_of(ROOT / "docs" / "index.md")
    folder = ROOT / "docs"
    for page in PAGES:
        if page.is_relative_to(folder) and page.name != "index.md":
            assert f"({page.relative_to(folder).as_posix()})" in index


def test_every_section_of_the_report_is_explained() -> None:
    golden = text_of(ROOT / "tests" / "report" / "golden" / "report.md")
    page = text_of(ROOT / "docs" / "reading-the-report.md")
    titles = re.findall(r"^##+ (.+)$", FENCE.sub("", golden), re.MULTILINE)
    assert len(titles) > 15
    beside = ("Verdict", "Why", "Caveats", "At a glance")
    for title in titles:
        known = f"\n### {title}\n" in page or f"**{title}**" in page
        assert known or title.startswith(beside), title


def test_the_tree_of_the_architecture_is_the_project() -> None:
    tree = (
        text_of(ROOT / "docs" / "architecture.md").partition("## The tree")[2].partition("## ")[0]
    )
    shown: set[str] = set()
    parent = ""
    for indent, name in re.findall(r"^( {4}| {6})([\w./-]+) {2,}\S", tree, re.MULTILINE):
        parent = parent if len(indent) > 4 else name
        path = name if len(indent) == 4 else parent + name
        assert (ROOT / path).exists(), f"the tree names {path}, which is not there"
        shown.add(path.rstrip("/"))
    parts = {
        f"harness/{path.name}"
        for path in (ROOT / "harness").iterdir()
        if not path.name.startswith(("__pycache__", ".")) and path.suffix in ("", ".py")
    }
    assert parts <= shown, f"the tree leaves out {sorted(parts - shown)}"


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("experiment.md", experiment_reference),
        ("cli.md", command_reference),
        ("store-schema.md", store_reference),
        ("metrics.md", metric_reference),
    ],
)
def test_the_reference_is_current(name: str, reference: Callable[[], str]) -> None:
    page = ROOT / "docs" / name
    before, rest = text_of(page).split(START)
    _, after = rest.split(END)
    wanted = f"{before}{START}{reference()}{END}{after}"
    if os.environ.get("HARNESS_WRITE_GOLDEN"):
        page.write_text(wanted, encoding="utf-8")
    assert wanted == text_of(page), "run this test with HARNESS_WRITE_GOLDEN=1"


def test_the_schema_for_editors_is_current_and_takes_the_examples() -> None:
    path = ROOT / "docs" / "experiment.schema.json"
    if os.environ.get("HARNESS_WRITE_GOLDEN"):
        path.write_text(experiment_schema(), encoding="utf-8")
    assert text_of(path) == experiment_schema(), "run this test with HARNESS_WRITE_GOLDEN=1"
    schema = Draft202012Validator(json.loads(text_of(path)))
    for example in EXPERIMENTS:
        schema.validate(yaml.safe_load(text_of(example)))
    misspelt = yaml.safe_load(text_of(EXPERIMENTS[0])) | {"seed": [1]}
    assert not schema.is_valid(misspelt)
