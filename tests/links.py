"""What tests of links share: two agents and their games, a player, and what is in a link."""

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlsplit

from msgspec.structs import replace
from playclock.core.player import Player
from playclock.engine import Caller, Role
from playclock.v1 import Agent, ProvisionedGame, Provisioning

if TYPE_CHECKING:
    from playclock.engine.links import Link

    from tests.conftest import World

AGENT_SECRET: Final = "the-token-of-the-agent"
OTHER_AGENT_SECRET: Final = "the-token-of-the-other-agent"
AGENT: Final = Caller(Role.AGENT, "1")
OTHER_AGENT: Final = Caller(Role.AGENT, "2")
GAME_NUMBER, OTHER_NUMBER, UNOFFERED_NUMBER, NO_URL_NUMBER = 123, 124, 125, 126

PLAYER: Final = Player(
    player_id="player_123",
    username="john_doe",
    language="ru",
    currency="RUB",
    home_url="https://example.com",
    ip="192.168.1.1",
)
ATTRIBUTES: Final = {
    "agent_id": "1",
    "agent_session_id": "session_abc123",
    "player_username": "john_doe",
    "language": "ru",
    "currency": "RUB",
    "home_url": "https://example.com",
    "ip": "192.168.1.1",
}


def agents(world: "type[World] | World", *, secrets: tuple[str, str] = (AGENT_SECRET, OTHER_AGENT_SECRET)) -> Provisioning:
    """Return two agents and their games: the first two of the world's with URLs, one that nobody offers, one without URLs."""
    return Provisioning(
        games=[
            ProvisionedGame(
                id=world.GAME_ID,
                number=GAME_NUMBER,
                name="Champagne Party",
                brand="Mega",
                image_url="https://cdn.example.com/champagne.jpg",
                play_url="https://game.example.com/play",
                demo_url="https://game.example.com/demo",
                api_keys=[world.KEY],
            ),
            ProvisionedGame(
                id=world.OTHER_GAME_ID,
                number=OTHER_NUMBER,
                name="Daily Grind",
                play_url="https://grind.example.com/",
                api_keys=[world.OTHER_KEY],
            ),
            ProvisionedGame(
                id="aaaaaaaa-1111-4222-8333-944445555666",
                number=UNOFFERED_NUMBER,
                name="Unoffered",
                play_url="https://unoffered.example.com/",
                demo_url="https://unoffered.example.com/demo",
            ),
            ProvisionedGame(id="bbbbbbbb-1111-4222-8333-944445555666", number=NO_URL_NUMBER, name="Without URLs"),
        ],
        agents=[
            Agent(
                id=number,
                name=f"Agent {number}",
                api_token=secret,
                games=[GAME_NUMBER, OTHER_NUMBER, NO_URL_NUMBER, 999],
            )
            for number, secret in enumerate(secrets, 1)
        ],
    )


async def make_link(
    world: "World",
    *,
    caller: Caller = AGENT,
    number: int = GAME_NUMBER,
    session: str = "session_abc123",
    request_id: str = "",
    **changed: Any,  # noqa: ANN401 - any field of a player
) -> "Link":
    """Ask for a link, as the agent does, for the player or one that differs in some fields."""
    return await world.engine.links.create(
        caller,
        int(caller.id),
        game_number=number,
        player=replace(PLAYER, **changed),
        agent_session_id=session,
        request_id=request_id,
    )


def token_of(link: "Link") -> str:
    """Return the token in a link, where it has to be once."""
    (token,) = [value for name, value in parse_qsl(urlsplit(link.url).query) if name == "token"]
    return token
