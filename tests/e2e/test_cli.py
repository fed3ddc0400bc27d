"""The command line as a person meets it: words in, text and exit code out."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

import edgesdk
from edgesdk import verbs
from edgesdk._options import argument_help
from edgesdk.cli import commands, main, parser
from edgesdk.core import plugins
from edgesdk.core.errors import EdgeSdkError, MissingDependencyError, UsageError
from edgesdk.core.verify import Verification
from edgesdk.verbs import Verb
from edgesdk.verbs import export as verbs_export
from edgesdk.verbs.verify import exit_code


def call(capsys, *words):
    code = main([str(w) for w in words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def sentence(err):
    """The error's one sentence, after whatever progress was printed."""
    return err.strip().splitlines()[-1]


def test_help_lists_every_verb(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    out = capsys.readouterr().out
    assert stop.value.code == 0
    assert all(f"    {verb} " in out for verb in commands())


def test_without_words_it_prints_the_help(capsys):
    code, out, _ = call(capsys)
    assert code == 0
    assert "VERB" in out


@pytest.mark.parametrize("verb", verbs.verb_names())
def test_every_argument_of_every_verb_has_a_help_text(verb):
    function = verbs.find_verb(verb).function
    assert function is getattr(edgesdk, verb)
    names = [n for n in function.__code__.co_varnames[: function.__code__.co_argcount
             + function.__code__.co_kwonlyargcount] if n != "progress"]  # fmt: skip
    assert all(argument_help(function).get(n) for n in names)


VERB = '''
from __future__ import annotations
from edgesdk.verbs import Verb

def greet(name: str, *, times: int = 1) -> list[str]:
    """Greet somebody.

    Args:
        name: Whom.
        times: How often.
    """
    return [f"hello {name}"] * times

PLUGIN = Verb(greet, "\\n".join)
'''


def test_a_verb_is_one_file(capsys, monkeypatch, tmp_path):
    (tmp_path / "greet.py").write_text(VERB)
    monkeypatch.setattr(verbs, "__path__", [*verbs.__path__, str(tmp_path)])
    assert call(capsys, "greet", "you", "--times", "2") == (0, "hello you\nhello you\n", "")
    assert edgesdk.greet("you") == ["hello you"]
    assert "greet" in edgesdk.__all__
    monkeypatch.delattr(edgesdk, "greet")
    assert "Greet somebody." in parser().format_help()


def test_what_is_for_programs_alone_is_no_verb_of_the_command_line(capsys):
    code, _, err = call(capsys, "load", "bridge-face")
    assert code == 2
    assert "unknown verb 'load'" in err


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["exprot"], 2, "Did you mean 'export'?"),
        (["export", "--targt", "onnx"], 2, "Did you mean '--target'?"),
        (["export"], 2, "--target"),
        (["export", "--target", "tflit"], 2, "Did you mean 'tflite'?"),
        (["export", "--target", "onnx", "--precision", "fp61"], 2, "Did you mean 'fp16'?"),
        (["export", "--target", "onnx", "--batch", "many"], 2, "invalid int value"),
        (["export", "no-such-model", "--target", "onnx"], 2, "no-such-model does not exist"),
        (["export", "brigde-face", "--target", "onnx"], 2, "Did you mean 'bridge-face'?"),
        (["export", "--target", ","], 2, "names no target"),
        (["train", "brigde"], 2, "Did you mean 'bridge'?"),
        (["train", "bridge", "--set", "epochs"], 2, "NAME=VALUE"),
        (["train", "bridge", "--set", "epoch=1"], 2, "Did you mean 'epochs'?"),
        (["train", "bridge", "--data", "pubic=x"], 2, "Did you mean 'public'?"),
        (["run", "no-such-bundle", "a.jpg"], 2, "no-such-bundle does not exist"),
        (["run", "bridge-face", "no-such.jpg"], 2, "no-such.jpg does not exist"),
        (["run", "bridge-face", "a.jpg", "--runtime", "lietrt"], 2, "Did you mean 'litert'?"),
        (["verify", "no-such-bundle"], 2, "does not exist"),
        (["bench", "no-such-bundle"], 2, "does not exist"),
        (["bench", "bridge-face", "--scenario", "latancy"], 2, "Did you mean 'latency'?"),
        (["bench", "bridge-face", "--threads", "0"], 2, "--threads must be above 0"),
        (["bench", "bridge-face", "--duration", "nan"], 2, "--duration must be above 0"),
        (["bench", "bridge-face", "--duration", "inf"], 2, "--duration must be above 0"),
        (["bench", "bridge-face", "--warmup", "-1"], 2, "--warmup must be 0 or more"),
        (["bench", "bridge-face", "--iterations", "9" * 20], 2, "1,000,000 at most"),
        (["bench", "bridge-face", "--warmup", "9" * 20], 2, "1,000,000 at most"),
        (["bench", "bridge-face", "--batch", "32"], 2, "--scenario throughput"),
        (
            ["bench", "bridge-face", "--scenario", "throughput", "--batch", "99999999"],
            2,
            "to 65536",
        ),
        (["bench", "bridge-face", "--device", "cuda:99"], 3, "--allow-fallback"),
        (["run", "bridge-face", "a.png", "--device", "cuda:99"], 3, "--allow-fallback"),
        (["train", "bridge", "--device", "cuda:99"], 3, "--allow-fallback"),
        (["train", "bridge", "--threads", "0"], 2, "--threads must be 1 to"),
        (["export", "bridge-face", "--target", "onnx", "--batch", "99999999"], 2, "found 99999999"),
        (["report", "no-such-folder"], 2, "no-such-folder"),
        *[
            ([verb, "a" * 300], 2, "File name too long")
            for verb in ("run", "verify", "bench", "report", "inspect")
        ],
        (["run", "bridge-face", "a" * 300], 2, "File name too long"),
        (["export", "a" * 300, "--target", "onnx"], 2, "File name too long"),
        (["inspect", "no-such-file"], 2, "does not exist"),
    ],
)
def test_a_wrong_command_gets_one_sentence(capsys, monkeypatch, tmp_path, words, code, says):
    if words[0] == "train":
        pytest.importorskip("torch", reason="needs the train extra")
    monkeypatch.chdir(tmp_path)
    found, out, err = call(capsys, *words)
    assert found == code
    assert says in sentence(err)
    assert "Traceback" not in err
    assert out == ""
    assert list(tmp_path.iterdir()) == []


