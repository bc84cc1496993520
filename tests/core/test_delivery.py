"""Messages to games' servers: where each state may go, when each try comes, and what an answer means."""

from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from playclock.core import delivery as core
from playclock.core.delivery import (
    BUSY_MS,
    RETRY_AFTER_MAX_MS,
    SCHEDULE_MS,
    TRANSITIONS,
    Delivery,
    DeliveryEvent,
    DeliveryRules,
    DeliveryState,
    Method,
    Tried,
    Verdict,
)
from playclock.core.delivery_answers import read_answer, retry_after_ms
from playclock.core.ids import delivery_id_of, partition_in
from playclock.core.match import MatchRules, MatchState, SeatState
from playclock.core.match_info import is_off, match_info

from tests.core.matches import Bank, match_of, with_players

NOW_MS = 1_767_225_600_000
HOUR_MS = 3_600_000
RULES = DeliveryRules()
TABLE = {
    (DeliveryState.PENDING, DeliveryEvent.DELIVER): DeliveryState.DELIVERED,
    (DeliveryState.PENDING, DeliveryEvent.GIVE_UP): DeliveryState.DEAD,
    (DeliveryState.PENDING, DeliveryEvent.WITHDRAW): DeliveryState.WITHDRAWN,
    (DeliveryState.DELIVERED, DeliveryEvent.REPLAY): DeliveryState.PENDING,
    (DeliveryState.DEAD, DeliveryEvent.REPLAY): DeliveryState.PENDING,
}
FAILED = Tried(verdict=Verdict.FAILED, status=500)
TOLD = Tried(verdict=Verdict.TOLD, status=200)


def put(number: int = 0) -> Delivery:
    match = match_of()
    return core.put_of(replace(match, id=f"{number:024x}"), now_ms=NOW_MS)


@pytest.mark.parametrize(("state", "event"), list(product(DeliveryState, DeliveryEvent)))
def test_every_pair_is_as_it_is_written_here(state: DeliveryState, event: DeliveryEvent) -> None:
    assert TRANSITIONS[state].get(event) is TABLE.get((state, event))
    moved = core.move(replace(put(), state=state), event)
    assert (None if moved is None else moved.state) is TABLE.get((state, event))


class TestTheBody:
    def test_is_as_documented_and_always_the_same(self) -> None:
        match = with_players(match_of(), Bank(1_000), "a", "b")
        body = match_info(match)
        users = [seat.user_id for seat in match.seats]
        teams = [seat.team_id for seat in match.seats]
        assert body.decode() == (
            f'{{"match_id":"{match.id}",'
            f'"participants":[{{"id":"{users[0]}","team_id":"{teams[0]}"}},{{"id":"{users[1]}","team_id":"{teams[1]}"}}],'
            f'"teams":[{{"id":"{teams[0]}"}},{{"id":"{teams[1]}"}}]}}'
        )
        assert match_info(match) == body

    def test_names_a_team_once(self) -> None:
        match = with_players(match_of(), Bank(1_000), "a", "b")
        together = replace(match, seats=tuple(replace(seat, team_id="t") for seat in match.seats))
        assert match_info(together).endswith(b'"teams":[{"id":"t"}]}')

    def test_leaves_out_whose_fee_is_still_to_be_let_go(self) -> None:
        match = with_players(match_of(), Bank(1_000), "a", "b", "c")
        last = replace(match.seats[-1], state=SeatState.LEAVING)
        told = match_info(replace(match, seats=(*match.seats[:-1], last)))
        assert told == match_info(replace(match, seats=match.seats[:-1]))


