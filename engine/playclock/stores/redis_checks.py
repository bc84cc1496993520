"""What a Redis must be so that money may lie in it: looked at when a store is opened, on every master.

Where a server does not tell (managed services forbid CONFIG), the log says what could not be looked at.
"""

import logging
import re
from collections.abc import Mapping
from typing import Final

import hiredis
import msgspec

from playclock.stores.base import PARTITIONS, StoreError, StoreUnavailable
from playclock.stores.redis_link import Link
from playclock.stores.redis_topology import Topology
from playclock.stores.redis_wire import Reply

FORMAT: Final = 1
"""Counts the layouts of keys and records. Kept under a key of its own."""
FORMAT_KEY: Final = "{p:00}format"
DIGITS_MAX: Final = 9

VERSION_MIN: Final = (6, 2)
"""The first that has XTRIM MINID."""

NOTHING: Final = "nothing that was answered"
LOSSES: Final = ("everything", "what the kernel has not written, half a minute as a rule", "about the last second", NOTHING)
"""What a restart without warning may lose, the worst first."""
_LOSS_OF: Final = {"no": LOSSES[1], "everysec": LOSSES[2], "always": LOSSES[3]}

_CONFIG: Final = ("maxmemory-policy", "appendonly", "appendfsync", "no-appendfsync-on-rewrite")
_INFO: Final = {
    "redis_version": "version",
    "role": "role",
    "connected_slaves": "replicas",
    "maxmemory_policy": "maxmemory-policy",
    "aof_enabled": "appendonly",
}
"""What INFO calls that which has another name here."""
_LOOKED_AT: Final = ("version", "role", "replicas", *_CONFIG)

_log = logging.getLogger(__name__)


class Durability(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator asks of a Redis beyond its own settings."""

    replicas: int = 0
    """So many replicas must have a commit before it is answered."""
    is_loss_accepted: bool = False
    """Whether a server may be used that keeps nothing over a restart."""


Settings = Mapping[str, str]
"""What a server tells of itself. What it does not tell is missing."""


async def check_servers(topology: Topology, durability: Durability) -> None:
    """Look at every master, and log what they may lose.

    Raises StoreError, with a sentence that says what to change, if one must not be used; StoreUnavailable.
    """
    links = dict.fromkeys([await topology.link(partition) for partition in range(PARTITIONS)])
    told = {link.name: await _settings(link) for link in links}
    for name, settings in told.items():
        problem = why_not(settings, durability)
        if problem is not None:
            raise StoreError(f"Redis at {name} {problem}")
        if settings.get("role", "master") != "master":
            raise StoreUnavailable(f"Redis at {name} is a replica; name its master, or the Sentinels that know it")
    await _check_format(await topology.link(0))
    _tell(told, durability)


def why_not(settings: Settings, durability: Durability) -> str | None:
    """Return why a server must not be used and what to change; None if it may be."""
    version = settings.get("version", "")
    if version and _version(version) < VERSION_MIN:
        return f"is version {version}, and playclock needs {'.'.join(map(str, VERSION_MIN))} or newer: upgrade it"
    # Without a limit, too: one CONFIG SET maxmemory later, records of sessions and money would go without a word.
    policy = settings.get("maxmemory-policy", "noeviction")
    if policy != "noeviction":
        return f"may evict records: set maxmemory-policy to noeviction (it is {policy})"
    if settings.get("appendonly") == "no" and not durability.is_loss_accepted:
        return (
            "keeps no append-only file, so a restart would lose what was answered: set appendonly to yes,"
            " or accept the loss with durability=none in the store's address"
        )
    return None


def loss_on_restart(settings: Settings) -> str:
    """Return what a server may lose that stops without warning."""
    if settings.get("appendonly") == "no":
        return LOSSES[0]
    sync = settings.get("appendfsync", "")
    if sync == "everysec" and settings.get("no-appendfsync-on-rewrite") == "yes":
        sync = "no"
    return _LOSS_OF.get(sync, "unknown, for it does not tell appendfsync")


def _tell(told: Mapping[str, Settings], durability: Durability) -> None:
    for name, settings in told.items():
        unknown = [each for each in _LOOKED_AT if each not in settings]
        if unknown:
            fields = {"server": name, "unchecked": ", ".join(unknown)}
            _log.warning("Redis does not tell all that was to be checked", extra={"fields": fields})
        if int(settings.get("replicas", durability.replicas)) < durability.replicas:
            fields = {"server": name, "replicas": settings["replicas"], "asked": str(durability.replicas)}
            _log.warning("Redis has too few replicas now, so commits will be refused", extra={"fields": fields})
    losses = [loss_on_restart(settings) for settings in told.values()]
    worst = min(losses, key=lambda loss: LOSSES.index(loss) if loss in LOSSES else -1)
    failover = (
        f"nothing, where one of {durability.replicas} replicas takes over" if durability.replicas else "what no replica has"
    )
    fields = {"servers": str(len(told)), "on_restart": worst, "on_failover": failover}
    _log.info("what Redis may lose, as it is configured", extra={"fields": fields})


async def _settings(link: Link) -> Settings:
    info, *configs = await link.ask([("INFO",), *(("CONFIG", "GET", name) for name in _CONFIG)])
    found: dict[str, str] = {}
    if not isinstance(info, hiredis.ReplyError):
        lines = (line.partition(":") for line in info.decode().splitlines())
        found = {_INFO[name]: value for name, _, value in lines if name in _INFO}
    if found.get("appendonly") in {"0", "1"}:
        found["appendonly"] = "yes" if found["appendonly"] == "1" else "no"
    for config in configs:
        if not isinstance(config, hiredis.ReplyError) and config:
            found[config[0].decode()] = config[1].decode()
    return found


async def _check_format(link: Link) -> None:
    """Mark an empty database as ours. Raises StoreError where a newer version has written."""
    written, found = await link.ask([("SET", FORMAT_KEY, FORMAT, "NX"), ("GET", FORMAT_KEY)])
    if isinstance(written, hiredis.ReplyError) or isinstance(found, hiredis.ReplyError):
        raise StoreUnavailable(f"Redis at {link.name} refuses: {_refusal(written, found)}")
    if not found.isdigit() or len(found) > DIGITS_MAX:
        raise StoreError(f"Redis at {link.name} holds something of another program under {FORMAT_KEY}; name another database")
    if int(found) > FORMAT:
        raise StoreError(
            f"Redis at {link.name} was written by a newer version of playclock (record format {int(found)}, this version knows"
            f" {FORMAT}): upgrade playclock, or name another database"
        )


def _refusal(*replies: Reply) -> str:
    return next(str(reply) for reply in replies if isinstance(reply, hiredis.ReplyError))


def _version(text: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", text)[:2]))
