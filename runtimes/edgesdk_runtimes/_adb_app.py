"""Drive the app's benchmark activity on a phone: push, start, wait, clean up."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from edgesdk.core.bundle import MANIFEST, Bundle
from edgesdk.core.errors import EdgeSdkError, UnsupportedError
from edgesdk.core.files import sha256_file
from edgesdk.core.result import BenchPlan
from edgesdk_runtimes._adb_link import Phone

PACKAGE = "org.edgesdk.demo"
ACTIVITY = f"{PACKAGE}/.BenchActivity"
RESULT = "files/edgesdk_result.json"
TAG = "EDGESDK_RESULT"
FOLDER = "/data/local/tmp/edgesdk"
HOW_TO_INSTALL = "build and install it as android_demo/README.md says"
ABI = "arm64-v8a"
# Starting the app, reading the model and the self-test, on a slow phone.
GRACE_S = 30.0
POLL_S = 1.0
PROPERTIES = {
    "manufacturer": "ro.product.manufacturer",
    "model": "ro.product.model",
    "abi": "ro.product.cpu.abi",
    "sdk": "ro.build.version.sdk",
    "release": "ro.build.version.release",
    "soc_maker": "ro.soc.manufacturer",
    "soc": "ro.soc.model",
    "qemu": "ro.boot.qemu",
    "hardware": "ro.hardware",
}
EMULATORS = ("goldfish", "ranchu", "cutf")


def identify(phone: Phone) -> dict[str, Any]:
    """Return what the phone says of itself; `emulated` is true for all but a real Android phone.

    Raises:
        UnsupportedError: it cannot run the app.
    """
    asked = "; ".join(f'echo "{name}=$(getprop {key})"' for name, key in PROPERTIES.items())
    art = "ls /system/bin/app_process64 /system/bin/app_process 2>/dev/null | head -n 1"
    _, text = phone.sh(f'{asked}; echo "art=$({art})"; echo "page_size=$(getconf PAGE_SIZE)"')
    facts: dict[str, Any] = dict.fromkeys((*PROPERTIES, "art", "page_size"), "")
    facts |= dict(line.strip().split("=", 1) for line in text.splitlines() if "=" in line)
    if facts["abi"] != ABI:
        raise UnsupportedError(
            f"the phone {phone.serial} runs {facts['abi'] or 'an unknown ABI'}, the app is "
            f"built for {ABI}; take a 64-bit ARM phone, or measure with --device browser"
        )
    # Emulators say so in a property; what has no app process is no Android at all.
    emulator = facts["qemu"] == "1" or facts["hardware"].startswith(EMULATORS)
    return facts | {"emulated": emulator or not facts["art"]}


def require_app(phone: Phone) -> None:
    """Raise UnsupportedError where the app is absent, or of a build whose files stay closed."""
    code, text = phone.sh(["pm", "path", PACKAGE])
    if code or "package:" not in text:
        raise UnsupportedError(
            f"the app {PACKAGE} is not installed on the phone {phone.serial}; {HOW_TO_INSTALL}"
        )
    code, text = phone.sh(["run-as", PACKAGE, "true"])
    if code:
        raise UnsupportedError(
            f"the phone {phone.serial} does not open the folder of {PACKAGE} "
            f"({telling(text.splitlines())}); install the debuggable build, see "
            "android_demo/README.md"
        )


@contextmanager
def pushed(phone: Phone, bundle: Bundle) -> Iterator[str]:
    """Copy a bundle to the phone, check its hashes there, yield its folder, remove it at last."""
    target = f"{FOLDER}/{bundle.sha256[:12]}"
    try:
        phone.sh(["rm", "-rf", target])
        for name in (MANIFEST, *bundle.files):
            phone.push(bundle.path / name, f"{target}/{name}")
        # The app reads it as another user.
        phone.sh(["chmod", "-R", "a+rX", FOLDER])
        _check_hashes(phone, bundle, target)
        yield target
    finally:
        _remove(phone, target)


def _check_hashes(phone: Phone, bundle: Bundle, target: str) -> None:
    want = {name: str(entry["sha256"]) for name, entry in bundle.files.items()}
    want[MANIFEST] = sha256_file(bundle.path / MANIFEST)
    _, text = phone.sh(["sha256sum", *(f"{target}/{name}" for name in want)])
    found = set(text.split())
    wrong = [name for name, digest in want.items() if digest not in found]
    if wrong:
        raise EdgeSdkError(
            f"{', '.join(wrong)} of {bundle.path} arrived damaged on the phone {phone.serial}; "
            "check cable and free space, then run again"
        )


def _remove(phone: Phone, target: str) -> None:
    """Leave nothing behind; a phone that is gone is cleaned by the next run."""
    with suppress(EdgeSdkError):
        phone.sh(["am", "force-stop", PACKAGE])
        phone.sh(["run-as", PACKAGE, "rm", "-f", RESULT])
        phone.sh(f"rm -rf {target}; rmdir {FOLDER} 2>/dev/null")


def start(phone: Phone, folder: str, nonce: str, plan: BenchPlan) -> None:
    """Start the benchmark activity on a pushed bundle.

    Raises:
        EdgeSdkError: Android refuses.
    """
    phone.sh(["run-as", PACKAGE, "rm", "-f", RESULT])
    numbers = {
        "seconds": math.ceil(plan.duration_s),
        "threads": plan.threads,
        "warmup": plan.warmup,
        "iterations": plan.iterations,
        "batch": plan.batch,
    }
    extras = [word for name, value in numbers.items() for word in ("--ei", name, str(value))]
    words = ["am", "start", "-W", "-S", "-n", ACTIVITY, "--es", "bundle", folder]
    code, text = phone.sh([*words, "--es", "nonce", nonce, *extras])
    wrong = [line for line in text.splitlines() if line.startswith(("Error", "java.lang"))]
    if code or wrong:
        raise EdgeSdkError(
            f"the phone {phone.serial} does not start {ACTIVITY} "
            f"({telling(wrong or text.splitlines())}); is the app current? {HOW_TO_INSTALL}"
        )


def wait(phone: Phone, nonce: str, longest_s: float, told: Callable[[float], None]) -> Any:
    """Return the report that carries `nonce`.

    Args:
        phone: Where the app runs.
        nonce: What the app was given.
        longest_s: Time after which the run is given up.
        told: Called with the seconds that have passed.

    Raises:
        EdgeSdkError: the app stopped, wrote no JSON, answered somebody else, or is late.
    """
    begin, text = time.monotonic(), ""
    while (passed := time.monotonic() - begin) < longest_s:
        told(passed)
        # Asked before the file is read: an app that is gone has written all it ever will.
        gone = phone.sh(["pidof", PACKAGE])[0] != 0
        last, text = text, _result(phone)
        report = _parsed(text)
        if report.get("nonce") == nonce:
            return report
        if gone or (text and text == last and not report):
            return _no_result(phone, nonce, text, "stopped before it gave a result" + _crash(phone))
        time.sleep(POLL_S)
    late = f"gave no result within {longest_s:.0f} s; keep its screen on, or allow more --timeout"
    return _no_result(phone, nonce, text, late)


def _result(phone: Phone) -> str:
    """Return the text of the result's file, "" where there is none."""
    code, text = phone.sh(["run-as", PACKAGE, "cat", RESULT])
    return "" if code else text