def test_an_error_is_json_when_json_was_asked_for(capsys):
    code, out, _ = call(capsys, "export", "--target", "tflit", "--json")
    assert json.loads(out)["exit_code"] == code == 2


@pytest.mark.parametrize("verb", ["models", "targets", "doctor"])
def test_listings_print_text_and_one_json_document(capsys, verb):
    code, text, _ = call(capsys, verb)
    assert code == 0
    assert "onnx" in text
    code, out, _ = call(capsys, verb, "--json")
    assert code == 0
    assert json.loads(out)


@pytest.mark.parametrize(
    ("error", "code"),
    [(KeyboardInterrupt(), 130), (ZeroDivisionError("a\nb"), 1), (EdgeSdkError("a\n  b"), 1)],
)
def test_whatever_happens_is_one_document_and_one_sentence(capsys, monkeypatch, error, code):
    def broken():
        raise error

    monkeypatch.setattr(verbs, "find_verb", lambda name: Verb(broken, str))
    found, out, err = call(capsys, "models", "--json")
    assert found == code == json.loads(out)["exit_code"]
    assert len(err.splitlines()) == 1


def test_any_name_of_a_file_can_be_printed():
    code = (
        "import sys; from edgesdk import verbs; from edgesdk.cli import main\n"
        "verb = verbs.Verb(lambda: {'name': 'ä\\udcff'}, lambda data: data['name'])\n"
        "verbs.find_verb = lambda name: verb\n"
        "sys.exit(main(['models', *sys.argv[1:]]))"
    )
    for encoding in ("utf-8", "ascii"):
        for words in ([], ["--json"]):
            done = subprocess.run(
                [sys.executable, "-c", code, *words],
                env={**os.environ, "PYTHONIOENCODING": f"{encoding}:strict"},
                capture_output=True,
                check=False,
            )
            assert (done.returncode, done.stderr) == (0, b"")
            if words:
                assert json.loads(done.stdout) == {"name": "ä\udcff"}


def test_words_after_two_dashes_are_no_options(capsys):
    code, _, err = call(capsys, "run", "bridge-face", "--", "--no-such.png")
    assert code == 2
    assert "picture --no-such.png does not exist" in sentence(err)


def test_a_failed_proxy_is_a_failed_gate():
    failed = Verification(verdict="not-run", level="proxy", proxy="fail")
    assert exit_code(failed) == 4
    assert exit_code(replace(failed, proxy="pass")) == 0


def test_a_target_named_twice_is_made_once(capsys, monkeypatch):
    monkeypatch.setattr(verbs_export.subprocess, "run", answer_of_a_child)
    _, out, _ = call(capsys, "export", "--target", "tflite,litert,onnx", "--json")
    assert [row["target"] for row in json.loads(out)] == ["tflite", "onnx"]


def answer_of_a_child(command, **_):
    return subprocess.CompletedProcess(command, 3, '{"error": "none", "exit_code": 3}', "")


