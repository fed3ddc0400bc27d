"""`edgesdk gallery`: build, search, list, remove."""

import csv
import json
import shutil

import numpy as np
import pytest
from PIL import Image

import edgesdk
from edgesdk.cli import main
from edgesdk.core.errors import UsageError
from edgesdk.core.samples import synthetic_faces
from edgesdk.verbs.gallery import show
from tests.test_face import needs_weights

CROPS = synthetic_faces(4, seed=3, size=112)


@pytest.fixture
def people(tmp_path):
    for number, name in enumerate(["ada", "bo"]):
        folder = tmp_path / "people" / name
        folder.mkdir(parents=True)
        Image.fromarray(CROPS[number]).save(folder / "1.png")
        Image.fromarray(CROPS[number] // 2).save(folder / "2.png")
    return tmp_path / "people"


@pytest.fixture
def built(make_face_bundle, people, tmp_path):
    bundle = make_face_bundle()
    place = tmp_path / "people.json"
    edgesdk.gallery("build", place, people, model=bundle.path, aligned=True)
    return place


def test_a_folder_per_person(built):
    data = edgesdk.gallery("list", built)
    assert data["people"] == [{"name": "ada", "faces": 2}, {"name": "bo", "faces": 2}]
    assert "ada" in show(data)


def test_one_picture_under_two_names_is_told(built, people, caplog):
    caplog.set_level("INFO", "edgesdk")
    shutil.copy(people / "ada" / "1.png", people / "bo" / "twin.png")
    edgesdk.gallery("build", built, people, aligned=True)
    told = "\n".join(caplog.messages)
    assert "people: 5 pictures" in told
    assert "one picture of 2 people, ada, bo:" in told


def test_building_again_replaces_the_same_pictures_and_adds_new_ones(built, people, tmp_path):
    Image.fromarray(CROPS[2]).save(tmp_path / "cy.png")
    data = edgesdk.gallery("build", built, [people, tmp_path / "cy.png"], aligned=True)
    assert [(row["name"], row["faces"]) for row in data["people"]] == [
        ("ada", 2), ("bo", 2), ("cy", 1),
    ]  # fmt: skip


def test_one_person_can_be_named(built, tmp_path):
    Image.fromarray(CROPS[2]).save(tmp_path / "img_0001.png")
    picture = tmp_path / "img_0001.png"
    data = edgesdk.gallery("build", built, picture, person="Cy", aligned=True)
    assert data["people"][-1] == {"name": "Cy", "faces": 1}


def test_search_tells_who_it_is(built, people, tmp_path):
    picture = people / "bo" / "1.png"
    data = edgesdk.gallery("search", built, picture, aligned=True, output=tmp_path / "found.csv")
    json.dumps(data, allow_nan=False)
    (row,) = data["found"]
    assert (row["name"], row["candidates"][0]["name"]) == ("bo", "bo")
    assert row["similarity"] == pytest.approx(1, abs=1e-5)
    assert "of 2 people" in data["rule"]
    with (tmp_path / "found.csv").open() as stream:
        assert [line["said"] for line in csv.DictReader(stream)] == ["bo"]
    edgesdk.gallery("search", built, people, aligned=True, output=tmp_path / "sheet.png")
    assert edgesdk.read_image(tmp_path / "sheet.png").shape[2] == 3


def test_who_is_not_there_is_nobody(built, make_face_bundle, tmp_path):
    Image.fromarray(255 - CROPS[1]).save(tmp_path / "who.png")
    data = edgesdk.gallery("search", built, tmp_path / "who.png", aligned=True)
    assert (data["found"][0]["name"], data["found"][0]["said"]) == (None, "nobody")
    assert "nobody" in show(data)


def test_a_removed_person_is_gone_from_the_file(built, capsys):
    assert b'"bo"' in built.read_bytes()
    assert main(["gallery", "remove", str(built), "bo"]) == 0
    assert "removed bo (2 faces)" in capsys.readouterr().out
    assert b'"bo"' not in built.read_bytes()
    assert main(["gallery", "remove", str(built), "bo"]) == 2


def test_damaged_and_faceless_pictures_are_skipped_and_told(built, people):
    (people / "ada" / "3.png").write_bytes((people / "ada" / "1.png").read_bytes()[:200])
    data = edgesdk.gallery("build", built, people, aligned=True)
    assert [row["picture"][-9:] for row in data["skipped"]] == ["ada/3.png"]
    assert "skipped" in show(data)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["serch"], "Did you mean 'search'"),
        (["search"], "takes pictures or folders"),
        (["remove"], "takes the names of people"),
        (["search", "film.mp4"], "does not exist"),
        (["search", "gone.png"], "does not exist"),
    ],
)
def test_wrong_words_get_a_sentence(built, words, message):
    with pytest.raises(UsageError, match=message):
        edgesdk.gallery(words[0], built, words[1:])


def test_another_model_is_refused(built, people, make_face_bundle):
    other = make_face_bundle(name="other", bias=0.25)
    with pytest.raises(UsageError, match="another model"):
        edgesdk.gallery("search", built, people, model=other.path)


def test_strict_refuses_damaged_pictures_before_any_work(built, people):
    before = built.read_bytes()
    for name in ("ada/3.png", "bo/4.png"):
        (people / name).write_bytes((people / "ada" / "1.png").read_bytes()[:200])
    with pytest.raises(UsageError, match=r"2 of 6 pictures cannot be read: .*3\.png.*4\.png"):
        edgesdk.gallery("build", built, people, aligned=True, strict=True)
    with pytest.raises(UsageError, match="2 of 6 pictures"):
        edgesdk.run("bridge-face", [people], aligned=True, strict=True)
    assert built.read_bytes() == before


def test_another_precision_is_accepted_where_both_agree(built, people, make_face_bundle, tmp_path):
    for name, bias, agrees in (("near", 1e-4, True), ("far", 3.0, False)):
        other = make_face_bundle(name=name, bias=bias)
        crops = tmp_path / f"{name}-crops"
        crops.mkdir()
        for number, crop in enumerate(synthetic_faces(40, seed=8, size=64)):
            Image.fromarray(crop).save(crops / f"{number}.png")
        with pytest.raises(UsageError, match="edgesdk gallery accept"):
            edgesdk.gallery("search", built, people, model=other.path, aligned=True)
        if not agrees:
            with pytest.raises(UsageError, match="does not agree"):
                edgesdk.gallery("accept", built, crops, model=other.path)
            continue
        told = edgesdk.gallery("accept", built, crops, model=other.path)
        assert told["accepted"]["faces"] == 40
        assert "may search" in show(told)
        found = edgesdk.gallery("search", built, people / "bo", model=other.path, aligned=True)
        assert {row["name"] for row in found["found"]} == {"bo"}
    with pytest.raises(UsageError, match="--model"):
        edgesdk.gallery("accept", built, people)


@needs_weights
def test_every_face_of_a_group_photo_is_named(make_face_bundle, tmp_path, examples):
    face = Image.open(examples / "astronaut.jpg")
    page = Image.new("RGB", (900, 500), "grey")
    page.paste(face.resize((450, 450)), (10, 20))
    page.paste(face.resize((250, 250)), (560, 100))
    page.save(tmp_path / "group.png")
    place, bundle = tmp_path / "people.json", make_face_bundle()
    edgesdk.gallery("build", place, examples / "astronaut.jpg", model=bundle.path)
    found = edgesdk.gallery("search", place, tmp_path / "group.png")["found"]
    assert [row["name"] for row in found] == ["astronaut", "astronaut"]
    assert np.ptp([row["box"][0] for row in found]) > 300
