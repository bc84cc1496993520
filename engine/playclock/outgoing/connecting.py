"""From checked addresses to a stream: TCP to the address, TLS under the name. No name is looked up here."""

import asyncio
import socket
import ssl
from collections.abc import Sequence
from typing import Final

from playclock.outgoing.errors import ConnectFailed, TlsFailed
from playclock.outgoing.urls import Target

ATTEMPTS_MAX: Final = 3
"""How many addresses are tried. Each gets its share of the time, so that one that is silent leaves some for the next."""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def system_trust() -> ssl.SSLContext:
    """Return what receivers are checked by: the system's authorities or those of SSL_CERT_FILE, and TLS 1.2 or newer."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.load_default_certs()
    return context


async def connect(target: Target, addresses: Sequence[str], tls: ssl.SSLContext, deadline_sec: float) -> Streams:
    """Connect to the first address that accepts; over TLS it has to prove that it is the host. Raises ConnectFailed, TlsFailed.

    `deadline_sec` is by the loop's clock. It shares out the time; the caller keeps to it.
    """
    tcp = await _first_of(target, addresses[:ATTEMPTS_MAX], deadline_sec)
    if not target.is_tls:
        return await asyncio.open_connection(sock=tcp)
    try:
        return await asyncio.open_connection(sock=tcp, ssl=tls, server_hostname=target.host)
    except ssl.SSLCertVerificationError as error:
        raise TlsFailed(f"the certificate of {target.host} is not valid: {error.verify_message}") from error
    except OSError as error:
        raise TlsFailed(f"no TLS with {target.host}", detail=str(error)) from error


async def _first_of(target: Target, addresses: Sequence[str], deadline_sec: float) -> socket.socket:
    loop = asyncio.get_running_loop()
    tries = []
    for index, address in enumerate(addresses):
        share_sec = (deadline_sec - loop.time()) / (len(addresses) - index)
        try:
            async with asyncio.timeout(share_sec):
                return await _tcp(address, target.port)
        except OSError as error:
            tries.append(f"{address}: {str(error) or 'no answer'}")
    raise ConnectFailed(f"{target.host} does not accept connections on port {target.port}", detail="; ".join(tries))


async def _tcp(address: str, port: int) -> socket.socket:
    tcp = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        tcp.setblocking(False)
        await asyncio.get_running_loop().sock_connect(tcp, (address, port))
    except BaseException:
        tcp.close()
        raise
    return tcp
