"""From a study and its findings to a report that people can act on."""

from __future__ import annotations

from harness.report.compare import build_comparison
from harness.report.document import ComparisonView, ReportView
from harness.report.html import to_html, write_html
from harness.report.markdown import to_markdown
from harness.report.terminal import print_report
from harness.report.view import build_view

__all__ = [
    "ComparisonView",
    "ReportView",
    "build_comparison",
    "build_view",
    "print_report",
    "to_html",
    "to_markdown",
    "write_html",
]