class TestTheSchedule:
    def test_is_that_of_standard_webhooks(self) -> None:
        minutes = [0, 5 / 60, 5, 30, 120, 300, 600, 840, 1_200, 1_440]
        assert list(SCHEDULE_MS) == [round(each * 60_000) for each in minutes]

    @pytest.mark.parametrize("number", range(20))
    def test_takes_over_76_hours_and_ends_before_the_match_does(self, number: int) -> None:
        delivery, now_ms, times = put(number), NOW_MS, []
        while delivery.state is DeliveryState.PENDING:
            now_ms = delivery.due_ms
            times.append(now_ms)
            assert core.is_due(delivery, now_ms=now_ms)
            delivery = core.tried(core.leased(delivery, RULES, now_ms=now_ms), FAILED, retries=True, now_ms=now_ms)
        assert (delivery.state, delivery.tries, len(times)) == (DeliveryState.DEAD, 10, 10)
        for pause_ms, (before_ms, after_ms) in zip(SCHEDULE_MS[1:], pairwise(times), strict=True):
            assert pause_ms * 1.01 <= after_ms - before_ms <= pause_ms * 1.04
        longest_ms = 10 * RULES.timeout_ms
        assert NOW_MS + 76 * HOUR_MS < now_ms < NOW_MS + MatchRules().starting_ms - longest_ms

    def test_spreads_what_failed_together(self) -> None:
        tries = [core.tried(put(number), FAILED, retries=True, now_ms=NOW_MS) for number in range(50)]
        again = [core.tried(each, FAILED, retries=True, now_ms=each.due_ms) for each in tries]
        assert len({each.due_ms for each in again}) > 40

    def test_is_one_try_where_nobody_wants_more(self) -> None:
        assert core.tried(put(), FAILED, retries=False, now_ms=NOW_MS).state is DeliveryState.DEAD

    def test_waits_longer_where_it_is_asked_to_but_not_for_ever(self) -> None:
        for asked_ms, waits_ms in ((60_000, 60_000), (1_000, 5_050), (10**12, RETRY_AFTER_MAX_MS)):
            outcome = Tried(verdict=Verdict.FAILED, status=429, retry_after_ms=asked_ms)
            due_ms = core.tried(put(), outcome, retries=True, now_ms=NOW_MS).due_ms
            assert NOW_MS + waits_ms <= due_ms <= NOW_MS + waits_ms * 1.04

    def test_does_not_count_what_our_own_bounds_held_back(self) -> None:
        taken = core.leased(put(), RULES, now_ms=NOW_MS)
        held = core.given_back(taken, taken, now_ms=NOW_MS)
        assert (held.state, held.tries, held.due_ms) == (DeliveryState.PENDING, 0, NOW_MS + BUSY_MS)
        assert not core.is_perhaps_sent(held)
        others = core.leased(taken, RULES, now_ms=NOW_MS + RULES.lease_ms)
        assert core.given_back(others, taken, now_ms=NOW_MS + RULES.lease_ms) is others

    def test_ends_where_the_receiver_is_gone(self) -> None:
        outcome = Tried(verdict=Verdict.GONE, status=410)
        assert core.tried(put(), outcome, retries=True, now_ms=NOW_MS).state is DeliveryState.DEAD


class TestALease:
    def test_keeps_others_away_until_it_is_over(self) -> None:
        taken = core.leased(put(), RULES, now_ms=NOW_MS)
        assert not core.is_due(taken, now_ms=NOW_MS + RULES.lease_ms - 1)
        assert core.is_due(taken, now_ms=NOW_MS + RULES.lease_ms)
        assert RULES.lease_ms > 2 * RULES.timeout_ms

    def test_that_nobody_gave_back_may_have_been_a_try(self) -> None:
        assert not core.is_perhaps_sent(put())
        taken = core.leased(put(), RULES, now_ms=NOW_MS)
        assert core.is_perhaps_sent(taken)
        refused = Tried(verdict=Verdict.FAILED, error="CONNECT_FAILED", is_sent=False)
        assert not core.is_perhaps_sent(core.tried(taken, refused, retries=True, now_ms=NOW_MS))
        again = core.leased(taken, RULES, now_ms=NOW_MS + RULES.lease_ms)
        assert core.is_perhaps_sent(core.tried(again, refused, retries=True, now_ms=NOW_MS + RULES.lease_ms))

    def test_holds_up_the_message_that_the_match_is_off(self) -> None:
        assert core.delete_of(put(), now_ms=NOW_MS).due_ms == NOW_MS
        taken = core.leased(put(), RULES, now_ms=NOW_MS)
        assert core.delete_of(taken, now_ms=NOW_MS).due_ms == NOW_MS + RULES.lease_ms


