"""A small estate with everything in it, for the test-suites of programs that talk to playclock."""

from collections.abc import Sequence
from typing import Final

from playclock.blocking import BlockingEngine
from playclock.clock import ManualClock
from playclock.core.timers import Timers
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
from playclock.v1.session_service_pb2 import OpenSessionRequest
from playclock.v1.session_service_pb2_grpc import SessionServiceStub
from playclock.v1.settlement_service_pb2_grpc import SettlementServiceStub

GAME_ID: Final = "3f0e8a52-6c1b-4a53-9f0e-0d1f2a3b4c5d"
GAME_KEY: Final = "test-game-key"
CAFE_IP: Final = "203.0.113.7"
"""An address in the cafe, which pays for what is played."""
BALANCE_MICROS: Final = 500_000_000

ESTATE: Final = Provisioning(
    games=[ProvisionedGame(id=GAME_ID, number=123, name="Champagne Party", api_keys=[GAME_KEY])],
    tariffs=[Tariff(id="standard", currency="GCOIN", unit_sec=60, price_micros=1_000_000)],
    accounts=[ProvisionedAccount(id="cafe-1", currency="GCOIN", opening_balance_micros=BALANCE_MICROS)],
    cafes=[ProvisionedCafe(id="cafe-1", name="Seoul One", networks=["203.0.113.0/24"], account="cafe-1", tariff="standard")],
)


class Playclock:
    """An engine whose time the test moves, with one game and one cafe that pays a unit a minute.

    def test_a_player_is_kicked_after_four_silent_minutes(playclock):
        session_id = playclock.join("player-1")
        playclock.clock.advance(240)
        ...
    """

    def __init__(
        self, *, timers: Timers | None = None, operator_tokens: Sequence[str] = (), archive: str | None = None
    ) -> None:
        self.clock = ManualClock()
        self.engine = BlockingEngine(clock=self.clock, timers=timers, operator_tokens=operator_tokens, archive=archive)
        self.engine.__enter__()
        self.channel = self.engine.channel(operator=True)
        """Calls on it are an operator's, unless their metadata says otherwise."""
        self.game_channel = self.engine.channel(metadata=(("x-api-key", GAME_KEY),))
        """Calls on it are the game server's."""
        self.launches = LaunchServiceStub(self.channel)
        self.sessions = SessionServiceStub(self.game_channel)
        self.settlements = SettlementServiceStub(self.channel)
        """Has something to show with an `archive`, such as `sqlite://`, and after a `sweep`."""
        ProvisioningServiceStub(self.channel).ApplyProvisioning(ApplyProvisioningRequest(provisioning=ESTATE))

    def issue_ott(self, pc_id: str = "pc-1") -> str:
        """Start a launch on a PC of the cafe and return an OTT for the game."""
        launch = self.launches.StartLaunch(StartLaunchRequest(pc_id=pc_id, external_ip=CAFE_IP))
        return self.launches.IssueOtt(IssueOttRequest(session_token=launch.session_token, game_id=GAME_ID)).ott

    def join(self, provider_user_id: str = "player-1", pc_id: str = "pc-1") -> str:
        """Let a player join from a PC, and return the session's id."""
        request = OpenSessionRequest(ott=self.issue_ott(pc_id), provider_user_id=provider_user_id)
        return self.sessions.OpenSession(request).game_session_id

    def sweep(self) -> int:
        """Do the bookkeeping that is due, and archive what has happened. Events and settlements depend on it, answers never."""
        return self.engine.sweep()

    def close(self) -> None:
        """Stop the engine."""
        self.engine.__exit__(None, None, None)
