"""Federations of real processes: equal weights, TLS and keys, a killed server, bad clients."""

import datetime
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path

import numpy as np
import pytest

import edgesdk
from edgesdk.core import plugins
from edgesdk.core.bundle import read_checkpoint
from edgesdk.core.errors import MissingDependencyError, UsageError
from edgesdk_training.federated.trust import Trust
from tests.training.conftest import FEDERATED, Absent, apart_by

pytest.importorskip("torch", reason="needs the train extra")

WITH_FLOWER = plugins.installed("flwr")
real = [pytest.mark.slow, pytest.mark.skipif(not WITH_FLOWER, reason="needs the federated extra")]
COMMAND = [sys.executable, "-m", "edgesdk", "federate"]
BAD = Path(__file__).parent / "bad_client"
PATIENCE_S = 900


@pytest.mark.skipif(WITH_FLOWER, reason="Flower is installed")
@pytest.mark.parametrize("action", ["server", "client"])
def test_without_flower_the_extra_is_named(small_digits, tmp_path, action):
    words = {"server": {"recipe": "fedlmd"}, "client": {"number": 0}}[action]
    data = f"clients={small_digits}"
    with pytest.raises(MissingDependencyError, match=r"edgesdk\[federated\]"):
        edgesdk.federate(action, data=data, output_dir=tmp_path / "out", **words)


class TestTrust:
    @pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
    def test_plain_text_is_for_this_machine_and_said(self, host, caplog):
        caplog.set_level("INFO", "edgesdk")
        Trust().check(host, server=True)
        assert "plain text" in caplog.text

    @pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7", "server.example"])
    @pytest.mark.parametrize("server", [True, False])
    def test_plain_text_to_another_machine_is_refused(self, host, server):
        with pytest.raises(UsageError, match=r"another machine.*--authority"):
            Trust().check(host, server)

    def test_half_of_the_files_is_refused(self, tmp_path):
        pem = tmp_path / "ca.pem"
        pem.touch()
        with pytest.raises(UsageError, match="all of --certificate, --key, --authority"):
            Trust(authority=pem).check("127.0.0.1", server=True)
        with pytest.raises(UsageError, match="keys of clients need TLS"):
            Trust(client_keys=tmp_path).check("127.0.0.1", server=True)
        with pytest.raises(UsageError, match=r"none\.pem does not exist"):
            Trust(authority=tmp_path / "none.pem").check("192.0.2.7", server=False)

    def test_keys_that_let_nobody_in_are_refused(self, tmp_path):
        pytest.importorskip("cryptography", reason="comes with the federated extra")
        pem = tmp_path / "ca.pem"
        pem.touch()
        with pytest.raises(UsageError, match=r"holds no \*\.pub"):
            Trust(pem, pem, pem, client_keys=tmp_path).check("127.0.0.1", server=True)
        with pytest.raises(UsageError, match="cannot be read as a key"):
            Trust(pem, private_key=pem).check("127.0.0.1", server=False)

    def test_a_certificate_of_another_authority_is_refused(self, tmp_path):
        pytest.importorskip("cryptography", reason="comes with the federated extra")
        for name in ("ours", "theirs"):
            (tmp_path / name).mkdir()
            make_certificates(tmp_path / name)
        with tls_server(tmp_path / "theirs") as port:
            Trust(tmp_path / "theirs" / "ca.pem").greet("127.0.0.1", port)
            with pytest.raises(UsageError, match=r"no certificate that .*ours.* vouches for"):
                Trust(tmp_path / "ours" / "ca.pem").greet("127.0.0.1", port)
        Trust(tmp_path / "ours" / "ca.pem").greet("127.0.0.1", port)  # nobody there: it may come


@pytest.mark.parametrize(
    ("action", "words", "why"),
    [
        ("serve", {}, "Did you mean 'server'"),
        ("server", {}, "no recipe was named"),
        ("server", {"recipe": "bridge"}, "does not train on clients' data"),
        ("server", {"recipe": "fedlmd"}, "the server takes pictures of its own classes"),
        ("server", {"recipe": "fedlmd", "settings": ["engine=local"]}, "leave engine out"),
        ("client", {"data": "clients=x"}, "a client takes --number N"),
        ("client", {"recipe": "fedlmd"}, "a client learns what the server tells it"),
    ],
)
def test_what_is_missing_is_told(action, words, why):
    with pytest.raises(UsageError, match=why):
        edgesdk.federate(action, **words)


