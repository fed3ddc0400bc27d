"""One phone behind adb: find it, run commands, push files. Every failure is one sentence."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgesdk.core.errors import EdgeSdkError, UnsupportedError, UsageError

# What to do about a phone that adb lists but cannot use, by the state that adb names.
ADVICE = {
    "unauthorized": "unlock the phone and accept its question about USB debugging",
    "authorizing": "unlock the phone and accept its question about USB debugging",
    "offline": "unplug the phone and plug it in again",
    "no": "this user may not open the USB device; add adb's udev rules "
    "(Debian: apt install android-sdk-platform-tools-common)",
}
NO_PHONE = (
    "no phone is connected through adb; plug one in, switch on 'USB debugging' in its developer "
    "options, or measure in its browser with --device browser"
)
SERVER_S = 20.0
COMMAND_S = 30.0


def server_runs(client: Any) -> bool:
    """Tell whether an adb server listens already."""
    try:
        socket.create_connection((client.host, client.port), 1).close()
    except OSError:
        return False
    return True


def connect(timeout_s: float) -> Any:
    """Return a client of the adb server; the server is started where none runs.

    Raises:
        UnsupportedError: there is no adb, or it does not start.
    """
    from adbutils import AdbClient, AdbError, adb_path

    client = AdbClient(socket_timeout=timeout_s)
    if server_runs(client):
        return client
    # adbutils would start it as well, but lets adb talk on our output.
    null = subprocess.DEVNULL
    try:
        command = [adb_path(), "start-server"]
        subprocess.run(command, check=True, timeout=SERVER_S, stdin=null, stdout=null, stderr=null)
    except (AdbError, OSError, subprocess.SubprocessError) as error:
        raise UnsupportedError(
            f"adb's server at {client.host}:{client.port} does not answer and cannot be started "
            f"({error}); run 'adb start-server' and read what it says"
        ) from None
    return client


def listed(client: Any) -> dict[str, tuple[str, str]]:
    """Return serial -> (state, model) of every device that adb knows, unusable ones too."""
    with told("adb's server", "listing devices"):
        found = client.list(extended=True)
    return {d.serial: (d.state, d.tags.get("model", "")) for d in found}


def find_phone(device: str, timeout_s: float) -> Phone:
    """Return the phone that "android" or "android:SERIAL" means; ANDROID_SERIAL counts too.

    Raises:
        UnsupportedError: there is none, or adb may not use it.
        UsageError: there are several.
    """
    client = connect(timeout_s)
    known = listed(client)
    serial = device.partition(":")[2] or os.environ.get("ANDROID_SERIAL", "")
    if not known:
        raise UnsupportedError(NO_PHONE)
    if not serial and len(known) > 1:
        choices = ", ".join(map(_shown, known, *zip(*known.values(), strict=True)))
        raise UsageError(
            f"{len(known)} devices are connected: {choices}; name one, such as "
            f"--device android:{next(iter(known))}"
        )
    serial = serial or next(iter(known))
    if serial not in known:
        raise UnsupportedError(
            f"no device {serial} is connected; adb lists {', '.join(known)}: name one of them"
        )
    state = known[serial][0]
    if state != "device":
        shown = "without permission" if state == "no" else state
        advice = ADVICE.get(state, "start Android on it")
        raise UnsupportedError(f"the phone {serial} is {shown}; {advice}, then run again")
    return Phone(client, serial, min(timeout_s, COMMAND_S))


def _shown(serial: str, state: str, model: str) -> str:
    about = ", ".join(w for w in (model, "" if state == "device" else state) if w)
    return f"{serial} ({about})" if about else serial


class Phone:
    """A phone that adb may use.

    Attributes:
        serial: As adb lists it.
        adb: Version of the adb server.
    """

    def __init__(self, client: Any, serial: str, timeout_s: float) -> None:
        self.serial, self._timeout_s = serial, timeout_s
        with told(f"the phone {serial}", "connecting"):
            self.adb = f"1.0.{client.server_version()}"
            self._device = client.device(serial)

    def sh(self, command: str | Sequence[str], timeout_s: float | None = None) -> tuple[int, str]:
        """Run a command; return its exit code and all it printed.

        Args:
            command: Words, quoted here for the phone's shell, or a line of that shell.
            timeout_s: Longest time, the link's own by default.

        Raises:
            EdgeSdkError: the connection was lost, or the command hangs.
        """
        words = command if isinstance(command, str) else list(command)
        doing = words.split()[0] if isinstance(words, str) else " ".join(words[:2])
        with told(f"the phone {self.serial}", f"running {doing}"):
            done = self._device.shell2(words, timeout=timeout_s or self._timeout_s, v2=True)
        return int(done.returncode), str(done.output)

    def push(self, source: Path, target: str) -> None:
        """Copy a file to the phone, readable by all.

        Raises:
            EdgeSdkError: the phone refuses it or has no space, or the connection was lost.
        """
        try:
            with told(f"the phone {self.serial}", f"pushing {source.name}"):
                self._device.sync.push(source, target, mode=0o644)
        except RefusedError:
            _, space = self.sh(["df", "-h", "/data/local/tmp"])
            raise EdgeSdkError(
                f"the phone {self.serial} refuses {target} ({source.stat().st_size:,} bytes); "
                f"free space there: {' '.join(space.splitlines()[-1:])}"
            ) from None


class RefusedError(EdgeSdkError):
    """The phone does not take a file."""


@contextmanager
def told(who: str, doing: str) -> Iterator[None]:
    """Turn whatever adbutils raises into one sentence."""
    from adbutils import AdbError, AdbTimeout

    try:
        yield
    except (AdbTimeout, TimeoutError):
        raise EdgeSdkError(
            f"{who} does not answer while {doing}; look at its screen and cable, then run again"
        ) from None
    # A lost connection shows as any of these, depending on which byte was awaited.
    except (EOFError, OSError, AssertionError, struct.error, ValueError):
        raise EdgeSdkError(_lost(who, doing)) from None
    except AdbError as error:
        raise _typed(who, doing, " ".join(map(str, error.args)).strip()) from None


def _lost(who: str, doing: str) -> str:
    return (
        f"the connection to {who} was lost while {doing}; plug it in again and run again: what "
        "was pushed is removed by the next run"
    )


def _typed(who: str, doing: str, text: str) -> EdgeSdkError:
    if "unauthorized" in text:
        return UnsupportedError(f"{who} is unauthorized; {ADVICE['unauthorized']}, then run again")
    if text == "FAIL":
        return RefusedError(text)
    gone = ("closed", "not found", "offline", "Unknown data", "Invalid sync cmd", "shell output")
    if not text or any(word in text for word in gone):
        return EdgeSdkError(_lost(who, doing))
    return EdgeSdkError(f"adb fails on {who} while {doing}: {text}")
