"""Names whose bytes are no UTF-8: one sentence, or written as they are; never a wrong verdict."""

import os
import shutil

import pytest

from edgesdk.cli import main
from edgesdk.core.errors import UsageError
from edgesdk.core.files import read_json, write_json
from edgesdk.core.shipped import open_bundle, shipped_bundle

ODD = os.fsdecode(b"bad\xffname")


@pytest.mark.parametrize("verb", ["verify", "run", "bench", "inspect", "export"])
def test_a_bundle_that_no_runtime_can_open_is_told(capsys, tmp_path, monkeypatch, verb):
    monkeypatch.chdir(tmp_path)
    try:
        shutil.copytree(shipped_bundle("bridge-face"), ODD)
    except OSError:
        pytest.skip("this file system takes UTF-8 names alone")
    more = ["--target", "onnx"] if verb == "export" else []
    assert main([verb, ODD, *more]) == 2
    assert "is no UTF-8, so no runtime opens it; rename it" in capsys.readouterr().err
    with pytest.raises(UsageError, match="no UTF-8"):
        open_bundle(ODD)


def test_any_text_is_stored_and_read_again(tmp_path):
    write_json(tmp_path / "x.json", {"name": ODD})
    assert read_json(tmp_path / "x.json", "file") == {"name": "bad\\udcffname"}


def test_a_report_takes_any_title(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    few = ["--duration", "0.01", "--iterations", "10", "-q"]
    assert main(["bench", "bridge-face", *few]) == 0
    assert main(["report", "reports/results", "--title", ODD]) == 0
    assert "udcffname" in (tmp_path / "reports" / "report.html").read_text()
