# ruff: noqa: T201
"""Check the demo's APK: what edgesdk inspect checks, and what this app promises beyond it.

    python android_demo/tools/apk_lint.py [APK]

Exit code 4 and one line per finding where a promise is broken.
"""

import argparse
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgesdk.apk import inspect_apk
from edgesdk.core.errors import EdgeSdkError

APK = Path(__file__).parents[1] / "app/build/edgesdk-demo.apk"
PROMISED = {
    "package": "org.edgesdk.demo",
    "min_sdk": 26,
    "target_sdk": 35,
    "abis": ["arm64-v8a"],
    "permissions": ["android.permission.CAMERA"],
    "activities": ["org.edgesdk.demo.MainActivity", "org.edgesdk.demo.BenchActivity"],
    "signed": ["v2", "v3"],
}
# The host reads the result with run-as, which needs it; everything else must be spotless.
ALLOWED = {"debuggable"}
LIMITS = {"APK": 40_000_000, "models": 1_300_000, "code": 2_000_000}
LICENCES = ("edgesdk-LICENSE", "kotlin-stdlib-LICENSE", "onnxruntime-LICENSE", "onnxruntime-Third")
# Android 8 lacks what stands behind these; the packer must have replaced them.
FOREIGN_CODE = (b"java/lang/invoke/LambdaMetafactory", b"StringConcatFactory")


def lint(path: Path) -> list[str]:
    """Return one sentence per broken promise; none = fine."""
    facts = inspect_apk(path)
    rows = [r for r in facts["findings"] if r["level"] in ("warning", "error")]
    broken = [
        f"{r['rule']}: {r['where']} {r['found']}; {r['advice']}"
        for r in rows
        if r["rule"] not in ALLOWED
    ]
    broken += [
        f"{key} is {facts[key]!r}, promised is {want!r}"
        for key, want in PROMISED.items()
        if facts[key] != want
    ]
    return [*broken, *_sizes(path, facts), *_content(path), *_other_readers(path, facts)]


def _sizes(path: Path, facts: dict[str, Any]) -> Iterator[str]:
    sizes = {**facts["sizes"], "APK": path.stat().st_size}
    for name, most in LIMITS.items():
        if sizes[name] > most:
            yield f"{name} takes {sizes[name]:,} bytes, at most {most:,} are promised"


def _content(path: Path) -> Iterator[str]:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        for part in LICENCES:
            if not any(n.startswith(f"assets/licenses/{part}") for n in names):
                yield f"assets/licenses lacks {part}"
        if not any(n.endswith("/model.onnx") for n in names):
            yield "no model is packed"
        for name in (n for n in names if n.endswith(".dex")):
            code = archive.read(name)
            yield from (f"{name} needs {c.decode()}" for c in FOREIGN_CODE if c in code)
            own = [b"Landroid/app/Activity;", b"Lorg/edgesdk/demo/BenchActivity;"]
            yield from (f"{name} lacks {c.decode()}" for c in own if c not in code)


def _other_readers(path: Path, facts: dict[str, Any]) -> Iterator[str]:
    """Compare with what Android's own tools read, where they are installed."""
    if shutil.which("aapt2"):
        badging = _run("aapt2", "dump", "badging", path)
        told = {
            f"package: name='{facts['package']}'",
            f"sdkVersion:'{facts['min_sdk']}'",
            f"targetSdkVersion:'{facts['target_sdk']}'",
            *(f"uses-permission: name='{p}'" for p in facts["permissions"]),
        }
        yield from (f"aapt2 does not find {line}" for line in sorted(told) if line not in badging)
        if badging.count("uses-permission") != len(facts["permissions"]):
            yield "aapt2 finds other permissions"
        tree = _run("aapt2", "dump", "xmltree", "--file", "AndroidManifest.xml", path)
        if "allowBackup(0x01010280)=false" not in tree:
            yield "allowBackup is not false"
        if "TelemetryInitializer" in tree:
            yield "the runtime's TelemetryInitializer is declared"
    else:
        print("skipped: aapt2 is not installed")
    if shutil.which("apksigner"):
        verified = _run("apksigner", "verify", "-v", "--min-sdk-version", "26", path)
        for scheme in ("v2", "v3"):
            if f"Signature Scheme {scheme[1:]}): true" not in verified.replace(
                "Scheme v", "Scheme "
            ):
                yield f"apksigner does not accept the {scheme} signature"
    else:
        print("skipped: apksigner is not installed")


def _run(*words: object) -> str:
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def main() -> int:
    """Run the tool."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("apk", type=Path, nargs="?", default=APK)
    path = parser.parse_args().apk
    try:
        broken = lint(path)
    except EdgeSdkError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    for sentence in broken:
        print(sentence, file=sys.stderr)
    print(f"{path}: {path.stat().st_size:,} bytes, {len(broken)} promises broken")
    return 4 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
