"""Detectors that read what is said of a picture: run, judged, drawn, and told apart from others."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import edgesdk
from edgesdk.core.errors import UnsupportedError, UsageError
from edgesdk.core.jobs import RunJob
from edgesdk.core.preprocess import Preprocess
from edgesdk.core.task import ModelInfo, task_of
from edgesdk.core.tensors import TensorSpec, check_inputs
from tests.drawn import labelled_set, photo

TASK = task_of("generated-image-detection")
WORDS = "[PAD] [UNK] right wrong red dog"
INFO = ModelInfo(
    model="reader",
    task="generated-image-detection",
    inputs=(
        TensorSpec("image", (None, 3, 32, 32), layout="NCHW", kind="image"),
        TensorSpec("tokens", (None, 3, 4), dtype="int32", kind="tokens", range=(0, 5)),
    ),
    outputs=(TensorSpec("logit", (None, 1)), TensorSpec("distances", (None, 3))),
    preprocess={"image": Preprocess((32, 32))},
    postprocess={"kind": "probability", "vocabulary": WORDS},
    thresholds={"generated": {"value": 0.6}, "real": {"value": 0.4}},
)


def by_word(arrays):
    """Call generated what is said to be wrong."""
    tokens = arrays["tokens"]
    wrong = (tokens[:, 0] == 3).any(1)
    distances = (tokens > 0).any(2) * 0.5
    return {"logit": np.where(wrong, 3.0, -3.0)[:, None], "distances": distances}


@pytest.fixture(autouse=True)
def _session(monkeypatch):
    class Session:
        runtime = "fake"
        run = staticmethod(by_word)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    monkeypatch.setattr("edgesdk_runtimes._open.open_session", lambda *_: Session())


def job(files, info=INFO, output=None):
    names = ("model", "task", "inputs", "outputs", "preprocess", "postprocess", "labels")
    about = {name: getattr(info, name) for name in (*names, "thresholds")}
    bundle = SimpleNamespace(name="reader-onnx-fp32", metrics={}, companions=(), **about)
    return RunJob(bundle=bundle, files=tuple(files), output=output)


@pytest.fixture
def place(tmp_path):
    """Write photos, and fakes that are said to be wrong."""
    folder = labelled_set(tmp_path / "set")
    said = {f"{kind}/{n}.png": "right" for kind in ("real", "soft/same") for n in range(12)}
    said |= {f"fake/doubled/{n}.png": ["a wrong red dog"] for n in range(12)}
    (folder / "captions.json").write_text(json.dumps(said))
    return folder


def test_every_picture_has_a_row_with_its_caption_and_objects(place):
    result = TASK.run(job([place]), captions=str(place / "captions.json"))
    json.dumps(result)
    assert set(result) >= {"pictures", "skipped"}
    assert len(result["pictures"]) == 36
    rows = {row["picture"]: row for row in result["pictures"]}
    fake = rows[str(place / "fake" / "doubled" / "3.png")]
    assert (fake["verdict"], fake["caption"]) == ("generated", "a wrong red dog")
    assert fake["probability"] == pytest.approx(1 / (1 + np.exp(-3)))
    assert fake["objects"] == [{"phrase": "wrong red dog", "distance": 0.5}]
    assert fake["distance"] == 0.5
    assert rows[str(place / "real" / "3.png")]["verdict"] == "real"
    assert "a wrong red dog" in TASK.show(result)
    assert "far" in result["warning"]


def test_captions_in_the_folder_are_found_without_being_named(place):
    assert (
        TASK.run(job([place]))["pictures"]
        == TASK.run(job([place]), captions=str(place / "captions.json"))["pictures"]
    )


def test_several_captions_are_averaged(tmp_path):
    Image.fromarray(photo(0)).save(tmp_path / "a.png")
    (tmp_path / "c.json").write_text(json.dumps({"a.png": ["right", "wrong", "wrong"]}))
    (row,) = TASK.run(job([tmp_path]), captions=str(tmp_path / "c.json"))["pictures"]
    assert row["logit"] == pytest.approx(1.0)


def test_pictures_of_which_nothing_is_said_are_skipped_by_name(tmp_path):
    for name in "ab":
        Image.fromarray(photo(0)).save(tmp_path / f"{name}.png")
    (tmp_path / "c.json").write_text(json.dumps({"a.png": "right"}))
    result = TASK.run(job([tmp_path]), captions=str(tmp_path / "c.json"))
    assert [row["picture"] for row in result["pictures"]] == [str(tmp_path / "a.png")]
    assert [s["picture"] for s in result["skipped"]] == [str(tmp_path / "b.png")]
    assert "--captions" in result["skipped"][0]["why"]


def test_captions_that_belong_to_no_picture_are_told_where_pictures_lack_some(tmp_path, caplog):
    """A wrong name in the file left its picture out, and nothing said why."""
    for name in "ab":
        Image.fromarray(photo(0)).save(tmp_path / f"{name}.png")
    (tmp_path / "c.json").write_text(json.dumps({"a.png": "right", "B.PNG": "right"}))
    caplog.set_level("INFO", "edgesdk")
    TASK.run(job([tmp_path]), captions=str(tmp_path / "c.json"))
    assert "nothing of 1 of the pictures" in caplog.text
    assert "such as 'B.PNG'" in caplog.text
    caplog.clear()
    TASK.run(job([tmp_path / "a.png"]), captions=str(tmp_path / "c.json"))
    assert "B.PNG" not in caplog.text


def test_captions_that_fit_no_picture_at_all_are_named(tmp_path):
    Image.fromarray(photo(0)).save(tmp_path / "a.png")
    (tmp_path / "c.json").write_text(json.dumps({"zzz.jpg": "right", "y.jpg": "right"}))
    with pytest.raises(UsageError, match=r"c\.json says nothing .* names 'zzz\.jpg' and 1 more"):
        TASK.run(job([tmp_path]), captions=str(tmp_path / "c.json"))
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(UsageError, match="not a picture"):
        TASK.run(job([tmp_path]), captions=str(tmp_path / "c.json"))


@pytest.mark.parametrize(
    ("picture", "why"),
    [(photo(0, 20, 20), "20x20 px: too small"), (np.full((64, 64, 3), 7, np.uint8), "flat")],
)
def test_what_shows_nothing_gets_no_verdict(tmp_path, picture, why):
    Image.fromarray(picture).save(tmp_path / "a.png")
    (tmp_path / "captions.json").write_text(json.dumps({"a.png": "wrong red dog"}))
    (row,) = TASK.run(job([tmp_path]))["pictures"]
    assert row["verdict"] == "undecided"
    assert why in row["note"]


def test_without_any_caption_it_says_what_to_do(tmp_path):
    Image.fromarray(photo(0)).save(tmp_path / "a.png")
    with pytest.raises(UsageError, match=r"put captions.json .* --captions FILE"):
        TASK.run(job([tmp_path]))


def test_a_caption_of_unknown_words_gives_no_verdict(tmp_path):
    Image.fromarray(photo(0)).save(tmp_path / "a.png")
    (tmp_path / "captions.json").write_text(json.dumps({"a.png": "ein wrong Hund am Strand"}))
    result = TASK.run(job([tmp_path / "a.png"]))
    assert result["pictures"][0]["verdict"] == "undecided"
    assert "undecided: the model knows 1 of 5 words" in TASK.show(result)


def test_a_file_that_says_nothing_is_named(tmp_path):
    Image.fromarray(photo(0)).save(tmp_path / "a.png")
    (tmp_path / "c.json").write_text("{}")
    with pytest.raises(UsageError, match=r"c\.json says nothing of any picture"):
        TASK.run(job([tmp_path]), captions=str(tmp_path / "c.json"))


def test_a_detector_of_pixels_refuses_captions(tmp_path):
    Image.fromarray(photo(0)).save(tmp_path / "a.png")
    (tmp_path / "c.json").write_text("{}")
    with pytest.raises(UsageError, match="item-detector"):
        edgesdk.run("f2c-detector", [tmp_path], captions=tmp_path / "c.json")


def test_a_page_and_a_table_hold_captions_and_objects(place, tmp_path):
    out, table = tmp_path / "out", tmp_path / "t.csv"
    TASK.run(job([place / "fake"], output=out), captions=str(place / "captions.json"),
             csv=str(table))  # fmt: skip
    page = (out / "index.html").read_text()
    assert "wrong red dog: 0.50" in page
    assert table.read_text().splitlines()[0] == (
        "picture,probability,verdict,logit,caption,note,distance"
    )


def test_it_is_judged_and_calibrated_with_the_captions_of_the_set(place):
    data = TASK.evaluation(place)
    (found,) = TASK.judge(INFO, [by_word], data)
    assert found.metrics[0].value == 1.0
    samples = data.samples(INFO, 5, 0)
    check_inputs(INFO.inputs, samples.arrays)
    assert samples.arrays["tokens"][:, 0].any(1).all()
    before = data.sha256
    (place / "captions.json").write_text(json.dumps({"real/1.png": "dog"}))
    assert TASK.evaluation(place).sha256 != before
    with pytest.raises(UsageError, match="nothing is said"):
        TASK.judge(INFO, [by_word], TASK.evaluation(place))


def test_a_model_that_hides_its_words_is_refused(place):
    mute = ModelInfo(**{
        name: getattr(INFO, name)
        for name in ("model", "task", "inputs", "outputs", "preprocess")
    })  # fmt: skip
    with pytest.raises(UnsupportedError, match="words"):
        TASK.run(job([place], mute))


def test_the_shipped_detector_runs_end_to_end(tmp_path, monkeypatch):
    monkeypatch.undo()  # the real session
    for n in range(2):
        Image.fromarray(photo(n)).save(tmp_path / f"{n}.png")
    (tmp_path / "c.json").write_text(
        json.dumps({"0.png": "a red dog", "1.png": ["a boat on a lake", "grass"]})
    )
    found = edgesdk.run("item-detector", [tmp_path], captions=tmp_path / "c.json")
    assert [row["picture"] for row in found["pictures"]] == [
        str(tmp_path / f"{n}.png") for n in range(2)
    ]
    for row in found["pictures"]:
        assert 0 <= row["probability"] <= 1
        assert row["verdict"] in ("generated", "real", "undecided")
    assert found["skipped"] == []
