"""`edgesdk explain`: one bundle, two bundles, what is written and what is refused."""

import json

import numpy as np
import pytest
from PIL import Image

import edgesdk
from edgesdk.cli import main
from edgesdk.core.errors import UnsupportedError, UsageError
from edgesdk.core.question import questions_of
from edgesdk.core.samples import synthetic_faces
from edgesdk.verbs.explain import show
from tests.drawn import photo

NAMES = {"decision", "saliency", "shifted_share", "fidelity", "deletion", "insertion", "queries"}
CROPS = synthetic_faces(3, seed=3, size=112)


@pytest.fixture
def faces(tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for path, crop in zip(paths, CROPS, strict=True):
        Image.fromarray(crop).save(path)
    return paths


@pytest.fixture
def colours(make_face_bundle):
    return make_face_bundle(
        "colours-onnx-fp32", task="image-classification", postprocess={"kind": "classes"},
        labels=tuple("abcdefgh"), thresholds={},
    )  # fmt: skip


def test_why_the_same_person(faces, tmp_path, capsys):
    target = tmp_path / "map.png"
    words = ["explain", "bridge-face", str(faces[0]), str(faces[0]), "--queries", "80"]
    assert main([*words, "-o", str(target), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) >= NAMES
    assert found["decision"] == "same person"
    assert np.shape(found["saliency"]) == (16, 16)
    assert 0 <= found["shifted_share"] <= 1
    assert len(found["others"]) == 1
    with Image.open(target) as page:
        assert page.size[0] > 512
    beside = json.loads(target.with_suffix(".json").read_text())
    assert beside["map"] == "map.png"
    assert beside["saliency"] == found["saliency"]
    assert "same person" in show(found)


def test_a_picture_of_a_class(colours, faces):
    found = edgesdk.explain(colours, faces[0], neighbours="faces", queries=40)
    assert found["decision"] in "abcdefgh"
    assert found["others"] == []
    assert found["kind"] == "explanation"


@pytest.mark.parametrize("method", ["lime", "rise"])
def test_rivals_need_no_neighbours(colours, faces, method):
    found = edgesdk.explain(colours, faces[0], method=method, queries=40)
    assert (found["fidelity"] is None) == (method == "rise")


def test_where_two_artefacts_disagree(colours, make_face_bundle, faces, tmp_path):
    other = make_face_bundle(
        "shifted-onnx-int8", bias=0.3, task="image-classification",
        postprocess={"kind": "classes"}, labels=tuple("abcdefgh"), thresholds={},
    )  # fmt: skip
    target = tmp_path / "both.png"
    words = [other.path, *faces]
    found = edgesdk.explain(colours.path, words, neighbours="faces", queries=40, output=target)
    gaps = [row["gap"] for row in found["disagreements"]]
    assert gaps == sorted(gaps, reverse=True)
    assert len(gaps) == 3
    assert found["picture"] == found["disagreements"][0]["picture"]
    ours, theirs = np.array(found["saliency"]), np.array(found["saliency_other"])
    assert np.allclose(ours - theirs, found["difference"], atol=1e-3)
    assert "decisions differ" in show(found)
    assert target.exists()


def test_two_artefacts_that_decide_about_different_pictures_are_not_compared(
    colours, faces, monkeypatch
):
    kept = iter((1, 2))

    def some(*asked):
        return questions_of(*asked)[: next(kept)]

    monkeypatch.setattr("edgesdk.saliency.asking.questions_of", some)
    with pytest.raises(UsageError, match="leave out different pictures"):
        edgesdk.explain(colours, [colours.path, *faces], queries=40)


def test_what_cannot_be_explained_is_refused_in_a_sentence(colours, faces, make_face_bundle):
    with pytest.raises(UsageError, match="give two pictures, found 1"):
        edgesdk.explain("bridge-face", faces[0])
    with pytest.raises(UsageError, match="no picture was given"):
        edgesdk.explain("bridge-face", [])
    with pytest.raises(UsageError, match="Did you mean 'rise'"):
        edgesdk.explain(colours, faces[0], method="rice")
    with pytest.raises(UsageError, match="two artefacts of one model"):
        edgesdk.explain(colours, ["bridge-face", *faces])
    with pytest.raises(UsageError, match="stores no threshold"):
        edgesdk.explain(make_face_bundle(thresholds={}), faces)
    raw = make_face_bundle("raw-onnx-fp32", task="tensor", postprocess={}, thresholds={})
    with pytest.raises(UnsupportedError, match="no class and no decision"):
        edgesdk.explain(raw, faces[0])


def test_the_report_shows_maps(colours, faces, tmp_path):
    target = tmp_path / "maps" / "why.png"
    edgesdk.explain(colours, faces[:2], method="lime", queries=40, output=target)
    page = edgesdk.report(target.parent, output_dir=tmp_path / "report")
    text = page.read_text()
    assert "Why: why" in text
    assert "data:image/png;base64," in text
    assert "insertion" in page.with_suffix(".md").read_text()
    target.with_suffix(".json").write_text('{"kind": "explanation", "others": 3}')
    with pytest.raises(UsageError, match="no file of edgesdk explain"):
        edgesdk.report(target.with_suffix(".json"), output_dir=tmp_path / "report")


def test_a_wrong_target_is_refused_before_any_work(colours, faces, tmp_path):
    with pytest.raises(UsageError, match="must end in"):
        edgesdk.explain(colours, faces[0], output=tmp_path / "map.gif")


def of_generated(*files, **more):
    return edgesdk.explain("f2c-detector", list(files), method="lime", queries=40, **more)


def test_of_generated_pictures_the_verdict_is_that_of_run(tmp_path):
    """A flat picture, and one smaller than a crop, were called generated; run gives no verdict."""
    shown = {
        "photo": photo(0, 160, 160), "flat": np.full((96, 96, 3), 90, np.uint8),
        "small": photo(1, 40, 90),
    }  # fmt: skip
    files = {name: tmp_path / f"{name}.png" for name in shown}
    for name, picture in shown.items():
        Image.fromarray(picture).save(files[name])
    (row, *hindered) = edgesdk.run("f2c-detector", list(files.values()))["pictures"]
    assert {other["verdict"] for other in hindered} == {"undecided"}
    found = of_generated(*files.values())
    assert found["picture"] == str(files["photo"])
    assert found["others"] == []
    assert f"{row['verdict']}, probability {row['probability']:.3f}" in found["about"]
    assert found["about"] in show(found)
    with pytest.raises(UsageError, match=r"no picture gets a verdict .*flat: it shows nothing"):
        of_generated(files["flat"])


def test_the_part_that_is_explained_speaks_for_the_verdict_of_the_whole(tmp_path):
    """Between the thresholds nothing is decided, which the explanation says of the whole."""
    for number in range(4):
        Image.fromarray(photo(number, 192, 256)).save(tmp_path / f"{number}.png")
    rows = {row["picture"]: row for row in edgesdk.run("f2c-detector", tmp_path)["pictures"]}
    first = of_generated(tmp_path)
    for told in [first, *first["others"]]:
        row = rows[told["picture"]]
        assert row["verdict"] in told["about"]
        assert (told["decision"] == "generated") == (row["logit"] >= 0)
