"""Which engine a command calls, and how it is known to be the right one."""

import ssl
from pathlib import Path
from typing import NamedTuple

from playclock.cli.addresses import Address
from playclock.cli.certificates import TlsFiles, UnfitCertificate, check_authority, load_pair, read


class Trust(NamedTuple):
    """What a client of TLS goes by, each PEM."""

    authority: bytes | None
    """Who has signed the engine's certificate; None for the well-known authorities."""
    certificate: bytes | None
    key: bytes | None
    """What the client itself shows; None where it shows nothing."""


class RemoteEngine(NamedTuple):
    """An engine's gRPC address, and what makes it trusted; None for clear text."""

    address: Address
    trust: Trust | None

    def __str__(self) -> str:
        """Return HOST:PORT."""
        return str(self.address)


def remote_engine(address: Address, *, ca: Path | None, pair: tuple[Path, Path] | None, insecure: bool) -> RemoteEngine:
    """Return how to speak to the engine: by TLS where a file is named, or where it is on another machine and not `insecure`.

    Raises UsageFailure for files that are of no use, Failure for a host that is not found.
    """
    if ca is None and pair is None:
        return RemoteEngine(address, None if insecure or address.is_loopback else Trust(None, None, None))
    return RemoteEngine(address, Trust(_authority(ca), *_shown(pair)))


def _authority(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        pem = path.read_bytes()
    except OSError as error:
        raise UnfitCertificate(f"{path} cannot be read: {error.strerror}") from None
    check_authority(path, pem)
    return pem


def _shown(pair: tuple[Path, Path] | None) -> tuple[bytes | None, bytes | None]:
    if pair is None:
        return None, None
    files = TlsFiles(*pair)
    contents = read(files)
    load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), files, contents)
    return contents.certificate, contents.key
