"""A report opened in a real browser, and what the browser says of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect

WAIT = 15_000  # milliseconds that a busy machine is given


@dataclass(frozen=True)
class Visit:
    """An open page, and what went on in it that a report must not do."""

    page: Page
    wrong: list[str]

    @property
    def count(self) -> str:
        """What the list says of how many items match."""
        return self.page.locator("#explorer-count").inner_text()

    def choose(self, **values: str) -> str:
        """Set controls; what the list says then."""
        for name, value in values.items():
            self.page.locator(f"#explorer-{name}").select_option(value)
        return self.count

    def counted(self, name: str, value: str) -> int:
        """How many items a choice says that it has."""
        text = self.page.locator(f"#explorer-{name} option[value={value}]").inner_text()
        return int(text.rpartition("(")[2].rstrip(")").replace(",", ""))

    def search(self, words: str, expected: str) -> None:
        """Type into the search, and wait for what the list should say."""
        self.page.locator("#explorer-words").fill(words)
        expect(self.page.locator("#explorer-count")).to_have_text(expected)


Opener = Callable[..., AbstractContextManager[Visit]]


def opener(browser: Browser) -> Opener:
    """How tests open a page; on closing, it must have done nothing that a report must not do."""

    @contextmanager
    def visit(path: Path, **settings: Any) -> Iterator[Visit]:
        context = browser.new_context(**settings)
        page, wrong = context.new_page(), list[str]()
        page.set_default_timeout(WAIT)
        page.on("console", lambda said: wrong.append(f"console: {said.text}"))
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("dialog", lambda dialog: wrong.append(f"dialog: {dialog.message}"))
        page.on("request", lambda asked: wrong.append(f"request: {asked.url}"))
        page.goto(path.as_uri())
        if settings.get("java_script_enabled", True):
            page.wait_for_selector("#explorer-body:not([hidden])")
        yield Visit(page, wrong)
        assert wrong == [f"request: {path.as_uri()}"]
        context.close()

    return visit
