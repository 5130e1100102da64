"""The report as one self-contained HTML file: no request, safe with hostile text.

The page's own script, which the list of test items needs, is the only one that can run: the
page's policy names it by its hash. Text from outside reaches it as packed data, which no parser of
HTML reads, and leaves it as text nodes.
"""

from __future__ import annotations

import base64
import dataclasses
import gzip
import hashlib
import json
import re
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from harness.report.charts.svg import draw
from harness.report.document import Block, ComparisonView, Explorer, Figure, ReportView

SCRIPT = Path(__file__).with_name("explorer.js")


def to_html(
    view: ReportView | ComparisonView,
    *,
    appendix: bool = False,
    brief: bool = False,
    reload_seconds: int | None = None,
) -> str:
    """The whole document. Everything is escaped but the charts, which are escaped where drawn.

    Args:
        view: the report's contents.
        appendix: whether the appendix is open, so that it is printed too.
        brief: leave out all but the first screen, its grounds, and the questions' answers.
        reload_seconds: after how many seconds a browser reads the file again, in whole seconds;
            None for a document that stays as it is.
    """

    def chart(figure: Figure) -> Markup:
        return Markup(draw(figure, view.arms))  # noqa: S704 -- made here, its texts are escaped

    shown = [] if brief else [block for part in view.sections for block in part.blocks]
    explorers = [block for block in shown if isinstance(block, Explorer)]
    # What a number of the first screen may link to.
    anchors = set() if brief else {part.key for part in view.sections if part.shown}
    if isinstance(view, ComparisonView):
        view = ReportView(view.title, view.about, view.verdict, view.sections, view.arms)
    return _template().render(
        view=view,
        verdict=view.verdict,
        chart=chart,
        whole=appendix,
        brief=brief,
        anchors=anchors,
        reload_seconds=reload_seconds,
        script=Markup(SCRIPT.read_text(encoding="utf-8")) if explorers else "",  # noqa: S704
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("harness.report", "formats"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["block"] = _is_block
    environment.filters["coded"] = _coded
    environment.filters["packed"] = _packed
    environment.filters["sha256"] = _sha256
    return environment.get_template("template.html.j2")


def _coded(text: str) -> Markup:
    """Names between backticks as code, all of it escaped first."""
    # As plain text: what is joined to Markup is escaped, and that would be the tags.
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704


def _is_block(block: Block, name: str) -> bool:
    return type(block).__name__ == name


def _sha256(text: str) -> str:
    """The hash by which a content security policy knows a script or a style sheet."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _packed(block: Explorer) -> str:
    """The items as JSON, gzip and base64, whose letters mean nothing to a parser of HTML."""
    data = {
        "texts": block.texts,
        "ids": block.ids,
        "inputs": block.inputs,
        "targets": block.targets,
        "runs": [{"name": run.name, "replies": run.replies} for run in block.runs],
        "sides": [
            {"name": side.name, "runs": side.runs, "scores": side.scores, "valid": side.valid}
            for side in block.sides
        ],
        "start": block.start,
        "full": block.full,
        "sign": 1 if block.higher_is_better else -1,
        "scale": dataclasses.asdict(block.scale),
    }
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(gzip.compress(text.encode(), compresslevel=6, mtime=0)).decode()