def test_a_client_whose_pictures_teach_nothing_is_told_at_once(tmp_path):
    np.savez(tmp_path / "wrong.npz", images=np.ones((4, 8, 8), np.uint8))
    np.savez(tmp_path / "few.npz", x_train=np.ones((1, 8, 8), np.uint8), y_train=np.arange(1))
    for name, why in (("wrong", "it lacks blob"), ("few", "has 1 pictures; a client needs 2")):
        data = f"clients={tmp_path / name}.npz"
        with pytest.raises(UsageError, match=why):
            edgesdk.federate("client", data=data, number=0, output_dir=tmp_path / "me")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def tls_server(folder):
    """Yield the port of a server that does two handshakes."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")

    def shake():
        for _ in range(2):
            with suppress(OSError), listener.accept()[0] as plain:
                context.wrap_socket(plain, server_side=True).close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=shake)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


class Federation:
    """One server and its clients, each in processes of its own."""

    def __init__(self, folder, data, **settings):
        self.folder, self.data, self.port = folder, data, free_port()
        self.words = [f"--set={k}={v}" for k, v in (FEDERATED | settings).items()]

    @contextmanager
    def started(self, action, *words, **env):
        command = [*COMMAND, action, *map(str, words), f"--data=clients={self.data}"]
        with (self.folder / f"{action}.log").open("ab") as log:
            given = os.environ | {"PYTHONDONTWRITEBYTECODE": ""} | env
            process = subprocess.Popen(command, env=given, stdout=log, stderr=log)
            try:
                yield process
            finally:
                process.kill()
                process.wait()

    def server(self, recipe, *words):
        out = self.folder / "server"
        return self.started("server", recipe, *self.words, f"--port={self.port}", "-o", out, *words)

    def client(self, number, *words, **env):
        where = ["--server", f"127.0.0.1:{self.port}", "-o", self.folder / f"client-{number}"]
        return self.started("client", "--deal", f"--number={number}", *where, *words, **env)

    @contextmanager
    def clients(self, count):
        with ExitStack() as stack:
            for number in range(count):
                stack.enter_context(self.client(number))
            yield

    @property
    def log(self):
        return (self.folder / "server.log").read_text()

    def wait_for(self, text):
        until = time.monotonic() + PATIENCE_S
        while text not in self.log:
            assert time.monotonic() < until, self.log
            time.sleep(0.2)

    def checkpoints(self):
        (run,) = (p for p in (self.folder / "server").glob("fed*") if p.is_dir())
        own = sorted(self.folder.glob("client-*/personal"))
        return {"global": run / "global"} | {path.parent.name: path for path in own}


def weights(places):
    return {name: read_checkpoint(path).weights_sha256 for name, path in places.items()}


class TestProcesses:
    pytestmark = real

    def test_a_killed_server_goes_on_and_gives_the_weights_of_one_process(
        self, federated, small_digits, tmp_path
    ):
        here = federated("fedckd", clients=3, rounds=3, timeout_s=300)
        there = Federation(tmp_path, small_digits, clients=3, rounds=3, timeout_s=300)
        with there.clients(3):  # which stay all the time
            with there.server("fedckd") as server:
                there.wait_for("rounds: 1/3")
                server.send_signal(signal.SIGKILL)
            with there.server("fedckd") as server:
                assert server.wait(PATIENCE_S) == 0, there.log
        assert there.log.count("rounds: 1/3") == 1
        assert weights(there.checkpoints()) == weights(here.checkpoints)

    def test_bad_clients_are_left_out_and_harm_nobody(
        self, federated, small_digits, tmp_path, monkeypatch
    ):
        faults = {1: "nan", 2: "shape", 3: "stale", 4: "dies", 5: "hangs"}
        settings = {"clients": 7, "rounds": 1, "quorum": 0.2, "skew": "even", "timeout_s": 240}
        there = Federation(tmp_path, small_digits, method="fedavg", **settings)
        with ExitStack() as stack:
            for number in range(7):
                spoilt = {"PYTHONPATH": str(BAD), "EDGESDK_TEST_FAULT": faults.get(number, "")}
                stack.enter_context(there.client(number, **(spoilt if number in faults else {})))
            with there.server("fedlmd") as server:
                assert server.wait(PATIENCE_S) == 0, there.log
        said = there.log.splitlines()
        why = {"nan": "not finite", "shape": "the shape", "stale": "belongs to round 0"}
        for number, fault in faults.items():
            (line,) = (s for s in said if f"client {number} is left out" in s)
            assert why.get(fault, "") in line
        here = federated(method="fedavg", **settings)  # with all clients, to know it is compared
        assert weights(there.checkpoints())["global"] != weights(here.checkpoints)["global"]
        monkeypatch.setattr("edgesdk_training.methods.fedavg.PLUGIN", Absent(set(faults)))
        rest = federated(method="fedavg", out="rest", **settings)
        assert weights(there.checkpoints())["global"] == weights(rest.checkpoints)["global"]

    def test_the_rest_goes_on_when_a_client_and_all_its_programs_are_gone(
        self, small_digits, tmp_path
    ):
        settings = {"clients": 2, "rounds": 3, "participation": 1.0, "timeout_s": 120}
        there = Federation(tmp_path, small_digits, **settings)
        with there.client(0), there.client(1) as gone, there.server("fedlmd") as server:
            there.wait_for("rounds: 1/3")
            gone.send_signal(signal.SIGKILL)
            assert server.wait(PATIENCE_S) == 0, there.log
        assert "client 1 is left out: it is" in there.log  # gone, or not there any more
        assert "rounds: 3/3" in there.log
        assert "Traceback" not in there.log

    def test_a_secure_sum_of_three_clients_is_their_mean(self, federated, small_digits, tmp_path):
        settings = {"clients": 3, "rounds": 1, "timeout_s": 300, "method": "fedavg"}
        there = Federation(tmp_path, small_digits, secure=True, **settings)
        with there.clients(3), there.server("fedlmd") as server:
            assert server.wait(PATIENCE_S) == 0, there.log
        assert "left out" not in there.log
        here = federated(**settings)
        assert apart_by(here.folder, there.checkpoints()["global"].parent) < 1e-3

    def test_tls_and_keys_let_in_those_who_have_one(self, small_digits, tmp_path):
        make_certificates(tmp_path)
        keys = tmp_path / "keys"
        keys.mkdir()
        for name in ("0", "1", "stranger"):
            pair = ["ssh-keygen", "-q", "-t", "ecdsa", "-b", "384", "-N", "", "-f", tmp_path / name]
            subprocess.run(pair, check=True)
        for name in ("0", "1"):
            (tmp_path / f"{name}.pub").rename(keys / f"{name}.pub")
        there = Federation(tmp_path, small_digits, clients=2, rounds=1, timeout_s=300)
        known = f"--authority={tmp_path / 'ca.pem'}"
        with ExitStack() as stack:
            for number, key in ((0, "0"), (1, "1"), (2, "stranger")):
                stack.enter_context(there.client(number, known, f"--private-key={tmp_path / key}"))
            files = [f"--certificate={tmp_path / 'server.pem'}", f"--key={tmp_path / 'server.key'}"]
            with there.server("fedlmd", known, *files, f"--client-keys={keys}") as server:
                assert server.wait(PATIENCE_S) == 0, there.log
        assert "client 0 is there" in there.log
        assert "client 2 is there" not in there.log
        assert "plain text" not in there.log


def make_certificates(folder):
    """Write an authority and a certificate of it for 127.0.0.1."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    def made(name, issuer, signer, *extensions):
        key = ec.generate_private_key(ec.SECP384R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(issuer or subject)
            .public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
        )  # fmt: skip
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return key, builder.sign(signer or key, hashes.SHA256())

    ca_key, ca = made("ca", None, None, x509.BasicConstraints(ca=True, path_length=None))
    names = x509.SubjectAlternativeName(
        [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    )
    key, certificate = made("server", ca.subject, ca_key, names)
    pem = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(ca.public_bytes(pem))
    (folder / "server.pem").write_bytes(certificate.public_bytes(pem))
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "server.key").write_bytes(key.private_bytes(pem, *plain))
