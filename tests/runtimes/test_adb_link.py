"""What adb's own states and failures say: against a server that speaks its protocol."""

import socketserver
import threading
from pathlib import Path

import pytest

from edgesdk.cli import main
from edgesdk.core.errors import EdgeSdkError, UnsupportedError

pytest.importorskip("adbutils", reason="needs the adb extra")

from edgesdk_runtimes import _adb_link, adb


class FakeServer(socketserver.ThreadingTCPServer):
    """An adb server that knows devices by name only."""

    allow_reuse_address = daemon_threads = True
    devices, error = "", "device unauthorized."


class Answer(socketserver.StreamRequestHandler):
    def handle(self):
        size = self.rfile.read(4)
        query = self.rfile.read(int(size, 16)).decode() if size else ""
        if not query:
            return  # somebody looked whether a server is there
        if query == "host:version":
            self.okay("0029")
        elif query.startswith("host:devices"):
            self.okay(self.server.devices)
        else:
            error = self.server.error
            self.wfile.write(b"FAIL%04x" % len(error) + error.encode())

    def okay(self, text):
        self.wfile.write(b"OKAY%04x" % len(text) + text.encode())


@pytest.fixture
def server(monkeypatch):
    with FakeServer(("127.0.0.1", 0), Answer) as fake:
        threading.Thread(target=fake.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(fake.server_address[1]))
        monkeypatch.delenv("ANDROID_SERIAL", raising=False)
        yield fake
        fake.shutdown()


def command(*words):
    return main(["bench", "bridge-face", "--device", *words, "--quiet", "-o", "unused"])


SERVERS = {
    "no phone": ("", "android", 3, "no phone is connected"),
    "two": ("A\tdevice model:One\nB\toffline\n", "android", 2, "A (One), B (offline); name one"),
    "unauthorised": ("A\tunauthorized\n", "android", 3, "accept its question about USB debugging"),
    "offline": ("A\toffline\n", "android", 3, "unplug the phone"),
    "no permission": ("A\tno permissions (udev)\n", "android", 3, "udev rules"),
    "recovery": ("A\trecovery\n", "android", 3, "start Android on it"),
    "another serial": ("A\tdevice\n", "android:B", 3, "no device B is connected; adb lists A"),
    "revoked": ("A\tdevice\n", "android:A", 3, "is unauthorized"),
}


# adbutils leaves a refused connection to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("case", SERVERS)
def test_a_phone_that_cannot_be_used_is_told_with_its_exit_code(server, capsys, case):
    server.devices, device, code, says = SERVERS[case]
    assert command(device) == code
    told = capsys.readouterr().err
    assert says in told
    assert told.count("\n") == 1
    assert not Path("unused").exists()


def test_the_serial_may_come_from_the_environment(server, monkeypatch, capsys):
    server.devices = "A\tdevice\nB\toffline\n"
    monkeypatch.setenv("ANDROID_SERIAL", "B")
    assert command("android") == 3
    assert "the phone B is offline" in capsys.readouterr().err


def test_only_usable_devices_are_listed_and_no_server_is_started(server, monkeypatch):
    server.devices = "A\tdevice\nB\toffline\n"
    assert adb.PLUGIN.devices() == ("android:A",)
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", "9")
    monkeypatch.setattr(_adb_link.subprocess, "run", None)
    assert adb.PLUGIN.devices() == ()


def test_a_server_that_does_not_start_is_told(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", "9")
    monkeypatch.setenv("ADBUTILS_ADB_PATH", str(tmp_path / "no-adb"))
    assert command("android") == 3
    assert "cannot be started" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "kind", "says"),
    [
        ("device unauthorized.", UnsupportedError, "is unauthorized"),
        ("device 'A' not found", EdgeSdkError, "was lost"),
        ("closed", EdgeSdkError, "was lost"),
        ("", EdgeSdkError, "was lost"),
        ("odd", EdgeSdkError, "adb fails on the phone A while testing: odd"),
    ],
)
def test_what_adb_says_becomes_a_sentence(text, kind, says):
    from adbutils import AdbError, AdbTimeout

    with pytest.raises(kind, match=says), _adb_link.told("the phone A", "testing"):
        raise AdbError(text)
    with pytest.raises(EdgeSdkError, match="does not answer"), _adb_link.told("A", "testing"):
        raise AdbTimeout("slow")
    with pytest.raises(EdgeSdkError, match="was lost"), _adb_link.told("A", "testing"):
        raise EOFError("Expected 5 bytes, got 0")
