"""The report in a real browser: on a phone, in the dark, on paper, by ear, without scripts."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from harness.report import ReportView

from .browsing import Opener

pytestmark = pytest.mark.browser
PHONE = {"width": 360, "height": 740}


def test_the_whole_report_is_shown(view: ReportView, whole: Path, opened: Opener) -> None:
    with opened(whole) as visit:
        text = visit.page.inner_text("body")
        assert view.verdict.headline in text
        assert visit.page.locator("svg[role=img]").count() == 7
        assert visit.count == "25 of 25 items match"
        assert visit.page.locator("#explorer-pages").is_hidden()
        assert visit.page.title() == view.title


def test_the_first_screen_is_one_screen(view: ReportView, whole: Path, opened: Opener) -> None:
    bottom = "document.querySelector('.first').getBoundingClientRect().bottom"
    with opened(whole, viewport={"width": 1200, "height": 800}) as visit:
        assert visit.page.evaluate(bottom) <= 800
        visit.page.emulate_media(media="print")
        # What A4 has between its margins, at the width of a page.
        visit.page.set_viewport_size({"width": 680, "height": 1000})
        assert visit.page.evaluate(bottom) <= 1000


def test_a_link_of_the_first_screen_opens_what_it_leads_to(whole: Path, opened: Opener) -> None:
    with opened(whole) as visit:
        page = visit.page
        page.locator(".glance a[href='#cost']").first.press("Enter")
        assert page.evaluate("location.hash") == "#cost"
        assert page.locator("#claims").is_hidden()
        page.locator("a[href='#cost-details']").click()
        # A browser opens the details around what a link leads to.
        expect(page.locator("#cost-details")).to_be_visible()
        assert page.locator("#claims").is_visible()


def test_no_page_is_wider_than_a_phone(whole: Path, attacked: Path, opened: Opener) -> None:
    for path in (whole, attacked):
        with opened(path, viewport=PHONE) as visit:
            page = visit.page
            page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true })")
            assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
            page.locator("#explorer-rows button").first.click()
            box = page.get_by_role("dialog").bounding_box()
            assert box is not None and box["x"] >= 0
            assert box["x"] + box["width"] <= PHONE["width"]
            assert page.get_by_role("dialog").evaluate("(e) => e.scrollWidth <= e.clientWidth")


def test_everything_has_a_name_for_a_screen_reader(whole: Path, opened: Opener) -> None:
    with opened(whole) as visit:
        page = visit.page
        assert page.locator("h1").count() == page.locator("main").count() == 1
        assert page.get_by_role("navigation", name="Contents").count() == 1
        assert page.get_by_role("search", name="Test items").count() == 1
        for label in ("Search in texts, answers and replies", "Compare", "with", "Outcome",
                      "Validity", "Order"):  # fmt: skip
            assert page.get_by_label(label, exact=True).count() == 1, label
        status = page.get_by_role("status")
        assert status.get_attribute("aria-live") == "polite"
        assert status.inner_text() == "25 of 25 items match"
        unnamed = """() => [...document.querySelectorAll(
            'button, select, input, svg, [role=region], dialog')].filter((e) => !(
            e.textContent.trim() || e.labels?.length || e.getAttribute('aria-label')
            || e.getAttribute('aria-labelledby'))).map((e) => e.outerHTML)"""
        assert page.evaluate(unnamed) == []
        bare = "document.querySelectorAll('table:not(:has(caption)), th:not([scope])').length"
        assert page.evaluate(bare) == 0


def test_colours_follow_the_reader(whole: Path, opened: Opener) -> None:
    brightness = """(e) => getComputedStyle(e).%s.match(/\\d+/g).slice(0, 3)
        .reduce((sum, part) => sum + Number(part), 0) / 765"""
    for scheme, dark in (("dark", True), ("light", False)):
        with opened(whole, color_scheme=scheme) as visit:
            body = visit.page.locator("body")
            assert (body.evaluate(brightness % "backgroundColor") < 0.5) is dark
            for part in ("body", "#explorer-words", "svg text"):
                found = visit.page.locator(part).first
                shown = "fill" if "svg" in part else "color"
                assert (found.evaluate(brightness % shown) > 0.5) is dark, part


def test_it_prints_without_controls(whole: Path, opened: Opener) -> None:
    with opened(whole, viewport={"width": 688, "height": 1000}) as visit:
        page = visit.page
        page.emulate_media(media="print")
        assert page.locator(".explorer").is_hidden()
        assert page.locator("nav").is_hidden()
        assert page.locator("#appendix").is_hidden()
        assert page.get_by_text("budget.trials: 16").is_visible()
        assert page.get_by_text("lora did better", exact=True).is_visible()
        assert page.evaluate("document.documentElement.scrollWidth") == 688
        printed = page.pdf(prefer_css_page_size=True)
        assert printed.startswith(b"%PDF-") and len(printed) > 50_000


def test_without_scripts_the_report_stays_readable(whole: Path, opened: Opener) -> None:
    with opened(whole, java_script_enabled=False) as visit:
        assert visit.page.locator(".explorer").is_hidden()
        text = visit.page.inner_text("main")
        assert "The list needs JavaScript" in text
        assert text.count("Right answer") == 2  # an example each way
        assert "Feedback number 1." in text


def test_a_browser_that_cannot_unpack_says_so(whole: Path, browser: Browser) -> None:
    page = browser.new_page()
    page.add_init_script("delete window.DecompressionStream")
    page.goto(whole.as_uri())
    expect(page.get_by_role("alert")).to_contain_text("cannot unpack it (ReferenceError)")
    assert page.locator(".explorer").is_hidden()
    page.close()
