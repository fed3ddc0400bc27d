"""How a phone reaches the page: an address, a certificate, a link and its code on the terminal."""

from __future__ import annotations

import datetime
import ipaddress
import shutil
import socket
import ssl
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from edgesdk.core.errors import MissingDependencyError, UnsupportedError, UsageError
from edgesdk.core.plugins import installed
from edgesdk.core.protocols import Reach

HERE = "127.0.0.1"
# An address of documentation: a datagram socket "connected" there sends nothing.
NOWHERE = ("192.0.2.1", 9)


def address(device: str, reach: Reach) -> str:
    """Return the address to serve on: this machine alone unless the network was asked for.

    Args:
        device: "browser", or "browser:ADDRESS" to choose among several networks.
        reach: Whether the network was asked for.

    Raises:
        UsageError: the address is none, or was named without --lan or --https.
        UnsupportedError: this machine is on no network.
    """
    named = device.partition(":")[2]
    if named and not (reach.lan or reach.https):
        raise UsageError(f"--device {device} names an address; add --lan or --https to serve there")
    if named:
        return _valid(named)
    return _own() if reach.lan or reach.https else HERE


def _valid(named: str) -> str:
    try:
        return str(ipaddress.IPv4Address(named))
    except ValueError:
        raise UsageError(f"{named!r} is no IPv4 address; name one such as browser:192.0.2.7") from (
            None
        )


def _own() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(NOWHERE)
            return str(probe.getsockname()[0])
        except OSError:
            raise UnsupportedError(
                "this machine has no route to a network, so no phone can reach it; join one, or "
                "name the address: --device browser:ADDRESS"
            ) from None


def certificate(host: str) -> ssl.SSLContext:
    """Return a TLS context whose key and certificate live as long as this run.

    Raises:
        MissingDependencyError: cryptography is not installed.
    """
    if not installed("cryptography"):
        raise MissingDependencyError("--https", ["cryptography"], "browser")
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "certificate.pem"
        file.touch(mode=0o600)
        file.write_bytes(private + _signed(key, host).public_bytes(pem))
        context.load_cert_chain(file)
    return context


def _signed(key: Any, host: str) -> Any:
    """Return a certificate for `host` that its own key signed, valid for two days."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID

    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "edgesdk")])
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))])
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(names, critical=False)
        .add_extension(usage, critical=False)
        .sign(key, hashes.SHA256())
    )


def invite(host: str, port: int, token: str, reach: Reach) -> str:
    """Show how to open the page, on stderr; return the link."""
    scheme = "https" if reach.https else "http"
    link = f"{scheme}://{host}:{port}/#t={token}"
    lines = [f"\nOpen this page in a browser:\n\n  {link}\n"]
    if host != HERE:
        lines += _code(link)
    elif not reach.https:
        lines += _over_usb(port, token)
    if reach.https:
        lines.append("The browser warns of a certificate made for this run; accept it once.")
    elif host != HERE:
        lines.append("Plain http: one thread, no camera. More with --https, or USB on Android.")
    sys.stderr.write("\n".join(lines) + "\n")
    sys.stderr.flush()
    return link


def _over_usb(port: int, token: str) -> list[str]:
    if shutil.which("adb") is None:
        return []
    return [
        "On an Android phone connected by USB, type this, then open the link below on the phone:\n",
        f"  adb reverse tcp:{port} tcp:{port}\n",
        f"  http://localhost:{port}/#t={token}\n",
    ]


def _code(link: str) -> list[str]:
    if not sys.stderr.isatty():
        return []
    if not installed("segno"):
        return ["(pip install 'edgesdk[browser]' draws a code to scan here.)"]
    import io

    import segno

    drawn = io.StringIO()
    segno.make(link).terminal(drawn, compact=True)
    return [drawn.getvalue()]
