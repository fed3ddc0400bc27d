"""The page's own mathematics against Python's, run by Node: the same files, no browser."""

import json
import shutil
import subprocess
from dataclasses import asdict
from itertools import pairwise

import numpy as np
import pytest

from edgesdk.core.compare import judge
from edgesdk.core.preprocess import ARCFACE_112, TEMPLATES, Align, Preprocess, align
from edgesdk.core.target import Tolerance
from edgesdk_runtimes._web_vendor import WEB
from tools.face_maps import cases
from tools.track_cases import crops, sentences

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="no Node.js; on Debian: apt install nodejs")
NAMES = {
    "preprocess": "align, TEMPLATES, toTensor",
    "golden": "checkOutputs",
    "clock": "interleaved, repeatFor, timerStep",
    "gallery": "Gallery",
    "faces": "decode, placed, suppress, surest",
    "track-steps": "crop",
    "words": "sentenceFeatures",
}
SIZES = [(1, 1), (16, 16), (112, 112), (37, 53), (200, 90), (5, 300), (15, 17)]


@pytest.fixture
def node(tmp_path):
    """Return a function that runs a module's body on data and returns what it prints as JSON."""

    def run(body, data):
        (tmp_path / "data.json").write_text(json.dumps(data))
        lines = [f"import {{ {n} }} from '{(WEB / m).as_uri()}.mjs';" for m, n in NAMES.items()]
        lines += ["import { readFileSync } from 'node:fs';"]
        lines += [f"const data = JSON.parse(readFileSync('{tmp_path}/data.json'));"]
        (tmp_path / "run.mjs").write_text("\n".join([*lines, body]))
        done = subprocess.run([NODE, str(tmp_path / "run.mjs")], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


FACES = """
const flat = ({ box, points, score }) => [...box, ...points.flat(), score];
const made = ({ maps, score, overlap }) => suppress(decode(maps, score), overlap).map(flat);
console.log(JSON.stringify(data.map(made)));
"""


def test_faces_are_those_of_python(node):
    golden = cases()
    given = [
        {name: {"data": m.ravel().tolist(), "dims": m.shape} for name, m in one["maps"].items()}
        for one in golden
    ]
    found = node(FACES, [{**one, "maps": maps} for one, maps in zip(golden, given, strict=True)])
    assert [len(one["faces"]) > 0 for one in golden] == [True, True, True, False]
    for one, faces in zip(golden, found, strict=True):
        assert np.array(faces) == pytest.approx(np.array(one["faces"]), rel=1e-5, abs=1e-4)


LOOKS = """
const last = [];
const map = (s, channels, value) => ({
  dims: [1, channels, 64 / s, 64 / s], data: new Array(channels * (64 / s) ** 2).fill(value) });
const maps = (logit) => Object.fromEntries([8, 16, 32].flatMap((s) => [
  [`score_${s}`, map(s, 1, logit)], [`box_${s}`, map(s, 4, 0)], [`points_${s}`, map(s, 10, 0)]]));
const look = (logit) => async ({ data }) => {
  last.push(data.findLastIndex((v) => v > 0));
  return maps(logit);
};
const find = (logit) => surest(data, 64, look(logit), { score: 0.6, overlap: 0.3 });
console.log(JSON.stringify([await find(3), await find(1), await find(-3), last]));
"""


def test_a_face_is_looked_for_at_half_the_size_first(node):
    sure, unsure, none, last = node(LOOKS, sent(np.full((50, 100, 3), 200, np.uint8)))
    half, whole = (15 * 64 + 31) * 3 + 2, (31 * 64 + 63) * 3 + 2  # 32x16 and 64x32 of the square
    assert last == [half, half, whole, half, whole]
    assert sure["box"][2] == pytest.approx(8 * 100 / 32), "a cell of the half, in its own pixels"
    assert 0.7 < unsure["score"] < 0.8
    assert none is None


def test_every_script_is_sound():
    for script in sorted(WEB.glob("*.mjs")):
        done = subprocess.run([NODE, "--check", str(script)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_templates_are_those_of_python(node):
    found = node("console.log(JSON.stringify(TEMPLATES))", {})
    assert found == {name: points.tolist() for name, points in TEMPLATES.items()}


def picture(shape, seed):
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)


def sent(array):
    return {"data": array.ravel().tolist(), "height": array.shape[0], "width": array.shape[1]}


def test_tensors_are_those_of_python(node):
    ways = [
        Preprocess(size=(16, 16)),
        Preprocess(size=(112, 112), color="BGR", mean=(1, 2, 3), std=(4, 5, 6)),
        Preprocess(size=(24, 40), layout="NHWC", mean=(0, 0, 0), std=(255, 255, 255)),
    ]
    pictures = [picture(shape, seed) for seed, shape in enumerate(SIZES)]
    found = node(
        "console.log(JSON.stringify(data.ways.map((how) =>"
        " data.pictures.map((p) => Array.from(toTensor([p], how))))))",
        {"ways": [w.to_json() for w in ways], "pictures": [sent(p) for p in pictures]},
    )
    for how, rows in zip(ways, found, strict=True):
        for one, row in zip(pictures, rows, strict=True):
            levels = (np.array(row) - how([one]).ravel()) * max(how.std)
            assert np.abs(levels).max() < 1e-3, "a thousandth of a grey level"


def test_a_batch_is_its_pictures_in_order(node):
    how = Preprocess(size=(4, 4))
    pictures = [picture((6, 5), seed) for seed in range(3)]
    found = node(
        "console.log(JSON.stringify(Array.from(toTensor(data.pictures, data.how))))",
        {"how": how.to_json(), "pictures": [sent(p) for p in pictures]},
    )
    np.testing.assert_allclose(found, how(pictures).ravel(), atol=1e-5)


def test_crops_are_those_of_python(node):
    random = np.random.default_rng(3)
    cases = []
    for seed, scale in enumerate((0.3, 0.8, 1.0, 2.6, 7.0)):
        angle = random.uniform(-0.5, 0.5)
        turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        points = ARCFACE_112 @ turn.T + random.uniform(-30, 90, 2) + random.normal(0, 1, (5, 2))
        cases.append((picture((160, 210), seed), points, Align(size=112 - 16 * seed), 7.9))
    found = node(
        "console.log(JSON.stringify(data.map(({picture, points, how, pad}) =>"
        " Array.from(align(picture, points, how, pad).data))))",
        [{"picture": sent(p), "points": q.tolist(), "how": asdict(h), "pad": v}
         for p, q, h, v in cases],
    )  # fmt: skip
    for (one, points, how, pad), crop in zip(cases, found, strict=True):
        wanted = align(one, points, how, pad).ravel().astype(int)
        difference = np.abs(np.array(crop) - wanted)
        assert difference.max() <= 1
        assert (difference > 0).mean() < 0.001, "a rounding here and there"


def test_the_page_judges_outputs_as_python_does(node):
    random = np.random.default_rng(5)
    limits = [Tolerance(atol=1e-3, rtol=1e-2), Tolerance(relative_to_max=0.02),
              Tolerance(cosine_p1=0.999), Tolerance(snr_db=30.0)]  # fmt: skip
    cases = []
    for noise in (0, 1e-5, 1e-3, 5e-3, 2e-2, 1e-1):
        want = random.normal(size=(2, 50)).astype(np.float32)
        got = (want + noise * random.normal(size=want.shape)).astype(np.float32)
        cases += [(want, got, limit) for limit in limits]
    large = (want * 30, want * 30 + np.float32(1e-2), limits[0])
    cases += [(want, np.where(want > 1, np.nan, want), limits[0]), large]
    found = node(
        """
        console.log(JSON.stringify(data.map(({ want, got, tolerance }) => {
          const golden = { outputs: [{ name: 'y', data: want, shape: [2, 50] }], tolerance };
          try {
            checkOutputs({ golden }, { y: got.map((v) => v ?? NaN) });
            return true;
          } catch (error) {
            if (error.stage !== 'inference') throw error;
            return false;
          }
        })));
        """,
        [{"want": w.ravel().tolist(), "tolerance": asdict(t),
          "got": [None if np.isnan(v) else v for v in g.ravel().tolist()]} for w, g, t in cases],
    )  # fmt: skip
    passed = [not judge("y", want, got, limit)[1] for want, got, limit in cases]
    assert found == passed
    assert {True, False} == set(passed)


def test_the_clock_keeps_every_sample_and_takes_turns(node):
    """On a made clock that only the contenders move."""
    found = node(
        """
        let time = 0;
        Object.defineProperty(globalThis, 'performance', { value: { now: () => time } });
        const order = [];
        const busy = (ms, name) => async () => { order.push(name); time += ms; };
        const plan = { warmup: 12, iterations: 15, duration_s: 0.2 };
        const parts = [];
        const calls = [['slow', busy(4, 'slow')], ['fast', busy(1, 'fast')]];
        const limits = { step: 0.005, most: 1000 };
        const found = await interleaved(calls, plan, limits, async (part) => parts.push(part));
        const turns = order.filter((name, i) => name !== order[i - 1]).length;
        const few = { step: 1e-6, most: 15 };
        const capped = await interleaved([['a', busy(0.125)]], { ...plan, duration_s: 0.6 }, few,
          async () => {});
        const series = Object.fromEntries(found);
        console.log(JSON.stringify({ series, turns, parts, capped: capped.get('a') }));
        """,
        {},
    )
    slow, fast = found["series"]["slow"], found["series"]["fast"]
    assert set(slow["samples"] + slow["warmups"]) == {4e6}
    assert set(fast["samples"] + fast["warmups"]) == {1e6}
    assert (len(slow["samples"]), slow["perSlice"], slow["repeat"]) == (50, 5, 1)
    assert len(slow["warmups"]) == 50, "200 ms"
    assert len(fast["samples"]) >= 200
    assert found["turns"] > 6
    assert all(a <= b for a, b in pairwise(found["parts"][2:]))
    assert found["capped"]["repeat"] == 320, "few long samples instead of many"
    assert len(found["capped"]["samples"]) == 15


def test_samples_are_long_against_the_timers_step(node):
    found = node(
        """
        const coarse = () => Math.floor(performance.now() * 2) / 2;
        const repeats = [[0.25, 0.1, 3, 10000], [0.25, 0.005, 3, 60000], [50, 0.1, 3, 10000],
          [0.25, 0.005, 3, 100]].map((one) => repeatFor(...one));
        console.log(JSON.stringify([timerStep(coarse), timerStep(), ...repeats]));
        """,
        {},
    )
    step, fine, *repeats = found
    assert step == pytest.approx(0.5)
    assert 0 < fine < 0.5
    assert repeats == [80, 4, 1, 120]


def test_the_gallery_finds_the_nearest_and_forgets(node):
    found = node(
        """
        const gallery = new Gallery();
        const before = gallery.nearest([1, 0]);
        gallery.enrol('a', [[2, 0], [4, 0]]);
        gallery.enrol('b', [[0, 1]]);
        gallery.enrol('b', [[0, -9]]);
        const near = gallery.nearest([0.1, -1]);
        gallery.forget('b');
        const far = gallery.nearest([0.1, -1]);
        console.log(JSON.stringify([before, near, far, gallery.people.length]));
        """,
        {},
    )
    before, near, far, left = found
    assert before is None
    assert (near["name"], far["name"], left) == ("b", "a", 1)
    assert near["similarity"] == pytest.approx(1 / np.hypot(0.1, 1))


TRACK = """
const picture = { ...data.picture, data: Uint8Array.from(data.picture.data) };
const rows = ({ text, words, dims }) => [...sentenceFeatures(text, words, dims)];
console.log(JSON.stringify({
  crops: data.crops.map(({ at, side, size }) => [...crop(picture, at, side, size)]),
  sentences: data.sentences.map(rows),
}));
"""


def test_crops_and_sentences_of_a_tracker_are_those_of_python(node):
    frame, squares = crops()
    given = [{k: v for k, v in one.items() if k != "crop"} for one in squares]
    said = [{k: v for k, v in one.items() if k != "rows"} for one in sentences()]
    picture = {"data": frame.ravel().tolist(), "height": frame.shape[0], "width": frame.shape[1]}
    found = node(TRACK, {"picture": picture, "crops": given, "sentences": said})
    for want, square in zip(squares, found["crops"], strict=True):
        assert np.array_equal(want["crop"].ravel(), square), want["at"]
    for want, rows in zip(sentences(), found["sentences"], strict=True):
        assert np.allclose(want["rows"].ravel(), rows, atol=1e-6), want["text"]
