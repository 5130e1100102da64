"""Sphinx settings of the site that `make docs` builds from the Markdown pages.

The source is the root of the project, so that links between pages, to the README and to files are
the same in the site as on a code host.
"""

from __future__ import annotations

import re

from pygments.lexers.data import JsonLexer
from sphinx.application import Sphinx
from sphinx.highlighting import lexers

project = "harness"
author = "the authors of harness"
root_doc = "docs/index"
include_patterns = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "docs/**.md",
    "results/README.md",
    "suites/general-mini/README.md",
]
exclude_patterns = ["docs/_build", ".venv", ".git", ".*_cache", "tests", "lab", "harness"]

extensions = ["myst_parser"]
myst_heading_anchors = 4
smartquotes = False  # they make a dash of the two hyphens of an option
lexers["jsonl"] = JsonLexer()

html_theme = "furo"
html_title = "harness"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False
templates_path = ["_templates"]
html_additional_pages = {"index": "to_start.html"}

SECTION = re.compile(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", re.DOTALL | re.MULTILINE)
PAGE = re.compile(r"\[([^\]]+)\]\(([^)#:]+)\.md\)")


def setup(app: Sphinx) -> None:
    """Navigation is what the sections of the start page list: there is no second list to keep."""
    app.connect("source-read", _add_navigation)


def _add_navigation(app: Sphinx, name: str, source: list[str]) -> None:
    if name != root_doc:
        return
    for caption, content in SECTION.findall(source[0]):
        pages = "\n".join(f"{title} <{path}>" for title, path in PAGE.findall(content))
        if pages:
            source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{pages}\n```\n"
