"""What a model is shipped by: the zoo changes whole or not at all."""

from dataclasses import replace

import pytest

from edgesdk.core import shipped
from edgesdk.core.bundle import read_bundle, read_checkpoint
from edgesdk.core.errors import EdgeSdkError
from tools.zoo import checkpoint_of, put

pytest.importorskip("onnx", reason="needs the onnx extra")


@pytest.fixture
def source():
    """Return the shipped bridge-face."""
    return read_checkpoint(shipped.shipped_checkpoint("bridge-face"))


@pytest.fixture
def zoo(tmp_path, monkeypatch, source):
    """Return an empty zoo that the project takes for its own."""
    home = tmp_path / "zoo"
    monkeypatch.setattr(shipped, "zoo", lambda: home)
    return home


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_checkpoint_licence_and_bundle_are_put_and_replaced(zoo, source):
    for licence in ("one", "two"):
        put(replace(source, metrics={"said": licence}), licence)
        stored = checkpoint_of(zoo / "bridge-face")
        assert stored.metrics == {"said": licence}
        assert (zoo / "bridge-face" / "LICENSE.weights").read_text() == licence
        bundle = read_bundle(zoo / "bridge-face-onnx-fp32")
        assert bundle.metrics["said"] == licence
        assert bundle.thresholds == stored.thresholds == source.thresholds
    assert sorted(p.name for p in zoo.iterdir()) == ["bridge-face", "bridge-face-onnx-fp32"]


def test_what_cannot_be_exported_leaves_the_zoo_as_it_was(zoo, source, tmp_path):
    put(source, "one")
    before = contents(zoo)
    with pytest.raises(EdgeSdkError):
        put(replace(source, metrics={}), "two", str(tmp_path / "no such pairs"))
    assert contents(zoo) == before