def _parsed(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _no_result(phone: Phone, nonce: str, text: str, why: str) -> dict[str, Any]:
    """Return the failure that the app logged, or raise an error that says why there is none."""
    brief = _logged(phone, nonce)
    if brief.get("ok") is False:
        return brief
    who = f"the app on the phone {phone.serial}"
    report = _parsed(text)
    if brief:
        why = "logged a result, but its file with the raw times cannot be read; run again"
    elif report:
        why = f"answered another run (nonce {report.get('nonce')!r}); does someone else measure?"
    elif text:
        why = f"wrote a result that is no JSON ({telling([text])[:60]!r}); {HOW_TO_INSTALL}"
    raise EdgeSdkError(f"{who} {why}")


def _logged(phone: Phone, nonce: str) -> dict[str, Any]:
    """Return the result without raw times that the app wrote to the log, {} for none."""
    _, text = phone.sh(["logcat", "-d", "-s", f"{TAG}:I"])
    reports = (_parsed(line[line.find("{") :]) for line in text.splitlines() if nonce in line)
    return next((r for r in reports if r.get("nonce") == nonce), {})


def _crash(phone: Phone) -> str:
    _, text = phone.sh(["logcat", "-d", "-b", "crash", "-t", "40"])
    lines = [line for line in text.splitlines() if "Exception" in line or "signal" in line]
    return f": {telling(lines)}" if lines else ""


def telling(lines: Sequence[str]) -> str:
    """Return the first line that says something, short and printable."""
    line = next((line for line in lines if line.strip()), "no reason given")
    return "".join(c for c in line if c.isprintable()).strip()[:200]
