"""Folders appear whole or not at all, whoever is killed meanwhile."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from edgesdk.core import stages
from edgesdk.core.errors import EdgeSdkError
from edgesdk.core.files import write_atomic
from edgesdk.core.stages import copy_linked, publish, staging


def full_disk(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_stage_that_fails_leaves_nothing(tmp_path):
    final = tmp_path / "bundle"

    def fail_half_way():
        with staging(final) as stage:
            (stage / "half").write_text("x")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    assert list(tmp_path.iterdir()) == []


def test_an_os_error_inside_a_stage_is_one_sentence(tmp_path):
    with pytest.raises(EdgeSdkError, match="No space left"), staging(tmp_path / "bundle"):
        full_disk()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("swap", [True, False])
def test_publishing_replaces_a_whole_folder(tmp_path, monkeypatch, swap):
    if not swap:
        monkeypatch.setattr(stages, "_exchange", lambda one, other: False)
    final = tmp_path / "bundle"
    for text in ("one", "two"):
        with staging(final) as stage:
            (stage / text).write_text(text)
            publish(stage, final)
    assert [p.name for p in final.iterdir()] == ["two"]
    assert [p.name for p in tmp_path.iterdir()] == ["bundle"]


def test_what_killed_processes_left_is_swept_by_the_next_one(tmp_path):
    with staging(tmp_path / "other") as alive:
        dead = tmp_path / ".bundle.stage-abc"
        dead.mkdir()
        (dead / "model").write_text("half")
        with staging(tmp_path / "bundle"):
            assert alive.exists()
            assert not dead.exists()


@pytest.mark.parametrize("there", [False, True])
def test_what_was_moved_away_and_not_replaced_comes_back(tmp_path, there):
    old, final = tmp_path / ".bundle.stage-abc.old", tmp_path / "bundle"
    old.mkdir()
    (old / "earlier").write_text("x")
    if there:
        final.mkdir()
    with staging(tmp_path / "another"):
        assert not old.exists()
    assert [p.name for p in final.iterdir()] == ([] if there else ["earlier"])


def test_without_locks_of_folders_an_hour_decides(tmp_path, monkeypatch):
    monkeypatch.setattr(stages, "_flock", lambda descriptor, wait: None)
    young, old = tmp_path / ".bundle.stage-young", tmp_path / ".bundle.stage-old"
    for folder in (young, old):
        folder.mkdir()
    os.utime(old, (0, 0))
    with staging(tmp_path / "bundle"):
        assert young.exists()
        assert not old.exists()


@pytest.mark.parametrize("swap", [True, False])
def test_publishing_wins_against_a_process_that_does_the_same(tmp_path, monkeypatch, swap):
    if not swap:
        monkeypatch.setattr(stages, "_exchange", lambda one, other: False)
    final, races = tmp_path / "bundle", [1, 2]
    rename = Path.rename

    def raced(self, target):
        if target == final and races:
            races.pop()
            final.mkdir()
            (final / "theirs").write_text("x")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", raced)
    with staging(final) as stage:
        (stage / "ours").write_text("x")
        publish(stage, final)
    assert [p.name for p in final.iterdir()] == ["ours"]
    assert [p.name for p in tmp_path.iterdir()] == ["bundle"]


def test_a_copied_tree_that_finds_the_disk_full_is_one_sentence(tmp_path):
    full = shutil.Error([("a", "b", "No space left on device"), ("c", "d", "too")])
    said = pytest.raises(EdgeSdkError, match="/bundle: No space left on device; free")
    with said, staging(tmp_path / "bundle"):
        raise full


def test_what_was_there_comes_back_where_publishing_fails(tmp_path, monkeypatch):
    final = tmp_path / "bundle"
    final.mkdir()
    (final / "earlier").write_text("x")
    monkeypatch.setattr(stages, "_exchange", lambda one, other: False)
    rename = Path.rename

    def refused(self, target):
        stage = ".stage-" in self.name and self.suffix != ".old"
        return full_disk() if stage else rename(self, target)

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(EdgeSdkError, match="No space left"), staging(final) as stage:
        publish(stage, final)
    assert [p.name for p in final.iterdir()] == ["earlier"]


def test_a_copy_shares_its_files_and_replacing_one_leaves_the_other(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "weights").write_text("w")
    target.mkdir()
    copy_linked(source, target)
    write_atomic(target / "deep" / "weights", b"new")
    assert (source / "deep" / "weights").read_text() == "w"
