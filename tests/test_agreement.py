"""The tool that tells how far students agree with their teacher."""

import json
import sys

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra train")

from edgesdk.core.errors import UsageError
from edgesdk.core.samples import synthetic_faces
from tools import agreement, face_pack

RANDOM = np.random.default_rng(0)


class Teacher:
    """Sees a face as 8 x 8 colours."""

    name, sha256, dim = "fake", "0" * 64, 192

    def __call__(self, pictures):
        return np.stack([p[7::14, 7::14].ravel() for p in pictures]).astype(np.float32)


@pytest.fixture
def crops(tmp_path):
    face_pack.write(
        tmp_path / "drawn.npz",
        face_pack.packed(synthetic_faces(24, 0, 112), Teacher(), "drawn/0/0", "x"),
    )
    return tmp_path / "drawn.npz"


@pytest.fixture
def compare(monkeypatch, tmp_path):
    monkeypatch.setattr(agreement, "sface", Teacher)

    def run(*words):
        out = tmp_path / "agreement.json"
        argv = ["agreement", "--model", "bridge-face", *map(str, words), "-o", str(out)]
        monkeypatch.setattr(sys, "argv", argv)
        agreement.main()
        return json.loads(out.read_text())

    return run


def test_turned_moved_and_scaled_embeddings_agree():
    rows = RANDOM.normal(size=(40, 16))
    turn, _ = np.linalg.qr(RANDOM.normal(size=(16, 16)))
    assert agreement.agreement(3 * rows @ turn + 5, rows) == pytest.approx(1)


def test_embeddings_of_other_faces_do_not_agree():
    rows = RANDOM.normal(size=(200, 16))
    assert abs(agreement.agreement(rows, RANDOM.normal(size=(200, 16)))) < 0.05
    assert agreement.agreement(rows[::-1], rows) < 0.5


def test_the_result_tells_its_command_and_faces(compare, crops, capsys):
    told = compare("--crops", crops, "--model", "small=bridge-face-32")
    assert told["faces"] == {"drawn.npz": 24}
    assert [row["run"] for row in told["rows"]] == ["bridge-face", "small"]
    assert told["rows"][1]["model"] == "bridge-face-32"
    assert all(0.1 < row["agreement"]["drawn.npz"] < 1 for row in told["rows"])
    words = "--crops drawn.npz --model bridge-face --model small -o agreement.json"
    assert told["command"] == "python tools/agreement.py " + words
    assert "small {'drawn.npz'" in capsys.readouterr().out


def test_too_few_faces_are_refused(compare, crops, monkeypatch, tmp_path):
    monkeypatch.setattr(agreement, "LEAST", 25)
    with pytest.raises(UsageError, match=r"^drawn\.npz has 24 faces; give 25 or more"):
        compare("--crops", crops)
    assert not (tmp_path / "agreement.json").exists()


def test_faces_are_found_in_photos_and_photos_without_are_left_out(compare, monkeypatch, tmp_path):
    faces = synthetic_faces(22, 0, 112)
    nobody = [np.full((112, 112, 3), grey, np.uint8) for grey in (90, 160)]
    seen = [len(agreement.YuNet()(p)) > 0 for p in [*faces, *nobody]]
    photos = face_pack.packed([*faces, *nobody], Teacher(), "photo/0/0", "x")
    face_pack.write(tmp_path / "photos.npz", photos)
    told = compare("--photos", tmp_path / "photos.npz")
    assert seen[-2:] == [False, False]
    assert told["faces"]["photos.npz"] == pytest.approx(sum(seen), abs=2)


def test_what_is_missing_is_told(compare, crops, tmp_path):
    with pytest.raises(UsageError, match=r"none\.npz does not exist"):
        compare("--crops", tmp_path / "none.npz")
    with pytest.raises(UsageError, match="no shipped model has that name"):
        compare("--crops", crops, "--model", "nobody")
    with pytest.raises(SystemExit) as ended:
        compare()
    assert ended.value.code == 2
