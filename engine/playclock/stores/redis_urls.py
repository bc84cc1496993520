"""Which Redis an address names.

redis://[user:password@]host[:port][/database], rediss:// with TLS, redis+sentinel://host[:port],…/service[/database],
redis+cluster://host[:port],…; with `?tls=true` the last two speak TLS too. Valkey answers to the same.
"""

import ssl
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from playclock.stores.base import StoreError
from playclock.stores.redis import RedisStore
from playclock.stores.redis_link import Login
from playclock.stores.redis_topology import Address, Cluster, Sentinels, Single, Topology

PORT: Final = 6379
SENTINEL_PORT: Final = 26379
OPTIONS: Final = frozenset({"tls"})


async def open_redis(url: str) -> RedisStore:
    """Open the store at the address. Raises StoreError, StoreUnavailable."""
    store = RedisStore(topology_of(url))
    try:
        await store.ping()
    except BaseException:
        await store.close()
        raise
    return store


def topology_of(url: str) -> Topology:
    """Return where the address leads. Raises StoreError, which does not repeat the address: it may hold a password."""
    parts = urlsplit(url)
    credentials, _, hosts = parts.netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = sorted(options.keys() - OPTIONS)
    if unknown:
        raise StoreError(f"the Redis address has an option that this version does not know: {unknown[0]}")
    is_sentinel = parts.scheme == "redis+sentinel"
    addresses = [_address(host, SENTINEL_PORT if is_sentinel else PORT) for host in hosts.split(",")]
    service, _, database = parts.path[1:].partition("/") if is_sentinel else ("", "", parts.path[1:])
    login = Login(
        username=unquote(user) or None,
        password=unquote(password) or None,
        database=_database(database),
        tls=ssl.create_default_context() if parts.scheme == "rediss" or options.get("tls") == "true" else None,
    )
    if is_sentinel:
        if not service:
            raise StoreError("the address of Sentinels lacks the service's name: redis+sentinel://host:port,host:port/service")
        return Sentinels(addresses, service, login)
    if parts.scheme == "redis+cluster":
        if login.database:
            raise StoreError("a Redis Cluster has no databases: leave the number out")
        return Cluster(addresses, login)
    if len(addresses) > 1:
        raise StoreError("redis:// names one server; several are redis+sentinel:// or redis+cluster://")
    return Single(addresses[0], login)


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
