"""Certificates that are replaced while a server runs: connections that come get the new one, those that are there live on."""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator
from typing import Final

import grpc

from playclock.cli.certificates import Contents, Identity, TlsFiles, UnfitCertificate, identify, is_open_to_all, read

LOOK_SEC: Final = 1.0
"""How often the files are looked at."""

_log = logging.getLogger(__name__)


class ServerIdentity:
    """Who a server is, now, for HTTP and for gRPC."""

    def __init__(self, files: TlsFiles) -> None:
        """Read the files. Raises UnfitCertificate."""
        self._files: Final = files
        self._identity = identify(files)
        self._given_to_grpc = self._identity
        self._doubtful: Contents | str | None = None
        self._refused: Contents | str | None = None
        self.verifies_clients: Final = files.client_ca is not None
        """Whether gRPC's clients have to present a certificate."""
        self._tell("certificate")

    def http_context(self) -> ssl.SSLContext:
        """Return a context that serves each connection with the certificate that is in force when it comes."""
        context = self._identity.context
        # Changing a live context file by file could leave it with a certificate and no key. Each of these is whole.
        context.sni_callback = self._serve_with
        return context

    def grpc_credentials(self) -> grpc.ServerCredentials:
        """Return credentials that do the same. grpcio knows no client certificates that are optional."""
        return grpc.dynamic_ssl_server_credentials(
            _configuration(self._identity),
            self._news_for_grpc,  # type: ignore[arg-type]  # the types do not know that None means no news
            require_client_authentication=self.verifies_clients,
        )

    def look(self) -> None:
        """Take on what is in the files, if it is new and fit. What is not fit is an error in the log, once.

        Only when it is seen twice: in between, somebody may have replaced one file and not the other yet.
        """
        found = _seen(self._files)
        if found == self._identity.contents:
            self._doubtful = self._refused = None
        elif found != self._refused:
            self._take_on(found)

    @contextlib.asynccontextmanager
    async def kept(self, look_sec: float = LOOK_SEC) -> AsyncIterator[None]:
        """Look at the files every so many seconds."""
        keeping = asyncio.create_task(self._keep(look_sec), name="playclock certificates")
        try:
            yield
        finally:
            keeping.cancel()

    async def _keep(self, look_sec: float) -> None:
        while True:
            await asyncio.sleep(look_sec)
            await asyncio.to_thread(self.look)  # the files may lie on a disk that hangs

    def _take_on(self, found: Contents | str) -> None:
        try:
            self._identity = identify(self._files)
        except UnfitCertificate as error:
            if found == self._doubtful:
                fields = {"cause": str(error)}
                _log.error("a new certificate is not fit, and the old one stays in force", extra={"fields": fields})
                self._refused = found
            self._doubtful = found
        else:
            self._tell("a new certificate is in force")

    def _tell(self, message: str) -> None:
        fields = {"file": str(self._files.certificate), "not_after": self._identity.not_after}
        _log.info(message, extra={"fields": fields})
        if is_open_to_all(self._files.key):
            _log.warning("everybody on this machine may read the private key", extra={"fields": {"file": str(self._files.key)}})

    def _serve_with(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._identity.context

    def _news_for_grpc(self) -> grpc.ServerCertificateConfiguration | None:
        """Return what is new since the last call. gRPC asks before each handshake, in a thread of its own."""
        if self._given_to_grpc is self._identity:
            return None
        self._given_to_grpc = self._identity
        return _configuration(self._given_to_grpc)


def _configuration(identity: Identity) -> grpc.ServerCertificateConfiguration:
    certificate, key, client_ca = identity.contents
    return grpc.ssl_server_certificate_configuration([(key, certificate)], root_certificates=client_ca)


def _seen(files: TlsFiles) -> Contents | str:
    """Return what is in the files, or why that cannot be told."""
    try:
        return read(files)
    except UnfitCertificate as error:
        return str(error)
