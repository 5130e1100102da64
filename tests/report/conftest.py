"""One browser for all tests of reports; they skip where the machine has none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from harness.analysis.arms.samples import gather_samples
from harness.records import write_whole
from harness.report import ReportView, to_html

from .browsing import Opener, opener
from .example_study import ATTACKS, NOW, RULES, findings, study, view_of
from .many_items import examples_only, many_samples


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The Chromium on PATH: none is downloaded.

    Not for longer than a module: while its driver runs, nothing else can run an event loop.
    """
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("NO BROWSER: neither chromium nor google-chrome is on PATH")
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def opened(browser: Browser) -> Opener:
    """Opens a page with settings of a browser's context."""
    return opener(browser)


@pytest.fixture(scope="session")
def view() -> ReportView:
    """The report of the example study."""
    return view_of(study(), findings(), now=NOW, rules=RULES, samples=gather_samples(study()))


@pytest.fixture(scope="session")
def whole(view: ReportView, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its file."""
    return write_whole(tmp_path_factory.mktemp("whole") / "report.html", to_html(view))


@pytest.fixture(scope="session")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every attack as an id, a text, a right answer, a reply, and an arm's name."""
    made = many_samples(len(ATTACKS), 2)
    first, second = made.arms
    hostile = replace(second.runs[0], outputs=ATTACKS)
    named = replace(second, arm=f"{second.arm} {ATTACKS[8]}", runs=(hostile,))
    made = replace(
        made, item_ids=ATTACKS, texts=ATTACKS, targets=ATTACKS[::-1], arms=(first, named)
    )
    return write_whole(
        tmp_path_factory.mktemp("attacked") / "report.html", to_html(examples_only(made))
    )
