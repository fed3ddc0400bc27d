"""The live page in headless Chromium, whose camera is a clip made for the test."""

import signal
from pathlib import Path

import numpy as np
import pytest

from edgesdk.cli import main
from edgesdk.core.samples import synthetic_faces
from edgesdk.core.shipped import shipped_bundle
from edgesdk.images import read_image
from edgesdk_runtimes import _web_vendor
from tools.camera import camera_flags, frame, write_clip
from tools.chromium import Chromium, executable, visit

ROOT = Path(__file__).parents[2]
READY = executable() is not None and _web_vendor.problem() is None
WHY = "needs Chromium and onnxruntime-web: make browser"
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not READY, reason=WHY)]


RATES = """new Promise((done) => {
    const number = (id) => Number(document.getElementById(id).textContent);
    const rates = [];
    new MutationObserver(() => rates.push([number('fps'), number('rate')])).observe(
        document.getElementById('rate'), { childList: true });
    setTimeout(() => done(rates), 4000);
})"""


def test_live_page_finds_enrols_and_recognises(tmp_path):
    aligned = read_image(ROOT / "examples" / "astronaut_aligned.png")
    shown = [aligned, synthetic_faces(2, 5)[1], np.full((8, 8, 3), (196, 202, 208), np.uint8)]
    clip = write_clip(tmp_path / "clip.y4m", [frame(one) for one in shown for _ in range(30)])
    seen = {}

    def look(browser: Chromium, link: str) -> None:
        browser.open(f"{link}&start")
        assert browser.state("live", "failed") == "live"
        browser.until("document.getElementById('rate').textContent !== '0'")
        browser.value("document.getElementById('who').value = '<b>Astronaut';"
                      "document.getElementById('enrol').requestSubmit()")  # fmt: skip
        browser.until("document.querySelector('#people li') !== null")
        name = "document.getElementById('name').textContent"
        said = ("<b>Astronaut", "Unknown", "No face in sight", "<b>Astronaut")
        seen["names"] = {browser.until(f"{name} === '{n}' && {name}") for n in said}
        seen["box"] = browser.value(
            "['x', 'y', 'width', 'height'].map((name) =>"
            "Number(document.querySelector('#guide .found').getAttribute(name)))"
        )
        seen["told"] = browser.value(RATES)
        numbers = "(i) => Number(document.getElementById(i).textContent)"
        seen["rates"] = browser.value(f"['fps', 'rate', 'cost'].map({numbers})")
        headers = "{'X-Edgesdk-Token': location.hash.slice(3, 25)}"
        posted = f"fetch('report', {{method: 'POST', body: '{{}}', headers: {headers}}})"
        seen["post"] = browser.value(f"{posted}.then((answer) => answer.status)")
        browser.value("document.querySelector('#people button').click()")
        browser.until(f"{name} === 'Nobody enrolled yet'")
        origin = link.partition("#")[0]
        seen["elsewhere"] = {r for r in browser.requests if not r.startswith(origin)}

    words = ["run", "bridge-face", "--device", "browser", "--quiet"]
    ended = visit(words, look, camera_flags(clip), end=signal.SIGINT)
    assert ended.code == 0, ended.err
    assert "no picture came here" in ended.out
    assert seen["names"] == {"<b>Astronaut", "Unknown", "No face in sight"}
    # Of her aligned square, mirrored: left 14 %, top 10 %, side 72 % of the view.
    x, y, width, height = seen["box"]
    assert 14 < x < x + width < 86
    assert 10 < y < y + height < 90
    assert len(seen["told"]) > 3
    assert all(faces <= frames for frames, faces in seen["told"]), "no more faces than frames"
    assert all(rate > 0 for rate in seen["rates"])
    assert seen["post"] == 403, "the live page has no way to send anything"
    assert seen["elsewhere"] <= {"about:blank"}


def test_the_live_page_says_when_there_is_no_camera():
    def look(browser, link):
        browser.open(f"{link}&start")
        assert browser.state("failed") == "failed"
        assert "No camera" in browser.value("document.body.innerText")

    words = ["run", "bridge-face", "--device", "browser", "--quiet"]
    assert visit(words, look, end=signal.SIGINT).code == 0


def test_a_page_that_failed_looks_no_longer(tmp_path):
    clip = write_clip(tmp_path / "clip.y4m", [frame(synthetic_faces(1, 5)[0])] * 2)
    seen = {}

    def look(browser, link):
        browser.open(link)
        browser.state("ready")
        browser.value("HTMLMediaElement.prototype.play = () => Promise.reject(new Error('no'))")
        browser.value("document.getElementById('camera').click()")
        browser.state("failed")
        tracks = "document.getElementById('video').srcObject.getTracks()"
        seen["tracks"] = browser.value(f"{tracks}.map((track) => track.readyState)")

    words = ["run", "bridge-face", "--device", "browser", "--quiet"]
    assert visit(words, look, camera_flags(clip), end=signal.SIGINT).code == 0
    assert seen["tracks"] == ["ended"]


def drifted():
    golden = np.fromfile(shipped_bundle("bridge-face") / "golden/embedding.f32", "<f4")
    return {"files": {"golden/embedding.f32": (golden + 0.01).tobytes()}}


@pytest.mark.parametrize(
    ("stage", "changes"),
    [("pre-processing", lambda: {"how": {"color": "BGR"}}), ("inference", drifted)],
)
def test_the_live_page_checks_the_bundle_first(changed_bundle, stage, changes):
    bundle = changed_bundle("changed", **changes())

    def look(browser, link):
        browser.open(link)
        assert browser.state("failed") == "failed"
        assert f"stage: {stage}" in browser.value("document.body.innerText")

    words = ["run", str(bundle), "--device", "browser", "--quiet"]
    assert visit(words, look, end=signal.SIGINT).code == 0


def test_what_the_live_page_cannot_do_is_refused(capsys, changed_bundle):
    live = ["run", "bridge-face", "--device", "browser"]
    assert main([*live, "face.png"]) == 2
    assert "leave files and --runtime out" in capsys.readouterr().err
    assert main([*live, "--lan"]) == 2
    assert "add --https" in capsys.readouterr().err
    assert main(["run", "bridge-face", "--lan"]) == 2
    assert "--device browser" in capsys.readouterr().err
    assert main(["run", str(changed_bundle("other", task="detection")), "--device", "browser"]) == 2
    assert "the live page runs face-embedding" in capsys.readouterr().err
