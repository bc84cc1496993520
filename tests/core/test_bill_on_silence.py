"""What a session is billed whose game server fell silent, as its tariff says. What was proved stays what it was."""

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from playclock.core import moves
from playclock.core import session as core
from playclock.core.outage import Outage
from playclock.core.session import EndReason, Event, Session, State
from playclock.core.settlement import FIRST_HASH, settlement_of
from playclock.core.tariff import BillOnSilence, PriceWindow, Rounding, Tariff, cost_micros
from playclock.core.timers import Timers

if TYPE_CHECKING:
    from tests.core.conftest import Tab

REPEATABLE = settings(deadline=None, derandomize=True)

LEASE_MS, INTERVAL_MS = 240_000, 120_000
SECONDS = Tariff("seconds", "GCOIN", unit_ms=1_000, price_micros=1, rounding=Rounding.STARTED_UNIT)
LAST_HEARTBEAT, ONE_INTERVAL, LEASE_END = (replace(SECONDS, bill_on_silence=policy) for policy in BillOnSilence)
FOR_EVER_MS = 10**9


def silent(played: "Tab") -> Session:
    """Let the game server never be heard again."""
    played.advance(FOR_EVER_MS)
    assert played.session.end_reason is EndReason.HEARTBEAT_TIMEOUT
    assert played.account.held_micros == 0
    return played.session


@pytest.mark.parametrize(("tariff", "billed_sec"), [(LAST_HEARTBEAT, 60), (ONE_INTERVAL, 180), (LEASE_END, 300), (SECONDS, 60)])
def test_silence_is_billed_as_the_tariff_says(tab: "type[Tab]", tariff: Tariff, billed_sec: int) -> None:
    played = tab(1_000, tariff=tariff)
    played.beat(60_000)
    ended = silent(played)
    settlement = settlement_of(ended, FIRST_HASH)
    assert (settlement.billed_sec, settlement.amount_micros) == (billed_sec, billed_sec)
    assert played.account.balance_micros == 1_000 - billed_sec
    # What was proved does not depend on what is billed.
    assert (settlement.play_duration_sec, settlement.unproven_sec) == (60, 240)
    assert settlement.ended_ms == played.at(300_000)


@pytest.mark.parametrize("tariff", [LAST_HEARTBEAT, ONE_INTERVAL, LEASE_END], ids=lambda tariff: tariff.bill_on_silence.name)
def test_a_silent_launcher_and_a_restarted_server_bill_until_the_last_heartbeat(tab: "type[Tab]", tariff: Tariff) -> None:
    restarted = tab(1_000, tariff=tariff)
    restarted.beat(60_000)
    restarted.apply(Event.RESTART, 290_000)
    without_launcher = tab(1_000, tariff=tariff, launcher_until_ms=200_000)
    without_launcher.beat(60_000)
    without_launcher.advance(FOR_EVER_MS)
    assert without_launcher.session.end_reason is EndReason.LAUNCHER_TIMEOUT
    assert core.billed_sec(restarted.session) == core.billed_sec(without_launcher.session) == 60


@pytest.mark.parametrize("tariff", [LAST_HEARTBEAT, ONE_INTERVAL, LEASE_END], ids=lambda tariff: tariff.bill_on_silence.name)
def test_nothing_is_billed_that_is_not_paid(tab: "type[Tab]", tariff: Tariff) -> None:
    played = tab(200, tariff=tariff, timers=Timers(grace_ms=1))
    played.advance(FOR_EVER_MS)
    # Exhausted first: all that was paid for is billed, whatever the tariff says of silence.
    assert played.session.end_reason is EndReason.CHARGE_EXHAUSTED
    assert (core.billed_sec(played.session), played.account.balance_micros) == (200, 0)


def test_credit_that_ends_with_the_lease_is_billed_as_silence(tab: "type[Tab]") -> None:
    played = tab(240, tariff=ONE_INTERVAL)
    assert core.billed_sec(silent(played)) == 120


@pytest.mark.parametrize(("tariff", "billed_sec"), [(LAST_HEARTBEAT, 150), (ONE_INTERVAL, 150), (LEASE_END, 230)])
def test_who_goes_on_after_a_top_up_and_is_never_heard_again(tab: "type[Tab]", tariff: Tariff, billed_sec: int) -> None:
    played = tab(150, tariff=tariff)
    played.advance(160_000)
    assert played.session.state is State.EXHAUSTED
    played.top_up(1_000)
    free_micros, now_ms = played.account.free_micros, played.at(160_000)
    played.take(moves.resume(played.session, free_micros=free_micros, now_ms=now_ms, timers=played.timers))
    assert core.billed_sec(silent(played)) == billed_sec


