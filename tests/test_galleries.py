import json

import numpy as np
import pytest

from edgesdk import Gallery
from edgesdk.core.errors import UsageError
from edgesdk.nearest import highest

RNG = np.random.default_rng(0)


def direction(seed, near=None, share=0.05):
    row = np.random.default_rng(seed).standard_normal(8).astype(np.float32)
    row /= np.linalg.norm(row)
    return row if near is None else near + share * row


@pytest.fixture
def filled(make_face_bundle):
    gallery = Gallery(make_face_bundle())
    for number, name in enumerate(["Ada", "Bo", "Cy"]):
        gallery.add(name, direction(number), f"{name}.jpg")
    gallery.add("Ada", direction(9))
    return gallery


def test_the_most_similar_person_is_found_by_the_best_face(filled):
    (match,) = filled.search(direction(50, near=direction(9)))
    assert (match.name, match.picture) == ("Ada", "")
    names = [match.name for match in filled.search(direction(50, near=direction(1)), k=9)]
    assert names[0] == "Bo"
    assert sorted(names) == ["Ada", "Bo", "Cy"]
    assert filled.people == {"Ada": 2, "Bo": 1, "Cy": 1}


def test_a_stranger_is_nobody(filled):
    assert filled.identify(direction(50, near=direction(1))).name == "Bo"
    assert filled.identify(-sum(direction(n) for n in (0, 1, 2, 9))) is None
    assert "would be taken for one of 3 people" in filled.limit().about


def test_an_empty_gallery_knows_nobody(make_face_bundle):
    gallery = Gallery(make_face_bundle())
    assert gallery.search(direction(0)) == []
    assert gallery.identify(direction(0)) is None


def test_with_many_people_the_threshold_is_fitted_to_the_gallery(make_face_bundle):
    gallery = Gallery(make_face_bundle())
    rows = RNG.standard_normal((200, 8)).astype(np.float32)
    for number, row in enumerate(rows):
        gallery.add(f"p{number}", row)
    limit = gallery.limit(0.05)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    scores = unit @ unit.T - 3 * np.eye(200)
    assert (scores.max(1) > limit.value).mean() <= 0.05
    assert (scores.max(1) >= limit.value).mean() == pytest.approx(0.05, abs=0.01)
    assert "200 people" in limit.about
    with pytest.raises(UsageError, match="share between 0 and 1"):
        gallery.limit(5)


def test_a_small_gallery_needs_thresholds_of_the_model(make_face_bundle):
    gallery = Gallery(make_face_bundle(thresholds={}))
    gallery.add("Ada", direction(0))
    with pytest.raises(UsageError, match="stores no threshold"):
        gallery.limit()


def test_it_comes_back_from_its_file(filled, tmp_path):
    filled.save(tmp_path / "people.json")
    again = Gallery.load(tmp_path / "people.json", filled.bundle)
    assert (again.names, again.pictures) == (filled.names, filled.pictures)
    np.testing.assert_array_equal(again.embeddings, filled.embeddings)
    assert [path.name for path in tmp_path.glob("*people*")] == ["people.json"]


def test_a_removed_person_is_in_no_byte_of_the_file(filled, tmp_path):
    path = tmp_path / "people.json"
    filled.save(path)
    gone = [str(v) for v in filled.embeddings[1]]
    text = path.read_text()
    assert "Bo" in text
    assert all(number in text for number in gone)
    assert filled.remove("Bo") == 1
    filled.save(path)
    text = path.read_text()
    assert "Bo" not in text
    assert not any(number in text for number in gone)
    assert len(filled) == 3
    assert all(match.name != "Bo" for match in filled.search(direction(1), k=9))
    with pytest.raises(UsageError, match="nobody called 'Bo'"):
        filled.remove("Bo")


def test_a_file_of_the_android_library_is_read(make_face_bundle, tmp_path):
    bundle = make_face_bundle()
    row = [0.6, 0.8, 0, 0, 0, 0, 0, 0.0]
    faces = [{"name": "Ada", "embedding": row}]
    data = {"schema_version": 1, "bundle_sha256": bundle.sha256, "faces": faces}
    (tmp_path / "gallery.json").write_text(json.dumps(data))
    gallery = Gallery.load(tmp_path / "gallery.json", bundle)
    assert gallery.search(np.array(row, np.float32))[0].similarity == pytest.approx(1)
    # What is written has the keys that the library asks for, in its types.
    gallery.save(tmp_path / "gallery.json")
    again = json.loads((tmp_path / "gallery.json").read_text())
    assert again["faces"][0] | faces[0] | {"embedding": 0} == again["faces"][0] | {"embedding": 0}
    assert {key: again[key] for key in ("schema_version", "bundle_sha256")} == {
        key: data[key] for key in ("schema_version", "bundle_sha256")
    }


