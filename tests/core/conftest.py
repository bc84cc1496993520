"""What the tests of the session share: one session and the account that pays for it, moved by hand."""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace
from playclock.core import moves
from playclock.core import session as core
from playclock.core.charge import Account, Charge, settle
from playclock.core.outage import Outage
from playclock.core.session import Event, Session
from playclock.core.tariff import Rounding, Tariff
from playclock.core.timers import Timers

DOCUMENTED = Timers()
A_UNIT_A_SECOND = Tariff("seconds", "GCOIN", unit_ms=1_000, price_micros=1, rounding=Rounding.STARTED_UNIT)


class Tab:
    """Does with the core what the engine does, without the engine. Times count from the opening of the session."""

    OPENED_MS = 1_767_225_600_000

    def __init__(
        self,
        balance_micros: int | None = None,
        *,
        tariff: Tariff = A_UNIT_A_SECOND,
        timers: Timers = DOCUMENTED,
        launcher_until_ms: int | None = None,
        outages: Sequence[Outage] = (),
    ) -> None:
        self.timers = timers
        self.outages = outages
        self.account = Account("cafe-1", tariff.currency, balance_micros or 0, held_micros=0)
        session = moves.open_session(
            id="gs_00c5d1e2-0000-4000-8000-000000000000",
            game_id="game",
            provider_user_id="player",
            launch_id="launch",
            cafe_id="cafe",
            pc_id="pc",
            server_id="server",
            launcher_until_ms=None if launcher_until_ms is None else self.at(launcher_until_ms),
            charge=None if balance_micros is None else Charge("cafe-1", tariff, billed_micros=0, held_micros=0),
            free_micros=self.account.free_micros,
            now_ms=self.OPENED_MS,
            timers=timers,
        )
        assert session is not None, "the balance does not pay for an interval"
        self.session = session
        if session.charge is not None:
            self.account = settle(self.account, None, session.charge)

    def at(self, ms: int) -> int:
        """Return a moment as the records have it."""
        return self.OPENED_MS + ms

    def advance(self, now_ms: int) -> list[Session]:
        """Let time pass, and return the steps that it brought about."""
        steps = moves.advance(self.session, now_ms=self.at(now_ms), timers=self.timers, outages=self.outages)
        for step in steps:
            self.take(step)
        return steps

    def beat(self, now_ms: int) -> Session:
        """Let the game server's heartbeat arrive, if it finds a live session."""
        self.advance(now_ms)
        if core.is_live(self.session):
            free_micros, now_ms = self.account.free_micros, self.at(now_ms)
            self.take(moves.heartbeat(self.session, free_micros=free_micros, now_ms=now_ms, timers=self.timers))
        return self.session

    def apply(self, event: Event, now_ms: int) -> Session:
        """Let something happen to the session, if it is alive."""
        self.advance(now_ms)
        if core.is_live(self.session):
            self.take(moves.apply(self.session, event, at_ms=self.at(now_ms), timers=self.timers))
        return self.session

    def top_up(self, micros: int) -> None:
        """Credit the account."""
        self.account = replace(self.account, balance_micros=self.account.balance_micros + micros)

    def take(self, session: Session) -> None:
        """Take what became of the session over, and carry it to the account."""
        if session.charge is not None:
            self.account = settle(self.account, self.session.charge, session.charge)
        self.session = session


@pytest.fixture(scope="session")
def tab() -> type[Tab]:
    """How to open a session on an account."""
    return Tab
