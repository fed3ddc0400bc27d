"""The tool that makes faces of nobody: what needs no generator."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")

from edgesdk.images import read_image  # noqa: E402
from edgesdk_training.packs import PackDataset  # noqa: E402
from tools import face_pack, generate_faces  # noqa: E402


def block(number, seed=0, faces=2):
    files = [face_pack.encoded(np.full((112, 112, 3), 40 * i, np.uint8)) for i in range(faces)]
    return {
        "blob": np.frombuffer(b"".join(files), np.uint8),
        "offsets": np.cumsum([0, *map(len, files)]),
        "identity": np.full(faces, -1),
        "names": np.array([f"generated/{seed}/{number}/{i}" for i in range(faces)]),
        "embedding": np.eye(faces, 128, dtype=np.float16),
        "made_by": np.array(["teacher", "source"]),
    }


def test_blocks_join_to_a_face_pack_of_nobody(tmp_path):
    path = tmp_path / "faces.npz"
    face_pack.write(path, face_pack.joined(block(0), block(1, faces=3)))
    pack = PackDataset(path)
    assert len(pack) == 5
    assert pack.people == [""] * 5
    assert [round(float(pack[i].mean())) for i in range(5)] == [0, 40, 0, 40, 80]
    assert pack.embeddings.shape == (5, 128)


def test_a_stopped_command_goes_on_behind_its_last_block(tmp_path):
    path = tmp_path / "faces.npz"
    assert face_pack.begun(path, "generated", 7) == ({}, 0)
    face_pack.write(path, block(4, seed=7))
    arrays, following = face_pack.begun(path, "generated", 7)
    assert following == 5
    assert read_image(arrays["blob"][: arrays["offsets"][1]].tobytes()).shape == (112, 112, 3)


def test_faces_of_another_teacher_or_source_are_not_mixed():
    other = block(1) | {"made_by": np.array(["teacher", "another"])}
    with pytest.raises(SystemExit, match="another teacher or source"):
        face_pack.joined(block(0), other)


def test_a_pack_from_elsewhere_is_left_alone(tmp_path):
    path = tmp_path / "faces.npz"
    np.savez(path, **{k: v for k, v in block(0).items() if k != "made_by"})
    with pytest.raises(SystemExit, match="other faces"):
        face_pack.begun(path, "generated", 0)


def test_faces_of_another_seed_are_not_mixed(tmp_path):
    path = tmp_path / "faces.npz"
    face_pack.write(path, block(0, seed=1))
    with pytest.raises(SystemExit, match="other faces"):
        face_pack.begun(path, "generated", 2)


def test_faces_are_drawn_towards_the_mean(monkeypatch):
    generator = generate_faces.Generator.__new__(generate_faces.Generator)
    generator._mean, generator._device = torch.zeros(512), "cpu"
    monkeypatch.setattr(generator, "_style", lambda x: torch.ones_like(x), raising=False)
    drawn = generator.draw(np.random.default_rng(0), 64).numpy()
    assert (drawn >= 0.65).all()
    assert (drawn <= 1).all()
    assert np.ptp(drawn, axis=1).max() == 0
    assert np.ptp(drawn[:, 0]) > 0.2
