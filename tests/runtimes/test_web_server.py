"""The local server: what it gives to whom, what it takes, and when it stops. No browser needed."""

import http.client
import re
import socket
import threading
import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesdk.core.errors import EdgeSdkError, UnsupportedError
from edgesdk_runtimes._web_server import HEADERS, MOST_BYTES, TOKEN_HEADER, Site, serving, wait
from edgesdk_runtimes._web_vendor import WEB

BODY = b'{"schema_version": 1}'


@pytest.fixture
def site(tmp_path):
    (tmp_path / "page.html").write_text("<h1>page</h1>")
    (tmp_path / "secret.txt").write_text("secret")
    page = {"/": tmp_path / "page.html"}
    guarded = {"/plan.json": b"{}", "/bundle/0/golden/a%20b.u8": tmp_path / "page.html"}
    return Site(page, guarded, wants_report=True)


@pytest.fixture
def ask(site):
    """Return a function that sends one request and returns its status, headers and body."""
    with serving(site, "127.0.0.1") as port:

        def send(method, path, body=None, token=None, headers=()):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            given = {**({} if token is None else {TOKEN_HEADER: token}), **dict(headers)}
            connection.request(method, path, body, given)
            answer = connection.getresponse()
            found = answer.status, dict(answer.getheaders()), answer.read()
            connection.close()
            return found

        send.port = port
        yield send


def test_every_answer_isolates_the_page_and_lets_nothing_out(ask, site):
    for path, token in (("/", None), ("/plan.json", site.token), ("/nothing", site.token)):
        _, headers, _ = ask("GET", path, token=token)
        assert headers.items() >= HEADERS.items()
        assert "Set-Cookie" not in headers
    policy = HEADERS["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "'unsafe-inline'" not in policy
    assert "'unsafe-eval'" not in policy


def test_the_pages_name_nothing_from_elsewhere_and_hold_no_inline_code():
    for file in [*WEB.glob("*.html"), *WEB.glob("*.mjs"), *WEB.glob("*.css")]:
        text = file.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "//" not in re.sub(r"(^|\s)//[^\n]*", "", text), file
        assert not re.search(r"<script[^>]*>[^<]|<style| style=| on[a-z]+=|innerHTML", text), file
        named = re.findall(r"""(?:from|src=|href=|Worker\() ?['"]\.?/?([^'"]+)""", text)
        assert all((WEB / name).is_file() for name in named if not name.startswith("vendor/")), file


def test_the_page_is_open_and_the_rest_is_for_the_holder_of_the_token(ask, site):
    assert ask("GET", "/")[2] == b"<h1>page</h1>"
    assert ask("GET", "/")[1]["Content-Type"] == "text/html; charset=utf-8"
    for path in ("/plan.json", "/bundle/0/golden/a%20b.u8", "/beat?done=1&total=2", "/nothing"):
        assert ask("GET", path)[0] == 403
        assert ask("GET", path, token="x" * len(site.token))[0] == 403
    assert not site.visited
    assert ask("GET", "/plan.json", token=site.token)[2] == b"{}"
    assert ask("GET", "/bundle/0/golden/a%20b.u8", token=site.token)[0] == 200
    assert site.visited


@pytest.mark.parametrize(
    "path",
    ["/secret.txt", "/../secret.txt", "//secret.txt", "/..%2fsecret.txt", "/%2e%2e/secret.txt",
     "/bundle/0/../../secret.txt", "/etc/passwd", "/bundle/0/", "/vendor/../../browser.py"],
)  # fmt: skip
def test_no_path_leads_out_of_the_table(ask, site, path):
    assert ask("GET", path, token=site.token)[0] == 404


def test_one_report_is_taken_from_the_right_sender(ask, site):
    assert ask("POST", "/report", BODY)[0] == 403
    assert ask("POST", "/report", BODY, token="wrong")[0] == 403
    assert ask("POST", "/report", BODY, token="\xe9\xe8")[0] == 403
    assert ask("POST", "/elsewhere", BODY, token=site.token)[0] == 403
    assert site.report is None
    assert not site.finished.is_set()
    assert ask("POST", "/report", BODY, token=site.token)[0] == 204
    assert ask("POST", "/report", b'{"second": 1}', token=site.token)[0] == 403
    assert site.report == BODY
    assert wait(site, 5, None) == BODY


def test_a_report_has_a_length_and_it_is_small(ask, site):
    huge = [("Content-Length", str(2 * MOST_BYTES))]
    assert ask("POST", "/report", b"x", token=site.token, headers=huge)[0] == 413
    for length in ("0", "-1", "1e3", "abc", "٣", "9" * 5000):
        headers = [("Content-Length", length.encode())]
        assert ask("POST", "/report", b"x", token=site.token, headers=headers)[0] in (411, 413)
    assert ask("POST", "/report", b" " * (MOST_BYTES - 1) + b"1", token=site.token)[0] == 204


def test_ten_reports_at_once_are_one(ask, site):
    found = []
    bodies = [str(i).encode() for i in range(10)]
    threads = [
        threading.Thread(target=lambda b=b: found.append(ask("POST", "/report", b, site.token)[0]))
        for b in bodies
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [204] + [403] * 9
    assert site.report in bodies


def test_a_live_page_takes_no_report(tmp_path):
    site = Site({}, {}, wants_report=False)
    assert not site.take(BODY)
    assert site.report is None


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "CONNECT", "PATCH"])
def test_other_methods_are_unknown(ask, site, method):
    assert ask(method, "/", token=site.token)[0] == 501


