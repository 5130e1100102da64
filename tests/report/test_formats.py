"""Three formats, one set of facts; hostile text stays text in each of them."""

from __future__ import annotations

import dataclasses
import html
import io
import itertools
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.records import StepReport, write_whole
from harness.report import (
    ReportView,
    print_report,
    to_html,
    to_markdown,
)
from harness.report.charts.palette import arm_styles
from harness.report.charts.svg import draw
from harness.report.document import APPENDIX, Figure

from .example_study import (
    HOSTILE,
    NOW,
    SCRIPT,
    findings,
    no_findings,
    study,
    trial,
    undecided,
    unfinished_study,
    view_of,
)
from .reading import Page, block_texts, squeezed, texts

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def page(view: ReportView) -> str:
    return to_html(view)


def golden(name: str, text: str) -> None:
    """Compare with the stored output; HARNESS_WRITE_GOLDEN=1 stores it anew."""
    path = GOLDEN / name
    if os.environ.get("HARNESS_WRITE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def unescaped(markdown: str) -> str:
    return squeezed(html.unescape(re.sub(r"\\([\\`*_\[\]|~#$+-])", r"\1", markdown)))


def printed(view: ReportView, width: int = 80) -> str:
    stream = io.StringIO()
    print_report(view, Console(file=stream, width=width, color_system=None))
    return stream.getvalue()


def test_markdown_is_as_it_was(view: ReportView) -> None:
    golden("report.md", to_markdown(view))


def test_markdown_of_an_unfinished_study_is_as_it_was() -> None:
    golden("unfinished.md", to_markdown(view_of(unfinished_study(), no_findings(), now=NOW)))


def test_terminal_is_as_it_was(view: ReportView) -> None:
    golden("report.txt", printed(view))


def test_terminal_says_what_to_do_next_with_lines_that_can_be_copied(view: ReportView) -> None:
    """`harness run` sends its reader here where nothing is decided."""
    assert view.first is not None and len(view.first.steps) == 2
    shown = printed(view, 40).split("What the verdict")[0].splitlines()
    assert "What to do next" in shown
    for step in view.first.steps:
        for line in step.lines:
            assert f"     {line}" in shown
        assert step.changes.split()[0] in " ".join(shown)
    assert "What to do next" not in printed(view_of(unfinished_study(), no_findings(), now=NOW))


def test_html_holds_every_text_and_markdown_what_is_no_detail(view: ReportView, page: str) -> None:
    in_page, in_markdown = Page(page).text, unescaped(to_markdown(view))
    wanted = [squeezed(text).replace("`", "") for text in texts(view) if text.strip()]
    assert len(wanted) > 500
    for text in wanted:
        assert text in in_page.replace("`", "")
    shown = [
        squeezed(text)
        for section in view.sections
        for block in section.shown
        for text in block_texts(block)
        if text.strip() and section.chapter != APPENDIX.key
    ]
    assert len(shown) > 200
    for text in shown:
        # code fences are literal, so backslashes there are not escapes
        assert text in in_markdown or "\\" in text or text in squeezed(to_markdown(view))
    assert len(to_markdown(view)) < 65_536  # what an issue tracker takes
    fences = re.compile(r"^(`{3,}).*?^\1$", re.DOTALL | re.MULTILINE)
    assert not re.search(r"<\w", fences.sub("", to_markdown(view)))


def test_terminal_tells_the_same_facts(view: ReportView) -> None:
    told = squeezed(printed(view, width=400))
    for key in ("primary", "general"):
        for block in view.section(key).shown:
            shown = [text for text in block_texts(block) if "\n" not in text]
            assert sum(squeezed(text) in told for text in shown) > 0.6 * len(shown)
    for row in findings().arms:
        assert row.arm in told
    for text in ("+0.083 (95 % interval +0.041 to +0.125)", "0.654 to 0.736", "not tuned"):
        assert text in told


def test_terminal_fits_its_width(view: ReportView) -> None:
    assert max(len(line) for line in printed(view).splitlines()) <= 80


def test_terminal_reads_no_markup_in_texts(view: ReportView) -> None:
    told = printed(view, width=400)
    assert "[red]not red[/red] [/] [link=http://evil.example]click[/link]" in told
    assert "\x1b" not in told


def test_html_is_well_formed_and_its_headings_descend_in_order(page: str) -> None:
    parsed = Page(page)
    assert parsed.problems == []
    levels = [int(tag[1]) for tag in parsed.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    ids = [value for _, name, value in parsed.attributes if name == "id"]
    assert len(ids) == len(set(ids))


def test_html_has_every_section_and_its_charts(view: ReportView, page: str) -> None:
    parsed = Page(page)
    ids = {value for tag, name, value in parsed.attributes if name == "id" and tag == "section"}
    parts = [chapter for chapter in view.chapters if chapter is not APPENDIX]
    chapters = {chapter.key for chapter in parts if view.of_chapter(chapter)}
    details = {f"{section.key}-details" for section in view.detailed}
    shown = {s.key for s in view.sections if s.shown or s.chapter == APPENDIX.key}
    assert ids == {"verdict", "next"} | chapters | details | shown
    assert view.first is not None
    drawn = [b for s in view.sections for b in s.shown if isinstance(b, Figure)]
    folded = [b for s in view.sections for b in s.details if isinstance(b, Figure)]
    figures = [*view.first.pictures, *drawn, *folded]
    labels = [v for tag, name, v in parsed.attributes if tag == "svg" and name == "aria-label"]
    assert sorted(labels) == sorted(f"{figure.title}. {figure.see}" for figure in figures)
    assert sum((tag, n) == ("th", "scope") for tag, n, _ in parsed.attributes) > 100
    assert parsed.tags.count("caption") == parsed.tags.count("table") > 10


def test_html_runs_nothing_of_others_and_asks_nobody(page: str) -> None:
    parsed = Page(page)
    assert not {"img", "iframe", "link", "object", "embed", "base", "form"} & set(parsed.tags)
    assert parsed.tags.count("script") == 2  # packed data, and the script that reads it
    assert not [name for _, name, _ in parsed.attributes if name.startswith("on")]
    for tag, name, value in parsed.attributes:
        assert not re.search(r"(https?:)?//", value), (tag, name, value)
        if name in {"href", "src", "xlink:href"}:
            assert value.startswith("#")
    assert "@import" not in page
    assert "&lt;code&gt;" not in page
    assert "default-src 'none'" in page


def test_hostile_text_is_shown_and_inert_everywhere(page: str, view: ReportView) -> None:
    assert SCRIPT in Page(page).text
    assert html.escape(SCRIPT, quote=False).replace("'", "&#39;") in page
    for text in (page, to_markdown(view)):
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\u200b]", text)
    assert "U+202E" in to_markdown(view)


def test_hostile_names_do_not_break_out_of_charts() -> None:
    whole = findings()
    assert whole.primary is not None
    names = (*HOSTILE, "$\\frac{", "]]>", "-->")
    assert len(whole.trade_off) > len(names)
    points = tuple(
        dataclasses.replace(point, arm=name)
        for point, name in zip(whole.trade_off, itertools.cycle(names), strict=False)
    )
    for hostile in names:
        primary = dataclasses.replace(whole.primary, a=hostile)
        changed = dataclasses.replace(whole, primary=primary, trade_off=points)
        parsed = Page(to_html(view_of(study(), changed, now=NOW)))
        assert parsed.problems == []
        assert not {"script", "img", "b"} & set(parsed.tags)


def test_html_is_the_same_twice(
    view: ReportView, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its charts too, which are drawn again.
    monkeypatch.setattr("harness.report.formats.html.draw", draw)
    assert to_html(view) == page


def test_no_number_at_all_still_makes_a_report() -> None:
    whole = without_numbers(findings())
    view = view_of(study(), whole, now=NOW)
    parsed = Page(to_html(view))
    assert parsed.problems == []
    for text in texts(view):
        assert not re.search(r"\bnan\b", text), text
    assert not re.search(r"\bnan\b", printed(view))
    assert not re.search(r"\bnan\b", parsed.text)


def without_numbers(value: Any) -> Any:
    """The same findings with every measured float unknown."""
    if isinstance(value, float):
        return math.nan
    if isinstance(value, tuple):
        return tuple(without_numbers(part) for part in value)
    if isinstance(value, dict):
        return {key: without_numbers(part) for key, part in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        return type(value)(**{name: without_numbers(part) for name, part in fields.items()})
    return value


def test_long_runs_and_many_arms_stay_small_and_apart() -> None:
    report = StepReport(1, 20_000, 1.0, 0.5, 1e-4, 1.0, 1, 1.0)
    steps = tuple(dataclasses.replace(report, step=n) for n in range(1, 20_001))
    arms = [f"arm-{n}" for n in range(12)]
    trials = tuple(trial(arm, "finalist", 0, 1, steps=steps) for arm in arms)
    view = view_of(dataclasses.replace(study(), trials=trials), findings(), now=NOW)
    assert len(to_html(view)) < 600_000
    styles = arm_styles(arms)
    assert len({(style.colour, style.marker) for style in styles.values()}) == len(arms)


def test_importing_the_report_loads_nothing_heavy() -> None:
    heavy = "{'matplotlib', 'torch', 'duckdb', 'lm_eval', 'transformers', 'optuna', 'pandas'}"
    code = f"import sys, harness.report; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("which", ["unfinished", "undecided"])
def test_reports_with_gaps_render(which: str) -> None:
    pair = (unfinished_study(), no_findings()) if which == "unfinished" else (study(), undecided())
    view = view_of(*pair, now=NOW)
    parsed = Page(to_html(view))
    assert parsed.problems == []
    assert "not measured" in parsed.text
    assert "not measured" in to_markdown(view)
    assert view.verdict.headline in printed(view)


def test_files_are_written_whole_or_not_at_all(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_whole(tmp_path / "deep" / "report.html", page)
    assert path.read_text(encoding="utf-8") == page

    def broken(_: object, __: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", broken)
    with pytest.raises(OSError, match="disk full"):
        write_whole(path, "another")
    assert path.read_text(encoding="utf-8") == page
    assert [found.name for found in path.parent.iterdir()] == ["report.html"]
