"""The report as one self-contained HTML file: no script, no request, safe with hostile text."""

from __future__ import annotations

import re

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from harness.report.charts import draw
from harness.report.document import Block, ComparisonView, Figure, ReportView


def to_html(view: ReportView | ComparisonView) -> str:
    """The whole document. Everything is escaped but the charts, which are escaped where drawn."""
    environment = Environment(
        loader=PackageLoader("harness", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["block"] = _is_block
    environment.filters["coded"] = _coded

    def chart(figure: Figure) -> Markup:
        return Markup(draw(figure, view.arms))  # noqa: S704 -- made here, its texts are escaped

    template = environment.get_template("template.html.j2")
    return template.render(view=view, verdict=view.verdict, chart=chart)


def _coded(text: str) -> Markup:
    """Names between backticks as code, all of it escaped first."""
    # As plain text: what is joined to Markup is escaped, and that would be the tags.
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704


def _is_block(block: Block, name: str) -> bool:
    return type(block).__name__ == name
