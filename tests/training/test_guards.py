"""What would train nothing, or something else than was asked, is told instead."""

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from edgesdk.core import plugins
from edgesdk.core.errors import EdgeSdkError, UsageError
from edgesdk_training._train import train
from edgesdk_training.answers import embed_all, fingerprint
from edgesdk_training.data import content_hash, open_dataset
from edgesdk_training.holdout import hold_out
from edgesdk_training.settings import read_settings
from edgesdk_training.teachers import open_teacher

pytest.importorskip("torch", reason="needs the train extra")


def encoded(grey, side):
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(np.full((side, side, 3), grey, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


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
    with pytest.raises(UsageError, match="is of bridge-face-plus, the student is bridge-face;"):
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


def test_damaged_pictures_are_told_before_any_work(coarse_teacher, tmp_path, caplog):
    folder = people(tmp_path / "set", range(20, 220, 20))
    caplog.set_level("INFO", "edgesdk")
    (folder / "p3" / "1.png").write_bytes(b"")
    asked = {
        "recipe": "bridge", "data": {"public": [folder]}, "out": tmp_path / "r",
        "settings": {"epochs": 1, "adapt_epochs": 0, "direct": True, "holdout": 0, "batch": 4},
    }  # fmt: skip
    with pytest.raises(UsageError, match=r"1 of 20 pictures cannot be read: p3/1\.png"):
        train(**asked, strict=True)
    assert not list((tmp_path / "r").glob("bridge*"))
    found = train(**asked)
    said = f"public: {folder}: 19 pictures of 10 people; skipped 1: 1 empty (p3/1.png)"
    assert said in caplog.messages
    assert found.sets[0]["skipped"] == [{"name": "p3/1.png", "why": "empty"}]
    assert train(**asked).sets == found.sets
    with pytest.raises(UsageError, match="1 of 20 pictures cannot be read"):
        train(**asked, strict=True)


def test_any_changed_picture_changes_what_the_teachers_answers_are_kept_under(tmp_path):
    folder = people(tmp_path / "set", range(0, 250, 3))
    before = content_hash(folder), fingerprint(open_dataset(folder))
    Path(folder / "p1" / "0.png").write_bytes((folder / "p70" / "0.png").read_bytes())
    assert content_hash(folder) != before[0]
    assert fingerprint(open_dataset(folder)) != before[1]
    assert content_hash(tmp_path / "nothing") == ""


def test_hidden_files_do_not_change_a_set(tmp_path):
    folder = people(tmp_path / "set", [10])
    before = content_hash(folder)
    (folder / ".DS_Store").write_bytes(b"left behind")
    assert content_hash(folder) == before


@pytest.mark.parametrize("seed", [-5, 2**63])
def test_a_seed_that_is_none_is_refused_first(tiny, tmp_path, seed):
    with pytest.raises(UsageError, match="--seed must be from 0"):
        tiny(seed=seed)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("settings = 3", "must be a table"),
        ("[settings]\nepochs = [1]", "'epochs' must be int"),
        ("[settings]\nepochs = 2.7", "'epochs' must be int"),
        ("[settings]\nepochs = true", "'epochs' must be int"),
        ("[settings]\ninit = {a = 1}", "'init' must be str"),
        ("[settings]\nlr = 'fast'", "'lr' must be float"),
        ("[settings]\nlr = [0.1]", "'lr' must be float"),
    ],
)
def test_settings_of_another_kind_are_refused(tmp_path, text, says):
    from edgesdk_training.recipes.bridge import Settings

    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(UsageError, match=says):
        read_settings(Settings, tmp_path / "a.toml", {})


def test_settings_of_kinds_that_mean_the_same_are_taken(tmp_path):
    from edgesdk_training.recipes.bridge import Settings

    given = {"epochs": 30.0, "batch": np.int64(4), "init": tmp_path, "lr": 1, "bf16": True}
    found = read_settings(Settings, None, given)
    assert (found.epochs, found.batch, found.init) == (30, 4, str(tmp_path))
    assert (found.lr, found.bf16) == (1.0, True)


@pytest.mark.parametrize(
    "text",
    ["{}", "[]", '{"checkpoints": 3}',
     '{"checkpoints": {}, "artefacts": {}, "ledger": {}, "metrics": {"a": "b"}}',
     '{"checkpoints": {}, "artefacts": {}, "ledger": {}, "metrics": {}, "sets": [1]}'],
)  # fmt: skip
def test_a_damaged_result_is_told(tiny, text):
    run = tiny()
    (run.folder / "result.json").write_text(text)
    with pytest.raises(UsageError, match="is no result of a run"):
        tiny()


