"""The files by which a server proves who it is: read together, and tried out before anybody relies on them."""

import re
import ssl
from pathlib import Path
from typing import Final, NamedTuple

from playclock.cli.failures import UsageFailure

_CERTIFICATE: Final = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2: forward secrecy and authenticated encryption, as gRPC chooses them. TLS 1.3 knows no others."""
_FLIGHTS_MAX: Final = 4


class UnfitCertificate(UsageFailure):
    """The files cannot be used; the text is a sentence for whoever has to mend them, without a word of their contents."""


class TlsFiles(NamedTuple):
    """Where the certificate lies with its chain, its private key, and the authority of the clients' certificates. All PEM."""

    certificate: Path
    key: Path
    client_ca: Path | None = None


class Contents(NamedTuple):
    """What was in the files."""

    certificate: bytes
    key: bytes
    client_ca: bytes | None


class Identity(NamedTuple):
    """A certificate that fits its key and is in force."""

    contents: Contents
    context: ssl.SSLContext
    """For a server's end of connections."""
    not_after: str
    """When the certificate ends, as OpenSSL writes it."""


def read(files: TlsFiles) -> Contents:
    """Return what is in the files. Raises UnfitCertificate."""
    client_ca = None if files.client_ca is None else _read(files.client_ca)
    return Contents(_read(files.certificate), _read(files.key), client_ca)


def identify(files: TlsFiles) -> Identity:
    """Return the identity that lies in the files. Raises UnfitCertificate, also where they change meanwhile."""
    contents = read(files)
    if contents.client_ca is not None:
        assert files.client_ca is not None
        check_authority(files.client_ca, contents.client_ca)
    chain = _chain(files.certificate, contents.certificate)
    context = server_context()
    load_pair(context, files, contents)
    not_after = _try_out(files.certificate, context, chain)
    if read(files) != contents:
        raise UnfitCertificate(f"{files.certificate} and {files.key} were changed while they were read")
    return Identity(contents, context, not_after)


def load_pair(context: ssl.SSLContext, files: TlsFiles, contents: Contents) -> None:
    """Load a certificate and its key. Raises UnfitCertificate where they do not belong together."""
    if b"ENCRYPTED" in contents.key:
        raise UnfitCertificate(f"{files.key} is encrypted, and nobody is there to type its passphrase: store it without")
    try:
        context.load_cert_chain(files.certificate, files.key)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise UnfitCertificate(f"{files.key} is not the private key of the certificate in {files.certificate}") from None
        raise UnfitCertificate(f"{files.certificate} and {files.key} hold no certificate and key in PEM") from None
    except OSError as error:
        raise UnfitCertificate(f"{files.certificate} and {files.key} cannot be read: {error.strerror}") from None


def check_authority(path: Path, pem: bytes) -> None:
    """Raise UnfitCertificate unless a file holds certificates of authorities."""
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        found.load_verify_locations(cadata=_chain(path, pem))
    except ssl.SSLError:
        raise UnfitCertificate(f"{path} holds no certificate in PEM") from None
    if not found.cert_store_stats()["x509_ca"]:
        raise UnfitCertificate(f"{path} holds no certificate of an authority")


def is_open_to_all(path: Path) -> bool:
    """Say whether everybody on the machine may read a file."""
    return bool(path.stat().st_mode & 0o004)


def server_context() -> ssl.SSLContext:
    """Return what a server's end of connections insists on, without a certificate yet."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION
    return context


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnfitCertificate(f"{path} cannot be read: {error.strerror}") from None


def _chain(path: Path, pem: bytes) -> str:
    """Return a file's certificates without what stands around them."""
    found = _CERTIFICATE.findall(pem)
    if not found:
        raise UnfitCertificate(f"{path} holds no certificate in PEM")
    return b"\n".join(found).decode("ascii", "replace")


def _try_out(path: Path, context: ssl.SSLContext, chain: str) -> str:
    """Shake hands with somebody who trusts just this certificate, and return when it ends.

    The standard library has no other way to read a certificate that is not an authority's.
    """
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    trusting.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        trusting.load_verify_locations(cadata=chain)
        there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = trusting.wrap_bio(back, there)
        server = context.wrap_bio(there, back, server_side=True)
        for _ in range(_FLIGHTS_MAX):
            for end in (client, server):
                _go_on(end)
        found = client.getpeercert()
    except ssl.SSLCertVerificationError as error:
        raise UnfitCertificate(f"{path} cannot serve: {error.verify_message}") from None
    except (ssl.SSLError, ValueError):
        raise UnfitCertificate(f"{path} holds no certificate that a server could use") from None
    return str(found["notAfter"]) if found else ""


def _go_on(end: ssl.SSLObject) -> None:
    try:
        end.do_handshake()
    except ssl.SSLWantReadError:
        return
