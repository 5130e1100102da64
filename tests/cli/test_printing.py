"""Names, data and replies cannot command a terminal, nor write into an experiment."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

from harness.cli import group
from harness.cli.printing import in_one_line, json_text, visible
from harness.cli.terminal import Terminal
from harness.spec import load_experiment

HOSTILE = "a\x1b[2Jb\x1b]0;title\x07c\x9b1md\u202ee\u2028f\x00g\rh\x7f"


def test_what_a_terminal_would_obey_is_written_out() -> None:
    shown = r"a\x1b[2Jb\x1b]0;title\x07c\x9b1md\u202ee\u2028f\x00g\rh\x7f"
    assert visible(HOSTILE) == shown
    assert visible("half \ud83d") == r"half \ud83d"
    assert visible("naïve 好 🙂\u200d \u00a0\n\tline") == "naïve 好 🙂\u200d \u00a0\n\tline"
    assert in_one_line("a\tb\nc") == r"a\tb\nc"


@given(st.text())
def test_json_reads_back_what_was_written(text: str) -> None:
    assert visible(json_text([text])) == json_text([text])
    assert json.loads(json_text([text])) == [text]


def test_a_path_longer_than_a_line_is_printed_whole() -> None:
    path = "/home/somebody/" + "a-folder-with-a-long-name/" * 4 + "experiment.yaml"
    out = io.StringIO()
    Terminal(file=out, width=40).print(f"[bold]Dropped[/] the row in {path}: no answer is there")
    assert out.getvalue().splitlines() == ["Dropped the row in", f"{path}:", "no answer is there"]


def test_an_indented_line_is_broken_at_the_width_as_any_other() -> None:
    out = io.StringIO()
    Terminal(file=out, width=20).print("    a bcde fghij klmnop")
    Terminal(file=out, width=10).print("  one-long-word more")
    assert out.getvalue().splitlines() == ["    a bcde fghij", "klmnop", "  one-long-word", "more"]


def test_tables_markup_and_texts_are_cleaned_alike() -> None:
    out = io.StringIO()
    console = Terminal(file=out, width=300, force_terminal=False)
    table = Table(HOSTILE, title=HOSTILE)
    table.add_row(HOSTILE)
    for one in (HOSTILE, Text(HOSTILE), table):
        console.print(one)
    said = out.getvalue()
    assert visible(said) == said
    assert r"\x1b[2J" in said


@pytest.mark.parametrize("width", [30, 36, 48, 60, 80])
def test_a_table_cuts_no_word_however_narrow_the_terminal_is(width: int) -> None:
    table = Table("arm", "tokens", "why", title="What is known", caption="in [bold]all[/]")
    table.add_row("written-instruction", "12,345,678", "learning rate is 3 in another one")
    out = io.StringIO()
    Terminal(file=out, width=width).print(table)
    lines = out.getvalue().splitlines()
    assert all(len(line) <= width for line in lines)
    words = re.findall(r"[^\s│┃]+", out.getvalue())
    for word in ("written-instruction", "12,345,678", "learning", "known", "in", "all"):
        assert word in words
    # A list of its rows where words do not fit beside each other.
    assert ("  tokens: 12,345,678" in map(str.rstrip, lines)) is (width < 48)


def test_a_terminal_still_gets_our_own_colours() -> None:
    out = io.StringIO()
    Terminal(file=out, force_terminal=True, color_system="standard").print(
        Text(HOSTILE, style="bold red")
    )
    assert out.getvalue().startswith("\x1b[1;31m")
    assert "\x1b[2J" not in out.getvalue()


@pytest.mark.parametrize(
    "name",
    ["label", "evil\u2028model: theirs", "x\x85seeds: [9]", "a\rb: c", "\x1b[2J",
     "tick`\nseeds: [9]", "\U0001f642", "\u202e", "#: {"],
)  # fmt: skip
def test_a_column_cannot_write_into_the_experiment(tmp_path: Path, name: str) -> None:
    data, output = tmp_path / "data.csv", tmp_path / "e.yaml"
    labels = ("\U0001f642 good", f"bad {name}")
    with data.open("w", encoding="utf-8", newline="") as file:
        rows = [(f"word{n} thing{n} more{n}", labels[n % 2]) for n in range(30)]
        csv.writer(file).writerows([("text", name), *rows])
    arguments = ["init", str(data), "--text", "text", "--answer", name, "--output", str(output)]
    done = CliRunner().invoke(group, arguments)
    assert done.exit_code == 0, done.exception
    assert visible(done.output) == done.output
    assert f"answer     {in_one_line(name)}: " in done.output
    spec = load_experiment(output)
    assert spec.model.reference == "smollm2-135m-instruct"
    assert spec.seeds[0] == 1
    assert spec.columns() == ("text", name)
    checked = CliRunner().invoke(group, ["check", str(output)])
    assert checked.exit_code == 0, checked.exception
    assert visible(checked.output) == checked.output


@pytest.mark.parametrize("name", ["a.b", "a{b", "a!r", "a:b", "a[0]"])
def test_a_column_that_no_template_can_name(tmp_path: Path, name: str) -> None:
    data, output = tmp_path / "data.csv", tmp_path / "e.yaml"
    with data.open("w", encoding="utf-8", newline="") as file:
        rows = [(f"word{n} thing{n} more{n}", "ab"[n % 2]) for n in range(30)]
        csv.writer(file).writerows([(name, "label"), *rows])
    done = CliRunner().invoke(group, ["init", str(data), "--output", str(output)])
    assert "cannot stand in a template" in str(done.exception)
    assert not output.exists()
