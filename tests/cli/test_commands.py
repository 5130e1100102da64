"""Commands in this process: what they print, write and refuse."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from harness.cli import COMMANDS, group
from harness.spec import load_experiment
from harness.study.run import run_study
from tests.cli.in_process import call, good, refused
from tests.fake_trial import Watching, experiment_values, write_data
from tests.untimed import timed, untimed_module

__all__ = ["timed", "untimed_module"]
pytestmark = pytest.mark.usefixtures("untimed_module")

EXPERIMENTS = Path(__file__).resolve().parents[2] / "experiments"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with two finished experiments of pretended trials."""
    folder = tmp_path_factory.mktemp("study")
    for name in ("first", "second"):
        values = experiment_values(
            folder,
            name=name,
            arms={"zero-shot": {"kind": "prompt"}, "lora": {"kind": "lora"}},
            budget={"trials": 1},
        )
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
        run_study(load_experiment(folder / f"{name}.yaml"), folder / "results", open_with=Watching)
    return folder / "results"


# --------------------------------------------------------------------------- help


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help_with_one_example(name: str) -> None:
    text = good(name, "--help")
    assert text.count("Example:") == 1
    assert text.split("Example:")[1].strip().startswith(f"harness {name}")


def test_the_group_lists_every_command() -> None:
    text = good("--help")
    assert all(name in text and line[:40] in text for name, line in COMMANDS.items())
    assert call().exit_code == 2


def test_an_unknown_command() -> None:
    result = call("trian")
    assert result.exit_code == 2
    assert "No such command 'trian'" in result.stderr


# --------------------------------------------------------------------------- init and check


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def words(number: int) -> str:
    return " ".join(f"w{number}x{n}" for n in range(12))


def labelled(folder: Path) -> Path:
    names = ("yes", "no: never", "é {x} \"q\" 'p' #")
    rows = [(words(n), names[n % 3]) for n in range(60)]
    return write_csv(folder / "tickets.csv", ("message", "category"), rows)


