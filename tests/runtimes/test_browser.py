"""The whole visit in a real browser: headless Chromium opens the page that a command serves."""

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from edgesdk.cli import main
from edgesdk.core.bundle import read_bundle
from edgesdk.core.result import read_result
from edgesdk.core.shipped import shipped_bundle
from edgesdk_runtimes import _web_vendor
from edgesdk_runtimes._web_server import TOKEN_HEADER
from tools.chromium import executable, link_of, visit

ROOT = Path(__file__).parents[2]
QUICK = ("--duration", "0.2", "--iterations", "10", "--timeout", "50", "--quiet")


def asked(*words):
    """Return the options of QUICK that `words` do not tell otherwise, and `words`."""
    pairs = zip(QUICK[:-1:2], QUICK[1:-1:2], strict=True)
    return [*(w for pair in pairs if pair[0] not in words for w in pair), QUICK[-1], *words]


READY = executable() is not None and _web_vendor.problem() is None
WHY = "needs Chromium and onnxruntime-web: make browser"
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not READY, reason=WHY)]


@pytest.fixture
def bench(tmp_path):
    """Return a function that measures bundles in Chromium; its page starts by itself."""

    def run(*words, bundles=("bridge-face",), flags=(), device="browser", meanwhile=None):
        seen = {}

        def look(browser, link):
            browser.open(f"{link}&start")
            if meanwhile:
                meanwhile(browser, link)
            seen["state"] = browser.state("done", "failed")
            seen["text"] = browser.value("document.body.innerText")
            seen["requests"], seen["complaints"] = browser.requests, browser.complaints
            seen["workers"] = len(browser.workers)
            seen["origin"] = "{0.scheme}://{0.netloc}/".format(urlsplit(link))

        command = ["bench", *bundles, "--device", device, "-o", tmp_path / "out", *asked(*words)]
        ended = visit(command, look, flags)
        return ended, seen, [read_result(p) for p in sorted((tmp_path / "out").glob("*.json"))]

    return run


def test_a_whole_visit_measures_every_bundle_and_plan(bench, changed_bundle):
    other = changed_bundle("other", model="other-face")
    ended, seen, results = bench(
        "--scenario", "latency", "--scenario", "throughput", "--batch", "4", "--threads", "2",
        bundles=("bridge-face", other),
    )  # fmt: skip
    assert (ended.code, seen["state"]) == (0, "done"), ended.err
    assert sorted((r.artefact["model"], r.plan.scenario, r.infer.batch) for r in results) == [
        ("bridge-face", "latency", 1),
        ("bridge-face", "throughput", 4),
        ("other-face", "latency", 1),
        ("other-face", "throughput", 4),
    ]
    for result in results:
        assert result.device["kind"] == "browser"
        assert result.device["name"].startswith("Chrome ")
        told = {k: result.runtime[k] for k in ("name", "version", "ep", "native", "threads")}
        assert told == {"name": "onnxruntime-web", "version": "1.30.0", "ep": "wasm",
                        "native": False, "threads": 2}  # fmt: skip
        assert result.runtime["simd"]
        assert result.runtime["isolated"]
        assert not result.ranked
        assert len(result.order) == 2
        assert len(result.infer.samples) >= 10
        assert len(result.infer.warmups) >= 10
        assert {m.stage for m in result.measurements} == {"infer", "load", "first", "pre"}
        assert 0 < result.environment["timer_step_ms"] < 0.1
        assert "HeadlessChrome" in result.environment["user_agent"]
    assert seen["workers"] == 2, "the measuring one and a second thread of the runtime"
    assert "not native" in ended.out
    assert "faces/s" in seen["text"]
    assert "#t=" not in json.dumps([r.to_json() for r in results])


def test_a_file_of_one_batch_size_is_measured(bench, tmp_path):
    assert main(["export", "--target", "onnx", "--batch", "3", "-o", str(tmp_path), "--quiet"]) == 0
    ended, _, results = bench(bundles=(tmp_path / "bridge-face-onnx-fp32",))
    assert ended.code == 0, ended.err
    assert [r.infer.batch for r in results] == [3]


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_other_precisions_are_measured(bench, tmp_path, precision):
    words = ["export", "--target", "onnx", "--precision", precision, "-o", str(tmp_path), "--quiet"]
    assert main(words) == 0
    ended, _, results = bench(bundles=(tmp_path / f"bridge-face-onnx-{precision}",))
    assert ended.code == 0, ended.err
    assert [r.artefact["precision"] for r in results] == [precision]


def test_crops_give_the_same_embeddings_as_in_python():
    """Through the page's own pre-processing; the answer stays for tools/one_truth.py."""
    words = [sys.executable, str(ROOT / "tools" / "browser_truth.py")]
    subprocess.run(words, check=True, capture_output=True, timeout=180)
    data = json.loads((ROOT / "build" / "one_truth" / "chromium.json").read_text())
    bundle = read_bundle(shipped_bundle("bridge-face"))
    golden = np.fromfile(bundle.path / "golden/embedding.f32", "<f4").reshape(
        -1, bundle.postprocess["dim"]
    )
    assert data["bundle_sha256"] == bundle.sha256
    assert np.abs(np.array(data["embedding"]) - golden).max() < 1e-5


