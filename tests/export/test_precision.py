"""The precision that is read back from an artefact, and what does not have the one asked for."""

import pytest

from edgesdk.core.errors import GateFailedError, UsageError
from edgesdk_export._contents import contents_of
from edgesdk_export._precision import refuse_lost

onnx = pytest.importorskip("onnx", reason="needs the onnx extra")

FP16 = {"weights": {"fp16": 90, "fp32": 10}, "arithmetic": {"fp16": 3}}
STORED = {"weights": {"fp16": 90}, "arithmetic": {"fp32": 3}}
STAYED = {"weights": {"fp32": 90}, "arithmetic": {"fp32": 3}}


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_a_bundle_keeps_what_was_read_back(export, precision):
    effective = export(precision=precision).build["effective"]
    assert effective["file"] == "model.onnx"
    assert max(effective["weights"], key=effective["weights"].get) == precision
    assert "Precision read back" in (export(precision=precision).path / "MODEL_CARD.md").read_text()


def test_what_is_as_asked_passes_and_the_rest_is_told():
    assert refuse_lost("x", "fp16", FP16, strict=True) == []
    assert refuse_lost("x", "fp16", STORED, strict=False) == ["fp16: 3 of its products are fp32"]
    assert refuse_lost("x", "fp32", STAYED, strict=True) == []
    assert refuse_lost("x", "fp16", {}, strict=False) == []


@pytest.mark.parametrize(
    ("effective", "strict", "match"),
    [
        (STAYED, False, "asked at fp16, and 90 of its weights are fp32"),
        (STORED, True, "3 of its products are fp32"),
        ({}, True, "cannot be looked into"),
    ],
)
def test_what_is_not_as_asked_is_refused(effective, strict, match):
    with pytest.raises(GateFailedError, match=match):
        refuse_lost("x", "fp16", effective, strict)


def test_an_fp16_request_that_stayed_fp32_leaves_no_bundle(export, out, monkeypatch):
    from edgesdk_export import onnx as module

    def idle(source, path, texts):
        path.write_bytes(source.read_bytes())
        return []

    monkeypatch.setattr(module, "to_fp16", idle)
    with pytest.raises(GateFailedError, match="asked at fp16"):
        export(precision="fp16")
    assert not list(out.glob("*fp16*"))


def test_a_bundle_that_exists_keeps_to_it_as_well(export):
    assert export(precision="fp16") == export(precision="fp16", require_precision=True)


@pytest.mark.parametrize("name", ["x.onnx", "x.tflite", "x.xml", "x.pte"])
def test_a_damaged_file_is_a_sentence(tmp_path, name):
    if name == "x.tflite":
        pytest.importorskip("ai_edge_litert", reason="needs the litert extra")
    (tmp_path / name).write_bytes(b"<html>no model</html>" + bytes(40))
    with pytest.raises(UsageError, match=r"x\."):
        contents_of(tmp_path / name)


def test_an_openvino_network_is_read_from_its_text(tmp_path):
    (tmp_path / "m.xml").write_text(
        '<net><layers><layer id="0" name="image" type="Parameter"><output><port id="0" '
        'precision="FP32"><dim>-1</dim><dim>3</dim></port></output></layer>'
        '<layer id="1" type="Const"><data element_type="f16" shape="4, 3"/></layer>'
        '<layer id="2" type="MatMul"><input><port id="0"/><port id="1"/></input><output>'
        '<port id="2" precision="FP16"/></output></layer></layers><edges/></net>'
    )
    found = contents_of(tmp_path / "m.xml")
    assert found.effective == {"weights": {"fp16": 12}, "arithmetic": {"fp16": 1}}
    assert found.inputs == [{"name": "image", "shape": ["-1", "3"], "type": "FP32"}]
