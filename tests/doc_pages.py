"""The pages of the documentation, cut into the blocks that tests check and run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "results" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "how-to").glob("*.md")),
]
# "Write this to `first.yaml`:" before a block says which file the block is.
NAMED = re.compile(r"`([\w./-]+\.\w+)`:$")
# Or the block's own first line does.
TITLED = re.compile(r"# ([\w./-]+\.\w+)\n")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block. file: the file that the text before it says it is; empty if none."""

    page: str
    language: str
    content: str
    file: str

    def lines(self) -> list[str]:
        """Lines of a shell, without comments, continued ones joined."""
        joined = self.content.replace("\\\n", " ").splitlines()
        return [line for line in joined if line.strip() and not line.lstrip().startswith("#")]


def text_of(page: Path) -> str:
    """A page as it stands."""
    return page.read_text(encoding="utf-8")


def name_of(page: Path) -> str:
    """A page's path from the root of the project."""
    return page.relative_to(ROOT).as_posix()


@cache
def blocks_of(page: Path) -> tuple[Block, ...]:
    """Fenced blocks of a page in their order, those within lists too."""
    found, before = [], ""
    for token in MarkdownIt().parse(text_of(page)):
        if token.type == "inline":
            before = token.content
        elif token.type == "fence":
            named = NAMED.search(before) or TITLED.match(token.content)
            file = named[1] if named else ""
            found.append(Block(name_of(page), token.info, token.content, file))
            before = ""
    return tuple(found)


def blocks(language: str) -> list[Block]:
    """The blocks of all pages in one language."""
    return [one for page in PAGES for one in blocks_of(page) if one.language == language]