def structured(folder: Path) -> Path:
    path = folder / "slots.jsonl"
    rows = (
        {"utterance": words(n), "answer": {"mood": "good" if n % 2 else "bad", "n": n % 4}}
        for n in range(60)
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def free_text(folder: Path) -> Path:
    rows = [(words(n), f"A summary of {n} in its own words") for n in range(60)]
    return write_csv(folder / "summaries.csv", ("document", "summary"), rows)


@pytest.mark.parametrize(
    ("make", "kind", "options"),
    [
        (labelled, "label", ()),
        (labelled, "label", ("--text", "message", "--answer", "category")),
        (structured, "json", ()),
        (free_text, "text", ("--answer", "summary")),
    ],
)
def test_what_init_writes_passes_check(
    tmp_path: Path, make: object, kind: str, options: tuple[str, ...]
) -> None:
    assert callable(make)
    data, output = make(tmp_path), tmp_path / "sub" / "experiment.yaml"
    output.parent.mkdir()
    said = good("init", data, "--output", output, *options)
    assert "60 rows" in said
    spec = load_experiment(output)
    assert spec.task.answer.kind == kind
    assert yaml.safe_load(output.read_text("utf-8"))["data"]["source"].startswith("..")
    checked = good("check", output)
    assert "is a valid experiment" in checked
    for split in ("train", "validation", "test"):
        assert split in checked
    header = output.read_text("utf-8").splitlines()
    assert header[0].startswith("# Question: Should we fine-tune")
    assert header[1] == "# Command:  harness run experiment.yaml"


def test_init_takes_columns_with_odd_names(tmp_path: Path) -> None:
    rows = [(words(n), "ab"[n % 2], f"c{n % 9}") for n in range(60)]
    data = write_csv(tmp_path / "odd: name.csv", ("the text", "la#bel: x", "customer id"), rows)
    output = tmp_path / "e.yaml"
    good("init", data, "--output", output)
    spec = load_experiment(output)
    assert spec.columns() == ("the text", "la#bel: x", "customer id")
    assert spec.data.group == "customer id"
    good("check", output)


def test_init_does_not_write_over_a_file(tmp_path: Path) -> None:
    data, output = labelled(tmp_path), tmp_path / "e.yaml"
    output.write_text("mine", encoding="utf-8")
    assert "exists already; --force" in refused("init", data, "--output", output)
    assert output.read_text("utf-8") == "mine"
    good("init", data, "--output", output, "--force")
    assert output.read_text("utf-8") != "mine"


def test_init_refuses_what_it_cannot_use(tmp_path: Path) -> None:
    data, output = labelled(tmp_path), tmp_path / "e.yaml"
    assert "no column 'x'; it has message, category" in refused("init", data, "--text", "x")
    # Loading takes seconds: what is done is said before.
    assert call("init", data, "--text", "x").stderr.split() == ["Reading", str(data), "..."]
    assert "no such file" in refused("init", tmp_path / "none.csv", "--output", output)
    one = write_csv(tmp_path / "one.csv", ("a",), [("x",), ("y",), ("z",)])
    assert "need two columns" in refused("init", one, "--output", output)
    assert not output.exists()
    nowhere = tmp_path / "none" / "e.yaml"
    assert "its folder does not exist" in refused("init", data, "--output", nowhere)


def test_init_says_every_guess_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However long the path of the temporary folder is, no line that names it is broken.
    monkeypatch.setenv("COLUMNS", "500")
    rows = [(f"t{n}", words(n), "ab"[n % 2] if n != 7 else "", f"c{n % 20}") for n in range(60)]
    header = ("ticket_id", "message", "category", "customer")
    data, output = write_csv(tmp_path / "tickets.csv", header, rows), tmp_path / "e.yaml"
    said = good("init", data, "--output", output, "--minutes", "30")
    for line in (
        "text       message: the column with the longest texts",
        "answer     category: it has 2 values that repeat and its name says so",
        "group      customer: its name says so, and its 20 values repeat",
        "id         ticket_id: each row has a value of its own",
        "without qlora: it saves the memory of weights",
        f"left out: {data}:9: category: the value is empty; fill it in",
        "1 of 60 rows cannot be used now and are left out and counted",
        " test items: a true difference below about",
    ):
        assert line in said
    checked = " ".join(good("check", output).split())
    assert "1 row(s) cannot be used and are left out (data.bad_rows: drop)" in checked
    assert "tickets.csv:9" in checked


def test_init_asks_where_somebody_can_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.cli.init.is_terminal", lambda: True)
    rows = [(words(n), "ab"[n % 2], "xyz"[n % 3]) for n in range(60)]
    data = write_csv(tmp_path / "tickets.csv", ("message", "category", "mood"), rows)
    output = tmp_path / "e.yaml"
    arguments = ["init", str(data), "--output", str(output), "--model", "smollm2-135m-instruct"]
    typed = "nothing\nmood\n\n\n\nSay the mood.\n\nmany\n5\n"
    result = CliRunner().invoke(group, arguments, input=typed)
    assert result.exit_code == 0, (result.output, result.exception)
    assert "has no column 'nothing'; it has message, category, mood" in result.output
    assert "'many' is no number from 0.01 to 99" in result.output
    spec = load_experiment(output)
    assert spec.task.instruction == "Say the mood."
    assert (spec.task.answer.column, spec.contrast.margin) == ("mood", 0.05)
    assert "# answer: as you said" in output.read_text("utf-8")
    result = CliRunner().invoke(group, [*arguments, "--yes", "--force"])
    assert load_experiment(output).task.answer.column == "category"
    assert "Enter accepts" not in result.output


@pytest.mark.usefixtures("timed")
def test_check_shows_what_would_be_run(tmp_path: Path) -> None:
    values = experiment_values(tmp_path)
    path = tmp_path / "e.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    text = good("check", path)
    assert "train" in text
    assert "36" in text
    assert "5 search trials, 3 finalists on 1 seed(s), 1 untouched base, 6 trials that time" in text
    assert "none: forgetting not measured" in text
    assert not (tmp_path / "results").exists()
    arms = {**values["arms"], "lora": {"kind": "lora", "seeds": [4, 5], "curve": [8, 20, 99]}}
    more = {**values, "arms": arms, "budget": {"trials": 2}}
    path.write_text(yaml.safe_dump(more), encoding="utf-8")
    text = " ".join(good("check", path).split())
    assert "4 finalists on 1 to 2 seed(s), 1 untouched base" in text
    assert "up to 3 tests of default settings, 4 trials of learning curves, 6" in text
    assert "arms.lora.curve: 99 left out: the training split has 36 examples" in text


def test_check_says_which_labels_are_one_and_which_are_alike(tmp_path: Path) -> None:
    labels = ("on", "On", "o\u0301n", "\u00f3n\u200b")
    lines = [
        {"text": f"row {n} {'abcdefgh'[n % 8] * 9}", "label": labels[n % 4]} for n in range(60)
    ]
    data = tmp_path / "data.jsonl"
    data.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    values = experiment_values(tmp_path)
    values["data"] = {"source": str(data), "leaks": "report"}
    values["task"] = {"instruction": "?", "answer": {"kind": "label", "column": "label"}}
    path = tmp_path / "e.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    text = " ".join(good("check", path).split())
    assert "'o\\u0301n' and '\\xf3n\\u200b' in the data are read as the label" in text
    assert "'On' (15 rows) and 'on' (15 rows) differ only in case or signs" in text


def test_check_says_every_problem(tmp_path: Path) -> None:
    path = tmp_path / "e.yaml"
    values = experiment_values(tmp_path, seeds=[], budget={"trials": 0})
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    assert refused("check", path).count("e.yaml:") == 2
    write_data(tmp_path / "data.jsonl", rows=3)
    (tmp_path / "data.jsonl").write_text('{"text": "a"}\n{"text": 1}\nx\n', encoding="utf-8")
    path.write_text(yaml.safe_dump(experiment_values(tmp_path)), encoding="utf-8")
    assert "data.jsonl" in refused("check", path)


# --------------------------------------------------------------------------- the read half


def test_report(results: Path, tmp_path: Path) -> None:
    text = good("report", "first", "--results", results, "--output", tmp_path / "out")
    assert "lora" in text
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"report.html", "report.md"}
    quiet = good("report", "--quiet", "--results", results, "--output", tmp_path / "latest")
    assert quiet.splitlines()[0] == f"Report: {tmp_path / 'latest' / 'report.html'}"
    assert "second" in (tmp_path / "latest" / "report.md").read_text("utf-8")


