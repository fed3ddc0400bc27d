"""A batch of 1 where a free one does not hold."""

from functools import partial

import numpy as np
import pytest

from edgesdk.core import plugins
from edgesdk.core.errors import EdgeSdkError, UnsupportedError
from edgesdk_export._batch import why_tied
from edgesdk_export._pipeline import ExportOptions, export_bundle

onnx = pytest.importorskip("onnx", reason="needs the onnx extra")


def bake(folder, artefact, size=1):
    """Let the graph reshape to the items of one, as tracing with one example does."""
    if artefact.inputs[0].shape[0] is not None:
        return
    model = onnx.load(folder / artefact.entry)
    sizes = onnx.numpy_helper.from_array(np.array([size, 48], np.int64), "sizes")
    model.graph.initializer.append(sizes)
    [flatten] = [node for node in model.graph.node if node.op_type == "Flatten"]
    flatten.op_type = "Reshape"
    del flatten.attribute[:]
    flatten.input.append("sizes")
    onnx.save(model, folder / artefact.entry)


def test_a_baked_batch_becomes_a_batch_of_1_that_is_told(export, spoil):
    spoil("onnx", bake)
    bundle = export("onnx")
    assert bundle.verify["verdict"] == "pass"
    assert [spec.shape[0] for spec in (*bundle.inputs, *bundle.outputs)] == [1, 1]
    [said] = [text for text in bundle.decisions if text.startswith("batch 1")]
    assert "a free one does not hold: ort fails on a batch of 3" in said
    graph = onnx.load(bundle.entry_path).graph
    assert graph.input[0].type.tensor_type.shape.dim[0].dim_value == 1
    again = export("onnx")
    assert again.sha256 == bundle.sha256


def test_a_batch_that_not_even_one_item_fits_becomes_a_batch_of_1(export, spoil):
    spoil("onnx", partial(bake, size=2))
    bundle = export("onnx")
    assert (bundle.inputs[0].shape[0], bundle.verify["verdict"]) == (1, "pass")
    assert "a free one does not hold: ort fails on a batch of 1" in " ".join(bundle.decisions)


def test_a_tool_that_refuses_a_free_batch_is_asked_for_a_batch_of_1(source, out, monkeypatch):
    exporter = type(plugins.load(plugins.EXPORTERS, "onnx"))
    honest = exporter.export

    def picky(self, job):
        if job.batch is None:
            (job.folder / "half").mkdir()
            raise UnsupportedError("the tool wants a fixed batch")
        return honest(self, job)

    monkeypatch.setattr(exporter, "export", picky)
    bundle = export_bundle(source, ExportOptions("onnx"), out)
    assert bundle.inputs[0].shape[0] == 1
    assert any("does not hold: the tool wants a fixed batch" in d for d in bundle.decisions)
    assert not (bundle.path / "half").exists()


def test_a_tool_that_refuses_any_batch_is_heard_on_the_free_one(source, out, monkeypatch):
    exporter = type(plugins.load(plugins.EXPORTERS, "onnx"))

    def refuse(self, job):
        raise UnsupportedError(f"no network with batch {job.batch}")

    monkeypatch.setattr(exporter, "export", refuse)
    with pytest.raises(UnsupportedError, match="no network with batch None"):
        export_bundle(source, ExportOptions("onnx"), out)
    assert list(out.iterdir()) == []


def test_a_batch_that_was_asked_for_is_not_changed(export, spoil):
    bundle = export("onnx", batch=4)
    assert bundle.inputs[0].shape[0] == 4
    assert not any("does not hold" in text for text in bundle.decisions)


ITEMS = {"x": np.arange(6, dtype=np.float32).reshape(3, 2)}


def fails(inputs):
    raise EdgeSdkError("it fails")


def fails_on_many(inputs):
    return {"y": inputs["x"]} if len(inputs["x"]) == 1 else fails(inputs)


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (lambda i: {"y": i["x"] * 2}, ""),
        (lambda i: {"y": i["x"] - i["x"].mean()}, "change each other: y by"),
        (lambda i: {"y": i["x"].reshape(1, -1)}, "has shape"),
        (lambda i: {"y": i["x"] * np.nan}, ""),
        (fails_on_many, "it fails"),
    ],
)
def test_what_ties_items_together(run, said):
    found = why_tied(run, ITEMS, "fp32")
    assert said in found
    assert bool(found) == bool(said)
    with pytest.raises(EdgeSdkError, match="it fails"):
        why_tied(fails, ITEMS, "fp32")


@pytest.mark.parametrize("baked", [1, 2, 8])
def test_a_source_that_knows_one_batch_size_has_that_size(baked):
    from edgesdk.core.tensors import TensorSpec
    from edgesdk_export.sources._look import look

    def run(inputs):
        return {"y": inputs["x"].reshape(baked, 4)}

    inputs, [output], [said] = look(run, "baked", (TensorSpec("x", (None, 2, 2)),), ["y"])
    assert inputs[0].shape == (baked, 2, 2)
    assert output.shape == (baked, 4)
    assert said == f"3 items at once do not run: its batch is {baked}"
