"""The tool that collects what runs left behind."""

import json
import sys

import pytest

from edgesdk.core.errors import UsageError
from tools import collect_runs
from tools.command import told

SETTINGS = {
    "settings": {"init": "/there/large32/checkpoint"}, "data": {"public": ["/a/b.tar"]},
    "teacher": "/there/teacher.onnx",
}  # fmt: skip
LOG = [{"time": 10.0, "step": 1, "loss": 3.0}, {"time": 14.5, "step": 2, "loss": 1.0}]


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "settings.json").write_text(json.dumps(SETTINGS))
    (folder / "result.json").write_text(json.dumps({"metrics": {"holdout_auc": 0.9}}))
    (folder / "log.jsonl").write_text("\n".join(json.dumps(line) for line in LOG))
    return folder


@pytest.fixture
def collect(monkeypatch, tmp_path):
    out = tmp_path / "runs.json"

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["collect_runs", *words, "-o", str(out)])
        collect_runs.main()
        return json.loads(out.read_text())

    return call


def test_a_run_is_told_without_its_places_and_others_stay(collect, run):
    collect(f"first={run}")
    both = collect(f"second={run}")
    assert list(both) == ["first", "second"]
    assert both["second"]["settings"] == {"init": "large32"}
    assert both["second"]["data"] == {"public": ["b.tar"]}
    assert both["second"]["teacher"] == "teacher.onnx"
    assert both["second"]["logged_s"] == 4.5
    assert both["second"]["last_log"] == {"step": 2, "loss": 1.0}


def test_a_run_of_no_step_has_no_log(collect, run):
    (run / "log.jsonl").unlink()
    assert collect(f"none={run}")["none"]["last_log"] == {}


@pytest.mark.parametrize(
    ("name", "content"),
    [("log.jsonl", '{"time": 1'), ("result.json", "{}"), ("settings.json", "{}"),
     ("settings.json", "[]")],
)  # fmt: skip
def test_a_damaged_run_is_told(collect, run, name, content):
    (run / name).write_text(content)
    with pytest.raises(UsageError, match="is no finished run"):
        collect(f"torn={run}")


def test_what_is_no_run_is_told(collect, run, tmp_path):
    for word, says in (
        (f"={run}", "NAME=FOLDER"),
        ("name", "NAME=FOLDER"),
        (f"name={tmp_path / 'none'}", "is not finished"),
    ):
        with pytest.raises(UsageError, match=says):
            collect(word)
    (tmp_path / "runs.json").write_text("[]")
    with pytest.raises(UsageError, match="holds no runs"):
        collect(f"name={run}")


def test_a_command_line_ends_with_the_sentence_and_its_code(capsys):
    def refuse():
        raise UsageError("no such set")

    with pytest.raises(SystemExit) as ended:
        told(refuse)
    assert ended.value.code == 2
    assert capsys.readouterr().err == "error: no such set\n"