def test_another_model_is_refused(filled, make_face_bundle, tmp_path):
    filled.save(tmp_path / "people.json")
    other = make_face_bundle(name="other", bias=0.25)
    assert other.sha256 != filled.bundle.sha256
    with pytest.raises(UsageError, match="another model"):
        Gallery.load(tmp_path / "people.json", other)
    with pytest.raises(UsageError, match="do not compare"):
        filled.check(other)


def test_another_precision_searches_once_its_check_is_stored(filled, make_face_bundle, tmp_path):
    other = make_face_bundle(name="other", bias=0.25)
    rows = RNG.standard_normal((40, 8)).astype(np.float32)
    with pytest.raises(UsageError, match="takes 32 crops"):
        filled.accept(other, rows[:5], rows[:5])
    with pytest.raises(UsageError, match="does not agree"):
        filled.accept(other, rows, rows[::-1])
    assert filled.accept(other, rows, rows * 2 + 0.001) > 0.99
    filled.save(tmp_path / "people.json")
    again = Gallery.load(tmp_path / "people.json", filled.bundle)
    again.check(other)
    assert again.compatible[other.sha256]["faces"] == 40
    # Opened with the other one, it stays the gallery of the first.
    with_other = Gallery.load(tmp_path / "people.json", other)
    assert with_other.search(direction(1))[0].name == "Bo"
    with_other.save(tmp_path / "people.gallery")
    assert Gallery.load(tmp_path / "people.gallery", filled.bundle).model == filled.model


@pytest.mark.parametrize(
    "row", [np.zeros(8), np.full(8, np.nan), np.ones(7), np.ones((2, 2, 8)), np.empty((0, 8))]
)
def test_what_is_no_embedding_is_refused(filled, row):
    with pytest.raises(UsageError, match="embedding"):
        filled.add("Di", row)
    with pytest.raises(UsageError, match="name of a person is empty"):
        filled.add(" ", np.ones(8))


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"schema_version": 2, "faces": [], "bundle_sha256": ""}', '{"schema_version": 1}'],
)
def test_what_is_no_gallery_is_refused(make_face_bundle, tmp_path, text):
    (tmp_path / "people.json").write_text(text)
    with pytest.raises(UsageError, match=r"people\.json"):
        Gallery.load(tmp_path / "people.json", make_face_bundle())


@pytest.mark.parametrize(
    "change",
    [
        {"compatible": 7},
        {"compatible": ["x"]},
        {"bundle": []},
        {"faces": ["Ada"]},
        {"faces": [{"name": 3, "embedding": [1] * 8}]},
        {"faces": [{"name": "Ada", "embedding": ["1"] * 8}]},
        {"faces": [{"name": "Ada", "embedding": [1e300] * 8}]},
        {"faces": [{"name": "Ada", "embedding": [1] * 8}, {"name": "Bo", "embedding": [1]}]},
    ],
)
def test_a_gallery_of_odd_values_is_refused(filled, tmp_path, change):
    path = tmp_path / "faces.json"
    filled.save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UsageError, match=r"damaged gallery|not finite"):
        Gallery.load(path, filled.bundle)


def drawn(count, dim=8, seed=3):
    rows = np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture(params=[8, 192])
def many(request, make_face_bundle, monkeypatch):
    """A gallery that is compared in 4 bits; two sizes of embeddings, below and above a block."""
    monkeypatch.setattr("edgesdk.galleries.EXACT", 500)
    gallery = Gallery(make_face_bundle())
    gallery.dim = request.param
    gallery._parts = [np.empty((0, gallery.dim), np.float32)]
    for number, row in enumerate(drawn(3000, request.param)):
        gallery.add(f"p{number // 2}", row)
    return gallery


def agreement(gallery, probes):
    exact = gallery.embeddings
    names = [gallery.names[(exact @ probe).argmax()] for probe in probes]
    return np.mean([gallery.search(p)[0].name == n for p, n in zip(probes, names, strict=True)])


