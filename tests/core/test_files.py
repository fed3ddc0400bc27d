"""Outputs appear whole or not at all."""

import errno
from pathlib import Path

import numpy as np
import pytest

from edgesdk.core.errors import EdgeSdkError, UsageError
from edgesdk.core.files import (
    canonical,
    clean,
    read_json,
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


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000])
def test_garbage_json_is_one_sentence(tmp_path, content):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="cannot be read as JSON"):
        read_json(path, "file")


def test_what_has_no_end_is_no_json():
    for path in filter(Path.exists, [Path("/dev/zero"), Path("/dev/urandom")]):
        with pytest.raises(UsageError, match="are allowed"):
            read_json(path, "file")


def test_a_missing_json_is_one_sentence(tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        read_json(tmp_path / "x.json", "file")


def test_canonical_json_does_not_depend_on_order():
    assert canonical({"b": 1, "a": [1.5, "x"]}) == canonical({"a": [1.5, "x"], "b": 1})
    assert clean({1: (2, None)}) == {"1": [2, None]}
