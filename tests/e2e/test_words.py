"""The words of the command line: what may be typed, and what is told of a choice."""

import json
import subprocess
from dataclasses import replace

import pytest

import edgesdk
from edgesdk.cli import main
from edgesdk.core import plugins
from edgesdk.core.errors import UsageError
from edgesdk.core.target import precision_name, read_target
from edgesdk.core.verify import Verification
from edgesdk.verbs import export as verbs_export

FEW = ("--duration", "0.01", "--iterations", "10")


def call(capsys, *words):
    code = main([str(w) for w in words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize(
    ("word", "name"),
    [("FP16", "fp16"), ("half", "fp16"), ("Half", "fp16"), ("float16", "fp16"), ("int8", "int8"),
     ("INT8", "int8"), ("float32", "fp32"), ("Float", "fp32"), (" fp32 ", "fp32")],
)  # fmt: skip
def test_a_precision_has_many_words(word, name):
    assert precision_name(word) == name
    assert read_target("onnx").precision(word) == name


def test_a_precision_that_is_none_stays_an_error():
    with pytest.raises(UsageError, match="Did you mean 'fp16'"):
        read_target("onnx").precision("FP61")


def test_a_bundle_bears_the_precisions_own_name(tmp_path):
    bundle = edgesdk.export("bridge-face", target="ONNX", precision="Half", output_dir=tmp_path)
    assert bundle.path.name == "bridge-face-onnx-fp16"
    assert "precision fp16: asked" in bundle.decisions


@pytest.mark.parametrize("quiet", [[], ["-q"], ["--quiet"]])
def test_what_was_chosen_is_told_unless_it_must_not(capsys, tmp_path, quiet):
    code, out, err = call(capsys, "bench", "bridge-face", *FEW, "-o", tmp_path, *quiet, "--json")
    assert code == 0
    assert json.loads(out)[0]["runtime"]["name"] == "ort"
    told = [
        "bundle bridge-face-onnx-fp32: the shipped one of bridge-face",
        "runtime ort: the first one that opens bridge-face-onnx-fp32 here",
    ]
    assert [line for line in err.splitlines() if line in told] == ([] if quiet else told)
    assert not quiet or err == ""


def test_what_was_named_is_not_told_again(capsys, tmp_path):
    words = ("bench", "bridge-face", "--runtime", "ort", *FEW, "-o", tmp_path)
    assert "runtime ort:" not in call(capsys, *words)[2]


def test_a_program_hears_nothing(capsys, tmp_path):
    edgesdk.load("bridge-face", device="auto").close()
    assert capsys.readouterr() == ("", "")


def answer_of_a_child(commands):
    def run(command, **_):
        commands.append(command)
        return subprocess.CompletedProcess(command, 3, '{"error": "none", "exit_code": 3}', "")

    return run


@pytest.fixture
def commands(monkeypatch):
    found = []
    monkeypatch.setattr(verbs_export.subprocess, "run", answer_of_a_child(found))
    return found


def exported(commands):
    return sorted(c[c.index("--target") + 1] for c in commands)


@pytest.mark.parametrize("word", ["all", "ALL", "all,onnx", "onnx,all"])
def test_all_is_what_this_machine_can_build(capsys, monkeypatch, commands, word):
    monkeypatch.setattr(plugins, "installed", lambda name: name == "onnx")
    _, _, err = call(capsys, "export", "bridge-face", "--target", word)
    assert exported(commands) == ["onnx", "reference"]
    assert "target tflite: left out, for target 'tflite' needs torch" in err


def test_all_at_a_precision_leaves_out_who_lacks_it(capsys, monkeypatch, commands):
    monkeypatch.setattr(plugins, "installed", lambda name: name in ("onnx", "sympy"))
    call(capsys, "export", "bridge-face", "--target", "all", "--precision", "INT8")
    assert exported(commands) == ["onnx"]
    code, _, err = call(capsys, "export", "--target", "all", "--precision", "half", "-q")
    assert code == 2
    assert "no target that can be built here" in err


def test_options_of_several_targets_stand_before_two_dashes(capsys, commands):
    call(capsys, "export", "--target", "onnx,reference", "--", "-odd-name")
    assert all(c[-2:] == ["--", "-odd-name"] for c in commands)
    assert all(c.index("--json") < c.index("--") for c in commands)


def test_a_failed_proxy_is_no_proof_in_the_manifest():
    found = Verification(verdict="not-run", level="proxy", proxy="fail")
    assert found.summary()["verdict"] == "fail"
    assert replace(found, proxy="pass").summary()["verdict"] == "not-run"


@pytest.mark.parametrize("verb", ["inspect", "verify"])
def test_a_proof_has_the_same_words_everywhere(capsys, verb):
    assert "proven here" in call(capsys, verb, "bridge-face")[1]


def test_train_without_a_choice_says_what_to_type(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, _, err = call(capsys, "train")
    assert code == 2
    assert "edgesdk train bridge --data public=PATH" in err


def test_train_without_data_says_what_to_type(capsys, monkeypatch, tmp_path):
    pytest.importorskip("torch", reason="needs the train extra")
    monkeypatch.chdir(tmp_path)
    code, _, err = call(capsys, "train", "bridge", "--set", "epochs=1")
    assert code == 2
    assert "--data public=synthetic" in err.splitlines()[-1]
    assert "two times 25 epochs (adapt_epochs); distil, 1 epochs (epochs)" in err


def test_an_option_given_twice_is_refused(capsys):
    code, _, said = call(capsys, "export", "--target", "onnx", "--target=tflite")
    assert code == 2
    assert "option --target is given twice" in said
    # What may be repeated still may.
    code, _, said = call(capsys, "bench", "no-such", "--scenario", "latency", "--scenario", "x")
    assert "twice" not in said


def test_what_is_off_unless_asked_has_no_word_for_off(capsys):
    code, _, said = call(capsys, "run", "bridge-face", "--no-all")
    assert code == 2
    assert "no option '--no-all'" in said


@pytest.mark.parametrize("word", ["bridge-face", "."])
def test_a_model_or_folder_is_not_taken_for_the_file_of_a_gallery(capsys, word):
    code, _, said = call(capsys, "gallery", "build", word, "split")
    assert code == 2
    assert "is the gallery's file" in said


def test_the_name_of_a_run_leads_to_the_bundle_made_of_it(capsys, tmp_path, monkeypatch):
    from shutil import copytree

    from edgesdk.core.shipped import open_bundle, shipped_bundle, shipped_checkpoint

    monkeypatch.chdir(tmp_path)
    copytree(shipped_checkpoint("bridge-face"), tmp_path / "runs" / "mine" / "checkpoint")
    code, _, said = call(capsys, "bench", "mine", *FEW)
    assert code == 2
    assert "run mine has no bundle" in said
    copytree(shipped_bundle("bridge-face-32"), tmp_path / "bundles" / "other-onnx-fp32")
    copytree(shipped_bundle("bridge-face"), tmp_path / "bundles" / "bridge-face-onnx-fp32")
    for word in ("mine", "runs/mine"):
        assert open_bundle(word).path.name == "bridge-face-onnx-fp32"


def test_after_a_target_without_a_device_comes_no_bench(capsys, tmp_path):
    pytest.importorskip("onnx", reason="needs the onnx extra")
    words = ("export", "bridge-face", "--target", "reference", "-o", tmp_path, "-q")
    code, out, _ = call(capsys, *words)
    assert code == 0
    assert "bench" not in out
    assert f"next: edgesdk run {tmp_path}" in out
