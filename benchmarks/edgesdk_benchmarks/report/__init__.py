"""Reports: a pure function of result files."""

from edgesdk_benchmarks.report.write import report, result_table

__all__ = ["report", "result_table"]
