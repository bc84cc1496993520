"""Which Redis an address names.

redis://[user:password@]host[:port][/database], rediss:// with TLS, redis+sentinel://host[:port],…/service[/database],
redis+cluster://host[:port],…. Valkey answers to the same. Options follow after `?`, with `&` between them:

- tls=true: speak TLS to the last two as well; ca=PATH: believe the certificate authorities in this PEM file, and no others.
- sentinel_tls=true, sentinel_username=NAME, sentinel_password=PASSWORD: how to ask the Sentinels themselves, which have users
  of their own. What is no letter or digit in them is percent-encoded.
- durability=local, which is the default: what is answered is as durable as the servers' own settings make it;
  durability=replicas:N: N replicas have it, too; durability=none: a server may be used that keeps nothing over a restart.
"""

import ssl
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from playclock.stores.base import StoreError
from playclock.stores.redis import RedisStore
from playclock.stores.redis_checks import Durability, check_servers
from playclock.stores.redis_cluster import Cluster
from playclock.stores.redis_link import Address, Login
from playclock.stores.redis_sentinels import SentinelLogin, Sentinels
from playclock.stores.redis_server import Single
from playclock.stores.redis_topology import Topology

PORT: Final = 6379
SENTINEL_PORT: Final = 26379
SENTINEL_OPTIONS: Final = ("sentinel_password", "sentinel_tls", "sentinel_username")
OPTIONS: Final = ("ca", "durability", *SENTINEL_OPTIONS, "tls")
REPLICAS_MAX: Final = 16

Options = Mapping[str, str]


async def open_redis(url: str) -> RedisStore:
    """Open the store at the address, if its servers may be trusted. Raises StoreError, StoreUnavailable."""
    topology, durability = topology_of(url), durability_of(url)
    store = RedisStore(topology, replicas=durability.replicas)
    try:
        await store.ping()
        await check_servers(topology, durability)
    except BaseException:
        await store.close()
        raise
    return store


def topology_of(url: str) -> Topology:
    """Return where the address leads. Raises StoreError, which does not repeat the address: it may hold a password."""
    parts = urlsplit(url)
    credentials, _, hosts = parts.netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    options = _options(parts.query)
    is_sentinel = parts.scheme == "redis+sentinel"
    addresses = [_address(host, SENTINEL_PORT if is_sentinel else PORT) for host in hosts.split(",")]
    service, _, database = parts.path[1:].partition("/") if is_sentinel else ("", "", parts.path[1:])
    login = Login(
        username=unquote(user) or None,
        password=unquote(password) or None,
        database=_database(database),
        tls=_tls(parts.scheme, options),
    )
    if is_sentinel:
        if not service:
            raise StoreError("the address of Sentinels lacks the service's name: redis+sentinel://host:port,host:port/service")
        return Sentinels(addresses, service, login, _sentinel_login(options))
    if any(name in options for name in SENTINEL_OPTIONS):
        raise StoreError("sentinel_… in the Redis address is for redis+sentinel:// only")
    if parts.scheme == "redis+cluster":
        if login.database:
            raise StoreError("a Redis Cluster has no databases: leave the number out")
        return Cluster(addresses, login)
    if len(addresses) > 1:
        raise StoreError("redis:// names one server; several are redis+sentinel:// or redis+cluster://")
    return Single(addresses[0], login)


def durability_of(url: str) -> Durability:
    """Return what the address asks for beyond the servers' own settings. Raises StoreError."""
    asked = _options(urlsplit(url).query).get("durability", "local")
    kind, separator, count = asked.partition(":")
    if kind == "replicas" and count.isascii() and count.isdigit() and len(count) < 4 and 0 < int(count) <= REPLICAS_MAX:
        return Durability(replicas=int(count))
    if separator or kind not in {"local", "none"}:
        raise StoreError(
            "the Redis address asks for a durability that there is not; possible are durability=local,"
            f" durability=replicas:N with N from 1 to {REPLICAS_MAX}, and durability=none, which accepts loss"
        )
    return Durability(is_loss_accepted=kind == "none")


def _options(query: str) -> Options:
    pairs = parse_qsl(query, keep_blank_values=True)
    options = dict(pairs)
    for name, _ in pairs:
        if name not in OPTIONS:
            known = ", ".join(OPTIONS)
            raise StoreError(f"the Redis address has an option that this version does not know: {name}; possible are {known}")
    if len(options) < len(pairs):
        raise StoreError("the Redis address names an option twice")
    return options


def _tls(scheme: str, options: Options) -> ssl.SSLContext | None:
    asked, ca = options.get("tls", "true" if scheme == "rediss" else "false"), options.get("ca")
    if asked not in {"true", "false"} or (asked == "false" and scheme == "rediss"):
        raise StoreError("tls in the Redis address is true or false, and rediss:// is always TLS")
    if asked == "false":
        if ca is not None and "sentinel_tls" not in options:
            raise StoreError("the Redis address names a ca without TLS: use rediss://, or add tls=true")
        return None
    return _context(ca)


def _sentinel_login(options: Options) -> SentinelLogin:
    asked, ca = options.get("sentinel_tls", "false"), options.get("ca")
    username, password = options.get("sentinel_username"), options.get("sentinel_password")
    if asked not in {"true", "false"}:
        raise StoreError("sentinel_tls in the Redis address is true or false")
    if username and not password:
        raise StoreError("the Redis address has a sentinel_username without a sentinel_password")
    if asked == "true":
        _context(ca)  # what cannot be read is told now
    return SentinelLogin(username=username or None, password=password or None, is_tls=asked == "true", ca=ca)


def _context(ca: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:  # ssl.SSLError is one
        raise StoreError(f"the certificate authorities in {ca} cannot be read: {error.strerror or error}") from error


def _address(text: str, port: int) -> Address:
    host, separator, number = text.rpartition(":") if not text.endswith("]") else (text, "", "")
    host, number = (host, number) if separator else (text, str(port))
    host = host.removeprefix("[").removesuffix("]")
    if not host or not number.isascii() or not number.isdigit() or not 0 < int(number) < 65_536:
        raise StoreError("the Redis address lacks a host, or has a port that is none")
    return host, int(number)


def _database(text: str) -> int:
    if text and not (text.isascii() and text.isdigit() and len(text) <= 5):
        raise StoreError("the Redis address has a database that is no number")
    return int(text or 0)
