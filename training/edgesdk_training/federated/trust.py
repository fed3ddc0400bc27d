"""Who is trusted in a federation: TLS and clients' keys, checked before Flower starts."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from edgesdk.core.errors import UsageError
from edgesdk.core.notes import note

PATIENCE_S = 5.0


@dataclass(frozen=True)
class Trust:
    """Files of TLS and of clients' keys; all None on this machine alone.

    Attributes:
        authority: Certificate that signed the server's, PEM.
        certificate: Of the server, PEM; clients need none.
        key: Of the server's certificate.
        client_keys: Folder of the clients' public keys (*.pub), which alone may take part.
        private_key: A client's own.
    """

    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    client_keys: Path | None = None
    private_key: Path | None = None

    def check(self, host: str, server: bool) -> None:
        """Refuse what is incomplete, absent, or would send plain text to another machine."""
        for path in vars(self).values():
            if path is not None and not path.exists():
                raise UsageError(f"{path} does not exist")
        needed = (self.authority, self.certificate, self.key) if server else (self.authority,)
        if any(needed) and not all(needed):
            raise UsageError("a server with TLS takes all of --certificate, --key, --authority")
        if (self.client_keys or self.private_key) and not all(needed):
            raise UsageError("keys of clients need TLS; give --authority (and the server's files)")
        if not all(needed) and not _is_here(host):
            raise UsageError(
                f"{host} is another machine, and without TLS everybody on the way reads along; "
                "give --authority (at the server also --certificate and --key)"
            )
        if not all(needed):
            note("no TLS: messages are plain text on this machine")
        if self.client_keys and not self.public_keys:
            raise UsageError(
                f"{self.client_keys} holds no *.pub, so that no client could take part"
            )
        if self.private_key:
            _read_key(self.private_key)

    @property
    def public_keys(self) -> list[Path]:
        """The files of the clients' public keys."""
        return sorted(self.client_keys.glob("*.pub")) if self.client_keys else []

    def greet(self, host: str, port: int) -> None:
        """Refuse a server that answers with another certificate than the authority's."""
        if self.authority is None:
            return
        try:
            context = ssl.create_default_context(cafile=self.authority)
            with socket.create_connection((host, port), PATIENCE_S) as plain:
                context.wrap_socket(plain, server_hostname=host).close()
        except ssl.SSLError as error:
            why = getattr(error, "verify_message", None) or error.reason
            raise UsageError(
                f"{host}:{port} has no certificate that {self.authority} vouches for ({why})"
            ) from error
        except OSError:
            return  # it is not there, and may come


def _read_key(path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_ssh_private_key

    try:
        found = load_ssh_private_key(path.read_bytes(), None)
    except (ValueError, TypeError) as error:  # a word is asked for, or it is no key
        raise UsageError(f"{path} cannot be read as a key without a password: {error}") from error
    if not isinstance(found, EllipticCurvePrivateKey):
        raise UsageError(f"{path} is not of the kind that ssh-keygen -t ecdsa -b 384 makes")


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
