"""No proof, no bundle."""

from dataclasses import replace

import pytest

from edgesdk.core.bundle import read_bundle
from edgesdk.core.errors import GateFailedError
from edgesdk.core.verify import read_verification
from edgesdk_runtimes._reference_ops import OPS

pytest.importorskip("onnx", reason="needs the onnx extra")


def test_what_nothing_here_can_run_is_no_bundle(export, out, monkeypatch):
    monkeypatch.delitem(OPS, "AveragePool")
    with pytest.raises(GateFailedError, match="could not be proven here") as caught:
        export("reference")
    assert caught.value.exit_code == 4
    assert "no operator AveragePool" in str(caught.value)
    assert "differs" not in str(caught.value)
    assert list(out.iterdir()) == []
    bundle = export("reference", verify=False)
    assert bundle.verify["verdict"] == "skipped"
    assert "not proven here" in (bundle.path / "MODEL_CARD.md").read_text()


def test_an_engine_is_proven_on_its_onnx_unless_its_own_proof_is_required(export, spoil):
    def hide(folder, artefact):
        (folder / "behind.onnx").write_bytes((folder / artefact.entry).read_bytes())
        return replace(artefact, proxy="behind.onnx", not_run="no such device")

    spoil("onnx", hide)
    bundle = export("onnx")
    told = read_verification(bundle.path / "verify.json")
    assert (told.verdict, told.proof) == ("not-run", "proven on the ONNX behind it")
    for again in ({}, {"force": True}):
        with pytest.raises(GateFailedError, match=r"--require-proof .*: no such device"):
            export("onnx", require_proof=True, **again)
    assert read_bundle(bundle.path).sha256 == bundle.sha256
