"""A classifier is judged, run and drawn."""

from dataclasses import replace
from shutil import copytree

import numpy as np
import pytest
from PIL import Image

from edgesdk.core.errors import UsageError
from edgesdk.core.jobs import RunJob
from edgesdk.core.preprocess import Preprocess
from edgesdk.core.task import ModelInfo, task_of
from edgesdk.core.tensors import TensorSpec

TASK = task_of("image-classification")
COLOURS = ("red", "green", "blue")
INFO = ModelInfo(
    model="colours",
    task="image-classification",
    inputs=(TensorSpec("image", (None, 3, 8, 8), layout="NCHW", kind="image"),),
    outputs=(TensorSpec("scores", (None, 3), layout="NC"),),
    preprocess={"image": Preprocess((8, 8))},
    labels=("blue", "green", "red"),
)


def by_colour(arrays):
    """Return the right scores: the labels are in the order blue, green, red."""
    return {"scores": arrays["image"].mean((2, 3))[:, ::-1]}


@pytest.fixture
def folder(tmp_path):
    for channel, label in enumerate(COLOURS):
        (tmp_path / "set" / label).mkdir(parents=True)
        for number in range(4):
            picture = np.full((20, 30, 3), 30 + number, np.uint8)
            picture[..., channel] = 200
            Image.fromarray(picture).save(tmp_path / "set" / label / f"{number}.png")
    return tmp_path / "set"


def test_a_folder_per_class_is_judged_by_the_model_s_labels(folder):
    (found,) = TASK.judge(INFO, [by_colour], TASK.evaluation(folder))
    assert (found.metrics[0].key, found.metrics[0].value) == ("top-1 accuracy", 1.0)
    assert found.numbers["confusion"] == [[4, 0, 0], [0, 4, 0], [0, 0, 4]]


def test_splits_and_a_folder_around_all_are_no_classes(folder):
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / "red/0.png").rename(folder / ".ipynb_checkpoints/0.png")
    for split, label in (("train", "red"), ("val", "red"), ("val", "green"), ("train", "blue")):
        (folder.parent / "split" / "all" / split).mkdir(parents=True, exist_ok=True)
        copytree(folder / label, folder.parent / "split" / "all" / split / label)
    found = TASK.evaluation(folder.parent / "split")
    assert sorted(found.labels) == ["blue"] * 4 + ["green"] * 4 + ["red"] * 6


def test_all_damaged_pictures_of_classes_are_named_before_any_work(folder):
    for name in ("red/0.png", "blue/2.png"):
        (folder / name).write_bytes(b"")
    with pytest.raises(UsageError, match=r"2 of 12 pictures .*blue/2\.png .*red/0\.png"):
        TASK.evaluation(folder)


def test_calibration_passes_damaged_pictures_over_and_says_so(folder):
    (folder / "red/0.png").write_bytes(b"")
    found = TASK.read(INFO, folder, 50, 0)
    assert (len(found), found.total) == (11, 11)
    assert found.note == "skipped 1: 1 empty (red/0.png)"


def test_mistakes_stand_in_the_confusion_table(folder):
    def mirrored(arrays):
        return {"scores": arrays["image"].mean((2, 3))}

    (found,) = TASK.judge(INFO, [mirrored], TASK.evaluation(folder))
    assert found.metrics[0].value == pytest.approx(1 / 3)
    assert found.metrics[0].items.sum() == 4
    assert found.numbers["confusion"] == [[0, 0, 4], [0, 4, 0], [4, 0, 0]]


def test_a_list_of_labels_is_read(folder):
    (folder / "labels.csv").write_text("path,label\nred/0.png,red\nblue/1.png,blue\n")
    data = TASK.evaluation(folder)
    assert data.labels == ("red", "blue")
    assert len(data) == len(data.hashes()) == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("red/0.png\n", "line 1 is not path,label"),
        ("red/9.png,red\n", "lacks the picture"),
        ("", "lists no picture"),
    ],
)
def test_a_wrong_list_is_one_sentence(folder, text, words):
    (folder / "labels.csv").write_text(text)
    with pytest.raises(UsageError, match=words):
        TASK.evaluation(folder)


def test_an_unknown_class_is_named(folder):
    (folder / "red").rename(folder / "rde")
    with pytest.raises(UsageError, match=r"class 'rde'.*Did you mean 'red'"):
        TASK.judge(INFO, [by_colour], TASK.evaluation(folder))


def test_without_labels_the_number_of_classes_must_fit(folder):
    bare = replace(INFO, labels=(), outputs=(TensorSpec("scores", (None, 7)),))
    with pytest.raises(UsageError, match="3 classes and colours gives 7 scores"):
        TASK.evaluation(folder).numbers(bare)


def test_loose_pictures_have_no_class(folder):
    (folder / "red" / "0.png").rename(folder / "loose.png")
    with pytest.raises(UsageError, match="outside of any folder"):
        TASK.evaluation(folder)


@pytest.fixture
def bundle(make_face_bundle):
    return make_face_bundle(
        task="image-classification", postprocess={"kind": "classes"}, labels=("first", "second")
    )


def test_run_tells_the_likeliest_classes_and_draws_a_sheet(bundle, folder, tmp_path):
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(b"no picture")
    sheet = tmp_path / "sheet.png"
    found = TASK.run(RunJob(bundle, (folder, damaged), output=sheet), top=2)
    assert len(found["pictures"]) == 12
    first = found["pictures"][0]["top"]
    assert first[0]["probability"] >= first[1]["probability"]
    assert {c["label"] for row in found["pictures"] for c in row["top"]} <= {
        "first", "second", *(f"class {i}" for i in range(2, 8)),
    }  # fmt: skip
    assert [s["picture"] for s in found["skipped"]] == [str(damaged)]
    with Image.open(sheet) as picture:
        assert picture.width > 600
    assert "skipped" in TASK.show(found)


def test_only_unreadable_pictures_are_an_error(bundle, tmp_path):
    (tmp_path / "x.png").write_bytes(b"")
    with pytest.raises(UsageError, match="no picture can be read"):
        TASK.run(RunJob(bundle, (tmp_path / "x.png",)))
    with pytest.raises(UsageError, match=r"must end in \.png"):
        TASK.run(RunJob(bundle, (tmp_path / "x.png",), output=tmp_path / "sheet.txt"))