LINES = st.tuples(
    st.sampled_from([b"GET", b"POST", b"HEAD", b"\xff"]),
    st.sampled_from([b"/", b"http://[", b"//[", b"/report", b"/beat?done=1", b"/?%zz#", b"*"])
    | st.binary(max_size=9),
    st.sampled_from([b"HTTP/1.1", b"HTTP/9", b""]),
).map(b" ".join)
HEADS = st.lists(
    st.sampled_from(
        [b"Content-Length: -1", b"Content-Length: 7", b"Content-Length: \xb2", b"Host: [",
         b"Content-Length: " + b"9" * 5000,
         b"Transfer-Encoding: chunked", b"X-Edgesdk-Token: \xe9", b"Expect: 100-continue", b": "]
    )
    | st.binary(max_size=9),
    max_size=3,
).map(b"\r\n".join)  # fmt: skip


@given(st.tuples(LINES, HEADS, st.just(b""), st.binary(max_size=9)).map(b"\r\n".join))
@settings(max_examples=200, deadline=None)
def test_no_request_of_a_stranger_is_a_fault_of_the_server(shared, request_):
    site, port = shared
    with socket.create_connection(("127.0.0.1", port), timeout=10) as stranger:
        stranger.sendall(request_)
        with suppress(OSError):  # it may be closed already
            stranger.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError):
            while stranger.recv(65536):
                pass
    assert site.fault == ""
    assert not site.visited
    assert site.report is None


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Return a running site, its port, and the list of what went wrong inside."""
    page = tmp_path_factory.mktemp("site") / "page.html"
    page.write_text("page")
    site = Site({"/": page}, {"/plan.json": b"{}"}, wants_report=True)
    with serving(site, "127.0.0.1") as port:
        yield site, port


def test_beats_are_told_and_nonsense_is_not(ask, site):
    told = []
    ask("GET", "/beat?done=3&total=10&label=measuring%0a%1b[31m", token=site.token)
    for query in ("done=x&total=1", "done=-1&total=2", "total=1", "", "done=%D9%A3", "done=1" * 99):
        assert ask("GET", f"/beat?{query}", token=site.token)[0] == 204
    assert wait(site, 0.3, lambda *words: told.append(words)) is None
    assert told == [(3, 10, "measuring[31m")]


def test_silence_ends_the_visit_and_signs_of_life_prolong_it(ask, site):
    begin = time.monotonic()
    threading.Timer(0.4, lambda: ask("GET", "/beat?done=1&total=2", token=site.token)).start()
    assert wait(site, 0.6, None) is None
    assert 0.9 < time.monotonic() - begin < 5


def test_a_fault_of_the_server_ends_the_visit_in_a_sentence(ask, site, monkeypatch, capfd):
    monkeypatch.setattr(Site, "knows", lambda self, token: 1 / 0)
    with suppress(http.client.HTTPException, OSError):
        ask("GET", "/plan.json", token=site.token)
    with pytest.raises(EdgeSdkError, match=r"the server of the page failed \(ZeroDivisionError"):
        wait(site, 5, None)
    assert capfd.readouterr().err == ""


def test_the_server_is_gone_afterwards(site):
    with serving(site, "127.0.0.1") as port:
        idle = http.client.HTTPConnection("127.0.0.1", port)
        idle.request("GET", "/")
        idle.getresponse().read()
    with pytest.raises(ConnectionRefusedError):
        http.client.HTTPConnection("127.0.0.1", port, timeout=2).request("GET", "/")
    idle.close()


def test_an_address_of_another_machine_is_refused(site):
    with (
        pytest.raises(UnsupportedError, match=r"cannot serve on 192\.0\.2\.1"),
        serving(site, "192.0.2.1"),
    ):
        pass
