"""`edgesdk inspect`: every kind of file, as data and for people."""

import json

import pytest

from edgesdk import cli
from edgesdk.core.errors import UsageError
from edgesdk.core.shipped import shipped_bundle
from edgesdk.verbs.inspect import inspect

MODEL = shipped_bundle("bridge-face") / "model.onnx"


@pytest.fixture
def network(tmp_path):
    (tmp_path / "my.onnx").write_bytes(MODEL.read_bytes())
    return tmp_path / "my.onnx"


def test_people_read_tables_and_programs_read_json(capsys):
    assert cli.main(["inspect", "bridge-face"]) == 0
    shown = capsys.readouterr().out
    assert "{" not in shown
    assert "Nx3x16x16" in shown
    assert "licence\n  weights" in shown
    assert cli.main(["inspect", "bridge-face", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "bundle"


def test_a_model_file_tells_what_is_in_it(network):
    pytest.importorskip("onnx", reason="needs the onnx extra")
    found = inspect(network)
    assert (found["kind"], found["operators"]["Conv"]) == ("onnx", 10)
    assert found["inputs"] == [{"name": "image", "shape": ["batch", 3, 16, 16], "type": "float32"}]
    assert found["arithmetic"] == {"fp32": 11}


@pytest.mark.parametrize("name", ["m.engine", "m.plan"])
def test_an_engine_says_where_it_opens(tmp_path, name):
    (tmp_path / name).write_bytes(b"ftrt")
    assert "the GPU" in inspect(tmp_path / name)["metadata"]["about"]


def test_a_first_model_toml_is_written_once_and_read(network):
    pytest.importorskip("onnx", reason="needs the onnx extra")
    import tomllib

    from edgesdk_export.sources.onnx_file import OnnxFileSource

    toml = network.with_name("model.toml")
    assert inspect(network, write_toml=True)["toml"] == str(toml)
    said = tomllib.loads(toml.read_text())
    assert said["inputs"]["image"]["shape"] == ["N", 3, 16, 16]
    source = OnnxFileSource(network)
    assert (source.model, source.task) == ("my", "tensor")
    with pytest.raises(UsageError, match="is there already"):
        inspect(network, write_toml=True)
    with pytest.raises(UsageError, match="is for an ONNX file"):
        inspect("bridge-face", write_toml=True)


def test_a_run_is_found_by_its_name(tmp_path, monkeypatch):
    from edgesdk.core.shipped import shipped_checkpoint

    runs = tmp_path / "runs" / "mine"
    runs.mkdir(parents=True)
    (runs / "checkpoint").symlink_to(shipped_checkpoint("bridge-face"))
    monkeypatch.chdir(tmp_path)
    assert inspect("mine")["kind"] == "checkpoint"


def test_sizes_are_joined_and_words_are_listed():
    from edgesdk.verbs._describe import described

    shown = described({"kind": "x", "rows": [{"shape": ["N", 3, None], "also": ["a", "b"]}]})
    assert "Nx3xN" in shown
    assert "a, b" in shown
