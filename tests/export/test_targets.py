"""The constraints that lie beside the exporters, and what a recipe's hash is made of."""

from dataclasses import replace

import pytest

from edgesdk.core import plugins
from edgesdk.core.target import read_target
from edgesdk_export._source import facts, own_sha256, source_of

EXPORTERS = plugins.names(plugins.EXPORTERS)


@pytest.mark.parametrize("name", EXPORTERS)
def test_every_exporter_has_constraints(name):
    target = read_target(name)
    assert target.precisions[0] == "fp32"
    assert set(target.tolerance) == set(target.precisions)
    assert target.tolerance["fp32"].atol == 1e-5
    assert target.runtimes
    assert set(target.options.get("calibrated", ())) <= set(target.precisions)
    assert target.options["tools"]


def test_the_official_targets_are_there():
    assert {"onnx", "tensorrt", "coreml", "tflite", "reference"} <= set(EXPORTERS)


def test_aliases_do_not_collide():
    every = [a for _, e in plugins.every(plugins.EXPORTERS) for a in (*e.aliases,)]
    assert len(every) == len(set(every))
    assert not set(every) & set(EXPORTERS)


def test_the_root_hash_is_kept_from_bundle_to_bundle(source, export):
    assert source_of(source).sha256 == source_of(export()).sha256 == source.source_sha256


@pytest.mark.parametrize(
    "change",
    [
        {"thresholds": {"far_1e-2": {"value": 0.1, "low": 0.0, "high": 0.2}}},
        {"licence": {"weights": "MIT", "data": "MIT"}},
        {"files": {"model.onnx": {"sha256": "1" * 64, "bytes": 1}}},
        {"source_sha256": "2" * 64},
    ],
)
def test_what_is_taken_over_is_part_of_the_hash(source, change):
    assert own_sha256(source_of(replace(source, **change))) != own_sha256(source_of(source))


def test_what_is_not_taken_over_is_not(source):
    other = replace(source, verify={"verdict": "pass"}, decisions=("x",))
    assert own_sha256(source_of(other)) == own_sha256(source_of(source))


def test_facts_are_text_with_a_prefix(source):
    told = facts(source_of(source))
    assert all(key.startswith("edgesdk.") for key in told)
    assert all(isinstance(value, str) and value for value in told.values())
