"""How many connections each address has, and how many it may have."""

import ipaddress
from collections.abc import Sequence
from typing import Final

from playclock.settings import CONNECTIONS_PER_ADDRESS

Place = str
"""An IPv4 address, or the network of an IPv6 address that one customer has."""

_PREFIX: Final = 64


class Crowd:
    """Who is there. Addresses in the `exempt` networks (proxies, which speak for many) are not counted."""

    def __init__(self, per_address_max: int = CONNECTIONS_PER_ADDRESS, exempt: Sequence[str] = ()) -> None:
        self._max: Final = per_address_max
        self._exempt: Final = [ipaddress.ip_network(network) for network in exempt]
        self._there: Final[dict[Place, int]] = {}

    def enter(self, address: str) -> Place | None:
        """Count a connection in and return what to count out when it ends; None where there are too many already."""
        place = self._place(address)
        there = self._there.get(place, 0)
        if place and there >= self._max:
            return None
        self._there[place] = there + 1
        return place

    def leave(self, place: Place) -> None:
        """Count a connection out."""
        there = self._there[place] - 1
        if there:
            self._there[place] = there
        else:
            del self._there[place]

    def _place(self, address: str) -> Place:
        """Return what is counted together with an address; an empty string for what is not limited."""
        found = ipaddress.ip_address(address.partition("%")[0])
        if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        if any(found in network for network in self._exempt):
            return ""
        if isinstance(found, ipaddress.IPv6Address):
            return str(ipaddress.ip_network((found, _PREFIX), strict=False))
        return str(found)
