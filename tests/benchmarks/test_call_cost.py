"""The cost of a checked call is a difference to the runtime's own, with all samples kept."""

import json
import sys
from dataclasses import replace

import pytest

from edgesdk.core.bundle import read_bundle
from edgesdk.core.errors import UsageError
from edgesdk.core.shipped import shipped_bundle
from edgesdk_benchmarks import call_cost


def test_the_cost_is_the_median_difference():
    samples = {"own": [1000, 5000, 9000], "checked": [3000, 7500, 11000]}
    median, low, high = call_cost.cost_us(samples, "checked")
    assert median == 2.0
    assert 2.0 <= low <= high <= 2.5


def test_the_command_keeps_every_sample(tmp_path, monkeypatch, capsys):
    out = tmp_path / "cost.json"
    monkeypatch.setattr(sys, "argv", ["call_cost", "-o", str(out), "--rounds", "20"])
    call_cost.main()
    (found,) = json.loads(out.read_text())["found"]
    assert {name: len(times) for name, times in found["samples_ns"].items()} == {
        name: 20 for name in call_cost.CALLS
    }
    assert "session.run adds" in capsys.readouterr().out


def test_a_runtime_whose_own_call_is_unknown_is_refused(monkeypatch):
    bundle = replace(read_bundle(shipped_bundle("bridge-face")), precision="int8")
    with pytest.raises(UsageError, match="take a bundle of floats"):
        call_cost.measure(bundle, 1)