def test_targets_and_doctor_say_what_is_missing_and_the_one_command(monkeypatch):
    monkeypatch.setattr(plugins, "missing", lambda plugin: list(plugin.requires))
    rows = {row["target"]: row for row in edgesdk.targets()}
    assert rows["onnx"]["why_not"] is None
    assert "pip install 'edgesdk[tflite]'" in rows["tflite"]["why_not"]
    doctor = {(row["kind"], row["name"]): row for row in edgesdk.doctor()["rows"]}
    assert doctor["target", "coreml"]["command"] == "pip install 'edgesdk[coreml]'"
    assert doctor["target", "onnx"]["command"] == ""
    assert rows["onnx"]["lacks"]["fp16"] == ["onnx", "onnxconverter_common"]
    for wish in ("fp16", "int8", "fixed batch"):
        assert doctor["target", f"onnx {wish}"]["command"] == "pip install 'edgesdk[onnx]'"


@pytest.mark.parametrize(("wish", "words"), [("fp32", {}), ("fp16", {"precision": "fp16"}),
    ("int8", {"precision": "int8"}), ("fixed batch", {"batch": 2})])  # fmt: skip
def test_doctor_says_missing_where_an_export_says_so(monkeypatch, tmp_path, wish, words):
    here = plugins.installed
    monkeypatch.setattr(plugins, "installed", lambda name: name != "onnx" and here(name))
    rows = {row["name"]: row for row in edgesdk.doctor()["rows"] if row["kind"] == "target"}
    row = rows.get(f"onnx {wish}", rows["onnx"])
    if row["status"] == "ok":
        edgesdk.export("bridge-face", target="onnx", output_dir=tmp_path, **words)
    else:
        with pytest.raises(MissingDependencyError, match="onnx") as error:
            edgesdk.export("bridge-face", target="onnx", output_dir=tmp_path, **words)
        assert row["command"] in str(error.value)


def test_an_unexpected_error_is_no_traceback_unless_asked(capsys, monkeypatch):
    def broken():
        raise ZeroDivisionError("boom")

    monkeypatch.setattr(verbs, "find_verb", lambda name: Verb(broken, str))
    code, _, err = call(capsys, "models")
    assert code == 1
    assert "internal error (ZeroDivisionError: boom)" in err
    with pytest.raises(ZeroDivisionError):
        main(["models", "--debug"])


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (MemoryError("Unable to allocate 9 GiB"), "memory of this machine does not suffice"),
        (PermissionError(13, "Permission denied", "a/b"), "a/b: Permission denied; check"),
    ],
)
def test_what_the_machine_refuses_is_no_internal_error(capsys, monkeypatch, error, says):
    def refused():
        raise error

    monkeypatch.setattr(verbs, "find_verb", lambda name: Verb(refused, str))
    code, _, err = call(capsys, "models")
    assert code == 1
    assert says in sentence(err)
    assert "internal" not in err


def test_one_of_many_needs_no_list(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    few = {"iterations": 10, "duration": 0.01, "scenario": "latency", "runtime": "ort"}
    (result,) = edgesdk.bench("bridge-face", **few)
    assert result.artefact["model"] == "bridge-face"
    assert edgesdk.report("reports/results").is_file()
    Image.new("RGB", (16, 16)).save("face.png")
    assert len(edgesdk.run("bridge-face", "face.png")["faces"]) == 1
    assert len(edgesdk.run("bridge-face", Path("face.png"))["faces"]) == 1
    with pytest.raises(UsageError, match="unknown data role 'pubic'"):
        edgesdk.train("bridge", data="pubic=x", settings="epochs=1")


def test_another_device_is_taken_where_it_may_be(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ("bench", "bridge-face", "--device", "cuda:99", "--duration", "0.01", "--json", "-q")
    code, out, _ = call(capsys, *words, "--allow-fallback")
    assert code == 0
    assert json.loads(out)[0]["device"]["name"] != "cuda:99"
    Image.new("RGB", (16, 16)).save("face.png")
    words = ("run", "bridge-face", "face.png", "--device", "cuda:99", "--allow-fallback")
    code, out, _ = call(capsys, *words, "--json")
    assert json.loads(out)["device"] != "cuda:99"


def test_an_interrupt_says_how_to_go_on(capsys, monkeypatch):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(verbs, "find_verb", lambda name: Verb(interrupted, str))
    code, _, err = call(capsys, "models")
    assert code == 130
    assert "the same command goes on" in err


@pytest.mark.parametrize(
    "words",
    [["a", "b", "--device", "cpu"], ["--device", "cpu", "a", "b"], ["a", "--device", "cpu", "b"]],
)
def test_words_of_an_optional_list_may_stand_anywhere(words):
    assert parser().parse_args(["run", "bridge-face", *words]).files == ["a", "b"]
    assert parser().parse_args(["run", "bridge-face"]).files == []
    with pytest.raises(UsageError, match="unrecognized arguments: -x"):
        parser().parse_args(["run", "bridge-face", *words, "-x"])
