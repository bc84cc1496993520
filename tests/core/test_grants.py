"""Sessions that a partner pays for, while the partner answers, does not answer, or answers too late to be heard.

The model of the partner keeps what the protocol asks of it, totals, and is what the sessions are held against: nothing is ever
billed that it did not grant, but for what the policy lets it hear of afterwards, and nothing is free beyond the policy.
"""

from typing import Final, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from playclock.core import grants, moves
from playclock.core import session as core
from playclock.core.grants import FailurePolicy, Grant, Word
from playclock.core.outage import Outage
from playclock.core.session import EndReason, Event, Session, State
from playclock.core.timers import Timers

START_MS: Final = 1_767_225_600_000
LEASE_MS: Final = 240_000
TIMERS: Final = Timers()


def grant(policy: FailurePolicy = FailurePolicy.DENY, *, granted_ms: int = 0, limit_ms: int = 0) -> Grant:
    return Grant(
        provider_id="partner", charge_id="ch_1", cafe_id="cafe", policy=policy, limit_ms=limit_ms, granted_ms=granted_ms
    )


def opened(of: Grant) -> Session | None:
    return moves.open_session(
        id="gs_00000000-0000-4000-8000-000000000000",
        game_id="game",
        provider_user_id="player",
        launch_id="launch",
        cafe_id="cafe",
        pc_id="pc",
        server_id="",
        launcher_until_ms=None,
        charge=None,
        free_micros=0,
        now_ms=START_MS,
        timers=TIMERS,
        grant=of,
    )


def advance(session: Session, ms: int) -> Session:
    return [session, *moves.advance(session, now_ms=START_MS + ms, timers=TIMERS)][-1]


def beat(session: Session, ms: int, word: Word | None) -> Session:
    return moves.heartbeat(advance(session, ms), free_micros=0, now_ms=START_MS + ms, timers=TIMERS, word=word)


@pytest.mark.parametrize(("granted_ms", "opens"), [(0, False), (119_999, False), (120_000, True), (240_000, True)])
def test_opening_takes_an_interval_of_granted_time(granted_ms: int, opens: bool) -> None:
    session = opened(grant(granted_ms=granted_ms))
    assert (session is not None) is opens
    assert session is None or session.paid_until_ms == START_MS + granted_ms


def test_what_is_granted_runs_out_at_its_moment_and_grace_follows() -> None:
    session = opened(grant(granted_ms=130_000))
    assert session is not None
    assert advance(session, 129_999).state is State.ACTIVE
    exhausted = advance(session, 130_000)
    assert (exhausted.state, exhausted.billed_ms) == (State.EXHAUSTED, 130_000)
    assert advance(session, 239_999).state is State.EXHAUSTED
    ended = advance(beat(session, 130_000, Word(130_000, 370_000)), 250_000)
    assert (ended.state, ended.end_reason) == (State.ENDING, EndReason.CHARGE_EXHAUSTED)
    assert ended.ended_ms == START_MS + 250_000


def test_a_partner_that_grants_again_ends_the_grace() -> None:
    session = opened(grant(granted_ms=130_000))
    assert session is not None
    resumed = beat(session, 150_000, Word(250_000, 370_000))
    assert (resumed.state, resumed.billed_ms, resumed.grace_used_ms) == (State.ACTIVE, 130_000, 20_000)
    assert resumed.paid_until_ms == START_MS + 270_000


def test_a_partner_that_grants_too_little_does_not_end_the_grace() -> None:
    session = opened(grant(granted_ms=130_000))
    assert session is not None
    assert beat(session, 150_000, Word(249_999, 370_000)).state is State.EXHAUSTED


@pytest.mark.parametrize("policy", FailurePolicy)
def test_silence_of_the_partner_never_ends_the_grace(policy: FailurePolicy) -> None:
    session = opened(grant(policy, granted_ms=130_000, limit_ms=10**9))
    assert session is not None
    assert beat(session, 150_000, None).state is State.EXHAUSTED


