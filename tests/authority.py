"""An authority of the tests' own, whose certificates are made on the fly."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import trustme

LONG_AGO: Final = datetime(2020, 1, 1, tzinfo=UTC)
"""When a certificate ended that is over."""


class Pair:
    """A certificate and its key in a folder, where others may take their place."""

    def __init__(self, folder: Path, name: str) -> None:
        self.certificate = folder / f"{name}.pem"
        self.key = folder / f"{name}.key"

    @property
    def options(self) -> list[str]:
        """As a server is told of them."""
        return ["--tls-cert", str(self.certificate), "--tls-key", str(self.key)]

    def write(self, issued: trustme.LeafCert) -> None:
        """Put a certificate there, and its key, one after the other as people do."""
        self.key.touch(mode=0o600)
        for path, content in (
            (self.certificate, b"".join(pem.bytes() for pem in issued.cert_chain_pems)),
            (self.key, issued.private_key_pem.bytes()),
        ):
            path.write_bytes(content)


class Authority:
    """Signs certificates."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._folder = folder
        self._ca = trustme.CA()
        self.file = folder / f"{name}.pem"
        self._ca.cert_pem.write_to_path(str(self.file))

    @property
    def pem(self) -> bytes:
        """The authority's own certificate."""
        return self.file.read_bytes()

    def issue(self, *names: str, common_name: str | None = None, not_after: datetime | None = None) -> trustme.LeafCert:
        """Return a new certificate."""
        return self._ca.issue_cert(*(names or ("localhost", "127.0.0.1")), common_name=common_name, not_after=not_after)

    def pair(self, name: str, *names: str, common_name: str | None = None, not_after: datetime | None = None) -> Pair:
        """Return a new certificate in files."""
        pair = Pair(self._folder, name)
        pair.write(self.issue(*names, common_name=common_name, not_after=not_after))
        return pair
