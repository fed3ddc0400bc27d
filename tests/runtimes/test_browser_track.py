"""The tracking page in headless Chromium: JavaScript finds what Python finds, a box is drawn."""

import json
import signal

import numpy as np
import pytest

from edgesdk.core.shipped import shipped
from edgesdk_runtimes import _web_vendor
from tools.camera import HEIGHT, WIDTH, camera_flags, write_clip
from tools.chromium import executable, visit
from tools.track_cases import sequences

READY = executable() is not None and _web_vendor.problem() is None
WHY = "needs Chromium and onnxruntime-web: make browser"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not READY, reason=WHY),
    pytest.mark.skipif("tracker" not in shipped(), reason="no tracker is shipped"),
]
WORDS = ["run", "tracker", "--device", "browser", "--quiet"]

FOLLOW = """(async (cases) => {
  const { Host } = await import('./bundle.mjs');
  const { configure } = await import('./engine.mjs');
  const { openChecked } = await import('./model.mjs');
  const { Follower } = await import('./track.mjs');
  configure(1);
  const { bundle, session } = await openChecked(
    new Host(location.hash.slice(3)), { path: 'bundle/0' });
  const run = (inputs) => session.run(session.feed(inputs));
  const found = [];
  for (const { frames, height, width, box, text, policy } of cases) {
    const postprocess = { ...bundle.manifest.postprocess };
    if (Object.keys(policy).length) postprocess.policy = policy;
    const follower = new Follower(run, { ...bundle.manifest, postprocess });
    const rows = [];
    for (const data of frames) {
      const picture = { data: Uint8Array.from(data), height, width };
      const state = rows.length ? follower.update(picture) : follower.start(picture, box, text);
      const { box: where, score, lost } = await state;
      rows.push([...where, score, Number(lost)]);
    }
    found.push(rows);
  }
  return found;
})"""


def plain(one):
    """Return a golden sequence as JSON can carry it."""
    count, height, width, _ = one["frames"].shape
    frames = one["frames"].reshape(count, -1).tolist()
    told = {key: one[key] for key in ("box", "text", "policy")}
    return told | {"frames": frames, "height": height, "width": width}


def test_golden_sequences_give_the_boxes_of_python():
    golden, seen = sequences(), []

    def look(browser, link):
        browser.open(link)
        browser.state("ready")
        seen.extend(browser.value(f"{FOLLOW}({json.dumps([plain(one) for one in golden])})"))

    assert visit(WORDS, look, end=signal.SIGINT).code == 0
    for want, found in zip(golden, seen, strict=True):
        away = np.abs(np.array(want["rows"]) - np.array(found)).max(0)
        assert away[:4].max() < 0.05, want["name"]
        assert away[4] < 1e-3, want["name"]
        assert away[5] == 0, want["name"]
    lost = [np.array(one["rows"])[:, 5].any() for one in golden]
    assert lost == [False, True], "both ways are tried"


def moving(steps):
    """Return frames whose red square goes to the right, and its left edges."""
    rng = np.random.default_rng(0)
    wall = rng.integers(90, 150, (HEIGHT // 8, WIDTH // 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    frames = []
    for left in steps:
        picture = wall.copy()
        picture[200:280, left : left + 80] = (210, 30, 30)
        picture[220:260, left + 20 : left + 60] = (240, 220, 60)
        frames.append(picture)
    return frames


def test_a_box_drawn_with_the_mouse_is_followed_and_let_go(tmp_path):
    still, across = [120] * 40, list(range(120, 440, 8))
    clip = write_clip(tmp_path / "clip.y4m", moving(still + across + across[::-1]))
    seen = {}

    def look(browser, link):
        browser.open(f"{link}&start")
        assert browser.state("live", "failed") == "live"
        browser.until("document.getElementById('stage').style.aspectRatio !== ''")
        seen["asked"] = browser.value("document.getElementById('name').textContent")
        left, top, width = browser.value(
            "(({ left, top, width }) => [left, top, width])"
            "(document.getElementById('stage').getBoundingClientRect())"
        )

        def mouse(kind, x, y):
            scale = width / WIDTH
            at = {"x": left + x * scale, "y": top + y * scale}
            press = {"button": "left", "buttons": 1, "clickCount": 1, "pointerType": "mouse"}
            browser.call("Input.dispatchMouseEvent", type=kind, **at, **press)

        mouse("mousePressed", 300, 100)
        mouse("mouseReleased", 301, 101)
        seen["tap"] = browser.value("document.getElementById('drop').disabled")
        where = "Number(document.querySelector('#guide .found').getAttribute('x'))"
        # The square is where it stands still; a box is drawn over the picture that stands still.
        mouse("mousePressed", 120, 200)
        mouse("mouseMoved", 150, 250)
        mouse("mouseReleased", 200, 280)
        browser.until("document.getElementById('name').textContent === 'Following'")
        seen["right"] = browser.until(f"{where} > 300 && {where}")
        seen["back"] = browser.until(f"{where} < 200 && {where}")
        browser.until("Number(document.getElementById('rate').textContent) > 0")
        browser.value("document.getElementById('drop').click()")
        seen["hidden"] = browser.value(
            "document.querySelector('#guide .found').getAttribute('visibility')"
        )
        origin = link.partition("#")[0]
        seen["elsewhere"] = {r for r in browser.requests if not r.startswith(origin)}
        seen["complaints"] = browser.complaints

    ended = visit(WORDS, look, camera_flags(clip), end=signal.SIGINT)
    assert ended.code == 0, ended.err
    assert "no picture came here" in ended.out
    assert seen["asked"] == "Draw a box around it"
    assert seen["tap"] is True, "a tap draws no box"
    assert seen["right"] > 300 > 200 > seen["back"]
    assert seen["hidden"] == "hidden"
    assert seen["elsewhere"] <= {"about:blank"}
    assert not seen["complaints"]


def test_the_page_says_when_there_is_no_camera():
    def look(browser, link):
        browser.open(f"{link}&start")
        assert browser.state("failed") == "failed"
        assert "No camera" in browser.value("document.body.innerText")

    assert visit(WORDS, look, end=signal.SIGINT).code == 0