def test_deny_goes_on_for_as_long_as_was_granted() -> None:
    session = opened(grant(granted_ms=240_000))
    assert session is not None
    silent = beat(session, 120_000, None)
    assert silent.paid_until_ms == START_MS + 240_000
    assert advance(silent, 240_000).state is State.EXHAUSTED


def test_allow_goes_on_and_nobody_pays() -> None:
    session = opened(grant(FailurePolicy.ALLOW, granted_ms=240_000, limit_ms=10**9))
    assert session is not None
    for ms in range(120_000, 1_200_001, 120_000):
        session = beat(session, ms, None)
        assert session.state is State.ACTIVE
    assert session.billed_ms == 240_000
    assert session.grant is not None
    assert session.grant.unheard_ms == 960_000
    # The partner is back: from here on it pays again.
    assert moves.wanted(session, now_ms=START_MS + 1_200_000, timers=TIMERS, reserve_ms=0) == (240_000, 480_000)
    session = beat(session, 1_200_000, Word(480_000, 480_000))
    assert session.paid_until_ms == START_MS + 1_440_000
    assert beat(session, 1_300_000, None).billed_ms == 340_000


def test_allow_then_reconcile_goes_on_and_the_partner_hears_of_it() -> None:
    session = opened(grant(FailurePolicy.ALLOW_THEN_RECONCILE, granted_ms=240_000, limit_ms=10**9))
    assert session is not None
    for ms in range(120_000, 1_200_001, 120_000):
        session = beat(session, ms, None)
    assert session.billed_ms == 1_200_000
    assert moves.wanted(session, now_ms=START_MS + 1_200_000, timers=TIMERS, reserve_ms=0) == (1_200_000, 1_440_000)
    # It has not granted so much after all: then the credit is used up.
    refused = beat(session, 1_200_000, Word(600_000, 1_440_000))
    assert advance(refused, 1_200_000).state is State.EXHAUSTED


def test_the_policy_ends_at_its_limit() -> None:
    session = opened(grant(FailurePolicy.ALLOW, granted_ms=0, limit_ms=300_000))
    assert session is None, "the policy is applied when the partner was asked"
    silent = grants.hear(grant(FailurePolicy.ALLOW, limit_ms=300_000), None, billed_ms=0, lease_ms=LEASE_MS)
    session = opened(silent)
    assert session is not None
    assert session.paid_until_ms == START_MS + 240_000
    session = beat(session, 120_000, None)
    assert session.paid_until_ms == START_MS + 300_000
    assert advance(session, 300_000).state is State.EXHAUSTED


@pytest.mark.parametrize("policy", FailurePolicy)
def test_who_said_that_there_is_no_more_is_believed_while_away(policy: FailurePolicy) -> None:
    session = opened(grants.hear(grant(policy, limit_ms=10**9), Word(130_000, 240_000), billed_ms=0, lease_ms=LEASE_MS))
    assert session is not None
    assert beat(session, 120_000, None).paid_until_ms == START_MS + 130_000


def test_enough_that_is_granted_need_not_be_asked_for() -> None:
    session = opened(grant(granted_ms=600_000))
    assert session is not None
    session = beat(session, 200_000, None)
    assert moves.wanted(session, now_ms=START_MS + 360_000, timers=TIMERS, reserve_ms=600_000) is None
    assert moves.wanted(session, now_ms=START_MS + 360_001, timers=TIMERS, reserve_ms=600_000) == (360_001, 960_001)


def test_a_late_answer_takes_nothing_back() -> None:
    heard = grants.hear(grant(granted_ms=600_000), Word(400_000, 400_000), billed_ms=0, lease_ms=LEASE_MS)
    assert heard.granted_ms == 600_000


class Step(NamedTuple):
    """A heartbeat, or an end, so long after what happened before."""

    wait_ms: int
    what: str
    partner: str
    grant_ms: int


