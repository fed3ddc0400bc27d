"""Reports: a pure function of result files."""

from edgesdk_benchmarks.report.build import report, result_table

__all__ = ["report", "result_table"]
