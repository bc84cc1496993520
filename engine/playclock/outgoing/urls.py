"""Which URLs may be called: a strict grammar, read once, so that nobody reads the same URL in two ways."""

import re
from ipaddress import IPv4Address, IPv6Address
from typing import Final

import msgspec

from playclock.outgoing.errors import BadUrl

URL_CHARS_MAX: Final = 2048
PORT_MIN: Final = 1024
"""From here on ports are anybody's. Below, only the scheme's own is called."""
DEFAULT_PORTS: Final = {"https": 443, "http": 80}

_HOST_CHARS_MAX: Final = 253
_CHAR: Final = r"[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2}"
_URL: Final = re.compile(
    r"(?P<scheme>[A-Za-z]+)://"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)"
    r"(?::(?P<port>[0-9]{1,5}))?"
    rf"(?P<path>/(?:{_CHAR})*)?"
    rf"(?P<query>\?(?:{_CHAR}|\?)*)?",
    re.ASCII,
)
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
"""A last label that system libraries may read as a part of an IPv4 address: `2130706433`, `127.1`, `0x7f.1`."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A URL that has been read. Its path and query may hold secrets and are not shown."""

    is_tls: bool
    host: str
    """A DNS name in lower case, or an IP address in its shortest spelling, without brackets."""
    port: int
    path: str
    """With the query: what the request line says."""

    @property
    def address(self) -> str | None:
        """The address, where the host is one and not a name."""
        return None if _is_name(self.host) else self.host

    @property
    def authority(self) -> str:
        """What the header Host says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS["https" if self.is_tls else "http"] else f"{host}:{self.port}"

    def __repr__(self) -> str:
        return f"Target({'https' if self.is_tls else 'http'}://{self.authority})"


def parse(url: str) -> Target:
    """Read a URL. Raises BadUrl, which does not repeat it.

    The scheme is https, or http, which is for networks of the settings alone. The host is a DNS name in ASCII (punycode for
    others) without a dot at its end, an IPv4 address of four decimal numbers, or an IPv6 address. There is no user, no password
    and no fragment. The port is the scheme's own, or 1024 and above.
    """
    if len(url) > URL_CHARS_MAX:
        raise BadUrl(f"the URL is longer than {URL_CHARS_MAX} characters")
    found = _URL.fullmatch(url)
    if found is None:
        raise BadUrl("expected https://host[:port][/path][?query] in ASCII, without user, password, fragment and spaces")
    scheme = found["scheme"].lower()
    if scheme not in DEFAULT_PORTS:
        raise BadUrl("the URL's scheme is not https")
    return Target(
        is_tls=scheme == "https",
        host=_host(found["host"].lower()),
        port=_port(found["port"], DEFAULT_PORTS[scheme]),
        path=(found["path"] or "/") + (found["query"] or ""),
    )


def _port(text: str | None, default: int) -> int:
    port = default if text is None else int(text)
    if port != default and not PORT_MIN <= port <= 65_535:
        raise BadUrl(f"the URL's port is neither {default} nor from {PORT_MIN} to 65535")
    return port


def _host(text: str) -> str:
    if not _is_name(text):
        return _address(text)
    if len(text) > _HOST_CHARS_MAX or not all(map(_LABEL.fullmatch, text.split("."))):
        raise BadUrl("the URL's host is no DNS name")
    return text


def _address(text: str) -> str:
    kind = IPv6Address if text.startswith("[") else IPv4Address
    try:
        return str(kind(text.strip("[]")))
    except ValueError:
        raise BadUrl("the URL's host is no IP address in its standard form, and its last label is a number") from None


def _is_name(host: str) -> bool:
    return ":" not in host and not _NUMBER.fullmatch(host.rpartition(".")[2])