def test_no_request_leaves_for_elsewhere_and_the_policy_is_kept(bench):
    ended, seen, _ = bench()
    assert ended.code == 0
    assert seen["workers"] == 1
    assert len(seen["requests"]) > 20, "page and worker were watched"
    assert {r for r in seen["requests"] if not r.startswith(seen["origin"])} <= {"about:blank"}
    assert seen["complaints"] == []


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("rgb-swapped", {"color": "BGR"}),
        ("other-mean", {"mean": (104.0, 117.0, 123.0)}),
        ("other-layout", {"layout": "NHWC"}),
    ],
)
def test_a_wrong_manifest_is_named_by_its_stage(bench, changed_bundle, name, how):
    bundle = changed_bundle(name, how=how)
    ended, seen, results = bench(bundles=("bridge-face", bundle))
    assert (ended.code, seen["state"], results) == (4, "failed", [])
    assert "stage pre-processing: largest difference" in ended.err
    assert "Stage: pre-processing" in seen["text"]


def test_a_wrong_crop_is_named_as_alignment(bench, changed_bundle):
    crop = np.fromfile(shipped_bundle("bridge-face") / "golden/crop0.u8", np.uint8)
    crop[crop.size // 2] += 9
    bundle = changed_bundle("other-crop", files={"golden/crop0.u8": crop.tobytes()})
    ended, seen, results = bench(bundles=(bundle,))
    assert (ended.code, seen["state"], results) == (4, "failed", [])
    assert "stage alignment: largest difference" in ended.err


def test_wrong_outputs_are_a_failed_gate(bench, changed_bundle):
    golden = np.fromfile(shipped_bundle("bridge-face") / "golden/embedding.f32", "<f4")
    bundle = changed_bundle("drifted", files={"golden/embedding.f32": (golden + 0.01).tobytes()})
    ended, seen, results = bench(bundles=(bundle,))
    assert (ended.code, results) == (4, [])
    assert "stage inference: embedding: " in ended.err
    assert "Stage: inference" in seen["text"]


def test_the_command_judges_for_itself(bench, changed_bundle):
    """A page that says all is well, but sends wrong numbers, is not believed."""

    size = (shipped_bundle("bridge-face") / "golden/embedding.f32").stat().st_size

    def lie(browser, link):
        zeros = f"const zeros = btoa('\\0'.repeat({size}));"
        browser.value(
            zeros
            + """
            const real = JSON.stringify;
            JSON.stringify = (data) => {
              if (data.bundles) data.bundles[0].outputs.embedding = zeros;
              return real(data);
            };
        """
        )

    ended, seen, results = bench("--duration", "2", meanwhile=lie)
    assert (ended.code, seen["state"], results) == (4, "done", [])
    assert "gives wrong numbers in that browser, stage inference" in ended.err


def test_a_model_that_cannot_be_opened_is_told(bench, changed_bundle):
    ended, seen, _ = bench(bundles=(changed_bundle("broken", files={"model.onnx": b"nothing"}),))
    assert (ended.code, seen["state"]) == (3, "failed")
    assert "does not run in that browser" in ended.err


def test_a_hidden_page_gives_an_invalid_result(bench):
    def hide(browser, link):
        browser.state("running")
        browser.value(
            "Object.defineProperty(document, 'hidden', {get: () => true});"
            "document.dispatchEvent(new Event('visibilitychange'))"
        )

    ended, seen, results = bench("--duration", "2", meanwhile=hide)
    assert ended.code == 5
    assert "the page was hidden while it measured" in ended.err
    assert results[0].validity.verdict == "INVALID"
    assert "The page was hidden" in seen["text"]


def test_strangers_change_nothing(bench):
    """Wrong tokens, huge and broken bodies from elsewhere, while the page measures."""
    answers = []

    def post(link, body, token, length=None):
        where = urlsplit(link)
        connection = http.client.HTTPConnection(where.hostname, where.port, timeout=10)
        headers = {TOKEN_HEADER: token, "Content-Length": str(length or len(body))}
        connection.request("POST", "/report", body, headers)
        answers.append(connection.getresponse().status)
        connection.close()

    def disturb(browser, link):
        token = link.partition("#t=")[2]
        post(link, b'{"failure": {"stage": "run", "reason": "x"}}', "guessed")
        post(link, b"x", token, 2 * 2**20)

    ended, seen, results = bench("--duration", "2", meanwhile=disturb)
    assert answers == [403, 413]
    assert (ended.code, seen["state"], len(results)) == (0, "done", 1)


def test_a_broken_report_ends_the_command_with_a_sentence(bench, tmp_path):
    def send_garbage(browser, link):
        browser.value(
            "fetch('report', {method: 'POST', body: '{\"broken\": ',"
            "headers: {'X-Edgesdk-Token': location.hash.slice(3, 25)}}).then((a) => a.status)"
        )

    def look(browser, link):
        browser.open(link)
        send_garbage(browser, link)

    ended = visit(["bench", "bridge-face", "--device", "browser", *QUICK, "-o", tmp_path], look)
    assert ended.code == 1
    assert "the page sent a report that cannot be used: it is no JSON" in ended.err
    assert "Traceback" not in ended.err


def test_a_wrong_link_says_so_on_the_page(tmp_path):
    def look(browser, link):
        for wrong in (f"{link}x", link.partition("#")[0]):
            browser.open(wrong)
            assert browser.state("failed") == "failed"
            assert "Open the whole link" in browser.value("document.body.innerText")
        browser.open(f"{link}&start")
        browser.state("done")

    ended = visit(["bench", "bridge-face", "--device", "browser", *QUICK, "-o", tmp_path], look)
    assert ended.code == 0


@pytest.mark.parametrize("opened", [False, True])
def test_silence_is_a_missing_device(tmp_path, opened):
    def look(browser, link):
        if opened:
            browser.open(link)
            browser.until("!document.getElementById('plan').hidden")

    words = ["bench", "bridge-face", "--device", "browser", "-o", tmp_path]
    ended = visit([*words, *asked("--timeout", "4" if opened else "1")], look)
    assert ended.code == 3
    assert ("the page fell silent" if opened else "nobody opened the page") in ended.err


def test_interrupted(tmp_path):
    words = ["bench", "bridge-face", "--device", "browser", *QUICK, "-o", tmp_path]
    assert visit(words, lambda *_: None, end=signal.SIGINT).code == 130


LAN = """
import sys
sys.path[:0] = [{root!r}, *{paths!r}]
from tools.chromium import visit
def look(browser, link):
    assert link.startswith({scheme!r} + "://10.99.0.1:"), link
    browser.open(link + "&start")
    print(browser.state("done", "failed"), browser.value("isSecureContext"))
words = ["bench", "bridge-face", "--device", "browser:10.99.0.1", {flag!r}, "--threads", "2",
         *{quick!r}, "-o", {out!r}]
ended = visit(words, look, ["--ignore-certificate-errors"])
print(ended.code, ended.err)
"""


@pytest.mark.parametrize(("scheme", "flag"), [("http", "--lan"), ("https", "--https")])
def test_a_network_without_any_way_out_is_enough(tmp_path, scheme, flag):
    """A namespace whose only network is a made-up address: nothing can leave it."""
    if subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode:
        pytest.skip("unshare -n is refused here")
    facts = {"root": str(ROOT), "paths": sys.path, "scheme": scheme, "flag": flag, "quick": QUICK}
    script = LAN.format(**facts, out=str(tmp_path))
    line = 'ip link set lo up && ip addr add 10.99.0.1/32 dev lo && exec "$@"'
    words = ["unshare", "-n", "sh", "-c", line, "sh", sys.executable, "-c", script]
    done = subprocess.run(words, capture_output=True, text=True, timeout=180, check=False)
    secure = scheme == "https"
    assert done.stdout.split("\n")[:2] == [f"done {secure}", "0 "], done.stdout + done.stderr
    (result,) = [read_result(p) for p in tmp_path.glob("*.json")]
    assert result.runtime["isolated"] is secure
    assert result.runtime["threads"] == result.plan.threads == (2 if secure else 1)
    assert result.environment["secure"] is secure
    if not secure:
        told = "2 threads were asked, 1 ran: the page has no shared memory"
        assert told in result.validity.reasons
        assert result.infer.repeat > 5, "a coarse timer asks for long samples"


WEBKIT = "/usr/lib/x86_64-linux-gnu/webkit2gtk-4.1/MiniBrowser"
ENGINES = {
    "Firefox": ["firefox-esr", "--headless", "--no-remote", "--profile", "{home}"],
    "WebKit": ["xvfb-run", "-a", WEBKIT],
}


@pytest.mark.parametrize("engine", ENGINES)
def test_other_engines_measure_too(tmp_path, engine):
    absent = [word for word in ENGINES[engine] if "/" in word or word == ENGINES[engine][0]]
    absent = [word for word in absent if shutil.which(word) is None and "{" not in word]
    if absent:
        pytest.skip(f"needs {absent[0]}")
    (tmp_path / "home").mkdir()
    sandbox = {"WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS": "1", "HOME": str(tmp_path / "home")}
    words = ["bench", "bridge-face", "--device", "browser", *QUICK, "-o", str(tmp_path)]
    pipe, silent = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(
        [sys.executable, "-m", "edgesdk", *words], stdout=silent, stderr=pipe, text=True
    ) as bench:
        line = [word.format(home=tmp_path / "home") for word in ENGINES[engine]]
        browser = subprocess.Popen(
            [*line, f"{link_of(bench)}&start"], stdout=silent, stderr=silent,
            env={**os.environ, **sandbox}, start_new_session=True,
        )  # fmt: skip
        try:
            assert bench.wait(120) == 0, bench.stderr.read()
        finally:
            bench.kill()
            os.killpg(browser.pid, signal.SIGTERM)
            browser.wait(20)
    (result,) = [read_result(p) for p in tmp_path.glob("*.json")]
    assert result.device["name"].startswith(engine)
