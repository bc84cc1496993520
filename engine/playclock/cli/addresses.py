"""Addresses on the command line: HOST:PORT, and whether other machines can reach one."""

import contextlib
import ipaddress
import os
import re
import socket
from collections.abc import Iterator
from typing import Final, NamedTuple

import click

from playclock.cli.failures import Failure, UsageFailure

_ADDRESS: Final = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9_.-]+)):([0-9]{1,5})", re.ASCII)
PORT_MAX: Final = 65_535
CERTIFICATE_REMEDY: Final = "name a certificate by --tls-cert and --tls-key, keep 127.0.0.1 and put a TLS proxy in front"
PROXY_REMEDY: Final = "keep 127.0.0.1 and put a TLS proxy in front"


class Address(NamedTuple):
    """A host, by name or number, and a port; 0 picks a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def family(self) -> socket.AddressFamily:
        """The family of the sockets that are bound to it."""
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the address. Raises Failure for a name that leads nowhere."""
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise Failure(f"the host {self.host} cannot be found: {error.strerror}") from None
        return all(ipaddress.ip_address(str(where[0]).partition("%")[0]).is_loopback for *_, where in found)


class AddressType(click.ParamType[Address]):
    """Reads HOST:PORT from an option or a variable."""

    name = "HOST:PORT"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Address:
        """Return the address, or fail with a sentence."""
        if isinstance(value, Address):
            return value
        found = _ADDRESS.fullmatch(str(value))
        if found is None or int(found[3]) > PORT_MAX:
            self.fail(f"{value!r} is not HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080", param, ctx)
        return Address(found[1] or found[2], int(found[3]))


ADDRESS: Final = AddressType()


def refuse_exposure(option: str, address: Address, *, insecure: bool, remedy: str = CERTIFICATE_REMEDY) -> None:
    """Raise UsageFailure for an address that other machines can reach in clear text, unless that is wanted."""
    if insecure or address.is_loopback:
        return
    raise UsageFailure(
        f"{option} {address} can be reached from other machines in clear text: {remedy}, or add --insecure where the network "
        "itself is trusted"
    )


def bind(address: Address, *, shared: bool = False) -> socket.socket:
    """Return a socket that listens on the address, `shared` with other processes that ask so. Raises Failure."""
    both = address.host == "::" and socket.has_dualstack_ipv6()
    try:
        listener = socket.create_server(tuple(address), family=address.family, dualstack_ipv6=both, reuse_port=shared)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise Failure(f"cannot listen on {address}: {reason}; name another address, or port 0 for a free one") from None
    # Connections inherit it. asyncio sets it only on sockets that name TCP as their protocol, which these do not: without it
    # an answer's body waits 40 ms for the client to acknowledge its headers.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


@contextlib.contextmanager
def reserved(address: Address) -> Iterator[Address]:
    """Keep a port for processes that share it, without listening there; yields the address with the port that 0 picked.

    Raises Failure where it cannot be had.
    """
    # Those who share a port do not disturb each other, so one that others share would look free: ask for it alone first.
    with bind(address) as alone:
        found = Address(address.host, alone.getsockname()[1])
    with socket.socket(address.family, socket.SOCK_STREAM) as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(tuple(found))
        yield found
