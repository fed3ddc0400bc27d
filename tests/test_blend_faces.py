"""The tool that blends faces of one kind."""

import sys

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra train")

from edgesdk.core.errors import UsageError
from edgesdk_training.packs import PackDataset
from tools import blend_faces, face_pack


class Teacher:
    name, sha256, dim = "fake", "0" * 64, 3

    def __call__(self, pictures):
        return np.stack([p.mean((0, 1)) + 1 for p in pictures]).astype(np.float32)


@pytest.fixture
def source(tmp_path):
    """Return a pack of a dark and a light face."""
    faces = [np.full((112, 112, 3), grey, np.uint8) for grey in (40, 200)]
    face_pack.write(tmp_path / "two.npz", face_pack.packed(faces, Teacher(), "generated/0/0", "x"))
    return tmp_path / "two.npz"


@pytest.fixture
def blend(monkeypatch, source):
    """Return the command line with small blocks and a small teacher."""
    monkeypatch.setattr(blend_faces, "open_teacher", lambda name, device: Teacher())
    for module in (blend_faces, face_pack):
        monkeypatch.setattr(module, "BLOCK", 8)

    def run(*words, data=source):
        monkeypatch.setattr(sys, "argv", ["blend_faces", str(data), *map(str, words)])
        blend_faces.main()

    return run


def test_blends_lie_between_the_faces_and_bring_the_teachers_answer(blend, tmp_path):
    blend("--count", 10, "-o", tmp_path / "blends.npz")
    pack = PackDataset(tmp_path / "blends.npz")
    greys = np.array([pack[i].mean() for i in range(len(pack))])
    assert len(pack) == 16
    assert ((greys > 38) & (greys < 202)).all()
    assert len(set(greys.round())) > 4
    assert pack.people == [""] * 16
    assert np.allclose(pack.embeddings, 3**-0.5, atol=1e-3)


def test_a_longer_pack_begins_with_the_blends_of_a_shorter_one(blend, tmp_path):
    blend("--count", 8, "-o", tmp_path / "grown.npz")
    blend("--count", 16, "-o", tmp_path / "grown.npz")
    blend("--count", 16, "-o", tmp_path / "once.npz")
    with np.load(tmp_path / "grown.npz") as grown, np.load(tmp_path / "once.npz") as once:
        assert all(np.array_equal(grown[k], once[k]) for k in once.files)


def test_blends_of_other_faces_are_not_mixed(blend, tmp_path):
    blend("--count", 8, "-o", tmp_path / "blends.npz")
    with pytest.raises(SystemExit, match="other faces"):
        blend("--count", 16, "--seed", 1, "-o", tmp_path / "blends.npz")
    with pytest.raises(SystemExit, match="another teacher or source"):
        blend("--count", 16, "-o", tmp_path / "blends.npz", data=tmp_path / "blends.npz")


def test_a_folder_or_a_pack_without_numbers_is_refused_before_any_work(blend, tmp_path, source):
    with pytest.raises(UsageError, match="is a folder; name a file"):
        blend("-o", tmp_path)
    with np.load(source) as stored:
        arrays = dict(stored)
    for names in (["blended/0", "x"], ["blended/0/one/0"] * 2, np.array("blended")):
        np.savez(tmp_path / "odd.npz", **{**arrays, "names": np.array(names)})
        with pytest.raises(SystemExit, match="other faces"):
            blend("-o", tmp_path / "odd.npz")


@pytest.mark.parametrize("words", [("--count", 0), ("--seed", -1)])
def test_numbers_that_are_none_are_refused(blend, tmp_path, words, capsys):
    with pytest.raises(SystemExit) as ended:
        blend(*words, "-o", tmp_path / "out.npz")
    assert ended.value.code == 2
    assert f"{words[0]} must be" in capsys.readouterr().err


def test_a_missing_pack_is_told_in_one_sentence(blend, tmp_path):
    with pytest.raises(UsageError, match=r"^the set .*none\.npz does not exist"):
        blend("-o", tmp_path / "out.npz", data=tmp_path / "none.npz")
    assert not (tmp_path / "out.npz").exists()


def test_a_damaged_pack_is_not_gone_on_with(blend, tmp_path):
    (tmp_path / "torn.npz").write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(UsageError, match="is no face pack"):
        blend("-o", tmp_path / "torn.npz")
