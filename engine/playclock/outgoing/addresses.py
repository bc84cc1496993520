"""Which addresses may be called: those that are anybody's on the Internet, and those of networks that the operator allows."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from playclock.outgoing.errors import NoAddress, RefusedAddress
from playclock.outgoing.urls import Target

Address = IPv4Address | IPv6Address

REFUSED_V4: Final = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this network
            "10.0.0.0/8",  # private
            "100.64.0.0/10",  # shared by carriers and their customers
            "127.0.0.0/8",  # loopback
            "168.63.129.16/32",  # a cloud's agent on the host, under an address that looks like anybody's
            "169.254.0.0/16",  # link-local, and the clouds' metadata
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # protocols
            "192.0.2.0/24",  # documentation
            "192.88.99.0/24",  # relays to 6to4, given up
            "192.168.0.0/16",  # private
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and broadcast
        ),
    )
)
"""IANA's special-purpose registry for IPv4, less what is globally reachable; and multicast."""

UNICAST_V6: Final = IPv6Network("2000::/3")
"""All that is globally routed so far. Outside lie loopback, link-local, unique local, multicast, and what carries an IPv4
address with it: mapped, compatible and NAT64."""
REFUSED_V6: Final = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocols: Teredo, which carries an IPv4 address with it, benchmarks, ORCHID
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4, which carries an IPv4 address with it
            "3fff::/20",  # documentation
        ),
    )
)
"""What within is special, by IANA's registry for IPv6."""


def is_public(address: Address) -> bool:
    """Say whether an address is anybody's on the Internet.

    The standard library's `is_global` is not asked, for its table differs between patch releases of Python.
    """
    if isinstance(address, IPv4Address):
        return not any(address in network for network in REFUSED_V4)
    return address in UNICAST_V6 and not any(address in network for network in REFUSED_V6)


class Guard:
    """Knows the networks that may be called although they are nobody else's."""

    def __init__(self, networks: Iterable[str] = ()) -> None:
        """Take networks in CIDR notation. Raises ValueError."""
        self._networks = tuple(ip_network(text) for text in networks)

    def check(self, target: Target, answers: Sequence[str]) -> list[str]:
        """Return the addresses of a target, each once and in their order, if every single one may be called.

        Raises NoAddress where there is none, and RefusedAddress. One that may not be called spoils all: who owns a name and
        means well has no use for such an answer.
        """
        if not answers:
            raise NoAddress(f"{target.host} has no address")
        refused = [text for text in answers if not self._may_call(text, is_tls=target.is_tls)]
        if refused:
            raise RefusedAddress(
                f"{target.host} has an address that may not be called" + ("" if target.is_tls else " by http"),
                detail=f"not a public address, and in none of outgoing_networks: {', '.join(refused[:8])}",
            )
        return list(dict.fromkeys(str(ip_address(text)) for text in answers))

    def _may_call(self, text: str, *, is_tls: bool) -> bool:
        try:
            address = ip_address(text)
        except ValueError:
            return False
        # A mapped address is that of an IPv4 host by another name, and would go round the networks; a scope says which link.
        if isinstance(address, IPv6Address) and (address.ipv4_mapped is not None or address.scope_id is not None):
            return False
        if any(address in network for network in self._networks):
            return True
        return is_tls and is_public(address)
