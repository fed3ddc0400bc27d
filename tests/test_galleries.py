import json
import subprocess
import sys

import numpy as np
import pytest

from edgesdk import Gallery
from edgesdk.core.errors import MissingDependencyError, UsageError

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


@pytest.fixture
def indexed(make_face_bundle):
    pytest.importorskip("usearch", reason="needs the extra gallery")
    gallery = Gallery(make_face_bundle())
    rows = RNG.standard_normal((500, 8)).astype(np.float32)
    for number, row in enumerate(rows):
        gallery.add(f"p{number}", row)
    gallery.index()
    return gallery


def agreement(gallery, probes):
    exact = gallery.embeddings
    names = [gallery.names[(exact @ probe).argmax()] for probe in probes]
    return np.mean([gallery.search(p)[0].name == n for p, n in zip(probes, names, strict=True)])


def test_an_index_gives_what_all_rows_give(indexed):
    probes = indexed.embeddings[:50] + 0.1
    assert indexed.indexed
    assert agreement(indexed, probes) >= 0.98
    assert len(indexed.search(probes[0], k=40)) == 40


def test_an_index_follows_what_is_added_and_removed(indexed, tmp_path):
    for number in range(7, 90, 3):
        indexed.remove(f"p{number}")
    for number in range(30):
        indexed.add(f"new{number}", direction(700 + number))
    assert indexed.search(direction(705))[0].name == "new5"
    probes = indexed.embeddings[::5] + 0.05
    assert agreement(indexed, probes) >= 0.98
    indexed.save(tmp_path / "people.gallery")
    again = Gallery.load(tmp_path / "people.gallery", indexed.bundle)
    assert again.indexed
    assert agreement(again, probes) >= 0.98
    again.add("last", direction(999))
    assert again.search(direction(999))[0].name == "last"


def test_a_removed_person_is_in_no_byte_of_the_index(indexed, tmp_path):
    path = tmp_path / "people.gallery"
    indexed.save(path)
    row = indexed.embeddings[7]
    coded = np.asarray(indexed._index._index.get(7)).tobytes()
    written = path.read_bytes()
    assert all(part in written for part in (b'"p7"', row.tobytes(), coded))
    indexed.remove("p7")
    indexed.save(path)
    written = path.read_bytes()
    assert not any(part in written for part in (b'"p7"', row.tobytes(), coded))
    assert b'"p8"' in written


def test_without_usearch_an_index_gets_a_sentence(filled, monkeypatch):
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    with pytest.raises(MissingDependencyError, match=r"edgesdk\[gallery\]"):
        filled.index()
    assert filled.search(direction(1))[0].name == "Bo"


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


def test_an_index_that_was_changed_is_not_opened(indexed, tmp_path):
    path = tmp_path / "people.gallery"
    indexed.save(path)
    content = bytearray(path.read_bytes())
    content[content.rfind(b"usearch") + 40] ^= 1
    path.write_bytes(content)
    with pytest.raises(UsageError, match="index is not the one that was written"):
        Gallery.load(path, indexed.bundle)


def test_an_index_and_a_session_live_in_one_process():
    # usearch's extension, loaded first, crashed onnxruntime's.
    pytest.importorskip("usearch", reason="needs the extra gallery")
    code = "from edgesdk.nearest import Nearest; Nearest(8); import onnxruntime"
    subprocess.run([sys.executable, "-c", code], check=True)
