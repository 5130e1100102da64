"""The arrows between rooms, as the imports say: no circle, and none from a lower floor upwards."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import harness
from harness import versions
from harness.spec.kinds import KINDS, TRAINED_KINDS

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "harness"
SOURCES = sorted(PACKAGE.rglob("*.py"))

# Everything may import these; they import one another in this order at most.
FLOOR = (
    "versions",
    "wording",
    "errors",
    "records",
    "findings",
    "packaged",
    "answers",
    "measures",
    "spec",
)
# Room -> what it may import besides the floor and itself.
ROOMS: dict[str, set[str]] = {
    "data": set(),
    "models": set(),
    "search": set(),
    "store": set(),
    "engine": set(),
    "analysis": set(),
    "report": set(),
    "prompting": {"models"},
    "training": {"models", "prompting"},
    "evaluation": {"models", "prompting"},
    "classifier": set(),
    "writing": set(),
    "trial": {"classifier", "data", "evaluation", "models", "prompting", "search", "training",
              "writing"},
    "review": {"analysis", "report", "search", "store"},
    "study": {"analysis", "data", "engine", "evaluation", "models", "prompting", "search", "store",
              "trial", "writing"},
    "forecast": {"analysis", "data", "engine", "evaluation", "models", "prompting", "search",
                 "store", "study", "training", "trial"},
    "drafting": {"analysis", "data", "forecast", "models"},
    "export": {"analysis", "data", "engine", "evaluation", "models", "prompting", "report",
               "review", "search", "store", "trial"},
    "deployment": {"analysis", "data", "evaluation", "export", "models", "prompting", "review",
                   "store", "trial"},
    "api": {"deployment", "engine", "export", "review", "store", "study"},
    "cli": {"data", "deployment", "drafting", "engine", "evaluation", "export", "forecast",
            "models", "report", "review", "store", "study"},
    "__init__": {"api"},
    "__main__": {"cli"},
}  # fmt: skip
# Sub-room -> the sub-rooms beside it, and the modules at their room's root, that it may import.
SUB_ROOMS: dict[str, set[str]] = {
    "analysis/statistics": set(),
    "analysis/forgetting": {"statistics"},
    "analysis/searches": {"forgetting", "statistics"},
    "analysis/generalisation": {"forgetting", "statistics"},
    "analysis/arms": {"searches", "statistics"},
    "analysis/comparison": {"arms", "searches", "statistics"},
    "analysis/verdict": {"arms", "forgetting", "statistics", "wording"},
    "analysis/claims": {"wording"},
    "analysis/steps": {"caveats", "statistics", "verdict"},
    "report/charts": {"chart_records", "document"},
    "report/formats": {"charts", "document"},
    "report/sections": {"chart_records", "document", "naming", "scales", "tables"},
    "evaluation/suites": set(),
    "evaluation/local": {"known_replies"},
    "evaluation/endpoint": set(),
    "engine/ray": {"child", "outcome"},
    "measures/modules": set(),
    "study/preflight": {"asked_models", "brought", "plan"},
}
WRITING = {
    "data",
    "engine",
    "evaluation",
    "models",
    "prompting",
    "search",
    "training",
    "trial",
    "writing",
}
READING = {"analysis", "findings", "report", "review", "store"}
# Searches for other programs are rebuilt with Optuna, which needs no torch.
DRAWING = {"review": {"search"}}
# What the name of an arm's kind means in another place: a verdict, a column of conversations, a
# part of a score's key, a form of weights, a field of a drawing.
OTHER_MEANINGS = {
    ("analysis/verdict/sensitivity.py", "prompt"),
    ("data/infer_texts.py", "prompt"),
    ("drafting/cautions.py", "prompt"),
    ("export/model_card.py", "full"),
    ("findings/verdict.py", "prompt"),
    ("report/formats/html.py", "full"),
    ("report/formats/terminal.py", "prompt"),
    ("report/naming.py", "full"),
    ("study/score_keys.py", "prompt"),
    ("trial/command_files.py", "prompt"),
}
HEAVY = {"torch", "transformers", "peft", "bitsandbytes", "lm_eval", "optuna", "datasets"}
LONGEST = 360


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@cache
def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(path): path for path in SOURCES}


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """All of a file's syntax."""
    return tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


