"""Addresses, certificates and the invitation."""

import http.client
import io
import socket
import ssl

import pytest

from edgesdk.core.errors import MissingDependencyError, UnsupportedError, UsageError
from edgesdk.core.protocols import Reach
from edgesdk_runtimes import _web_reach
from edgesdk_runtimes._web_server import Site, serving

TLS = Reach(https=True)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_this_machine_alone_unless_the_network_is_asked_for():
    assert _web_reach.address("browser", Reach()) == "127.0.0.1"
    assert _web_reach.address("browser:192.0.2.7", Reach(lan=True)) == "192.0.2.7"
    with pytest.raises(UsageError, match="add --lan or --https"):
        _web_reach.address("browser:192.0.2.7", Reach())
    for wrong in ("::1", "example", "1.2.3", "1.2.3.4:80"):
        with pytest.raises(UsageError, match="is no IPv4 address"):
            _web_reach.address(f"browser:{wrong}", Reach(lan=True))


def test_the_own_address_is_found_without_sending_anything(monkeypatch):
    class Probe:
        def __init__(self, *kind):
            assert kind == (socket.AF_INET, socket.SOCK_DGRAM)

        def __enter__(self):
            return self

        def __exit__(self, *exc):
            pass

        def connect(self, where):
            assert where == ("192.0.2.1", 9)

        def getsockname(self):
            return ("192.0.2.99", 5)

    monkeypatch.setattr(_web_reach.socket, "socket", Probe)
    assert _web_reach.address("browser", Reach(lan=True)) == "192.0.2.99"
    assert _web_reach.address("browser", TLS) == "192.0.2.99"

    def refuse(self, where):
        raise OSError("no route")

    monkeypatch.setattr(Probe, "connect", refuse)
    with pytest.raises(UnsupportedError, match="browser:ADDRESS"):
        _web_reach.address("browser", Reach(lan=True))


def test_a_certificate_holds_for_its_address_and_two_days(tmp_path):
    x509 = pytest.importorskip("cryptography.x509")
    tls = _web_reach.certificate("127.0.0.1")
    (tmp_path / "page").write_text("hello")
    with serving(Site({"/": tmp_path / "page"}, {}, False), "127.0.0.1", tls) as port:
        pem = ssl.get_server_certificate(("127.0.0.1", port))
        trusting = ssl.create_default_context(cadata=pem)
        with socket.create_connection(("127.0.0.1", port)):  # a client that never shakes hands
            safe = http.client.HTTPSConnection("127.0.0.1", port, context=trusting, timeout=10)
            safe.request("GET", "/")
            assert safe.getresponse().read() == b"hello"
            safe.close()
        plain = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        plain.request("GET", "/")
        with pytest.raises((OSError, http.client.HTTPException)):
            plain.getresponse()
        plain.close()
    found = x509.load_pem_x509_certificate(pem.encode())
    assert (found.not_valid_after_utc - found.not_valid_before_utc).days == 2
    other = _web_reach.certificate("127.0.0.1")
    with serving(Site({}, {}, False), "127.0.0.1", other) as port:
        assert ssl.get_server_certificate(("127.0.0.1", port)) != pem, "a new key for each run"


def test_https_says_what_it_lacks(monkeypatch):
    monkeypatch.setattr(_web_reach, "installed", lambda module: False)
    with pytest.raises(MissingDependencyError, match=r"pip install 'edgesdk\[browser\]'"):
        _web_reach.certificate("127.0.0.1")


def test_the_invitation_names_the_link_and_what_else_to_do(monkeypatch, capsys):
    monkeypatch.setattr(_web_reach.shutil, "which", lambda name: None)
    assert _web_reach.invite("127.0.0.1", 8000, "T", Reach()) == "http://127.0.0.1:8000/#t=T"
    told = capsys.readouterr()
    assert told.out == ""
    assert "http://127.0.0.1:8000/#t=T" in told.err
    assert "adb" not in told.err
    monkeypatch.setattr(_web_reach.shutil, "which", lambda name: "/usr/bin/adb")
    _web_reach.invite("127.0.0.1", 8000, "T", Reach())
    told = capsys.readouterr().err
    assert "adb reverse tcp:8000 tcp:8000" in told
    assert "http://localhost:8000/#t=T" in told
    assert _web_reach.invite("192.0.2.7", 8000, "T", TLS) == "https://192.0.2.7:8000/#t=T"
    assert "accept it once" in capsys.readouterr().err
    _web_reach.invite("192.0.2.7", 8000, "T", Reach(lan=True))
    assert "no camera" in capsys.readouterr().err


def test_a_terminal_shows_a_code_to_scan(monkeypatch):
    pytest.importorskip("segno")
    terminal = Terminal()
    monkeypatch.setattr(_web_reach.sys, "stderr", terminal)
    _web_reach.invite("192.0.2.7", 8000, "T" * 22, Reach(lan=True))
    rows = [line for line in terminal.getvalue().splitlines() if "█" in line or "▄" in line]
    assert len(rows) > 12
    monkeypatch.setattr(_web_reach, "installed", lambda module: False)
    _web_reach.invite("192.0.2.7", 8000, "T", Reach(lan=True))
    assert "pip install 'edgesdk[browser]'" in terminal.getvalue()
