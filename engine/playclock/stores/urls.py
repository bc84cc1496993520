"""Which store an address names. Drivers are imported only for the address that needs them."""

from playclock.stores.base import Store, StoreError

POSSIBLE = (
    "possible are memory:// (nothing outlives the process), sqlite:///relative/path.db, sqlite:////absolute/path.db, "
    "redis://host:port/0 and rediss:// for TLS, redis+sentinel://host:port,host:port/service and redis+cluster://host:port,host:port"
)


async def open_store(url: str) -> Store:
    """Open the store at the address. Raises StoreError, with a sentence for the operator, if there can be none."""
    scheme, separator, rest = url.partition("://")
    match scheme if separator else "":
        case "memory" if not rest:
            from playclock.stores.memory import MemoryStore  # noqa: PLC0415

            return MemoryStore()
        case "sqlite":
            from playclock.stores.sqlite import SqliteStore  # noqa: PLC0415

            return await SqliteStore.open(_sqlite_path(url, rest))
        case "redis" | "rediss" | "redis+sentinel" | "redis+cluster":
            try:
                from playclock.stores.redis_urls import open_redis  # noqa: PLC0415
            except ImportError as error:
                raise StoreError("Redis's client is missing; install playclock[redis]") from error
            return await open_redis(url)
        case _:
            # Not the address itself: it may hold a password.
            raise StoreError(f"the store's address names no store that this version knows; {POSSIBLE}")


def _sqlite_path(url: str, rest: str) -> str:
    path = rest.removeprefix("/")
    if path == rest:
        raise StoreError(f"{url} lacks a slash; {POSSIBLE}")
    if path in {"", ":memory:"}:
        raise StoreError(f"{url} names no file; {POSSIBLE}")
    if "?" in path:
        raise StoreError(f"{url} has options after '?', and there are none; {POSSIBLE}")
    return path