@cache
def imports(path: Path) -> tuple[str, ...]:
    """Dotted names of all modules that a file imports, wherever in it."""
    names: list[str] = []
    for node in nodes(path):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports in full"
            assert node.module is not None
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            names += [name if name in MODULES else node.module for name in inner]
    return tuple(names)


def within(path: Path) -> set[str]:
    """Rooms of the package that a file imports; ``harness`` itself is ``__init__``."""
    own = [name.split(".") for name in imports(path) if name.split(".")[0] == "harness"]
    return {name[1] if len(name) > 1 else "__init__" for name in own}


def beside(path: Path) -> set[str]:
    """Sub-rooms and root modules of its own room that a file imports."""
    start = f"harness.{room(path)}."
    return {
        name.removeprefix(start).split(".")[0] for name in imports(path) if name.startswith(start)
    }


def outside() -> dict[str, set[str]]:
    """Library -> files of the package that import it."""
    importers: defaultdict[str, set[str]] = defaultdict(set)
    for path in SOURCES:
        for name in imports(path):
            importers[name.split(".")[0]].add(path.relative_to(PACKAGE).as_posix())
    return importers


def wrong_imports(places: Iterator[tuple[Path, set[str]]]) -> set[str]:
    return {f"{path.relative_to(ROOT)} imports {name}" for path, names in places for name in names}


def test_every_source_has_a_place() -> None:
    assert len(SOURCES) > 60
    assert {room(path) for path in SOURCES} == {*FLOOR, *ROOMS}
    folders = {path.parent.relative_to(PACKAGE).as_posix() for path in SOURCES}
    assert {name for name in folders if "/" in name} == set(SUB_ROOMS)


def test_few_modules_lie_loose() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= 6


@pytest.mark.parametrize("name", ROOMS)
def test_a_room_imports_the_floor_and_what_the_design_allows(name: str) -> None:
    allowed = {*FLOOR, *ROOMS[name], name}
    mine = (path for path in SOURCES if room(path) == name)
    assert wrong_imports((path, within(path) - allowed) for path in mine) == set()


@pytest.mark.parametrize("place", SUB_ROOMS)
def test_a_sub_room_imports_what_the_design_allows(place: str) -> None:
    allowed = SUB_ROOMS[place] | {place.split("/")[1]}
    mine = (PACKAGE / place).glob("*.py")
    assert wrong_imports((path, beside(path) - allowed) for path in mine) == set()


@pytest.mark.parametrize("name", FLOOR)
def test_the_floor_rests_on_what_lies_below(name: str) -> None:
    allowed = set(FLOOR[: FLOOR.index(name) + 1])
    mine = (path for path in SOURCES if room(path) == name)
    assert wrong_imports((path, within(path) - allowed) for path in mine) == set()


def test_no_files_import_each_other_in_a_circle() -> None:
    graph = {name: set(imports(path)) & MODULES.keys() for name, path in MODULES.items()}
    # The package's own name is not an arrow to what it hands on.
    graph["harness"] = set()
    assert len(list(TopologicalSorter(graph).static_order())) == len(MODULES)


def test_no_rooms_import_each_other_in_a_circle() -> None:
    graph: defaultdict[str, set[str]] = defaultdict(set)
    for path in SOURCES:
        graph[room(path)] |= within(path) - {room(path), "__init__"}
    assert set(TopologicalSorter(graph).static_order()) == {*FLOOR, *ROOMS}


