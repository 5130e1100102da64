"""From a study and its findings to a report that people can act on."""

from __future__ import annotations

from harness.report.compare import build_comparison
from harness.report.document import ComparisonView, ReportView
from harness.report.formats.html import to_html
from harness.report.formats.items_csv import items_csv
from harness.report.formats.json import comparison_json, report_json
from harness.report.formats.markdown import to_markdown
from harness.report.formats.pdf import to_pdf
from harness.report.formats.terminal import print_decision, print_report
from harness.report.view import build_view

__all__ = [
    "ComparisonView",
    "ReportView",
    "build_comparison",
    "build_view",
    "comparison_json",
    "items_csv",
    "print_decision",
    "print_report",
    "report_json",
    "to_html",
    "to_markdown",
    "to_pdf",
]
