"""The pages say what the program does: commands, experiments, links, the reference."""

from __future__ import annotations

import ast
import contextlib
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

import harness
from harness.cli import COMMANDS, group
from harness.evaluation.suites import load_suite
from harness.spec import Experiment, load_experiment
from harness.spec.reference import experiment_reference

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "results" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
EXPERIMENTS = sorted((ROOT / "experiments").glob("*.yaml"))
REFERENCE_PAGE = ROOT / "docs" / "experiment.md"
START, END = "<!-- reference:start -->\n", "<!-- reference:end -->"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`(harness [^`]+)`")
LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(language: str) -> list[tuple[str, str]]:
    """(page, content) of every fenced block in a language."""
    return [
        (page.name, content)
        for page in PAGES
        for found, content in FENCE.findall(text_of(page))
        if found == language
    ]


def command_lines() -> Iterator[tuple[str, str]]:
    """(where, line) of every ``harness`` command that a page, an experiment or a help text shows.

    In running text a bare command name stands for the command, not for a call of it.
    """
    for page in PAGES:
        lines = [line.strip() for line in text_of(page).splitlines()]
        shown = [line for line in lines if line.startswith("harness ")]
        inline = [line for line in INLINE.findall(text_of(page)) if len(line.split()) > 2]
        yield from ((page.name, line) for line in (*shown, *inline))
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
    assert any(content.startswith("name:") for _, content in blocks("yaml"))


@pytest.mark.parametrize(("page", "content"), blocks("yaml"))
def test_each_yaml_block_is_valid(page: str, content: str) -> None:
    """Whole experiments as they stand; parts of one in place of those of a plain experiment."""
    if content.startswith("# "):
        return  # a file of a suite, checked as a whole below
    values: dict[str, Any] = yaml.safe_load(content)
    plain: dict[str, Any] = {
        "name": "plain",
        "model": "any",
        "data": {"source": "any.csv"},
        "task": {"instruction": "Sort.", "answer": {"kind": "label", "column": "label"}},
        "arms": {"zero-shot": {"kind": "prompt"}},
    }
    Experiment.model_validate(values if content.startswith("name:") else plain | values)


def test_the_suite_in_the_docs_is_valid(tmp_path: Path) -> None:
    files = [c for page, c in blocks("yaml") if page == "experiment.md" and c.startswith("# ")]
    assert len(files) == 2
    for content in files:
        path = tmp_path / content.splitlines()[0].removeprefix("# ")
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, encoding="utf-8")
    (items,) = (content for page, content in blocks("jsonl") if page == "experiment.md")
    (tmp_path / "house" / "facts.jsonl").write_text(items, encoding="utf-8")
    suite = load_suite(tmp_path / "house.yaml")
    assert list(suite.general_tasks()) == ["house_facts"]


def test_the_python_in_the_docs_uses_what_there_is() -> None:
    from harness.api import StudyResult

    found = blocks("python")
    assert found
    for _, content in found:
        for node in ast.walk(ast.parse(content)):
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
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "index.md" or f"({page.name})" in index


def test_every_section_of_the_report_is_explained() -> None:
    golden = text_of(ROOT / "tests" / "report" / "golden" / "report.md")
    page = text_of(ROOT / "docs" / "reading-the-report.md")
    sections = re.findall(r"^## (.+)$", golden, re.MULTILINE)
    assert len(sections) > 10
    for title in sections:
        assert title.startswith("Verdict") or f"\n### {title}\n" in page, title


def test_the_tree_in_the_readme_is_the_project() -> None:
    tree = text_of(ROOT / "README.md").partition("## The project")[2].partition("## ")[0]
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


def test_the_reference_is_current() -> None:
    text = text_of(REFERENCE_PAGE)
    before, rest = text.split(START)
    _, after = rest.split(END)
    wanted = f"{before}{START}{experiment_reference()}{END}{after}"
    if os.environ.get("HARNESS_WRITE_GOLDEN"):
        REFERENCE_PAGE.write_text(wanted, encoding="utf-8")
    assert wanted == text_of(REFERENCE_PAGE), "run this test with HARNESS_WRITE_GOLDEN=1"
