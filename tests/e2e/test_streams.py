"""stdout and stderr that are closed, full or left: a sentence, an exit code, no traceback."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edgesdk._progress import bar

EDGESDK = f"{sys.executable} -m edgesdk"
FULL = Path("/dev/full")


def shell(line):
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    return done


@pytest.mark.parametrize("words", ["models", "models --json", "no-such-verb --json", "--help"])
@pytest.mark.parametrize("where", [">&-", ">/dev/full"])
def test_a_stdout_that_takes_nothing_is_told_on_stderr(words, where):
    if "full" in where and not FULL.exists():
        pytest.skip("needs /dev/full")
    done = shell(f"{EDGESDK} {words} {where}")
    assert done.returncode == {"no-such-verb --json": 2, "--help": 0}.get(words, 1)
    if words.startswith("models"):
        assert "cannot be written to stdout" in done.stderr
    assert len(done.stderr.splitlines()) <= 1 or words == "--help"


@pytest.mark.parametrize("where", ["2>&-", "2>/dev/full", "<&-"])
def test_the_result_comes_where_nothing_else_can_be_told(where):
    done = shell(f"{EDGESDK} models --json {where}")
    assert done.returncode == 0
    assert json.loads(done.stdout)["models"]


def test_a_reader_who_leaves_had_enough():
    done = shell(f"set -o pipefail; {EDGESDK} models | head -n 1")
    assert done.returncode == 0
    assert done.stderr == ""


def test_no_file_is_opened_in_the_place_of_a_closed_stream(tmp_path):
    words = f"export bridge-face --target onnx -o {tmp_path} -q"
    done = shell(f"{EDGESDK} {words} >&- 2>&- <&-; {EDGESDK} verify {tmp_path}/*fp32 -q")
    assert done.returncode == 0


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
def test_work_goes_on_where_its_progress_cannot_be_written(monkeypatch):
    full = FULL.open("w")
    monkeypatch.setattr(sys, "stderr", full)
    with bar() as progress:
        progress(1, 2, "work")
    monkeypatch.undo()
    with pytest.raises(OSError, match="No space"):
        full.close()


def test_many_pictures_are_told_by_the_tenth_where_no_terminal_is(capsys):
    with bar() as progress:
        for number in range(200):
            progress(number, 200, f"photo_{number}.jpg")
        progress(1, 3, "learn")
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 11
    assert told[0] == "photo_0.jpg: 0/200"
    assert told[-1] == "learn: 1/3"


def test_pictures_share_one_bar_and_phases_have_their_own(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with bar() as progress:
        for number in range(5):
            progress(number + 1, 5, f"photo_{number}.jpg")
        progress(1, 2, "learn")
    told = capsys.readouterr().err
    assert told.count("\n") == 2
    assert "photo_4.jpg: 100%" in told
    assert "learn:  50%" in told
