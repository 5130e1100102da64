"""Experiment files as people, editors and attackers may leave them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

FOLDER = Path(__file__).resolve().parents[2] / "experiments"
REAL = {path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.yaml"))}

# Short, complete, and about the data file that lies beside it.
SMALL: dict[str, Any] = {
    "name": "small",
    "model": "smollm2-135m-instruct",
    "data": {"source": "data.csv", "id": "id", "group": "group"},
    "task": {
        "instruction": "Good or bad?",
        "template": "{text}",
        "answer": {"kind": "label", "column": "label"},
    },
    "arms": {"zero-shot": {"kind": "prompt"}, "lora": {"kind": "lora"}},
    "general": None,
}
SCHEMA = {
    "type": "object",
    "properties": {"label": {"enum": ["good", "bad"]}, "n": {"type": "integer"}},
    "required": ["label"],
}
ANSWERS: tuple[dict[str, Any], ...] = (
    {"kind": "label", "column": "label"},
    {"kind": "label", "column": "label", "labels": ["good", "bad"]},
    {"kind": "text", "column": "label"},
    {"kind": "json", "columns": {"label": "label", "n": "group"}, "schema": SCHEMA},
    {"kind": "json", "column": "label", "schema": SCHEMA},
)

TEXTS = (
    "", " ", "\n", "\x00", "\x1b[2J\x1b]0;title\x07", "\u202eevil", "..", "../../etc/passwd",
    "/etc/passwd", "/dev/null", "/proc/self/mem", "~nobody-here/x.csv", "CON", "nul.csv", "-rf",
    "a" * 300, "a/" * 2500, "x" * 100_000, "\u0430dmin", "{", "{text", "{text.__class__}",
    "{0}", "{text!r:>99999}", "{}", "' OR 1=1; --", "<script>alert(1)</script>", "|x|\n|-|",
    "=cmd|' /C calc'!A0", "packaged:", "packaged:no-such", "1e999", "0x1f", "true", "\ud83d",
    "\U0001f600", "e\u0301", "\u2028", "\ufeff",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**63, -(2**63) - 1, 10**30, 10**400, 0.0, -0.0, 1e-320, 1e308,
    float("nan"), float("inf"), float("-inf"), b"\x00\xff", [], {}, [[]], [None], {"": None},
    {"kind": "lora"}, {"kind": "prompt", "shots": 10**9}, {"low": 1, "high": 2},
    {"choices": []}, {"choices": [1, "x", None, [1]]}, {1: 2}, {None: None}, {True: [1]}, set(),
    {"$ref": "#"}, {"$dynamicRef": "http://127.0.0.1:9/"}, {"$id": "file:///etc/passwd"},
    {"type": ["object"]}, {"enum": []}, {"enum": [[], {}, None, 1.5]},
    {"type": "integer", "minimum": float("-inf"), "maximum": 10**400},
    {"type": "integer", "minimum": "a", "maximum": []},
    {"pattern": "("}, {"properties": []}, {"required": "label"}, {"const": float("nan")},
)  # fmt: skip
SCRAPS = (
    "", " ", "\n", "  ", "- ", ": ", "{", "}", "[", "]", "&a ", "*a", "!!int ", "!!binary ",
    "!!python/object/apply:os.system ", "!function os.system", "!!set ", "!!timestamp ", "null",
    "-1", "1e999", ".nan", ".inf", "'", '"', "#", "? ", "|", ">", "\t", "\x00", "é", "2020-01-01",
    "2020-13-45", "0x1f", "0o17", "1:30", "<<: ", "<<: *a", "kind: lora", "choices: []", "true",
    "%YAML 3.0\n---\n", "---\n", "...\n", "@", "`", ",", "\r", "\x85", "\u2028", "\ufeff",
    "9" * 5000, "[" * 400, "{a: " * 200, "- " * 500,
)  # fmt: skip

Place = tuple[dict[Any, Any] | list[Any], Any]


def places(value: Any, seen: frozenset[int] = frozenset()) -> Iterator[Place]:
    """Every container and key, or index, of a tree."""
    if id(value) in seen or not isinstance(value, dict | list):
        return
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        yield value, key
        yield from places(value[key], seen | {id(value)})


@st.composite
def changed(draw: st.DrawFn, tree: dict[str, Any]) -> dict[str, Any]:
    """The tree after a few deletions, replacements, repetitions and removals to elsewhere."""
    tree = copy.deepcopy(tree)
    for _ in range(draw(st.integers(1, 3))):
        found = list(places(tree))
        if not found:
            break
        where, key = draw(st.sampled_from(found))
        there, other = draw(st.sampled_from(found))
        value = draw(st.sampled_from(VALUES) | st.sampled_from(TEXTS) | st.text(max_size=8))
        match draw(st.integers(0, 9)):
            case 0:
                del where[key]
            case 1 | 2 | 3 | 4:
                where[key] = copy.deepcopy(value)
            case 5 if isinstance(where, dict):
                where[value if isinstance(value, str) else f"{key}s"] = where.pop(key)
            case 5 if isinstance(where, list):
                where.extend([where[key]] * draw(st.sampled_from((1, 3, 2000))))
            case 6:
                # The same object in two places, or in itself, is an alias in YAML.
                where[key] = there
            case 7:
                where[key] = copy.deepcopy(there[other])
            case 8:
                where[key] = [where[key]]
            case _:
                where[key] = nested(where[key], draw(st.sampled_from((2, 50, 150))))
    return tree


def nested(value: Any, depth: int) -> Any:
    for _ in range(depth):
        value = {"properties": value}
    return value


def dumped(tree: dict[str, Any], *, flow: bool = False) -> bytes:
    text: str = yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, default_flow_style=flow)
    return text.encode("utf-8", errors="surrogatepass")


@st.composite
def small_experiments(draw: st.DrawFn) -> bytes:
    """The small experiment, changed in structure."""
    tree = copy.deepcopy(SMALL)
    tree["task"]["answer"] = copy.deepcopy(draw(st.sampled_from(ANSWERS)))
    return dumped(draw(changed(tree)), flow=draw(st.booleans()))


@st.composite
def real_experiments(draw: st.DrawFn) -> bytes:
    """An experiment of the project, changed in structure."""
    return dumped(draw(changed(yaml.safe_load(REAL[draw(st.sampled_from(sorted(REAL)))]))))


@st.composite
def damaged_text(draw: st.DrawFn, text: str) -> bytes:
    """Text with spans replaced, cut anywhere, in another encoding, with bytes flipped."""
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(text)))
        length = draw(st.sampled_from((0, 0, 1, 2, 5, 12, 40)))
        text = text[:start] + draw(st.sampled_from(SCRAPS)) + text[start + length :]
    encoding = draw(st.sampled_from(("utf-8",) * 6 + ("utf-16", "utf-8-sig", "cp1252", "utf-7")))
    return draw(damaged_bytes(text.encode(encoding, errors="replace")))


@st.composite
def damaged_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """Bytes flipped, removed, repeated, and the end cut off."""
    found = bytearray(content)
    for _ in range(draw(st.sampled_from((0, 0, 1, 1, 2, 5)))):
        if not found:
            break
        at = draw(st.integers(0, len(found) - 1))
        match draw(st.integers(0, 4)):
            case 0:
                found[at] ^= 1 << draw(st.integers(0, 7))
            case 1:
                found[at] = draw(st.sampled_from((0, 0xFF, 0x80, 0x0A, 0x22, 0x1B)))
            case 2:
                del found[at : at + draw(st.integers(1, 30))]
            case 3:
                found[at:at] = found[at : at + 40] * draw(st.sampled_from((1, 2, 50)))
            case _:
                del found[at:]
    return bytes(found)


@st.composite
def experiment_texts(draw: st.DrawFn) -> bytes:
    """An experiment of the project, damaged as text."""
    return draw(damaged_text(REAL[draw(st.sampled_from(sorted(REAL)))]))
