"""The caller's address, which decides whether a PC stands in a cafe: so nothing is believed that the caller could write."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

MAX_HOPS: Final = 32
_LONGEST_ADDRESS: Final = 45
_MAPPED_BITS: Final = 96
"""Length of ::ffff:0:0/96, under which IPv6 writes IPv4 addresses."""


_REMEMBERED_MAX: Final = 4096


class TrustedProxies:
    """The networks whose proxies' X-Forwarded-For is believed. Without any, nobody's is."""

    def __init__(self, networks: Sequence[str]) -> None:
        """Take networks in CIDR notation. Raises ValueError for one that is none, or has bits set outside its prefix."""
        self._networks = tuple(_unmapped_network(ip_network(network)) for network in networks)

    def caller(self, peer: str, forwarded: Sequence[bytes]) -> str:
        """Return the caller's address, empty where there is none (a Unix socket).

        `peer` is the socket's other end, `forwarded` the X-Forwarded-For headers in the order of their arrival. The chain is
        walked from its right end, the hop next to us, to the first hop that is no trusted proxy. A hop that is no plain
        address ends the walk: nothing beyond it is believed, and the last good address counts.
        """
        if not forwarded:
            return _spelling(peer)
        address = _peer(peer)
        if address is None:
            return ""
        if self._trusts(address):
            for hop in reversed(b",".join(forwarded).rsplit(b",", MAX_HOPS)[-MAX_HOPS:]):
                before = _hop(hop)
                if before is None:
                    break
                address = before
                if not self._trusts(address):
                    break
        return str(address)

    def _trusts(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self._networks)


@lru_cache(maxsize=_REMEMBERED_MAX)
def _spelling(host: str) -> str:
    """Return the address of a socket's other end in its one spelling; empty where it has none."""
    address = _peer(host)
    return "" if address is None else str(address)


def _peer(host: str) -> IPv4Address | IPv6Address | None:
    try:
        # The zone names the interface of a link-local peer; it is no part of the address.
        return _unmapped(ip_address(host.partition("%")[0]))
    except ValueError:
        return None


def _hop(raw: bytes) -> IPv4Address | IPv6Address | None:
    """Return the address of one element, or None for junk: ports, brackets, zones, names, nothing."""
    text = raw.decode("latin-1").strip(" \t")
    if len(text) > _LONGEST_ADDRESS or "%" in text:
        return None
    try:
        return _unmapped(ip_address(text))
    except ValueError:
        return None


def _unmapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _unmapped_network(network: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    base = _unmapped(network.network_address)
    if isinstance(base, IPv4Address) and network.prefixlen >= _MAPPED_BITS:
        return IPv4Network((base, network.prefixlen - _MAPPED_BITS))
    return network
