"""The main job on real pictures, command by command, as a user would type them.

    make demo

Exports the shipped weights to every target this machine can build, proves and measures
each, compares real pictures, and draws one report. Everything lands in reports/demo.
"""

import json
import shlex
import shutil
import subprocess
import sys
import time
import webbrowser
from pathlib import Path

from pictures import example_pictures

from edgesdk.core.verify import proof_words

OUT = Path("reports/demo")
MODEL = "bridge-face"
# int8 goes through where its proof holds; the other precisions are a --precision away.
EXPORTS = [("fp32", None), ("int8", {"onnx", "tflite"})]


def edgesdk(*words: object, capture: bool = False) -> str:
    """Type one command; stop the demo where it fails."""
    line = [str(w) for w in words]
    print(f"\n$ edgesdk {shlex.join(line)}", flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "edgesdk", *line], text=True, stdout=subprocess.PIPE, check=False
    )
    if done.returncode:
        raise SystemExit(done.returncode)
    if not capture:
        print(done.stdout, end="", flush=True)
    return done.stdout


def buildable() -> list[str]:
    """Return the targets this machine can build; say why for the others."""
    rows = json.loads(edgesdk("targets", "--json", capture=True))
    for row in rows:
        print(f"  {row['target']:<10} {row['why_not'] or 'ready'}")
    return [row["target"] for row in rows if row["why_not"] is None]


def export_all(targets: list[str]) -> list[str]:
    """Export every precision of EXPORTS and return the bundle folders."""
    folders = []
    for precision, only in EXPORTS:
        chosen = [t for t in targets if only is None or t in only]
        words = ("export", MODEL, "--target", ",".join(chosen), "--precision", precision)
        rows = json.loads(edgesdk(*words, "-o", OUT / "bundles", "--json", capture=True))
        rows = rows if isinstance(rows, list) else [{"target": chosen[0], "bundle": rows}]
        for row in rows:
            bundle = row["bundle"]
            proof = proof_words(bundle["verify"]["verdict"], bundle["verify"]["level"])
            print(f"  {row['target']:<10} {precision}  {proof:<22} {bundle['path']}")
            folders.append(bundle["path"])
    return folders


def contenders(folders: list[str]) -> list[str]:
    """Return the bundles that a native runtime opens here, and the shipped models of that task."""
    known = json.loads(edgesdk("models", "--json", capture=True))
    ready = [r for r in known["runtimes"] if r["available"] and r["kind"] == "native"]
    native = {f for r in ready for f in r["formats"]}
    about = {f: json.loads((Path(f) / "bundle.json").read_text()) for f in folders}
    tasks = {m["name"]: m["task"] for m in known["models"] if m["bundle"]}
    others = [name for name, task in tasks.items() if name != MODEL and task == tasks[MODEL]]
    return [f for f in folders if about[f]["format"] in native] + others


def main() -> None:
    """Run the demo."""
    begin = time.monotonic()
    shutil.rmtree(OUT, ignore_errors=True)
    pictures = example_pictures(OUT / "pictures")
    edgesdk("models")
    folders = export_all(buildable())
    for folder in folders:
        edgesdk("verify", folder)
    edgesdk("run", MODEL, *pictures)
    # A hundred batches of 256 faces would take most of the demo's time.
    for scenario, least in (("latency", 100), ("offline", 25)):
        asked = ("--scenario", scenario, "--iterations", least, "--duration", "1")
        edgesdk("bench", *contenders(folders), *asked, "-o", OUT / "results")
    edgesdk("report", OUT / "results", "-o", OUT, "--title", "edgesdk demo")
    page = (OUT / "report.html").resolve()
    print(f"\nDone in {time.monotonic() - begin:.0f} s. Open the report: {page}")
    if sys.stdout.isatty():
        webbrowser.open(page.as_uri())


if __name__ == "__main__":
    main()
