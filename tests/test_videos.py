import sys

import numpy as np
import pytest

import edgesdk
from edgesdk.core.errors import MissingDependencyError, UsageError
from edgesdk.core.samples import synthetic_faces
from edgesdk.videos import frames, is_video, whole_film
from tests.drawn import film

CROPS = synthetic_faces(2, seed=3, size=112)


@pytest.fixture
def av():
    return pytest.importorskip("av", reason="needs the extra video")


def test_a_picture_each_second(av, tmp_path):
    path = film(tmp_path / "a.mp4", [np.full((48, 64, 3), 20 * n, np.uint8) for n in range(10)], 4)
    found = list(frames(path))
    assert [at for at, _ in found] == pytest.approx([0, 1, 2])
    assert [int(picture.mean()) for _, picture in found] == pytest.approx([0, 80, 160], abs=4)
    assert found[0][1].shape == (48, 64, 3)
    assert len(list(frames(path, 0))) == 10


def test_a_film_that_lies_on_its_side_is_turned(av, tmp_path):
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:12] = 255
    path = film(tmp_path / "a.mov", [picture] * 3, 4, turn=90)
    _, upright = next(frames(path))
    assert upright.shape == (64, 48, 3)
    assert upright[:, :6].mean() > 240
    assert upright[:, -6:].mean() < 15


def test_a_video_is_told_by_its_content(av, tmp_path):
    path = film(tmp_path / "a.mkv", [CROPS[0]] * 2, 4)
    path.rename(tmp_path / "a.dat")
    assert is_video(tmp_path / "a.dat")
    for name, content in [("b.mp4", b"text"), ("c.heic", b"\0\0\0\x18ftypheic"), ("d", b"")]:
        (tmp_path / name).write_bytes(content)
        assert not is_video(tmp_path / name)
    assert not is_video(tmp_path / "gone")


@pytest.mark.parametrize("kept", [60, 0.5, 0.9])
def test_a_damaged_video_gets_a_sentence(av, tmp_path, kept):
    path = film(tmp_path / "a.mp4", [CROPS[0]] * 20, 4)
    content = path.read_bytes()
    path.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    with pytest.raises(UsageError, match=r"a\.mp4 is a damaged video"):
        list(frames(path))


def test_a_film_with_damaged_pictures_goes_on_behind_them(av, tmp_path):
    rng = np.random.default_rng(0)
    noise = rng.integers(60, 120, (60, 48, 64, 3)).astype(np.uint8)
    path = film(tmp_path / "a.mp4", list(noise), 4)
    content = path.read_bytes()
    begin, end = len(content) // 2, len(content) * 2 // 3
    path.write_bytes(content[:begin] + rng.bytes(end - begin) + content[end:])
    found = list(whole_film(path))
    assert any(picture is None for picture in found)
    assert found[0].shape == found[-1].shape == (48, 64, 3)
    with pytest.raises(UsageError, match=r"a\.mp4 is a damaged video"):
        list(frames(path, 0))


@pytest.mark.parametrize("suffix", ["ts", "asf", "mpg"])
def test_films_of_other_containers_are_known(av, tmp_path, suffix):
    path = film(tmp_path / f"a.{suffix}", [CROPS[0]] * 12, 25)
    assert is_video(path)
    assert len(list(whole_film(path))) == 12


def test_a_gallery_is_built_from_films_and_searched_in_them(av, make_face_bundle, tmp_path):
    place, bundle = tmp_path / "people.gallery", make_face_bundle()
    (tmp_path / "people").mkdir()
    for crop, name in zip(CROPS, ["ada", "bo"], strict=True):
        film(tmp_path / f"people/{name}.mp4", [crop] * 9, 4)
    built = edgesdk.gallery("build", place, tmp_path / "people", model=bundle.path, aligned=True)
    assert built["people"] == [{"name": "ada", "faces": 3}, {"name": "bo", "faces": 3}]
    seen = edgesdk.gallery("search", place, tmp_path / "people/bo.mp4", aligned=True, every=0)
    assert {row["name"] for row in seen["found"]} == {"bo"}
    again = edgesdk.gallery("build", place, tmp_path / "people", aligned=True, every=2.0)
    assert [row["faces"] for row in again["people"]] == [2, 2]
    assert [row["picture"][-11:] for row in seen["found"][:2]] == ["bo.mp4@0.0s", "bo.mp4@0.2s"]
    assert len(seen["found"]) == 9
    run = edgesdk.run(bundle, [tmp_path / "people/ada.mp4"], aligned=True, every=2.0)
    assert [face["picture"][-5:] for face in run["faces"]] == ["@0.0s", "@2.0s"]
    with pytest.raises(UsageError, match="number of seconds"):
        edgesdk.gallery("search", place, tmp_path / "people", every=-1)


def test_without_pyav_a_video_gets_a_sentence(av, make_face_bundle, tmp_path, monkeypatch):
    path = film(tmp_path / "a.mp4", [CROPS[0]] * 2, 4)
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingDependencyError, match=r"edgesdk\[video\]"):
        next(frames(path))
    with pytest.raises(UsageError, match=r"a\.mp4 needs av.*edgesdk\[video\]"):
        edgesdk.run(make_face_bundle(), path)
