"""The list of all test items, used as a reader uses it: counts, search, order, pages, an item."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from harness.findings import Samples
from harness.records import write_whole
from harness.report import to_html

from .browsing import Opener
from .many_items import examples_only, many_samples

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def many() -> Samples:
    return many_samples(20_000, 6)


@pytest.fixture(scope="module")
def large(many: Samples, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_whole(
        tmp_path_factory.mktemp("large") / "report.html", to_html(examples_only(many))
    )


def test_twenty_thousand_items_are_counted_rightly(
    many: Samples, large: Path, opened: Opener
) -> None:
    a, b, c = (np.array(many.arms[at].scores) for at in (5, 0, 3))
    gained, lost = int(((a == 1) & (b == 0)).sum()), int(((a == 0) & (b == 1)).sum())
    with opened(large) as visit:
        assert visit.count == "20,000 of 20,000 items match; page 1 of 800"
        visit.choose(a="5", b="0")
        assert visit.counted("outcome", "gained") == visit.counted("outcome", "better") == gained
        assert visit.choose(outcome="gained").startswith(f"{gained:,} of 20,000 items match")
        assert visit.choose(outcome="lost").startswith(f"{lost:,} of")
        assert visit.choose(outcome="right").startswith(f"{int(((a == 1) & (b == 1)).sum()):,} of")
        assert visit.choose(outcome="all", validity="b").startswith("2,000 of")
        assert visit.choose(validity="a").startswith("0 of")
        assert visit.page.locator("#explorer-rows tr").count() == 0
        kept = visit.choose(validity="any", outcome="gained", b="3")
        wanted = int(((a == 1) & (c == 0) & (np.arange(20_000) % 10 == 0)).sum())
        assert kept.startswith(f"{wanted:,} of")


def test_the_search_finds_texts_answers_replies_and_ids(
    many: Samples, large: Path, opened: Opener
) -> None:
    with opened(large) as visit:
        visit.search("NEEDLE", "20 of 20,000 items match")
        visit.search("item-1234", f"{1 + 10} of 20,000 items match")
        wrong = np.any([np.array(arm.scores) == 0 for arm in many.arms], axis=0)
        replied = f"{int(wrong.sum()):,} of 20,000 items match"
        pages = -(-int(wrong.sum()) // 25)
        visit.search("i think w", f"{replied}; page 1 of {pages}")
        visit.search("no such words", "0 of 20,000 items match")
        visit.page.get_by_role("button", name="Start over").click()
        assert visit.count == "20,000 of 20,000 items match; page 1 of 800"


def test_items_are_sorted_and_paged(many: Samples, large: Path, opened: Opener) -> None:
    with opened(large) as visit:
        differences = visit.page.locator("#explorer-rows td:last-child")
        visit.choose(a="5", b="0", order="loss")
        assert set(differences.all_inner_texts()) == {"−1.000"}
        visit.choose(order="gain")
        assert set(differences.all_inner_texts()) == {"+1.000"}
        visit.choose(order="data")
        names = visit.page.locator("#explorer-rows button")
        assert names.all_inner_texts() == list(many.item_ids[:25])
        press = visit.page.get_by_role("group", name="Pages of the list").get_by_role("button")
        press.filter(has_text="Next").click()
        assert names.first.inner_text() == "item-25"
        press.filter(has_text="Last").click()
        assert names.all_inner_texts() == list(many.item_ids[-25:])
        assert press.filter(has_text="Next").is_disabled()
        press.filter(has_text="First").click()
        assert names.first.inner_text() == "item-0"


def test_one_seed_can_be_looked_at_alone(tmp_path: Path, opened: Opener) -> None:
    samples = many_samples(300, 2, seeds=3)
    path = write_whole(tmp_path / "report.html", to_html(examples_only(samples)))
    first, second = (np.array(samples.arms[1].runs[at].scores) for at in (0, 1))
    mean = np.array(samples.arms[1].scores)
    with opened(path) as visit:
        assert visit.page.locator("#explorer-a option").all_inner_texts()[4:6] == [
            "arm-1, mean of 3 seeds",
            "arm-1, seed 1",
        ]
        visit.choose(a="5", b="6")
        assert visit.counted("outcome", "gained") == int(((first == 1) & (second == 0)).sum())
        visit.choose(a="4", b="4")
        assert visit.counted("outcome", "right") == int((mean == 1).sum())
        visit.page.locator("#explorer-rows button").first.click()
        assert visit.page.locator("#explorer-replies dt").count() == 2 + 6


def test_an_item_shows_input_answer_replies_scores_and_validity(
    many: Samples, large: Path, opened: Opener
) -> None:
    with opened(large) as visit:
        visit.search("item-12340", "1 of 20,000 items matches")
        visit.page.locator("#explorer-rows button").click()
        item = visit.page.get_by_role("dialog", name="Item item-12340")
        shown = item.locator("dd").all_inner_texts()
        outputs = {arm.arm: arm.runs[0].outputs[12_340] for arm in many.arms}
        assert shown[:2] == [many.texts[12_340], many.targets[12_340]]
        assert set(shown[2:]) == set(outputs.values())
        terms = item.locator("dt").all_inner_texts()
        assert len(terms) == 8
        score = many.arms[0].scores[12_340]
        assert f"arm-0 (score {score:.3f}, invalid)" in terms
        assert any(term.startswith("arm-1 (score ") and ", valid)" in term for term in terms)


def test_the_keyboard_goes_everywhere(large: Path, opened: Opener) -> None:
    with opened(large) as visit:
        page = visit.page
        focused = "document.activeElement.id || document.activeElement.textContent"
        page.keyboard.press("Tab")
        assert page.evaluate(focused) == "Skip to the content"
        assert page.locator(".skip").bounding_box() is not None
        page.keyboard.press("Enter")
        page.locator("#explorer-words").focus()
        reached = []
        for _ in range(8):
            page.keyboard.press("Tab")
            reached.append(page.evaluate(focused))
        assert reached == [
            *(f"explorer-{name}" for name in ("a", "b", "outcome", "validity", "order", "reset")),
            "explorer-table",
            page.locator("#explorer-rows button").first.inner_text(),
        ]
        outline = "getComputedStyle(document.activeElement).outlineStyle"
        assert page.evaluate(outline) == "solid"
        page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog")
        expect(dialog).to_be_visible()
        assert page.evaluate(focused) == "explorer-name"
        dialog.get_by_role("button", name="Next item").press("Enter")
        second = page.locator("#explorer-rows button").nth(1).inner_text()
        assert page.locator("#explorer-name").inner_text() == f"Item {second}"
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        expect(page.get_by_role("button", name=second, exact=True)).to_be_focused()
