"""A report of training runs: what their folders tell, whatever lies in them."""

import json

import numpy as np
import pytest
from PIL import Image

from edgesdk.core.errors import UsageError
from edgesdk_benchmarks.report import report

EVIL = "<script>alert(1)</script>"


@pytest.fixture
def run(tmp_path):
    """Return a finished run with everything a recipe may leave."""
    folder = tmp_path / "runs" / "fed-net-1234"
    folder.mkdir(parents=True)
    about = {
        "recipe": "fed",
        "student": "net",
        "teacher": None,
        "seed": 3,
        "data": {"clients": ["/home/someone/digits.npz"]},
        "settings": {"lr": 0.1, "why": EVIL},
    }
    (folder / "settings.json").write_text(json.dumps(about))
    lines = [
        {"time": 1.0, "phase": "learn", "step": s, "loss": 1 / s, "images_s": 9.0}
        for s in (1, 2, 3)
    ]
    lines += [
        {"phase": "learn", "step": 3, "loss": 0.25},
        {"phase": "learn", "step": 4, "loss": None},
    ]
    log = "\n".join(map(json.dumps, lines)) + '\n["no line"]\n{"step": 5, "lo'
    (folder / "log.jsonl").write_text(log)
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(folder / "samples.png")
    result = {
        "checkpoints": {}, "metrics": {"accuracy": 0.75}, "sets": [],
        "artefacts": {"samples": "samples.png", "stolen": "../secret.png", "log": "log.jsonl"},
        "ledger": {"epsilon": 3.0, "mechanism": EVIL},
        "tables": {"attacks": [{"attack": "membership", "auc": 0.51}, {"attack": EVIL}]},
        "global_accuracy": [0.1, None, 0.5],
    }  # fmt: skip
    (tmp_path / "runs" / "secret.png").write_bytes(b"secret")
    (folder / "result.json").write_text(json.dumps(result))
    return folder


def test_a_run_shows_courses_pictures_measurements_ledger_and_tables(run, tmp_path):
    page = report([run], tmp_path / "out").read_text()
    assert page.count("<svg") == 2  # loss, and global accuracy by round
    assert page.count("data:image/png;base64,") == 1
    for word in ("learn: loss", "rounds: global_accuracy", "Privacy ledger", "membership", "0.75"):
        assert word in page
    assert EVIL not in page
    assert "someone" not in page
    (told,) = json.loads((tmp_path / "out" / "report.json").read_text())["runs"]
    courses = {c["name"]: c["points"] for c in told["courses"]}
    assert courses["loss"] == [[1.0, 1.0], [2.0, 0.5], [3.0, 0.25]]
    assert courses["global_accuracy"] == [[1.0, 0.1], [3.0, 0.5]]
    markdown = (tmp_path / "out" / "report.md").read_text()
    assert "| accuracy | 0.75 |" in markdown
    assert "### attacks" in markdown


def test_an_unfinished_run_and_a_folder_of_runs(run, tmp_path):
    (run / "result.json").unlink()
    page = report([run.parent], tmp_path / "out").read_text()
    assert "(unfinished)" in page
    assert "learn: loss" in page


@pytest.mark.parametrize(
    ("file", "content"),
    [("settings.json", "[1]"), ("settings.json", "{}"), ("result.json", '{"artefacts": [1]}'),
     ("result.json", '{"tables": {"a": [1]}}'), ("result.json", "{")],
)  # fmt: skip
def test_a_damaged_run_is_one_sentence(run, tmp_path, file, content):
    (run / file).write_text(content)
    with pytest.raises(UsageError, match=run.name):
        report([run], tmp_path / "out")


def test_a_folder_with_neither_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no training run"):
        report([tmp_path], tmp_path / "out")
