"""The player of an agent: what the agent tells of him, what of that can be wrong, and what the session tells of it."""

from collections.abc import Container
from typing import Final

import msgspec

from playclock.core.estate import parse_address
from playclock.core.fields import USER_ID_MAX, text_problem
from playclock.core.language import language_problem
from playclock.core.link_url import http_url_problem

AGENT_SESSION_ID_MAX: Final = 128

_ATTRIBUTES: Final = msgspec.msgpack.Decoder(dict[str, str])


class Player(msgspec.Struct, frozen=True, array_like=True, gc=False, kw_only=True):
    """Who plays, in which language and currency, and from where, as an agent tells it."""

    player_id: str
    """Unique in the agent's system."""
    username: str
    language: str
    currency: str
    home_url: str
    """Where the game leads back to."""
    ip: str


def player_problems(player: Player, currencies: Container[str]) -> dict[str, str | None]:
    """Return what is wrong with each field, by its name in requests; None where all is well."""
    return {
        "player_id": text_problem(player.player_id, USER_ID_MAX),
        "player_username": text_problem(player.username, USER_ID_MAX),
        "language": language_problem(player.language),
        "currency": _currency_problem(player.currency, currencies),
        "home_url": http_url_problem(player.home_url),
        "ip": _ip_problem(player.ip),
    }


def agent_session_id_problem(text: str) -> str | None:
    """Check an agent's own id of a session."""
    return text_problem(text, AGENT_SESSION_ID_MAX)


def attributes_of(agent_id: int, agent_session_id: str, player: Player) -> bytes:
    """Return what a session will tell of an agent's player, as records keep it."""
    told = {
        "agent_id": str(agent_id),
        "agent_session_id": agent_session_id,
        "player_username": player.username,
        "language": player.language,
        "currency": player.currency,
        "home_url": player.home_url,
        "ip": player.ip,
    }
    return msgspec.msgpack.encode(told)


def read_attributes(attributes: bytes) -> dict[str, str]:
    """Return what a session tells of its player, by name; an empty dictionary where nobody told anything."""
    return _ATTRIBUTES.decode(attributes) if attributes else {}


def _currency_problem(code: str, currencies: Container[str]) -> str | None:
    if not code:
        return "is required"
    return None if code in currencies else "expected a currency's code of ISO 4217, or one that the settings add"


def _ip_problem(text: str) -> str | None:
    if not text:
        return "is required"
    # A zone ("%eth0") names an interface of the machine that wrote it, and nothing here.
    return "expected an IPv4 or IPv6 address" if "%" in text or parse_address(text) is None else None
