"""The golden crops of the shipped bundle through Chromium: the page's own pre-processing, then
onnxruntime-web. Writes build/one_truth/chromium.json for tools/one_truth.py.

    python tools/browser_truth.py [BUNDLE]
"""

import sys
import threading
from pathlib import Path

from chromium import Chromium

from edgesdk.core.bundle import Bundle
from edgesdk.core.files import write_json
from edgesdk.core.protocols import Reach, RemoteJob
from edgesdk.core.result import BenchPlan
from edgesdk.core.shipped import open_bundle
from edgesdk_runtimes._web_visit import Visit

OUT = Path(__file__).resolve().parent.parent / "build" / "one_truth" / "chromium.json"
# Nothing here is about time: the least that a visit measures.
PLAN = BenchPlan(warmup=1, iterations=1, duration_s=0.01)


def embed(bundle: Bundle) -> dict[str, object]:
    """Return engine, version, the bundle's hash and the embeddings [N][D] of its golden crops."""
    browsers: list[threading.Thread] = []

    def invite(host: str, port: int, token: str, reach: Reach) -> str:
        link = f"http://{host}:{port}/#t={token}&start"
        browsers.append(threading.Thread(target=open_page, args=[link]))
        browsers[0].start()
        return link

    def open_page(link: str) -> None:
        with Chromium() as browser:
            browser.open(link)
            browser.state("done", "failed")

    report = Visit([RemoteJob(bundle, PLAN)]).receive("browser", Reach(timeout_s=60), invite)
    browsers[0].join()
    dim = int(bundle.postprocess["dim"])
    return {
        "engine": "onnxruntime-web (Chromium)",
        "version": f"onnxruntime-web {report.runtime['version']}",
        "bundle_sha256": bundle.sha256,
        "embedding": report.bundles[0].embedding.reshape(-1, dim).tolist(),
    }


def main(words: list[str]) -> None:
    """Write the file."""
    write_json(OUT, embed(open_bundle(words[0] if words else "bridge-face")))
    print(OUT)


if __name__ == "__main__":
    main(sys.argv[1:])
