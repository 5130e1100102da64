"""The arrows between rooms, as the imports say."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "harness"
SOURCES = sorted(PACKAGE.rglob("*.py"))

FLOOR = {"answers", "errors", "records", "findings", "spec", "packaged", "packaged_catalogue",
         "packaged_data", "observer", "versions"}  # fmt: skip
# Room -> what it may import besides the floor and itself.
ROOMS: dict[str, set[str]] = {
    "data": set(),
    "models": set(),
    "prompting": set(),
    "training": {"models", "prompting"},
    "evaluation": {"models", "prompting"},
    "search": set(),
    "engine": set(),
    "store": set(),
    "analysis": set(),
    "report": set(),
}
WRITING = {"data", "models", "prompting", "training", "evaluation", "search", "engine"}
STORIES = {"trial", "item_sets", "planning", "stages", "pipeline", "reporting", "api", "cli",
           "past_searches", "export", "forecast", "drafting", "score_keys", "searching",
           "running", "preflight", "study_record", "__init__"}  # fmt: skip
READING = {"store", "analysis", "report", "reporting", "past_searches", "findings"}
# Optuna draws the searches of a report; it is imported for long ones only, and needs no torch.
DRAWING = {"past_searches": {"search"}}
HEAVY = {"torch", "transformers", "peft", "bitsandbytes", "lm_eval", "optuna", "datasets"}
# Lists of values, which read best in one place.
LONG_ALLOWED = {"records.py", "findings.py"}
LONGEST = 360


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """Dotted names of all modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports in full"
            assert node.module is not None
            yield node.module
            if node.module == "harness":
                yield from (f"harness.{alias.name}" for alias in node.names)


def outside() -> dict[str, set[str]]:
    """Library -> files of the package that import it."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for path in SOURCES:
        for name in imports(path):
            found[name.split(".")[0]].add(path.relative_to(PACKAGE).as_posix())
    return found


def within(path: Path) -> set[str]:
    """Rooms and modules of the package that a file imports; ``harness`` itself is left out."""
    names = {name.split(".")[1] for name in imports(path) if name.startswith("harness.")}
    return {name for name in names if (PACKAGE / name).exists() or _module(name)}


def _module(name: str) -> bool:
    return (PACKAGE / f"{name}.py").exists()


def test_every_source_has_a_place() -> None:
    assert len(SOURCES) > 60
    assert {room(path) for path in SOURCES} == FLOOR | set(ROOMS) | STORIES


@pytest.mark.parametrize("name", ROOMS)
def test_a_room_imports_the_floor_and_what_the_design_allows(name: str) -> None:
    allowed = FLOOR | ROOMS[name] | {name}
    wrong = {
        f"{path.relative_to(ROOT)} imports {other}"
        for path in SOURCES
        if room(path) == name
        for other in within(path) - allowed
    }
    assert wrong == set()


def test_the_floor_rests_on_nothing() -> None:
    wrong = {
        f"{path.relative_to(ROOT)} imports {other}"
        for path in SOURCES
        if room(path) in FLOOR
        for other in within(path) - FLOOR
    }
    assert wrong == set()


def test_the_read_half_needs_no_write_half() -> None:
    wrong = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in SOURCES
        if room(path) in READING
        for name in imports(path)
        if name.split(".")[0] in HEAVY or within(path) & (WRITING - DRAWING.get(room(path), set()))
    }
    assert wrong == set()


@pytest.mark.parametrize(
    ("library", "place"), [("duckdb", "store"), ("optuna", "search"), ("lm_eval", "evaluation")]
)
def test_sole_importers(library: str, place: str) -> None:
    importers = outside()[library]
    assert importers
    assert {name for name in importers if not name.startswith(f"{place}/")} == set()


def modules_after(code: str, *wanted: str) -> list[str]:
    """Which of ``wanted`` are imported once ``code`` has run in a fresh interpreter."""
    program = f"{code}\nimport sys\nprint(*sorted({set(wanted)!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    return done.stdout.split()


def test_the_command_line_and_the_package_import_lightly() -> None:
    heavy = {*HEAVY, "pydantic", "numpy", "duckdb", "rich", "yaml", "pandas", "scipy"}
    assert modules_after("import harness, harness.cli", *heavy) == []


def test_a_report_needs_no_torch() -> None:
    assert modules_after("import harness.reporting", *HEAVY) == []


def test_a_study_is_planned_without_loading_a_model() -> None:
    lazy = HEAVY - {"optuna"}
    assert modules_after("import harness.pipeline", *lazy) == []


def test_files_are_short_enough_to_read() -> None:
    lengths = {
        path.relative_to(PACKAGE).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in SOURCES
    }
    long = {name: lines for name, lines in lengths.items() if lines > LONGEST}
    assert long.keys() <= LONG_ALLOWED, f"longer than {LONGEST} lines: {long}"


@pytest.mark.parametrize("folder", ["harness", "tests", "suites"])
def test_names_say_what_is_inside(folder: str) -> None:
    empty = {"util", "utils", "helper", "helpers", "manager", "managers", "common", "misc"}
    found = [path for path in (ROOT / folder).rglob("*.py") if path.stem in empty]
    assert found == []
