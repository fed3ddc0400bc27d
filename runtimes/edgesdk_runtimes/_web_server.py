"""One page for one visit: a fixed table of files, a token, and at most one report back."""

from __future__ import annotations

import secrets
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs

from edgesdk.core.errors import EdgeSdkError, UnsupportedError

HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
}
# The system's own table of types differs from machine to machine.
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
}
MOST_BYTES = 2**20
SILENT_CONNECTION_S = 30
TOKEN_HEADER = "X-Edgesdk-Token"


@dataclass
class Site:
    """What is served, and what the page answered.

    Attributes:
        page: URL path -> file that anybody who finds the address may read.
        guarded: URL path -> file or content for the holder of the token.
        wants_report: Whether the page may send one report.
        token: Made for this visit.
        report: Body of the one report, None so far.
        last_sign: Time of the last request with the right token, of `time.monotonic`.
        visited: Whether there was any.
        progress: (done, total, label) as the page told it, None so far.
        fault: What went wrong in a thread of the server, "" so far.
    """

    page: Mapping[str, Path]
    guarded: Mapping[str, Path | bytes]
    wants_report: bool
    token: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    report: bytes | None = None
    last_sign: float = field(default_factory=time.monotonic)
    visited: bool = False
    progress: tuple[int, int, str] | None = None
    fault: str = ""
    finished: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def knows(self, token: str) -> bool:
        """Tell whether `token` is the right one, and note the sign of life."""
        right = secrets.compare_digest(token.encode(), self.token.encode())
        if right:
            self.last_sign, self.visited = time.monotonic(), True
        return right

    def fail(self, error: BaseException | None) -> None:
        """Keep what went wrong in a thread, and end the visit."""
        self.fault = f"{type(error).__name__}: {error}"[:200]
        self.finished.set()

    def take(self, body: bytes) -> bool:
        """Keep the first report; False for any other."""
        with self.lock:
            if not self.wants_report or self.report is not None:
                return False
            self.report = body
            return True


class _Handler(BaseHTTPRequestHandler):
    site: ClassVar[Site]
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "edgesdk", ""
    timeout = SILENT_CONNECTION_S

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if path in self.site.page:
            self._send(self.site.page[path], path)
        elif not self._knows():
            self._empty(403)
        elif path == "/beat":
            self.site.progress = _progress(query) or self.site.progress
            self._empty(204)
        elif path in self.site.guarded:
            self._send(self.site.guarded[path], path)
        else:
            self._empty(404)

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        # Python makes no number of thousands of digits.
        fits = len(length) < 10 and length.isdecimal() and 1 <= int(length) <= MOST_BYTES
        if not fits:
            self.close_connection = True
            self._empty(413 if length.isdecimal() else 411)
            return
        # The body is read before any answer: some clients look for the answer only then.
        body = self.rfile.read(int(length))
        right = self._knows() and self.path == "/report" and len(body) == int(length)
        taken = right and self.site.take(body)
        self._empty(204 if taken else 403)
        if taken:
            self.wfile.flush()
            self.site.finished.set()

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: a request line is nobody's business."""

    def _knows(self) -> bool:
        return self.site.knows(self.headers.get(TOKEN_HEADER, ""))

    def _empty(self, status: int) -> None:
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, content: Path | bytes, path: str) -> None:
        data = content if isinstance(content, bytes) else content.read_bytes()
        name = path if isinstance(content, bytes) else content.name
        kind = TYPES.get(Path(name).suffix, "application/octet-stream")
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _progress(query: str) -> tuple[int, int, str] | None:
    """Return (done, total, label) of a beat, None where it makes no sense."""
    words = {key: values[0] for key, values in parse_qs(query).items()}
    done, total = words.get("done", ""), words.get("total", "")
    if not (done.isdecimal() and total.isdecimal() and max(len(done), len(total)) < 10):
        return None
    label = "".join(c for c in words.get("label", "")[:60] if c.isprintable())
    return min(int(done), int(total)), max(1, int(total)), label or "browser"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # A browser keeps its connections open; nobody waits for them.
    block_on_close = False

    def __init__(self, host: str, site: Site) -> None:
        self._site = site
        super().__init__((host, 0), type("Handler", (_Handler,), {"site": site}))

    def handle_error(self, request: Any, client_address: Any) -> None:
        """End the visit for faults of our own only: phones drop connections, doubt certificates."""
        if not isinstance(sys.exception(), OSError):
            self._site.fail(sys.exception())


@contextmanager
def serving(site: Site, host: str, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serve `site` on `host`; yield the port and stop at the end.

    Raises:
        UnsupportedError: the address cannot be used.
    """
    with _bound(host, site) as server:
        if tls is not None:
            # The handshake belongs to the connection's own thread, or one slow phone stops all.
            server.socket = tls.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def _bound(host: str, site: Site) -> _Server:
    try:
        return _Server(host, site)
    except OSError as error:
        raise UnsupportedError(
            f"cannot serve on {host} ({error.strerror or error}); name an address of this "
            "machine: --device browser:ADDRESS"
        ) from None


def wait(
    site: Site, timeout_s: float, progress: Callable[[int, int, str], None] | None
) -> bytes | None:
    """Return the report; None when the page stayed silent for `timeout_s`.

    Raises:
        EdgeSdkError: the server itself failed, in a thread of its own.
    """
    told = None
    while not site.finished.wait(0.1):
        if progress is not None and site.progress not in (None, told):
            told = site.progress
            progress(*told)
        if time.monotonic() - site.last_sign > timeout_s:
            return None
    if site.fault:
        raise EdgeSdkError(
            f"the server of the page failed ({site.fault}); run the command again, and report this"
        )
    return site.report