def test_a_teacher_that_cannot_run_is_told(tmp_path):
    from edgesdk.core.shipped import shipped_bundle

    (tmp_path / "torn.onnx").write_bytes(b"\x08\x07torn")
    with pytest.raises(UsageError, match="is no ONNX file that runs"):
        open_teacher(str(tmp_path / "torn.onnx"))
    with pytest.raises(UsageError, match=r"must take \[N, 3, 112, 112\], it takes"):
        open_teacher(str(shipped_bundle("bridge-face") / "model.onnx"))


@pytest.mark.parametrize("recipe", plugins.names(plugins.RECIPES))
def test_a_teacher_that_nobody_would_ask_is_refused(recipe, tmp_path):
    asked = {"bridge", "deocclusion"}  # of faces; all others have none, or make their own
    said = "needs .* data" if recipe in asked else f"{recipe} asks no teacher of faces; leave"
    with pytest.raises(UsageError, match=said):
        train(recipe, teacher="sface", data={}, out=tmp_path / "runs")


def test_a_teacher_of_pictures_that_bring_its_answers_is_refused(tmp_path):
    rows = np.eye(3, 4, dtype=np.float16)
    pictures = [encoded(v, side=48) for v in (0, 50, 100)]
    np.savez(
        tmp_path / "pack.npz", blob=np.frombuffer(b"".join(pictures), np.uint8), embedding=rows,
        offsets=np.cumsum([0, *map(len, pictures)]), identity=np.zeros(3, int),
    )  # fmt: skip
    with pytest.raises(
        UsageError, match=r"pack\.npz brings a teacher's embeddings, so --teacher x"
    ):
        train("bridge", teacher="x", data={"public": [tmp_path / "pack.npz"]}, out=tmp_path)


@pytest.mark.parametrize("damage", ["cut", "too long", "not finite"])
def test_damaged_answers_of_the_teacher_are_asked_again(coarse_teacher, tmp_path, damage):
    faces = [np.full((48, 48, 3), grey, np.uint8) for grey in (20, 60, 90)]
    first = embed_all(coarse_teacher, faces, tmp_path, lambda *told: None)
    (path,) = tmp_path.glob("*.f32")
    whole, row = path.read_bytes(), 4 * coarse_teacher.dim
    nan = np.full(coarse_teacher.dim, np.nan, "<f4").tobytes()
    broken = {"cut": whole[:-3], "too long": whole + whole, "not finite": nan + whole[row:]}
    path.write_bytes(broken[damage])
    assert np.array_equal(embed_all(coarse_teacher, faces, tmp_path, lambda *told: None), first)
    assert path.read_bytes() == whole


def test_answers_that_a_stop_left_are_kept(coarse_teacher, tmp_path):
    faces = [np.full((48, 48, 3), grey, np.uint8) for grey in (20, 60, 90)]
    first = embed_all(coarse_teacher, faces, tmp_path, lambda *told: None)
    (path,) = tmp_path.glob("*.f32")
    kept = np.full(coarse_teacher.dim, 0.5, "<f4").tobytes()
    path.write_bytes(kept)
    again = embed_all(coarse_teacher, faces, tmp_path, lambda *told: None)
    assert (again[0] == 0.5).all()
    assert np.array_equal(again[1:], first[1:])


@pytest.mark.parametrize(("count", "batch"), [(40, 256), (41, 8), (7, 4), (3, 256)])
def test_of_few_items_every_process_gets_as_many(monkeypatch, count, batch):
    from edgesdk_training import _dist, loop

    class Context:
        seed, device = 0, "cpu"

    monkeypatch.setattr(_dist, "world", lambda: 2)
    plan = loop.Plan("p", count, 2, batch, 0.1)
    for step in range(plan.steps):
        parts = []
        for rank in (0, 1):
            monkeypatch.setattr(_dist, "rank", lambda rank=rank: rank)
            parts.append(loop._indices(Context(), plan, step).tolist())
        assert len(parts[0]) == len(parts[1]) == min(batch, count // 2)
        assert not set(parts[0]) & set(parts[1])