class TestAMessage:
    def test_that_was_withdrawn_is_not_delivered_any_more(self) -> None:
        off = core.withdrawn(core.leased(put(), RULES, now_ms=NOW_MS), now_ms=NOW_MS)
        noted = core.tried(off, TOLD, retries=True, now_ms=NOW_MS)
        assert (noted.state, noted.is_sent, noted.leased_until_ms) == (DeliveryState.WITHDRAWN, True, 0)
        assert core.replayed(noted, now_ms=NOW_MS) is None

    def test_that_is_replayed_begins_anew_under_its_id(self) -> None:
        dead = core.tried(put(), FAILED, retries=False, now_ms=NOW_MS)
        again = core.replayed(dead, now_ms=NOW_MS + 5)
        assert again is not None
        assert (again.id, again.failures, again.tries, again.replays, again.due_ms) == (dead.id, 0, 1, 1, NOW_MS + 5)
        assert core.replayed(again, now_ms=NOW_MS) is None

    def test_has_an_id_that_follows_from_its_match(self) -> None:
        delivery = put(number=0xAB << 88)
        assert delivery.id == delivery_id_of(delivery.match_id, "PUT") == put(number=0xAB << 88).id
        assert partition_in(delivery.id) == partition_in(delivery.match_id) == 0xAB
        assert core.delete_of(delivery, now_ms=NOW_MS).id != delivery.id


@pytest.mark.parametrize("state", MatchState)
def test_only_a_match_that_ended_without_a_result_is_off(state: MatchState) -> None:
    off = {MatchState.ABORTED, MatchState.CANCELLED}
    assert is_off(replace(match_of(), state=state)) is (state in off)


class TestAnAnswer:
    def test_tells_by_200_alone_that_a_match_is_known(self) -> None:
        told = [status for status in range(100, 600) if read_answer(Method.PUT, status, {}, now_ms=0).verdict is Verdict.TOLD]
        gone = [status for status in range(100, 600) if read_answer(Method.PUT, status, {}, now_ms=0).verdict is Verdict.GONE]
        assert (told, gone) == ([200], [410])

    def test_tells_that_a_match_is_off_also_where_there_is_none(self) -> None:
        told = [s for s in range(100, 600) if read_answer(Method.DELETE, s, {}, now_ms=0).verdict is Verdict.TOLD]
        assert told == [*range(200, 300), 404, 410]

    @pytest.mark.parametrize(
        ("text", "ms"),
        [
            ("0", 0),
            ("120", 120_000),
            ("999999999", RETRY_AFTER_MAX_MS),
            ("Thu, 01 Jan 2026 00:00:30 GMT", 30_000),
            ("Thu, 01 Jan 2026 00:00:00 GMT", 0),
            ("Wed, 31 Dec 2025 23:59:59 GMT", 0),
            ("Fri, 01 Jan 2027 00:00:00 GMT", RETRY_AFTER_MAX_MS),
            ("", 0),
            ("-1", 0),
            ("1.5", 0),
            ("9999999999", 0),
            ("١٢", 0),
            ("Thu, 31 Feb 2026 00:00:30 GMT", 0),
            ("Thu, 01 Jan 0000 00:00:30 GMT", 0),
            ("Thu, 01 Jan 2026 00:00:60 GMT", 0),
            ("Thu, 01 Foo 2026 00:00:30 GMT", 0),
            ("tomorrow", 0),
        ],
    )
    def test_says_when_to_come_again(self, text: str, ms: int) -> None:
        assert retry_after_ms(text, now_ms=NOW_MS) == ms
        headers = {"retry-after": text}
        assert read_answer(Method.PUT, 429, headers, now_ms=NOW_MS).retry_after_ms == ms
        assert read_answer(Method.PUT, 503, headers, now_ms=NOW_MS).retry_after_ms == ms
        assert read_answer(Method.PUT, 500, headers, now_ms=NOW_MS).retry_after_ms == 0

    @given(st.text(max_size=40), st.integers(0, 2**53))
    def test_is_never_more_than_can_be_read(self, text: str, now_ms: int) -> None:
        assert 0 <= retry_after_ms(text, now_ms=now_ms) <= RETRY_AFTER_MAX_MS
