"""What lies where a bundle will go: other people's files stay, an earlier bundle is replaced."""

from dataclasses import replace
from pathlib import Path

import pytest

from edgesdk.core.bundle import read_bundle
from edgesdk.core.errors import UsageError
from edgesdk_export._pipeline import ExportOptions, export_bundle

pytest.importorskip("onnxruntime")


@pytest.mark.parametrize("manifest", [None, b"{", b"[]", b"whole"])
@pytest.mark.parametrize("name", ["tiny-face-onnx-fp32", "tiny-face-onnx-fp32.rejected"])
def test_nothing_of_the_users_is_lost(export, out, name, manifest):
    folder = out / name
    if manifest == b"whole":
        export().path.rename(folder)
    else:
        folder.mkdir(parents=True)
        if manifest is not None:
            (folder / "bundle.json").write_bytes(manifest)
    (folder / "notes").mkdir()
    (folder / "notes" / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match=r"did not write \(.*thesis\.txt"):
        export(force=True)
    assert (folder / "notes" / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("make", [Path.touch, lambda path: path.symlink_to("elsewhere")])
def test_a_file_or_link_in_the_bundles_place_stays(export, out, make):
    out.mkdir()
    make(out / "tiny-face-onnx-fp32")
    with pytest.raises(UsageError, match="no folder of edgesdk"):
        export()
    assert [p.name for p in out.iterdir()] == ["tiny-face-onnx-fp32"]


def test_a_bundle_is_never_replaced_by_another_models(source, out):
    """A run is called like the shipped model it began with; its bundle must not take its place."""
    one = export_bundle(source, ExportOptions("onnx"), out)
    trained = replace(source, source_sha256="ab" * 32)
    other = export_bundle(trained, ExportOptions("onnx"), out)
    assert other.path.name == f"{one.model}-abababab-onnx-fp32" == other.name
    assert read_bundle(one.path).source_sha256 == one.source_sha256
    assert any("abababab" in sentence for sentence in other.decisions)
    assert other.name in (other.path / "MODEL_CARD.md").read_text()
    # Asked again, each is found where it lies.
    assert export_bundle(trained, ExportOptions("onnx"), out) == read_bundle(other.path)
    again = export_bundle(source, ExportOptions("onnx", force=True), out)
    assert again.path == one.path


def test_a_name_that_is_taken_meanwhile_is_left_alone(source, out, monkeypatch):
    from edgesdk_export import _pipeline

    honest = _pipeline._prove
    trained = replace(source, source_sha256="ab" * 32)

    def prove(*values):
        monkeypatch.setattr(_pipeline, "_prove", honest)
        export_bundle(source, ExportOptions("onnx"), out)
        return honest(*values)

    monkeypatch.setattr(_pipeline, "_prove", prove)
    late = export_bundle(trained, ExportOptions("onnx"), out)
    assert late.path.name.endswith("abababab-onnx-fp32")
    assert read_bundle(late.path).name == late.path.name
    assert read_bundle(out / source.name).source_sha256 == source.source_sha256