def test_many_faces_give_what_the_exact_search_gives(many):
    probes = drawn(60, many.dim, seed=7)
    assert agreement(many, probes) == 1
    assert many._coarse is not None
    (match,) = many.search(probes[0])
    exact = (many.embeddings @ probes[0]).max()
    assert match.similarity == pytest.approx(float(exact), abs=1e-6)
    assert len(many.search(probes[0], k=200)) == 200
    assert len(many.search(probes[0], k=5000)) == 1500


def test_what_is_added_to_and_removed_from_many_faces_counts(many):
    probe = drawn(1, many.dim, seed=8)[0]
    first = many.search(probe)[0].name
    many.add("last", probe)
    assert many.search(probe)[0].name == "last"
    many.remove("last")
    assert many.search(probe)[0].name == first
    for number, row in enumerate(drawn(700, many.dim, seed=9)):
        many.add(f"more{number}", row)
    assert agreement(many, drawn(40, many.dim, seed=9)) == 1
    many.remove(first)
    assert all(match.name != first for match in many.search(probe, k=9))


def test_a_removed_person_is_in_no_byte_of_the_binary_file(filled, tmp_path):
    path = tmp_path / "people.gallery"
    filled.save(path)
    row = filled.embeddings[1].tobytes()
    assert all(part in path.read_bytes() for part in (b'"Bo"', b'"Bo.jpg"', row))
    filled.remove("Bo")
    filled.save(path)
    assert not any(part in path.read_bytes() for part in (b'"Bo"', b'"Bo.jpg"', row))
    assert b'"Cy.jpg"' in path.read_bytes()


@pytest.mark.parametrize("count", [0, 1, 511, 512, 5000, 40_000])
@pytest.mark.parametrize("wanted", [1, 64])
def test_the_highest_scores_are_found(count, wanted):
    scores = np.random.default_rng(count).standard_normal(count).astype(np.float32)
    found = set(highest(scores, wanted).tolist())
    assert set(np.argsort(-scores)[:wanted].tolist()) <= found


@pytest.mark.parametrize("name", ["people.gallery", "people.json", "people"])
def test_both_forms_hold_the_same(filled, tmp_path, name):
    filled.add('Zoë "😀"\n', direction(77), "bad\udcff.jpg")
    path = tmp_path / name
    filled.save(path)
    again = Gallery.load(path, filled.bundle)
    assert again.names == filled.names
    assert again.pictures == [*filled.pictures[:-1], "bad\\udcff.jpg"]
    np.testing.assert_allclose(again.embeddings, filled.embeddings, atol=1e-7)
    assert again.search(direction(77))[0].name == filled.names[-1]
    assert path.read_bytes().startswith(b"{") is (path.suffix == ".json")


def test_a_binary_gallery_opens_as_safetensors(filled, tmp_path):
    numpy = pytest.importorskip("safetensors.numpy", reason="needs the extra train")
    filled.save(tmp_path / "people.gallery")
    arrays = numpy.load_file(tmp_path / "people.gallery")
    np.testing.assert_array_equal(arrays["embeddings"], filled.embeddings)
    assert json.loads(arrays["names"].tobytes()) == ["Ada", "Bo", "Cy"]
    assert arrays["person"].tolist() == [0, 1, 2, 0]


def test_a_gallery_too_large_for_text_is_refused_and_the_old_file_stays(
    filled, tmp_path, monkeypatch
):
    filled.save(tmp_path / "people.json")
    before = (tmp_path / "people.json").read_bytes()
    monkeypatch.setattr("edgesdk.gallery_files.LARGEST_JSON", 500)
    with pytest.raises(UsageError, match=r"name it people\.gallery"):
        filled.save(tmp_path / "people.json")
    assert (tmp_path / "people.json").read_bytes() == before
    filled.save(tmp_path / "people.gallery")


@pytest.mark.parametrize("place", range(0, 330, 11))
def test_a_cut_binary_gallery_gets_a_sentence(filled, tmp_path, place):
    path = tmp_path / "people.gallery"
    filled.save(path)
    path.write_bytes(path.read_bytes()[:place])
    with pytest.raises(UsageError, match=r"people\.gallery"):
        Gallery.load(path, filled.bundle)
