"""What would train nothing, or something else than was asked, is told instead."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from edgesdk.core.errors import EdgeSdkError, UsageError
from edgesdk_training._train import train
from edgesdk_training.data import content_hash, open_dataset
from edgesdk_training.holdout import hold_out
from edgesdk_training.teachers import fingerprint

pytest.importorskip("torch", reason="needs the train extra")


def people(folder, greys):
    """Write two pictures of each person into a folder."""
    from PIL import Image

    for person, grey in enumerate(greys):
        for picture in range(2):
            path = folder / f"p{person}" / f"{picture}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((48, 48, 3), grey + picture, np.uint8)).save(path)
    return folder


def test_a_run_that_diverges_is_no_success_and_keeps_its_log(tiny, tmp_path):
    with pytest.raises(EdgeSdkError, match=r"no longer finite after step .* of distil"):
        tiny(lr=1e9, direct=True, mimic=0, identity=20, whiten=0, holdout=0)
    (run,) = (tmp_path / "runs").glob("bridge-*")
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["loss"] is None
    assert lines[-1]["phase"] == "distil"
    assert not (run / "checkpoint").exists()


@pytest.mark.parametrize("asked", [{"whiten": 1.0}, {"labels_only": True, "classes": 1.0}])
def test_people_without_pictures_enough_teach_no_classes(tiny, asked):
    with pytest.raises(UsageError, match="has 0 people with 99 pictures or more"):
        tiny(class_pictures=99, **asked)


def test_weights_of_the_other_student_are_refused_before_anything_is_read(tiny, tmp_path):
    with pytest.raises(UsageError, match="is a bridge-face-plus, the student is bridge-face; give"):
        tiny(init="bridge-face-plus")
    assert not list((tmp_path / "runs").glob("bridge-*"))


def test_one_person_is_never_held_out_alone():
    identities = np.repeat(np.arange(7), 4)
    assert len(hold_out(identities, 200, 0).items) == 0
    held = hold_out(np.repeat(np.arange(8), 4), 200, 0)
    assert set(held.same.tolist()) == {True, False}


def test_other_pictures_at_the_same_place_are_another_run(coarse_teacher, tmp_path):
    settings = {"epochs": 1, "adapt_epochs": 0, "direct": True, "holdout": 0, "batch": 4}
    folders = []
    for first in (20, 120):
        shutil.rmtree(tmp_path / "set", ignore_errors=True)
        data = {"public": [people(tmp_path / "set", range(first, first + 40, 10))]}
        folders.append(train("bridge", settings=settings, data=data, out=tmp_path / "r").folder)
    assert folders[0] != folders[1]


def test_any_changed_picture_changes_what_the_teachers_answers_are_kept_under(tmp_path):
    folder = people(tmp_path / "set", range(0, 250, 3))
    before = content_hash(folder), fingerprint(open_dataset(folder))
    Path(folder / "p1" / "0.png").write_bytes((folder / "p70" / "0.png").read_bytes())
    assert content_hash(folder) != before[0]
    assert fingerprint(open_dataset(folder)) != before[1]
    assert content_hash(tmp_path / "nothing") == ""
