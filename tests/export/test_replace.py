"""What lies where a bundle will go: other people's files stay, an earlier bundle is replaced."""

from pathlib import Path

import pytest

from edgesdk.core.errors import UsageError

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
