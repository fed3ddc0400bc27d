"""Benchmarks: honest times, verdicts on them, and reports."""