def test_report_by_the_start_of_an_id(results: Path, tmp_path: Path) -> None:
    sql = "SELECT DISTINCT experiment_id FROM trials WHERE experiment = 'first'"
    identity = json.loads(good("query", sql, "--results", results, "--format", "json"))
    good("report", identity["experiment_id"][:10], "--results", results, "--output", tmp_path)
    assert "first" in (tmp_path / "report.md").read_text("utf-8")


def test_report_in_the_formats_asked_for(results: Path, tmp_path: Path) -> None:
    asked = ("report", "first", "--results", results, "--output", tmp_path, "--quiet")
    text = good(*asked, "--format", "json", "--format", "md")
    assert text.splitlines() == [
        f"Markdown: {tmp_path / 'report.md'}", f"JSON: {tmp_path / 'report.json'}",
    ]  # fmt: skip
    assert "no report format is called 'doc'" in refused(*asked, "--format", "html,doc")
    told = refused(*asked, "--format", "html,pdf", "--browser", tmp_path / "none")
    assert "which is no program on this machine" in told
    assert f"Written: {tmp_path / 'report.html'}" in told


def test_compare(results: Path, tmp_path: Path) -> None:
    page = tmp_path / "both.html"
    text = good("compare", "first", "second", "--results", results, "--output", page)
    assert "first" in text
    assert "second" in text
    assert page.stat().st_size > 1000
    assert "second" in (tmp_path / "both.md").read_text("utf-8")


def test_compare_refuses_names_that_make_no_comparison(results: Path) -> None:
    where = ("--results", results)
    assert "at least two experiments" in refused("compare", "first", *where)
    assert "first" in refused("compare", "first", "first", *where)
    assert "is named 2 times" in refused("compare", "first", "first", *where)
    assert "no experiment is called 'third'" in refused("compare", "first", "third", *where)


def test_query_formats(results: Path) -> None:
    sql = "SELECT arm, number AS n, NULL AS nothing FROM trials WHERE arm = 'base' LIMIT 1"
    assert "base  0" in good("query", sql, "--results", results).splitlines()[2]
    rows = list(
        csv.reader(io.StringIO(good("query", sql, "--results", results, "--format", "csv")))
    )
    assert rows == [["arm", "n", "nothing"], ["base", "0", ""]]
    text = good("query", sql, "--results", results, "--format", "json")
    assert json.loads(text) == {"arm": "base", "n": 0, "nothing": None}


@pytest.mark.parametrize(
    "view", ["trials", "scores", "items", "finalists", "costs", "test_accesses"]
)
def test_the_views_that_the_help_names_have_rows(results: Path, view: str) -> None:
    text = good("query", f"FROM {view}", "--results", results, "--format", "csv")
    assert len(text.splitlines()) > 1


def test_a_table_shows_every_value_and_obeys_no_control_character(results: Path) -> None:
    sql = (
        "SELECT repeat('x', 300) AS long, 'a' || chr(27) || '[2Jb' AS hostile, '好' AS wide, 1 AS n"
    )
    header, rule, row, count = good("query", sql, "--results", results).splitlines()
    assert row == f"{'x' * 300}  a\\x1b[2Jb  好    1"
    assert header.split() == ["long", "hostile", "wide", "n"]
    assert [len(part) for part in rule.split()] == [300, 9, 4, 1]
    assert count == "1 rows"


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM trial", "DROP TABLE trial", "UPDATE trial SET arm = 'x'",
        "SELECT 1; DELETE FROM trial", "COPY trial TO 'x.csv'", "ATTACH 'x.duckdb'", "",
        "SELECT * FROM read_csv('/etc/passwd')", "SELECT nothing FROM trials",
    ],
)  # fmt: skip
def test_query_only_reads(results: Path, sql: str) -> None:
    before = good("query", "SELECT count(*) FROM trial", "--results", results)
    assert refused("query", sql, "--results", results)
    assert good("query", "SELECT count(*) FROM trial", "--results", results) == before


@pytest.mark.parametrize("command", [("status",), ("report",), ("query", "SELECT 1")])
def test_no_store_yet(tmp_path: Path, command: tuple[str, ...]) -> None:
    assert "there is no store at" in refused(*command, "--results", tmp_path)


def test_an_unknown_experiment(results: Path) -> None:
    assert "no experiment is called 'third'" in refused("report", "third", "--results", results)


def test_doctor() -> None:
    result = call("doctor")
    assert result.exit_code == 0, result.output
    for word in ("torch", "memory", "compute", "cache", "smollm2-135m-instruct"):
        assert word in result.stdout
    assert "MISSING" not in result.stdout
