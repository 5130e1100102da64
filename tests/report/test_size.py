"""The report of the example study is no longer than it was, so that it does not grow unseen."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.report import ReportView, to_html, to_markdown
from harness.report.formats.pdf import to_pdf

from .test_pdf import needs_browser

# A little more than there are. Who adds a paragraph takes one away.
MOST_WORDS = 2_300
MOST_PAGES = 7


def test_the_words_before_the_appendix(view: ReportView) -> None:
    words = re.findall(r"[A-Za-z0-9]+", to_markdown(view))
    assert 2_000 < len(words) <= MOST_WORDS


@pytest.mark.browser
@needs_browser
def test_the_printed_pages_without_the_appendix(view: ReportView, tmp_path: Path) -> None:
    content = to_pdf(to_html(view), tmp_path)
    assert 4 < len(re.findall(rb"/Type\s*/Page\b", content)) <= MOST_PAGES
