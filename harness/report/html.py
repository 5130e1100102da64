"""The report as one self-contained HTML file: no script, no request, safe with hostile text."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

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
    arms = view.arms if isinstance(view, ReportView) else ()

    def chart(figure: Figure) -> Markup:
        return Markup(draw(figure, arms))  # noqa: S704 -- made here, its texts are escaped

    template = environment.get_template("template.html.j2")
    verdict = view.verdict if isinstance(view, ReportView) else None
    return template.render(view=view, verdict=verdict, chart=chart)


def write_html(view: ReportView | ComparisonView, path: Path | str) -> Path:
    """Write the report to ``path``, whole or not at all; returns the path.

    Folders on the way are made. Raises ``OSError`` where the file cannot be written.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    text = to_html(view)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return target


def _coded(text: str) -> Markup:
    """Names between backticks as code, all of it escaped first."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text)))  # noqa: S704


def _is_block(block: Block, name: str) -> bool:
    return type(block).__name__ == name
