"""Outputs appear whole or not at all."""

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from edgesdk.core.errors import EdgeSdkError, UsageError
from edgesdk.core.files import (
    canonical,
    clean,
    publish,
    read_json,
    staging,
    write_atomic,
    write_json,
)


def full_disk(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_writing_replaces_and_leaves_no_temporary(tmp_path):
    path = tmp_path / "deep" / "file.json"
    write_json(path, {"a": np.float32(1.5), "b": [np.int64(2), float("nan")], "c": Path("x")})
    assert read_json(path, "file") == {"a": 1.5, "b": [2, None], "c": "x"}
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert [p.name for p in path.parent.iterdir()] == ["file.json"]


def test_a_full_disk_is_one_sentence_and_loses_nothing(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomic(path, b"old")
    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(EdgeSdkError, match="No space left on device; free space or choose another"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_file_in_the_way_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(EdgeSdkError, match="cannot write"):
        write_atomic(tmp_path / "file" / "inside", b"x")


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


def test_publishing_replaces_a_whole_folder(tmp_path):
    final = tmp_path / "bundle"
    for text in ("one", "two"):
        with staging(final) as stage:
            (stage / text).write_text(text)
            publish(stage, final)
    assert [p.name for p in final.iterdir()] == ["two"]
    assert [p.name for p in tmp_path.iterdir()] == ["bundle"]


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000])
def test_garbage_json_is_one_sentence(tmp_path, content):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="cannot be read as JSON"):
        read_json(path, "file")


def test_a_missing_json_is_one_sentence(tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        read_json(tmp_path / "x.json", "file")


def test_canonical_json_does_not_depend_on_order():
    assert canonical({"b": 1, "a": [1.5, "x"]}) == canonical({"a": [1.5, "x"], "b": 1})
    assert clean({1: (2, None)}) == {"1": [2, None]}


def test_what_a_killed_process_left_is_swept_an_hour_later(tmp_path):
    young, old = tmp_path / ".bundle.stage-young", tmp_path / ".bundle.stage-old.old"
    for folder in (young, old):
        folder.mkdir()
        (folder / "model").write_text("half")
    os.utime(old, (0, 0))
    with staging(tmp_path / "bundle"):
        assert young.exists()
        assert not old.exists()


def test_publishing_wins_against_a_process_that_does_the_same(tmp_path, monkeypatch):
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
    rename = Path.rename

    def refused(self, target):
        stage = ".stage-" in self.name and self.suffix != ".old"
        return full_disk() if stage else rename(self, target)

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(EdgeSdkError, match="No space left"), staging(final) as stage:
        publish(stage, final)
    assert [p.name for p in final.iterdir()] == ["earlier"]
