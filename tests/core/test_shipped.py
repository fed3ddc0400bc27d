import re

import pytest

from edgesdk.core import shipped
from edgesdk.core.errors import UsageError


@pytest.fixture
def zoo(tmp_path, monkeypatch, make_face_bundle):
    """A zoo with one model, `tiny-face`."""
    (tmp_path / "tiny-face").mkdir()
    (tmp_path / "tiny-face" / "meta.json").write_text("{}")
    monkeypatch.setattr(shipped, "zoo", lambda: tmp_path)
    return make_face_bundle()


def test_a_shipped_name_a_folder_and_a_bundle_open(zoo):
    assert shipped.shipped() == ["tiny-face"]
    assert shipped.shipped_checkpoint("tiny-face").name == "tiny-face"
    for word in ("tiny-face", zoo.path, str(zoo.path), zoo):
        assert shipped.open_bundle(word).sha256 == zoo.sha256


def test_a_name_that_is_nearly_right(zoo):
    with pytest.raises(UsageError, match=r"tiny-fase does not exist .* Did you mean 'tiny-face'"):
        shipped.open_bundle("tiny-fase")


def test_the_real_zoo_lies_inside_the_package():
    assert shipped.zoo().parent.name == "edgesdk"


def test_no_shipped_file_names_a_place_on_a_machine():
    texts = [p for p in shipped.zoo().rglob("*") if p.suffix in (".md", ".json")]
    assert texts
    for path in texts:
        found = re.findall(r"(?<![\w.])(?:/|[A-Z]:\\)[\w.-]+[/\\][\w.-]+", path.read_text("utf-8"))
        assert found == [], path


def test_shipped_models_are_told_by_their_task():
    every, faces = shipped.shipped(), shipped.shipped("face-embedding")
    assert "bridge-face" in faces
    assert set(faces) <= set(every)
    assert shipped.shipped("no such task") == []
