"""`edgesdk run` with pictures of faces."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

import edgesdk
from edgesdk.core.errors import UsageError
from edgesdk.core.samples import synthetic_faces
from edgesdk.tasks.face_embedding import PLUGIN
from tests.test_face import needs_weights

CROPS = synthetic_faces(5, seed=3, size=112)


def save(folder, **pictures):
    for name, picture in pictures.items():
        Image.fromarray(picture).save(folder / f"{name}.png")
    return [folder / f"{name}.png" for name in pictures]


def run(bundle, paths, **options):
    return edgesdk.run(bundle.path, paths, **options)


def test_plain_data(make_face_bundle, tmp_path):
    paths = save(tmp_path, a=CROPS[0], b=CROPS[0][:, ::-1].copy(), c=CROPS[1])
    data = run(make_face_bundle(), paths, aligned=True)
    json.dumps(data, allow_nan=False)
    assert [face["picture"] for face in data["faces"]] == [str(p) for p in paths]
    assert all(face["aligned"] and face["box"] is None for face in data["faces"])
    assert np.linalg.norm(data["faces"][0]["embedding"]) == pytest.approx(1.0, abs=1e-5)
    assert [(c["a"], c["b"]) for c in data["comparisons"]] == [
        (str(paths[0]), str(paths[1])),
        (str(paths[0]), str(paths[2])),
    ]
    for row in data["comparisons"]:
        assert row["same"] == (row["similarity"] >= row["threshold"])
    assert (data["runtime"], "0.6000" in data["rule"]) == ("ort", True)


def test_one_picture_is_only_embedded(make_face_bundle, tmp_path):
    data = run(make_face_bundle(), save(tmp_path, a=CROPS[0]), aligned=True)
    assert (len(data["faces"]), data["comparisons"], data["rule"]) == (1, [], None)
    assert "embedding of 8" in PLUGIN.show(data)


def test_pictures_are_wanted(make_face_bundle, tmp_path):
    bundle = make_face_bundle()
    with pytest.raises(UsageError, match="no picture"):
        run(bundle, [])
    with pytest.raises(UsageError, match=r"gone\.png does not exist"):
        run(bundle, [tmp_path / "gone.png"])


def test_what_cannot_be_read_is_skipped_and_told(make_face_bundle, tmp_path):
    paths = save(tmp_path, a=CROPS[0], dot=CROPS[0][:1, :1], b=CROPS[1])
    (tmp_path / "torn.png").write_bytes(paths[0].read_bytes()[:300])
    data = run(make_face_bundle(), [paths[0], tmp_path / "torn.png", *paths[1:]], aligned=None)
    assert [face["picture"] for face in data["faces"]] == [str(paths[0]), str(paths[2])]
    assert [row["picture"][-8:] for row in data["skipped"]] == ["torn.png", "/dot.png"]
    shown = PLUGIN.show(data)
    assert shown.count("skipped ") == 2
    assert "too few for a face" in shown


def test_a_folder_and_results_as_files(make_face_bundle, tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    save(folder, a=CROPS[0], b=CROPS[1], c=CROPS[2])
    bundle = make_face_bundle()
    data = run(bundle, folder, aligned=True, output=tmp_path / "out.npy")
    rows = np.load(tmp_path / "out.npy", allow_pickle=False)
    assert (rows.shape, rows.dtype) == ((3, 8), np.float32)
    np.testing.assert_allclose(rows[1], data["faces"][1]["embedding"], atol=1e-7)
    run(bundle, folder, aligned=True, output=tmp_path / "out.csv")
    with (tmp_path / "out.csv").open() as stream:
        table = list(csv.DictReader(stream))
    assert [row["picture"][-5:] for row in table] == ["a.png", "b.png", "c.png"]
    assert [bool(row["decision"]) for row in table] == [False, True, True]
    run(bundle, folder, aligned=True, output=tmp_path / "sheet.png")
    assert edgesdk.read_image(tmp_path / "sheet.png").shape[1] > 300


def test_another_suffix_is_refused_before_any_work(make_face_bundle, tmp_path):
    with pytest.raises(UsageError, match=r"must end in \.csv, \.npy"):
        run(make_face_bundle(), [tmp_path / "gone.png"], output=tmp_path / "out.xlsx")


@needs_weights
def test_a_faceless_photo_does_not_end_a_batch(make_face_bundle, tmp_path, examples):
    (wall,) = save(tmp_path, wall=np.full((200, 300, 3), 90, np.uint8))
    photo = examples / "astronaut.jpg"
    data = run(make_face_bundle(), [wall, photo, photo])
    assert [row["picture"] for row in data["skipped"]] == [str(wall)]
    assert data["comparisons"][0]["decision"] == "same person"
    with pytest.raises(UsageError, match="shows no face"):
        run(make_face_bundle(name="other"), [wall])


@needs_weights
def test_all_faces_of_a_photo(make_face_bundle, tmp_path, examples):
    page = Image.new("RGB", (900, 400), "grey")
    face = Image.open(examples / "astronaut.jpg")
    page.paste(face.resize((380, 380)), (10, 10))
    page.paste(face.resize((200, 200)), (600, 100))
    page.save(tmp_path / "two.png")
    bundle = make_face_bundle()
    assert len(run(bundle, tmp_path / "two.png")["faces"]) == 1
    data = run(bundle, tmp_path / "two.png", all_faces=True)
    assert [found["face"] for found in data["faces"]] == [1, 2]
    assert data["faces"][0]["box"][2] > data["faces"][1]["box"][2]
    assert "face 2" in PLUGIN.show(data)


@needs_weights
def test_the_table_says_what_pictures_were_taken_for(make_face_bundle, examples):
    paths = [examples / "astronaut.jpg", examples / "astronaut_aligned.png"]
    data = run(make_face_bundle(), paths)
    assert [face["aligned"] for face in data["faces"]] == [False, True]
    assert len(data["faces"][0]["points"]) == 5
    shown = PLUGIN.show(data)
    assert "crop (its face lies as in one), 112 px" in shown
    assert "astronaut.jpg: photo, 131 px" in shown
