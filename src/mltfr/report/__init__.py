"""Report of a study: comparisons with tests, tables in Markdown and LaTeX, plots."""

from mltfr.report.comparisons import compare_all
from mltfr.report.write import write_report

__all__ = ["compare_all", "write_report"]
