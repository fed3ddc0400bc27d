"""Denormal numbers and dead channels."""

import numpy as np
import pytest

from edgesdk_export._audit import audit


def test_weights_that_are_lost_or_slow_are_counted():
    filters = np.ones((4, 2, 1, 1), np.float32)
    filters[1] = 0
    filters[2, 0] = 1e-40
    filters[3, 1] = 1e-9
    weights = {
        "conv": filters,
        "half": np.float16([[1e-6, 1.0]]),
        "sizes": np.array([0, 0], np.int64),
    }
    slow, lost, dead = audit(weights)
    assert slow.startswith("audit: 2 of 10 weights are denormal")
    assert lost == "audit: 2 of 10 weights are zero in float16"
    assert dead.endswith("zero: 1 of 4 in conv")
    assert audit({})[2].endswith(": none")


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_bundle_is_audited_on_request(export, precision):
    pytest.importorskip("onnx", reason="needs the onnx extra")
    from edgesdk import verify

    found = verify(export("onnx", precision).path, audit=True)
    assert sum(reason.startswith("audit: ") for reason in found.reasons) == 3


def test_denormal_weights_are_flushed_on_request(export, source):
    onnx = pytest.importorskip("onnx", reason="needs the onnx extra")
    from edgesdk.core.bundle import seal

    model = onnx.load(source.entry_path)
    tensor = next(t for t in model.graph.initializer if t.name == "w")
    values = onnx.numpy_helper.to_array(tensor).copy()
    values[:, 0] = 1e-40
    tensor.CopyFrom(onnx.numpy_helper.from_array(values, "w"))
    onnx.save(model, source.entry_path)
    seal(source)
    flushed = export("onnx", flush_denormals=True, force=True)
    assert any(text.startswith("denormals: ") for text in flushed.decisions)
    graph = onnx.load(flushed.entry_path).graph
    found = next(onnx.numpy_helper.to_array(t) for t in graph.initializer if t.name == "w")
    assert (found[:, 0] == 0).all()
    assert (found[:, 1:] == values[:, 1:]).all()
