"""Start Flower's own programs: its SuperLink with one run at the server, a SuperNode per client.

Encryption and the clients' keys are Flower's; what is refused here is plain text to anything
but this machine.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from edgesdk.core import plugins
from edgesdk.core.errors import EdgeSdkError, MissingDependencyError, UsageError
from edgesdk.core.files import os_errors, read_json, write_atomic, write_json
from edgesdk.core.notes import note
from edgesdk_training.federated.messages import QUIET
from edgesdk_training.federated.node import ABOUT, ENDED, PLAN
from edgesdk_training.federated.trust import Trust

APP = Path(__file__).parent.parent / "flower_app"
LOG = "superlink.log"
NAME = "edgesdk"  # of the server in Flower's configuration
WAIT_S = 300.0  # for the SuperLink, whose imports take long on a busy machine, or to be let in
# What a killed server leaves behind may take the run of the next one, and stop it with itself.
TRIES = 2
PAUSE_S = 5.0  # between two tries to come in


def serve(plan: Mapping[str, Any], folder: Path, host: str, port: int, trust: Trust) -> None:
    """Run a federation to its end.

    Args:
        plan: What `train` takes, as plain data.
        folder: Of the server's own files: plan, Flower's configuration and logs.
        host: Address to listen on.
        port: Port to listen on.
        trust: Files of TLS and keys.

    Raises:
        EdgeSdkError: the federation failed, or Flower did.
    """
    _require_flower()
    trust.check(host, server=True)
    if _answers(host, port):
        raise UsageError(f"port {port} of {host} is in use; end what uses it, or give --port")
    folder.mkdir(parents=True, exist_ok=True)
    place, home = folder / "plan.json", folder / "flower"
    write_json(place, plan)
    (folder / ENDED).unlink(missing_ok=True)
    _configure(home, host, port, trust)
    with _superlink(folder, host, port, trust) as link:
        for key in trust.public_keys:
            _flwr(home, "supernode", "register", str(key.resolve()), NAME)
        note(f"clients start with: edgesdk federate client --server {host}:{port}")
        for _ in range(TRIES):
            _flwr(home, "run", str(APP), NAME, "--stream", watched=link)
            if (folder / ENDED).is_file():
                break
    if not (folder / ENDED).is_file():
        raise EdgeSdkError(f"Flower ended the run early; its log {folder / LOG} says why")
    ended = read_json(folder / ENDED, "end")
    if ended["error"]:
        raise (
            UsageError(ended["error"]) if ended["exit_code"] == 2 else EdgeSdkError(ended["error"])
        )


def take_part(about: Mapping[str, Any], folder: Path, server: str, trust: Trust) -> None:
    """Be a client until this is stopped; a server may come, go and come back.

    Args:
        about: Which client this is: data, number, deal.
        folder: Of its own: pictures, networks, Flower's files.
        server: host:port of the server.
        trust: Files of TLS and keys.

    Raises:
        UsageError: the server's certificate or the key is not right.
        EdgeSdkError: the server does not let this client in.
    """
    _require_flower()
    host, _, port = server.rpartition(":")
    if not host or not port.isdigit():
        raise UsageError(f"a server is host:port, found {server!r}")
    trust.check(host.strip("[]"), server=False)
    folder = folder.resolve()
    if "'" in str(folder):
        raise UsageError(f"Flower cannot take the folder {folder}; choose one without a quote")
    with os_errors("write", folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / ABOUT, about)
    words = ["flower-supernode", "--superlink", server, "--port", str(_free_port())]
    words += ["--node-config", f"folder='{folder}'"]
    words += ["--root-certificates", str(trust.authority)] if trust.authority else ["--insecure"]
    if trust.private_key:
        words += ["--auth-supernode-private-key", str(trust.private_key)]
    with suppress(KeyboardInterrupt):  # a client's usual end
        _stay(words, folder / "flower", lambda: trust.greet(host.strip("[]"), int(port)))


def _stay(words: Sequence[str], home: Path, greet: Callable[[], None]) -> None:
    """Run a SuperNode, and again whenever a server does not know it: not yet, or no more.

    It ends by itself in two cases: with 1 where it never came in, which is so until the server has
    registered its key, and with 0 where a server that began anew has forgotten it.
    """
    until = time.monotonic() + WAIT_S
    while True:
        with _started(words, home, {}) as node:
            code = node.wait()
        if code:
            greet()
        else:
            until = time.monotonic() + WAIT_S
        if time.monotonic() > until:
            raise EdgeSdkError(
                f"the server did not let this client in for {WAIT_S:g} s; what Flower said stands "
                "above. Is this client's public key in the server's --client-keys?"
            )
        note("the server does not know this client; asking again")
        time.sleep(PAUSE_S)


def _require_flower() -> None:
    if not plugins.installed("flwr"):
        raise MissingDependencyError("edgesdk federate", ["flwr"], "federated")


def _configure(home: Path, host: str, port: int, trust: Trust) -> None:
    """Tell Flower's command where the server is."""
    known = (
        f'root-certificates = "{trust.authority.resolve()}"'
        if trust.authority
        else "insecure = true"
    )
    text = f'[superlink.{NAME}]\naddress = "{_address(host, port)}"\n{known}\n'
    home.mkdir(parents=True, exist_ok=True)
    write_atomic(home / "config.toml", text.encode())


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@contextmanager
def _superlink(
    folder: Path, host: str, port: int, trust: Trust
) -> Iterator[subprocess.Popen[bytes]]:
    words = ["flower-superlink", "--host", host, "--port", str(port)]
    words.append("--disable-runtime-dependency-installation")
    if trust.certificate:
        words += ["--ssl-certfile", str(trust.certificate), "--ssl-keyfile", str(trust.key)]
        words += ["--ssl-ca-certfile", str(trust.authority)]
    else:
        words.append("--insecure")
    if trust.client_keys:
        words.append("--enable-supernode-auth")
    more = {PLAN: str((folder / "plan.json").resolve())}
    with (folder / LOG).open("ab") as log, _started(words, folder / "flower", more, log) as link:
        until = time.monotonic() + WAIT_S
        while not _answers(host, port):
            if link.poll() is not None or time.monotonic() > until:
                raise EdgeSdkError(f"Flower's SuperLink did not start; see {folder / LOG}")
            time.sleep(0.2)
        yield link


@contextmanager
def _started(
    words: Sequence[str], home: Path, more: Mapping[str, str], log: Any = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Start one of Flower's programs, which ends with the block, or with this process."""
    command = [sys.executable, "-m", "edgesdk_training.federated.tied", *words]
    environment = {**_environment(home), **more}
    process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _environment(home: Path) -> dict[str, str]:
    scripts = sysconfig.get_path("scripts")
    path = os.pathsep.join([scripts, os.environ.get("PATH", "")])
    return {**os.environ, **QUIET, "FLWR_HOME": str(home.resolve()), "PATH": path}


def _flwr(home: Path, *words: str, watched: subprocess.Popen[bytes] | None = None) -> None:
    """Run Flower's command; what it says goes to stderr."""
    command = [str(Path(sysconfig.get_path("scripts")) / "flwr"), *words]
    done = subprocess.run(command, env=_environment(home), stdout=sys.stderr, check=False)
    if done.returncode and (watched is None or watched.poll() is None):
        raise EdgeSdkError(f"flwr {words[0]} failed; what it said stands above")


def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
