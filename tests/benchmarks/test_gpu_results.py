"""Committed results of a GPU, and the README's table of them."""

from dataclasses import replace
from pathlib import Path

import pytest

from edgesdk.core.bundle import read_bundle
from edgesdk.core.result import BenchPlan, Validity, read_result, write_result
from edgesdk.core.shipped import shipped_bundle
from edgesdk_benchmarks.bench import bench
from tools import readme_tables

COMMITTED = sorted(readme_tables.GPU.glob("*.json"))


def test_the_readme_shows_what_is_committed():
    assert readme_tables.gpu() in (readme_tables.ROOT / "docs" / "gpu.md").read_text("utf-8")


@pytest.mark.parametrize("path", COMMITTED, ids=lambda p: p.name)
def test_a_committed_result_is_of_this_models_file_and_names_the_gpu(path: Path):
    result = read_result(path)
    assert result.environment["gpu"]
    assert result.ranked
    assert result.device["name"] in ("cpu", "cuda:0")
    if result.device["name"] == "cuda:0":
        assert set(result.placement) == {"gpu"}
    source = read_bundle(shipped_bundle(result.artefact["model"]))
    assert result.artefact["source_sha256"] in (source.sha256, source.source_sha256)


def test_without_results_the_table_says_so(tmp_path):
    assert readme_tables.gpu(tmp_path).startswith("Not measured so far")


def test_rows_cells_and_marks(tmp_path):
    shipped = read_bundle(shipped_bundle("bridge-face"))
    plans = [BenchPlan(duration_s=0.05, iterations=5, scenario=s, batch=n)
             for s, n in (("latency", 1), ("throughput", 3))]  # fmt: skip
    latency, throughput = bench([shipped], plan=plans)
    on_gpu = {"device": {"kind": "host", "name": "cuda:0"}}
    for name, result, verdict, change in (
        ("a", latency, "VALID", {}), ("b", throughput, "NOISY", {}),
        ("c", latency, "NOISY", on_gpu), ("d", throughput, "INVALID", on_gpu),
    ):  # fmt: skip
        facts = {**result.environment, "cpu": "Some CPU", "gpu": "Some GPU, 580.1"}
        told = replace(result, environment=facts, validity=Validity(verdict=verdict), **change)
        write_result(tmp_path / f"{name}.json", told)
    one = f"{latency.infer.statistics['p50']:.3f}"
    many = f"{throughput.infer.statistics['items_s']:,.0f}"
    lines = readme_tables.gpu(tmp_path).splitlines()
    assert lines[0].startswith(latency.runtime["version"] + "; `~` marks a NOISY result; ")
    assert lines[2:] == [
        "| model | precision | on | ms, one face | faces/s by 3 |",
        "| --- | --- | --- | --- | --- |",
        f"| bridge-face | fp32 | Some CPU, threads: 1 | {one} | ~{many} |",
        f"| bridge-face | fp32 | Some GPU | ~{one} | - |",
    ]
