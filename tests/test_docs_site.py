"""The site of `make docs`: built with warnings as errors, whole, and asking nobody for anything."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.doc_pages import PAGES, ROOT

pytestmark = pytest.mark.skipif(
    find_spec("sphinx") is None, reason="NOT TESTED: the extra `docs` (Sphinx) is not installed"
)
# What a browser fetches by itself, unlike the target of a link.
FETCHED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
STARTS_NO_REQUEST = ("index", "search", "next", "prev", "canonical")


@dataclass
class Page(HTMLParser):
    """What a built page refers to."""

    path: Path
    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note ids, targets of links, and what is fetched with the page."""
        found = {name: value or "" for name, value in attrs}
        self.ids |= {found["id"]} if found.get("id") else set()
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        if found.get(FETCHED.get(tag, "")) and found.get("rel") not in STARTS_NO_REQUEST:
            self.fetched.append(found[FETCHED[tag]])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Page]:
    """The built pages by their files."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet"]
    places = ["-b", "html", "-c", "docs", "-d", str(folder / "doctrees"), ".", str(folder / "html")]
    done = subprocess.run(
        [*command, *places], check=False, capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return {path: Page(path) for path in sorted((folder / "html").rglob("*.html"))}


def test_every_page_is_built(site: dict[Path, Page]) -> None:
    root = min(site, key=lambda path: len(path.parts)).parent
    wanted = {page.relative_to(ROOT).with_suffix(".html") for page in PAGES}
    assert wanted <= {path.relative_to(root) for path in site}


def test_every_internal_link_and_anchor_leads_somewhere(site: dict[Path, Page]) -> None:
    broken, followed = [], 0
    for page, target in internal(site):
        parts = urlsplit(target)
        path = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path
        followed += 1
        if not path.exists():
            broken.append(f"{page.path.name}: {target} is not there")
        elif parts.fragment and path in site and unquote(parts.fragment) not in site[path].ids:
            broken.append(f"{page.path.name}: {target} has no such anchor")
    assert not broken
    assert followed > 20 * len(PAGES)


def internal(site: dict[Path, Page]) -> Iterator[tuple[Page, str]]:
    for page in site.values():
        for target in page.links:
            if not urlsplit(target).scheme and target != "#":
                yield page, target


def test_no_page_requests_anything_from_elsewhere(site: dict[Path, Page]) -> None:
    for page in site.values():
        for target in page.fetched:
            assert not urlsplit(target).netloc, f"{page.path.name} fetches {target}"
    styles = [path for page in list(site)[:1] for path in page.parent.rglob("*.css")]
    for style in styles:
        text = style.read_text(encoding="utf-8")
        assert "url(http" not in text
        assert "@import" not in text


def test_navigation_is_that_of_the_start_page(site: dict[Path, Page]) -> None:
    start = next(page for path, page in site.items() if path.parts[-2:] == ("docs", "index.html"))
    for title in ("how-to", "reference", "explanation"):
        assert title in start.ids
    assert "tutorial.html" in start.links