def imported_names(path: Path) -> set[str]:
    """What a file imports out of modules."""
    froms = (node for node in nodes(path) if isinstance(node, ast.ImportFrom))
    return {alias.name for node in froms for alias in node.names}


def decisive_texts(path: Path) -> set[object]:
    """Texts that a file compares with, matches, or looks up in a literal dictionary."""
    decisive: list[ast.AST] = []
    for node in nodes(path):
        if isinstance(node, ast.Compare):
            decisive += [node.left, *node.comparators]
        elif isinstance(node, ast.MatchValue):
            decisive.append(node.value)
        elif isinstance(node, ast.Dict):
            decisive += [key for key in node.keys if key is not None]
    inner = [part for node in decisive for part in (node, *getattr(node, "elts", ()))]
    return {part.value for part in inner if isinstance(part, ast.Constant)}


def test_only_specs_and_loaders_know_kinds_of_arms_by_name() -> None:
    names = {kind.name for kind in KINDS}
    types = {f"{kind.name.title()}{part}" for kind in TRAINED_KINDS for part in ("Arm", "Settings")}
    elsewhere = [path for path in SOURCES if room(path) not in ("spec", "models")]
    assert [path for path in elsewhere if imported_names(path) & types] == []
    assert {
        (path.relative_to(PACKAGE).as_posix(), name)
        for path in elsewhere
        for name in decisive_texts(path) & names
    } == OTHER_MEANINGS


def test_the_read_half_needs_no_write_half() -> None:
    mine = (path for path in SOURCES if room(path) in READING)
    wrong = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in mine
        for name in imports(path)
        if name.split(".")[0] in HEAVY or within(path) & (WRITING - DRAWING.get(room(path), set()))
    }
    assert wrong == set()


@pytest.mark.parametrize(
    ("library", "place"),
    [
        ("duckdb", "store"),
        ("optuna", "search"),
        ("lm_eval", "evaluation"),
        ("ray", "engine/ray"),
        ("gepa", "writing"),
    ],
)
def test_sole_importers(library: str, place: str) -> None:
    importers = outside()[library]
    assert importers
    assert {name for name in importers if not name.startswith(f"{place}/")} == set()


def test_the_version_is_that_of_the_list_of_versions() -> None:
    assert harness.__version__ is versions.__version__
    assert wrong_imports((path, within(path) & {"__init__"}) for path in SOURCES) == set()


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


def test_a_draft_loads_torch_once_all_is_asked() -> None:
    heavy = {*HEAVY, "scipy.stats", "harness.analysis.whole_study", "harness.forecast.study"}
    assert modules_after("import harness.drafting.draft, harness.drafting.machine", *heavy) == []
    said = modules_after(
        "import harness.cli\n"
        "try: harness.cli.group.main(['init', 'pyproject.toml'], standalone_mode=False)\n"
        "except Exception: pass",
        *heavy,
    )
    assert said == []


def test_a_report_needs_no_torch() -> None:
    # Nor what of scipy takes longest to load, and few reports need.
    heavy = {*HEAVY, "scipy.optimize", "scipy.stats"}
    assert modules_after("import harness.review.studies, harness.report", *heavy) == []


def test_a_study_is_planned_without_loading_a_model() -> None:
    lazy = HEAVY - {"optuna"} | {"scipy.stats"}
    assert modules_after("import harness.study.run", *lazy) == []


def test_files_are_short_enough_to_read() -> None:
    lengths = {
        path.relative_to(PACKAGE).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in SOURCES
    }
    long = {name: lines for name, lines in lengths.items() if lines > LONGEST}
    assert long == {}, f"longer than {LONGEST} lines: {long}"


@pytest.mark.parametrize("folder", ["harness", "lab", "tools", "tests", "suites"])
def test_names_say_what_is_inside(folder: str) -> None:
    empty = {"util", "utils", "helper", "helpers", "manager", "managers", "common", "misc"}
    assert [path for path in (ROOT / folder).rglob("*.py") if path.stem in empty] == []
