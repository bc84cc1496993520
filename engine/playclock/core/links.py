"""Links: a launch that an agent brings about for a player, and the OTT in each link to it.

No OTT lies in the store, and yet a repeated request has to get the same one. So it is derived: whoever has the agent's key and
the launch's record can say it again, and whoever has only one of them cannot.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from playclock.core.credentials import Credential
from playclock.core.ids import LAUNCH_PREFIX, launch_id_of, make_uuid, partition_in
from playclock.core.launch import AgentLaunch, Launch
from playclock.core.player import Player, attributes_of
from playclock.core.session import NEVER_MS
from playclock.core.signing.mac import mac

DEMO_BALANCE_MICROS: Final = 1_000_000_000
DEMO_BALANCE_MAX: Final = 100_000_000
"""In whole units of a currency."""

_PURPOSE: Final = b"playclock link\0"
"""Keeps what is derived here apart from all else that is signed with an agent's key: bodies, which begin with a brace."""


class LinkRules(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator decides about links."""

    demo_balance_micros: int = DEMO_BALANCE_MICROS
    """What a player may play with in a demo."""
    currencies: tuple[str, ...] = ()
    """Codes that count beside those of ISO 4217."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent asks for: a link for a player to a game."""

    agent_id: int
    game_id: str
    player: Player
    agent_session_id: str

    @property
    def launch_id(self) -> str:
        """The id of the launch that it comes to, every time."""
        return launch_id_of(self.agent_id, self.player.player_id, self.agent_session_id)

    @property
    def attributes(self) -> bytes:
        """What the session will tell."""
        return attributes_of(self.agent_id, self.agent_session_id, self.player)


class Issued(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Which link was made, from which its OTT follows."""

    launch_id: str
    started_ms: int
    number: int
    key_id: str
    expires_ms: int


def begin(order: Order, *, now_ms: int) -> Launch:
    """Return a launch for an order, without any link yet."""
    agent = AgentLaunch(
        agent_id=order.agent_id,
        game_id=order.game_id,
        player_id=order.player.player_id,
        attributes=order.attributes,
        number=0,
        key_id="",
        expires_ms=now_ms,
    )
    return Launch(
        id=order.launch_id,
        launcher_id="",
        cafe_id="",
        account_id=None,
        tariff_id=None,
        pc_id="",
        internal_ip="",
        external_ip=order.player.ip,
        hardware=b"",
        started_ms=now_ms,
        lease_until_ms=NEVER_MS,
        outage_seen_ms=now_ms,
        agent=agent,
    )


def is_same(launch: Launch, order: Order) -> bool:
    """Whether a launch is what is ordered, in every detail."""
    agent = launch.agent
    return agent is not None and (agent.agent_id, agent.game_id, agent.attributes) == (
        order.agent_id,
        order.game_id,
        order.attributes,
    )


def with_next_link(launch: Launch, key_id: str, *, expires_ms: int) -> Launch:
    """Return the launch with one more link, whose OTT is derived from the agent's key of that id."""
    assert launch.agent is not None
    agent = replace(launch.agent, number=launch.agent.number + 1, key_id=key_id, expires_ms=expires_ms)
    return replace(launch, agent=agent)


def last_link(launch: Launch) -> Issued:
    """Return the last link that was made to a launch."""
    agent = launch.agent
    assert agent is not None
    return Issued(launch.id, launch.started_ms, agent.number, agent.key_id, agent.expires_ms)


def ott_of(issued: Issued, credentials: Sequence[Credential]) -> str | None:
    """Return the OTT of a link; None where the agent's key from which it was derived is none of these.

    A launch that was forgotten and begins anew has another start, so that none of its OTTs has ever been seen.
    """
    key = next((credential for credential in credentials if credential.id == issued.key_id), None)
    if key is None:
        return None
    text = f"{issued.launch_id.removeprefix(LAUNCH_PREFIX)}/{issued.started_ms}/{issued.number}"
    return make_uuid(partition_in(issued.launch_id), mac(key.secret, _PURPOSE + text.encode("ascii")))
