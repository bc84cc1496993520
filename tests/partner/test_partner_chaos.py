"""A partner that fails in every way it can, at random, for a day: nothing is billed twice, and all ends are confirmed."""

import asyncio
import random
from typing import TYPE_CHECKING, Final

import pytest
from playclock.clock import ManualClock
from playclock.core import session as core
from playclock.core.answers import Opened
from playclock.core.grants import FailurePolicy
from playclock.core.session import Session, State
from playclock.core.timers import Timers
from playclock.errors import EngineError

if TYPE_CHECKING:
    from tests.conftest import World
    from tests.partner.conftest import Partner

STEPS: Final = 200
PCS: Final = 6
LIMIT_SEC: Final = 600
METHODS: Final = ("OpenCharge", "RenewCharge", "CloseCharge")
FAULTS: Final = ("", "", "", "", "away", "away", "lost", "lost", "faulty", "late", "slow")
GRACE_MS: Final = Timers().grace_ms


class Day:
    """What happens at the partner's cafe."""

    def __init__(self, world: "World", partner: "Partner", clock: ManualClock, seed: int) -> None:
        self.world, self.partner, self.clock = world, partner, clock
        self.dice = random.Random(seed)
        self.sessions: list[str] = []

    async def step(self) -> None:
        """Let something happen."""
        self.clock.advance(self.dice.choice([0.001, 1, 20, 60, 110]))
        what = self.dice.choices(["beat", "open", "end", "fault", "kill", "sweep"], [12, 4, 2, 3, 0.3, 3])[0]
        try:
            match what:
                case "open":
                    ott = await self.world.ott(pc=f"pc-{self.dice.randrange(PCS)}", at=self.partner.AT_OURS)
                    answer = await self.world.redeem(ott)
                    if isinstance(answer, Opened):
                        self.sessions.append(answer.session_id)
                case "beat" if self.sessions:
                    session_id = self.dice.choice(self.sessions[-PCS:])
                    await self.world.beat(session_id)
                    launch_id = (await self.world.stored(session_id)).launch_id
                    await self.world.engine.launches.heartbeat(self.world.OPERATOR, launch_id)
                case "end" if self.sessions:
                    await self.world.end(self.dice.choice(self.sessions))
                case "fault":
                    await self.partner.fault(**{method: self.dice.choice(FAULTS) for method in METHODS})
                case "kill":
                    await self.partner.kill()
                    await self.partner.start()
                case "sweep":
                    await self.world.engine.sweep()
        except EngineError:
            return  # over, replaced, or the partner does not answer: what it left behind is looked at in the end

    async def close(self) -> list[Session]:
        """Let all sessions end and the partner confirm it."""
        await self.partner.fault()
        for _ in range(30):
            self.clock.advance(61)
            await self.world.engine.sweep()
            found = [await self.world.stored(session_id) for session_id in self.sessions]
            if all(session.state is State.ENDED for session in found):
                return found
            await asyncio.sleep(0.05)  # gRPC connects anew in real time
        raise AssertionError("an end was never confirmed")


@pytest.mark.parametrize("policy", [policy.name for policy in FailurePolicy])
async def test_a_bad_day_of_the_partner_s(there: "World", partner: "Partner", clock: ManualClock, policy: str) -> None:
    await partner.provision(there, policy, limit_sec=LIMIT_SEC)
    day = Day(there, partner, clock, seed=20_261_121)
    for _ in range(STEPS):
        await day.step()
    sessions = await day.close()
    assert len(sessions) > 10, "a day worth the name"
    charges = {charge["id"]: charge for charge in await partner.charges()}
    for session in sessions:
        check(session, charges.pop(session.grant.charge_id if session.grant else ""), FailurePolicy[policy])
    # What was set aside for sessions that never were has cost nothing.
    assert all(charge["used_ms"] == 0 for charge in charges.values())


def check(session: Session, charge: dict[str, int], policy: FailurePolicy) -> None:
    """Hold a session against what the partner has in its books."""
    assert session.grant is not None
    assert charge["is_closed"]
    assert charge["used_ms"] == session.billed_ms
    assert core.amount_micros(session) == session.billed_ms * 1_000_000 // 60_000
    unheard_ms = session.grant.unheard_ms
    assert unheard_ms <= (0 if policy is FailurePolicy.DENY else LIMIT_SEC * 1000)
    owed_ms = unheard_ms if policy is FailurePolicy.ALLOW_THEN_RECONCILE else 0
    assert session.billed_ms <= charge["granted_ms"] + owed_ms
    assert session.ended_ms is not None
    played_ms = core.played_until_ms(session, session.ended_ms) - session.started_ms
    free_ms = unheard_ms if policy is FailurePolicy.ALLOW else 0
    assert played_ms - session.billed_ms <= free_ms + GRACE_MS
