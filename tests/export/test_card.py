"""The card tells no figure that the manifest and verify.json do not hold."""

import json
import re
from dataclasses import replace

import pytest

from edgesdk.core.bundle import read_bundle

pytest.importorskip("onnx", reason="needs the onnx extra")

from edgesdk_export._pipeline import ExportOptions, export_bundle

NUMBER = re.compile(r"(?<![\w.])-?\d[\d,]*\.?\d*(?:e[+-]?\d+)?")


def numbers(value):
    """Return every number in nested JSON, those inside its texts as well."""
    if isinstance(value, dict):
        return set().union(*(numbers(k) | numbers(v) for k, v in value.items()), set())
    if isinstance(value, list):
        return set().union(*(numbers(v) for v in value), set())
    if isinstance(value, str):
        return {float(t.replace(",", "")) for t in NUMBER.findall(value)}
    return {float(value)} if isinstance(value, int | float) else set()


def test_every_figure_comes_from_the_manifest(export):
    bundle = export(precision="int8")
    known = set()
    for name in ("bundle.json", "verify.json"):
        known |= numbers(json.loads((bundle.path / name).read_text()))
    told = numbers((bundle.path / "MODEL_CARD.md").read_text())
    assert len(told) > 20
    rounded = {f"{value:.6g}" for value in known}
    assert {value for value in told if f"{value:.6g}" not in rounded} == set()


def test_licence_and_verdict_are_shown(export):
    text = (export().path / "MODEL_CARD.md").read_text()
    assert "- weights: CC0-1.0" in text
    assert "- proven here (verdict: pass, level: host)" in text


def test_the_licence_file_of_the_source_travels(export, source):
    (source.path / "LICENSE.weights").write_text("the whole text\n")
    assert (export().path / "LICENSE.weights").read_text() == "the whole text\n"


def test_the_privacy_ledger_travels_to_the_card(export, source, out):
    """It changes the hash of what is exported, so no older bundle is taken for it."""
    before = export()
    assert "Privacy ledger" not in (before.path / "MODEL_CARD.md").read_text()
    ledger = {"mechanism": "randomised-response", "epsilon": 3.0, "queries": 80}
    after = export_bundle(replace(source, ledger=ledger), ExportOptions("onnx", None), out)
    assert read_bundle(after.path).ledger == ledger
    assert "- epsilon: 3" in (after.path / "MODEL_CARD.md").read_text()