STEPS = st.lists(
    st.builds(
        Step,
        wait_ms=st.sampled_from([0, 1, 10_000, 60_000, 119_999, 120_000, 200_000, LEASE_MS - 1]),
        what=st.sampled_from(["beat"] * 12 + ["end", "look", "away"]),
        partner=st.sampled_from(["answers", "answers", "is away", "is too late", "has no more"]),
        grant_ms=st.sampled_from([0, 0, 600_000]),
    ),
    max_size=40,
)


class Partner:
    """Keeps totals, as the protocol asks it to."""

    def __init__(self) -> None:
        self.used_ms = 0
        self.granted_ms = 0

    def ask(self, used_ms: int, wanted_ms: int, step: Step) -> Word | None:
        if step.partner == "is away":
            return None
        assert used_ms >= self.used_ms, "what was used only grows"
        self.used_ms = used_ms
        if step.partner != "has no more":
            self.granted_ms = max(self.granted_ms, wanted_ms + step.grant_ms)
        return None if step.partner == "is too late" else Word(self.granted_ms, wanted_ms)


@settings(deadline=None, derandomize=True, max_examples=400)
@given(st.sampled_from(FailurePolicy), st.sampled_from([0, 100_000, 1_000_000]), STEPS)
def test_never_billed_beyond_the_grant_and_never_free_beyond_the_policy(
    policy: FailurePolicy, limit_ms: int, steps: list[Step]
) -> None:
    partner, now_ms, away_ms = Partner(), START_MS, 0
    outages: list[Outage] = []
    word = partner.ask(0, LEASE_MS, Step(0, "beat", "answers", 0))
    session = opened(grants.hear(grant(policy, limit_ms=limit_ms), word, billed_ms=0, lease_ms=LEASE_MS))
    assert session is not None
    for step in steps:
        before = session
        if step.what == "away":
            outages.append(Outage(now_ms, now_ms + step.wait_ms))
            away_ms += step.wait_ms
        now_ms += step.wait_ms
        session = [session, *moves.advance(session, now_ms=now_ms, timers=TIMERS, outages=outages)][-1]
        if core.is_live(session) and step.what == "end":
            session = moves.apply(session, Event.END, at_ms=now_ms, timers=TIMERS)
        elif core.is_live(session) and step.what == "beat":
            asked = moves.wanted(session, now_ms=now_ms, timers=TIMERS, reserve_ms=0)
            word = None if asked is None else partner.ask(*asked, step)
            session = moves.heartbeat(session, free_micros=0, now_ms=now_ms, timers=TIMERS, word=word)
        assert session.grant is not None
        assert 0 <= session.billed_ms - before.billed_ms <= LEASE_MS
        assert session.grant.unheard_ms <= limit_ms
        owed_ms = session.grant.unheard_ms if policy is FailurePolicy.ALLOW_THEN_RECONCILE else 0
        assert session.billed_ms <= partner.granted_ms + owed_ms
        played_ms = core.played_until_ms(session, now_ms) - session.started_ms
        unbilled_ms = played_ms - session.billed_ms
        live_ms = LEASE_MS if session.state is State.ACTIVE else 0  # billed with the next heartbeat
        free_ms = limit_ms if policy is FailurePolicy.ALLOW else 0
        assert unbilled_ms <= TIMERS.grace_ms + free_ms + away_ms + live_ms
        if not core.is_live(session):
            assert session.state is State.ENDING
            done = moves.confirm(session, amount_micros=1, currency="EUR", timers=TIMERS)
            assert done == replace(session, state=State.ENDED, grant=done.grant)
            return


def test_a_partner_is_asked_to_confirm_after_pauses_that_double_up_to_a_minute() -> None:
    session = opened(grant(granted_ms=240_000))
    assert session is not None
    session = moves.apply(session, Event.END, at_ms=START_MS, timers=TIMERS)
    pauses_ms = []
    for _ in range(7):
        session = moves.ask_to_confirm(session, now_ms=START_MS)
        pauses_ms.append(session.due_ms - START_MS)
    assert pauses_ms == [5_000, 10_000, 20_000, 40_000, 60_000, 60_000, 60_000]
