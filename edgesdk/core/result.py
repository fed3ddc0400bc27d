"""One benchmark schema for host, phone and browser. Statistics are properties of raw samples."""
# Filled in by the benchmark component; see protocols.py for who uses it.

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BenchPlan:
    """What to measure."""


@dataclass(frozen=True, slots=True)
class BenchResult:
    """What was measured."""