@pytest.mark.parametrize(
    ("tariff", "outage", "billed_ms"),
    [
        (ONE_INTERVAL, (100_000, 110_000), 180_000),
        (ONE_INTERVAL, (100_000, 500_000), 180_000),
        (ONE_INTERVAL, (200_000, 500_000), 180_000),
        (LEASE_END, (100_000, 110_000), 300_000),
        (LEASE_END, (100_000, 900_000), 300_000),
        (LAST_HEARTBEAT, (100_000, 900_000), 60_000),
    ],
)
def test_an_outage_of_ours_is_never_billed(tab: "type[Tab]", tariff: Tariff, outage: tuple[int, int], billed_ms: int) -> None:
    played = tab(1_000, tariff=tariff)
    played.beat(60_000)
    start_ms, end_ms = outage
    played.outages = (Outage(played.at(start_ms), played.at(end_ms)),)
    ended = silent(played)
    assert ended.ended_ms is not None
    assert ended.ended_ms - played.at(end_ms) >= LEASE_MS
    assert ended.billed_ms == billed_ms


TARIFFS = st.builds(
    Tariff,
    id=st.just("any"),
    currency=st.just("GCOIN"),
    unit_ms=st.sampled_from([700, 1_000, 60_000, 300_000]),
    price_micros=st.sampled_from([0, 1, 3, 100]),
    rounding=st.sampled_from(list(Rounding)),
    minimum_micros=st.sampled_from([0, 0, 100]),
    free_ms=st.sampled_from([0, 0, 30_000]),
    cap_micros=st.sampled_from([0, 0, 1_000]),
    windows=st.sampled_from([(), (PriceWindow(2, 5, 7),)]),
    bill_on_silence=st.sampled_from(list(BillOnSilence)),
)


@REPEATABLE
@given(
    tariff=TARIFFS,
    balance_micros=st.integers(60_000, 200_000),
    gaps_ms=st.lists(st.integers(0, LEASE_MS - 1), max_size=5),
    outage=st.none() | st.tuples(st.integers(0, LEASE_MS), st.integers(3_000, 10**6)),
)
def test_silence_bills_the_price_of_at_most_a_lease_and_never_what_is_after_the_end(
    tab: "type[Tab]",
    *,
    tariff: Tariff,
    balance_micros: int,
    gaps_ms: list[int],
    outage: tuple[int, int] | None,
) -> None:
    played = tab(balance_micros, tariff=tariff)
    now_ms = 0
    for gap_ms in gaps_ms:
        now_ms += gap_ms
        played.beat(now_ms)
    heard = played.session
    away_ms = 0
    if outage is not None:
        after_ms, away_ms = outage
        played.outages = (Outage(played.at(now_ms + after_ms), played.at(now_ms + after_ms + away_ms)),)
    ended = (played.advance(FOR_EVER_MS) or [heard])[-1]
    if ended.end_reason is not EndReason.HEARTBEAT_TIMEOUT or ended.exhausted_ms is not None:
        return  # an outage can move play into a dearer time of day, for which not enough is held
    assert ended.charge is not None
    assert ended.ended_ms is not None
    more_ms = ended.billed_ms - heard.billed_ms
    silent_ms = ended.ended_ms - heard.last_heartbeat_ms - (away_ms if ended.outage_seen_ms > heard.outage_seen_ms else 0)
    most_ms = {BillOnSilence.LAST_HEARTBEAT: 0, BillOnSilence.ONE_INTERVAL: INTERVAL_MS, BillOnSilence.LEASE_END: LEASE_MS}
    assert more_ms == min(silent_ms, most_ms[tariff.bill_on_silence])
    assert ended.charge.billed_micros == cost_micros(tariff, ended.billed_ms, ended.charge.anchors)
    assert played.account.balance_micros == balance_micros - ended.charge.billed_micros
    assert (core.played_until_ms(ended, ended.ended_ms), played.account.held_micros) == (heard.last_heartbeat_ms, 0)
