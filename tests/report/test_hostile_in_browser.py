"""Replies that attack the page that shows them, in a real browser: all of them stay text."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from .browsing import Opener
from .example_study import ATTACKS

pytestmark = pytest.mark.browser


def test_hostile_text_is_inert(attacked: Path, opened: Opener) -> None:
    with opened(attacked) as visit:
        page = visit.page
        elements = page.evaluate("[...document.querySelectorAll('*')].map((e) => e.tagName)")
        for at in range(len(ATTACKS)):
            page.locator("#explorer-rows button").nth(at).click()
            page.keyboard.press("Escape")
        visit.choose(outcome="worse")
        assert page.evaluate("window.broken") is None
        after = page.evaluate("[...document.querySelectorAll('*')].map((e) => e.tagName)")
        assert set(after) == set(elements)
        assert after.count("SCRIPT") == 1  # the packed data are taken out once read
        assert not {"IMG", "svg", "SVG", "IFRAME", "FORM"} & set(after)
        assert page.locator("[onerror], [onload], [href^=javascript]").count() == 0
        text = page.inner_text("#explorer-rows") + page.inner_text("#explorer-a-heading")
        assert "⟨U+202B⟩" in text and "</script><script>" in text
        assert not set(text) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200f")


def test_right_to_left_text_turns_nothing_around_it(attacked: Path, opened: Opener) -> None:
    arabic = next(text for text in ATTACKS if text.startswith("\u0627"))
    with opened(attacked) as visit:
        quoted = visit.page.locator("#explorer-rows bdi", has_text=arabic[:5]).first
        direction = "(e) => getComputedStyle(e).direction"
        assert quoted.evaluate(direction) == "rtl"
        assert quoted.locator("xpath=ancestor::tr").evaluate(direction) == "ltr"


def test_the_policy_stops_what_an_escape_would_let_in(
    whole: Path, browser: Browser, tmp_path: Path
) -> None:
    broken = whole.read_text(encoding="utf-8").replace(
        '<main id="content"',
        "<script>window.broken = 1</script><img src='file:///x.png' onerror='window.broken = 1'>"
        "<style>h1 { display: none }</style><main id='content'",
    )  # fmt: skip
    path = tmp_path / "report.html"
    path.write_text(broken, encoding="utf-8")
    page = browser.new_page()
    refused: list[str] = []
    page.on("console", lambda said: refused.append(said.text))
    page.goto(path.as_uri())
    page.wait_for_selector("#explorer-body:not([hidden])")
    assert page.evaluate("window.broken") is None
    assert page.locator("h1").is_visible()
    assert len([text for text in refused if "Content Security Policy" in text]) >= 3
    with pytest.raises(Exception, match="TrustedHTML"):
        page.evaluate("document.body.innerHTML = '<b>bold</b>'")
    page.close()
