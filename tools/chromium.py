"""A headless Chromium driven over its own pipe, for tests and pictures. Standard library only."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

# Nothing of Chromium's own may go out, and no GPU of the machine may matter.
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-pipe",
)  # fmt: skip
PATIENCE_S = 60.0
PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}


def executable() -> str | None:
    """Return the path of Chromium, None where there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


class Chromium:
    """One browser with one page; a context manager.

    Attributes:
        requests: Addresses that the page and its workers asked for.
        complaints: What the page's console and its content policy complained of.
        workers: Addresses of the workers that the page and its workers started.
    """

    def __init__(self, flags: Sequence[str] = ()) -> None:
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.workers: list[str] = []
        self._folder = TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)
        to_browser, self._out = os.pipe()
        self._in, from_browser = os.pipe()
        words = [executable() or "chromium", *FLAGS, f"--user-data-dir={self._folder.name}", *flags]
        # Chromium reads its commands from descriptor 3 and answers on 4.
        script = f'exec 3<&{to_browser} 4>&{from_browser}; exec "$@"'
        self._process = subprocess.Popen(
            ["bash", "-c", script, "bash", *words, "about:blank"],
            pass_fds=(to_browser, from_browser),
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        self._rest, self._number, self._session = b"", 0, ""
        self._attach()

    def _attach(self) -> None:
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(t["targetId"] for t in targets if t["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=page, flatten=True)
        self._session = attached["sessionId"]
        watch = {"autoAttach": True, "waitForDebuggerOnStart": True, "flatten": True}
        self.call("Target.setAutoAttach", **watch)
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, *, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Call a method of the DevTools protocol and return its result."""
        number = self._send(method, self._session if session is None else session, parameters)
        while True:
            message = self._read(time.monotonic() + PATIENCE_S)
            if message.get("id") == number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']['message']}")
                result: dict[str, Any] = message["result"]
                return result

    def open(self, link: str) -> None:
        """Open an address, also one that differs in its fragment only, and wait for it."""
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=link)
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    def value(self, expression: str) -> Any:
        """Return the value of a JavaScript expression, awaited."""
        options = {"awaitPromise": True, "returnByValue": True}
        found = self.call("Runtime.evaluate", expression=expression, **options)
        if "exceptionDetails" in found:
            told = found["exceptionDetails"]
            raise RuntimeError(told.get("exception", {}).get("description") or told["text"])
        return found["result"].get("value")

    def until(self, expression: str, patience_s: float = PATIENCE_S) -> Any:
        """Wait until a JavaScript expression is truthy; return its value."""
        return until(lambda: self.value(expression), patience_s, expression)

    def state(self, *wanted: str, patience_s: float = PATIENCE_S) -> str:
        """Wait until the page says it is in one of the states `wanted`."""
        expression = "document.querySelector('main')?.dataset.state ?? ''"
        return str(
            until(lambda: (s := self.value(expression)) in wanted and s, patience_s, str(wanted))
        )

    def phone(self, dark: bool = False) -> None:
        """Look like a phone of 390x844 pixels."""
        self.call("Emulation.setDeviceMetricsOverride", **PHONE)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def picture(self, path: Path, whole: bool = False) -> None:
        """Save what the page looks like as PNG."""
        found = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(found["data"]))

    def close(self) -> None:
        """End the browser."""
        os.close(self._out)
        os.close(self._in)
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()

    def _send(self, method: str, session: str, parameters: dict[str, Any]) -> int:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        text = json.dumps(message | ({"sessionId": session} if session else {}))
        os.write(self._out, text.encode() + b"\0")
        return self._number

    def _read(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            if time.monotonic() > deadline:
                raise TimeoutError("Chromium does not answer")
            chunk = os.read(self._in, 1 << 20)
            if not chunk:
                raise RuntimeError("Chromium has ended")
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        self._note(message)
        return message

    def _note(self, message: dict[str, Any]) -> None:
        """Keep what tests ask about; workers are watched like the page."""
        method, parameters = message.get("method"), message.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif method == "Log.entryAdded":
            self.complaints.append(
                f"{parameters['entry']['text']} {parameters['entry'].get('url', '')}"
            )
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(parameters["exceptionDetails"]))
        elif method == "Target.attachedToTarget":
            session, target = parameters["sessionId"], parameters["targetInfo"]
            if target["type"] == "worker":
                self.workers.append(target["url"])
            for word in ("Network.enable", "Log.enable"):
                self._send(word, session, {})
            watch = {"autoAttach": True, "waitForDebuggerOnStart": True, "flatten": True}
            self._send("Target.setAutoAttach", session, watch)
            self._send("Runtime.runIfWaitingForDebugger", session, {})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


@dataclass(frozen=True)
class Visit:
    """How a command of edgesdk ended whose page was visited.

    Attributes:
        code: Its exit code.
        out: What it printed.
        err: What it told, without the invitation.
    """

    code: int
    out: str
    err: str


def visit(
    words: Sequence[object],
    look: Callable[[Chromium, str], object],
    flags: Sequence[str] = (),
    end: int | None = None,
) -> Visit:
    """Run `edgesdk WORDS`, open the page it serves and wait for its end.

    Args:
        words: The command.
        look: Told the browser, its page not yet opened, and the link.
        flags: More flags for the browser.
        end: Signal to end the command with after `look`, None where it ends by itself.
    """
    line = [sys.executable, "-m", "edgesdk", *map(str, words)]
    pipe = subprocess.PIPE
    with subprocess.Popen(line, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            link = link_of(process)
            if link:
                with Chromium(flags) as browser:
                    look(browser, link)
            if end is not None:
                process.send_signal(end)
            out, err = process.communicate(timeout=PATIENCE_S)
        finally:
            process.kill()
    return Visit(process.returncode, out, err)


def link_of(process: subprocess.Popen[str]) -> str:
    """Return the link that a command shows, "" where it ended without one."""
    for line in process.stderr or ():
        if "#t=" in line:
            return line.strip()
        if line.startswith("edgesdk:"):
            raise RuntimeError(line.strip())
    return ""


def until(look: Callable[[], Any], patience_s: float, what: str) -> Any:
    """Look ten times a second until something is there."""
    deadline = time.monotonic() + patience_s
    while not (found := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {patience_s:g} s for {what}")
        time.sleep(0.1)
    return found
