"""The estate that is measured, and the players who join in it: through the engine's own door, over any channel."""

import asyncio
from typing import Final, NamedTuple

import grpc.aio
from playclock.v1.launch_service_pb2 import IssueOttRequest, StartLaunchRequest
from playclock.v1.launch_service_pb2_grpc import LaunchServiceStub
from playclock.v1.provisioning_service_pb2 import (
    ApplyProvisioningRequest,
    ProvisionedAccount,
    ProvisionedCafe,
    ProvisionedGame,
    Provisioning,
    Tariff,
)
from playclock.v1.provisioning_service_pb2_grpc import ProvisioningServiceStub
from playclock.v1.session_service_pb2 import HeartbeatRequest, OpenSessionRequest
from playclock.v1.session_service_pb2_grpc import SessionServiceStub

GAME_ID: Final = "3f0e8a52-6c1b-4a53-9f0e-0d1f2a3b4c5d"
GAME_KEY: Final = "bench-game-key-0123456789abcdef"
OPERATOR_TOKEN: Final = "bench-operator-token"
PCS: Final = 50
"""How many players sit in one cafe, and so in one partition and on one account."""

_OPERATOR: Final = (("authorization", f"Bearer {OPERATOR_TOKEN}"),)
_GAME: Final = (("x-api-key", GAME_KEY),)
_JOINING_AT_ONCE: Final = 32


class Player(NamedTuple):
    """A player with a live session."""

    session_id: str
    user_id: str

    def heartbeat(self) -> HeartbeatRequest:
        """Return the player's heartbeat."""
        return HeartbeatRequest(game_session_id=self.session_id, provider_user_id=self.user_id)


async def open_sessions(channel: grpc.aio.Channel, *, unbilled: int, metered: int) -> tuple[list[Player], list[Player]]:
    """Set up an estate and let so many players join in cafes that do not pay, and in cafes that do."""
    free, paying = -(-unbilled // PCS), -(-metered // PCS)
    request = ApplyProvisioningRequest(provisioning=_provisioning(free, paying))
    await ProvisioningServiceStub(channel).ApplyProvisioning(request, metadata=_OPERATOR)
    seats = [(cafe, pc) for cafe in range(free + paying) for pc in range(PCS)]
    turns = asyncio.Semaphore(_JOINING_AT_ONCE)
    players = await asyncio.gather(*(_join(channel, cafe, pc, turns) for cafe, pc in seats))
    return players[: free * PCS][:unbilled], players[free * PCS :][:metered]


def _provisioning(free: int, paying: int) -> Provisioning:
    accounts = [
        ProvisionedAccount(id=f"cafe-{cafe}", currency="GCOIN", opening_balance_micros=1 << 60)
        for cafe in range(free, free + paying)
    ]
    cafes = [ProvisionedCafe(id=f"cafe-{cafe}", name=f"Cafe {cafe}", networks=[_network(cafe)]) for cafe in range(free)]
    cafes += [
        ProvisionedCafe(id=plan.id, name=plan.id, networks=[_network(cafe)], account=plan.id, tariff="standard")
        for cafe, plan in enumerate(accounts, free)
    ]
    return Provisioning(
        games=[ProvisionedGame(id=GAME_ID, number=1, name="Game", api_keys=[GAME_KEY])],
        tariffs=[Tariff(id="standard", currency="GCOIN", unit_sec=60, price_micros=1_000_000)],
        accounts=accounts,
        cafes=cafes,
    )


def _network(cafe: int) -> str:
    return f"10.{cafe >> 8}.{cafe & 255}.0/24"


async def _join(channel: grpc.aio.Channel, cafe: int, pc: int, turns: asyncio.Semaphore) -> Player:
    launches = LaunchServiceStub(channel)
    user_id = f"player-{cafe}-{pc}"
    async with turns:
        start = StartLaunchRequest(pc_id=f"pc-{pc}", external_ip=f"10.{cafe >> 8}.{cafe & 255}.{pc + 1}")
        launch = await launches.StartLaunch(start, metadata=_OPERATOR)
        order = IssueOttRequest(session_token=launch.session_token, game_id=GAME_ID)
        token = await launches.IssueOtt(order, metadata=_OPERATOR)
        redemption = OpenSessionRequest(ott=token.ott, provider_user_id=user_id)
        opened = await SessionServiceStub(channel).OpenSession(redemption, metadata=_GAME)
    if not opened.is_valid:
        raise RuntimeError(f"no session for {user_id}: reason {opened.reason}")
    return Player(opened.game_session_id, user_id)
