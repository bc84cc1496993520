"""Matches on every store: joined, started, finished and paid, with answers that a repeat hears again."""

import asyncio
from typing import TYPE_CHECKING

import pytest
from playclock.clock import ManualClock
from playclock.core.fields import MICROS_MAX
from playclock.core.match import AbortReason, Match, MatchState, SeatState
from playclock.core.outbox import Audit, decode
from playclock.core.payout import PayoutKind, PayoutRule
from playclock.core.results import Verdict
from playclock.engine import OPERATOR, Engine
from playclock.errors import (
    AccountNotFound,
    BadRequest,
    InsufficientCredit,
    MatchFull,
    MatchNotFound,
    PlayerNotFound,
    RequestIdReused,
    TooFewPlayers,
    WrongMatchState,
)

from tests.matches.conftest import CLIENT, OPENING, OTHER, PLAYERS, PUSHED, Arena, check, scores, user

if TYPE_CHECKING:
    from tests.conftest import EngineMaker, StoreOpener


class TestAMatch:
    async def test_is_played_and_paid(self, arena: Arena) -> None:
        match = await arena.live(3, payout=PayoutRule(PayoutKind.PERCENTAGES, (7_000, 3_000)))
        assert (match.state, [seat.state for seat in match.seats]) == (MatchState.LIVE, [SeatState.PAID] * 3)
        heard = await arena.matches.report(CLIENT, match.id, scores(1, 3, 2))
        assert (heard.verdict, heard.match.state) == (Verdict.ACCEPTED, MatchState.FINISHED)
        assert heard.match.settled_ms is not None
        assert await arena.matches.get(OPERATOR, match.id) == heard.match
        assert await check(arena, [match], kept=30) == [900, 1_089, 981, OPENING]

    async def test_is_made_once_for_a_request_id(self, arena: Arena) -> None:
        first = await arena.create("r1")
        assert await arena.create("r1") == first
        with pytest.raises(RequestIdReused):
            await arena.create("r1", entry_fee_micros=101)

    async def test_is_joined_and_left_once_however_often(self, arena: Arena) -> None:
        match = await arena.create()
        await asyncio.gather(*(arena.join(match, 0) for _ in range(10)))
        joined = await arena.join(match, 1)
        assert [seat.user_id for seat in joined.seats] == [user(0), user(1)]
        assert (await arena.engine.accounts.get("p0")).held_micros == 100
        left = await arena.matches.leave(OPERATOR, match.id, user_id=user(0))
        assert [seat.user_id for seat in left.seats] == [user(1)]
        with pytest.raises(PlayerNotFound):
            await arena.matches.leave(OPERATOR, match.id, user_id=user(0))
        await arena.matches.cancel(OPERATOR, match.id)
        assert await check(arena, [match], kept=0) == [OPENING] * 4

    async def test_is_not_joined_by_who_cannot_pay(self, arena: Arena) -> None:
        match = await arena.create(entry_fee_micros=OPENING + 1)
        with pytest.raises(InsufficientCredit):
            await arena.join(match, 0)
        with pytest.raises(AccountNotFound):
            await arena.matches.join(OPERATOR, match.id, user_id=user(0), account_id="nobody")
        with pytest.raises(BadRequest):
            await arena.matches.join(OPERATOR, match.id, user_id=user(1), account_id="")
        await arena.engine.sweep()
        assert (await arena.matches.get(OPERATOR, match.id)).seats == ()
        assert await check(arena, [match], kept=0) == [OPENING] * 4

    async def test_in_another_currency_holds_nothing(self, arena: Arena) -> None:
        match = await arena.create(currency="EUR")
        with pytest.raises(BadRequest):
            await arena.join(match, 0)
        await arena.engine.sweep()
        assert (await arena.matches.get(OPERATOR, match.id)).seats == ()
        assert await check(arena, [match], kept=0) == [OPENING] * 4

    async def test_has_as_many_players_as_it_may(self, arena: Arena) -> None:
        match = await arena.join(await arena.create(players_max=2), 0)
        with pytest.raises(TooFewPlayers):
            await arena.matches.start(OPERATOR, match.id)
        await arena.join(match, 1)
        with pytest.raises(MatchFull):
            await arena.join(match, 2)
        started = await arena.matches.start(OPERATOR, match.id)
        assert await arena.matches.start(OPERATOR, match.id) == started
        with pytest.raises(WrongMatchState):
            await arena.join(match, 2)

    async def test_is_seen_by_clients_of_its_game_alone(self, arena: Arena) -> None:
        match = await arena.live()
        for caller in (CLIENT, PUSHED):
            assert (await arena.matches.get(caller, match.id)).id == match.id
        with pytest.raises(MatchNotFound):
            await arena.matches.get(OTHER, match.id)
        with pytest.raises(MatchNotFound):
            await arena.matches.report(OTHER, match.id, scores(1, 2))
        with pytest.raises(BadRequest):
            await arena.matches.get(OPERATOR, "nonsense")

    async def test_waits_for_its_game_server_to_be_told(self, arena: Arena, clock: ManualClock) -> None:
        match = await arena.live(client_id=PUSHED.id)
        assert (match.state, match.is_escrowed) == (MatchState.STARTING, True)
        with pytest.raises(WrongMatchState):
            await arena.matches.report(PUSHED, match.id, scores(1, 2))
        clock.advance(80 * 3_600)
        await arena.engine.sweep()
        ended = await arena.matches.get(OPERATOR, match.id)
        assert (ended.state, ended.abort_reason) == (MatchState.ABORTED, AbortReason.NOT_TOLD)
        assert await arena.balances() == [OPENING] * 4

    async def test_is_forgotten_in_the_end(self, arena: Arena, clock: ManualClock) -> None:
        match = await arena.live()
        await arena.matches.cancel(OPERATOR, match.id)
        clock.advance(30 * 86_400)
        with pytest.raises(MatchNotFound):
            await arena.matches.get(OPERATOR, match.id)

    async def test_of_a_request_id_that_is_used_again_after_that_has_its_own_money(
        self, arena: Arena, clock: ManualClock
    ) -> None:
        made = list[Match]()
        for reached in ((2, 1), (1, 2)):
            match = await arena.join(await arena.create("r1"), 0, 1)
            await arena.matches.start(OPERATOR, match.id)
            made.append((await arena.matches.report(CLIENT, match.id, scores(*reached))).match)
            clock.advance(30 * 86_400)
        first, second = made
        assert first.id == second.id
        assert await check(arena, [second], kept=40) == [OPENING - 20, OPENING - 20, OPENING, OPENING]

    async def test_leaves_in_escrow_what_an_account_cannot_take_until_it_can(self, arena: Arena, clock: ManualClock) -> None:
        accounts, most, won = arena.engine.accounts, MICROS_MAX // 4, MICROS_MAX - MICROS_MAX // 10
        for number in range(PLAYERS):
            await accounts.top_up(OPERATOR, f"p{number}", MICROS_MAX - OPENING, request_id=f"t{number}")
        for round_ in range(2):
            match = await arena.live(4, entry_fee_micros=most)
            match = (await arena.matches.report(CLIENT, match.id, scores(9, 1, 1, 1))).match
            for number in range(1, PLAYERS):
                await accounts.top_up(OPERATOR, f"p{number}", most, request_id=f"t{number}/{round_}")
        assert (match.state, match.settled_ms) == (MatchState.FINISHED, None)
        assert (await accounts.get("p0")).balance_micros == 2 * most + won
        spent = await arena.join(await arena.create(entry_fee_micros=2 * most, players_max=2), 0, 1)
        await arena.matches.start(OPERATOR, spent.id)
        await arena.matches.report(CLIENT, spent.id, scores(1, 9))
        clock.advance(6)
        await arena.engine.sweep()
        await arena.matches.settling.finish()
        assert (await arena.matches.get(OPERATOR, match.id)).settled_ms == clock.now_ms()
        assert (await accounts.get("p0")).balance_micros == 2 * won


class TestTime:
    @pytest.mark.parametrize("is_swept", [True, False])
    async def test_aborts_what_nobody_finishes(self, arena: Arena, clock: ManualClock, *, is_swept: bool) -> None:
        lonely, ready = await arena.join(await arena.create(), 0), await arena.join(await arena.create(), 1, 2)
        clock.advance(3_600)
        if is_swept:
            await arena.engine.sweep()
        assert (await arena.matches.get(OPERATOR, lonely.id)).abort_reason is AbortReason.TOO_FEW_PLAYERS
        assert (await arena.matches.get(OPERATOR, ready.id)).state is (MatchState.LIVE if is_swept else MatchState.STARTING)
        await arena.engine.sweep()
        clock.advance(600)
        await arena.engine.sweep()
        assert (await arena.matches.get(OPERATOR, ready.id)).abort_reason is AbortReason.NO_RESULT
        assert await check(arena, [lonely, ready], kept=0) == [OPENING] * 4

    async def test_of_a_hold_that_is_over_aborts_the_start(self, arena: Arena, clock: ManualClock) -> None:
        match = await arena.join(await arena.create(), 0, 1)
        clock.advance(3_600 + 3 * 86_400)
        started = await arena.matches.get(OPERATOR, match.id)
        assert started.starting_ms is not None
        await arena.engine.sweep()
        aborted = await arena.matches.get(OPERATOR, match.id)
        assert (aborted.abort_reason, aborted.settled_ms) == (AbortReason.ESCROW_FAILED, clock.now_ms())
        assert await arena.balances() == [OPENING] * 4


async def test_fifty_finishes_at_once_with_two_results_have_one_winner(
    arena: Arena, make_engine: "EngineMaker", open_again: "StoreOpener"
) -> None:
    elsewhere = Arena(await make_engine(await open_again()))
    match = await arena.live(entry_fee_micros=333, fee_basis_points=777)
    calls = (
        (arena, elsewhere)[number % 2].matches.report(CLIENT, match.id, (scores(1, 2), scores(2, 1))[number // 2 % 2])
        for number in range(50)
    )
    heard = await asyncio.gather(*calls)
    won = {each.match.result for each in heard}
    assert len(won) == 1
    verdicts = [each.verdict for each in heard]
    assert 0 < verdicts.count(Verdict.ACCEPTED) < 50
    counts = [each.engine.counts.contradicted_results for each in (arena, elsewhere)]
    assert sum(counts) == verdicts.count(Verdict.CONTRADICTED) == 25 - verdicts.count(Verdict.ACCEPTED) + 25
    fee = 666 * 777 // 10_000
    balances = await check(arena, [match], kept=fee)
    assert sorted(balances) == [667, OPENING, OPENING, 667 + 666 - fee]
    events = await arena.engine.store.events(dict.fromkeys(await arena.engine.store.heads(), 0), 10_000)
    told = [event for event in map(decode, (stored.data for stored in events)) if isinstance(event, Audit)]
    contradictions = [event for event in told if event.action == "ContradictResult"]
    assert len(contradictions) == 20  # as many as are recorded
    assert {event.actor for event in contradictions} == {"match_client/super-game"}


async def test_an_asynchronous_match_takes_one_report_of_each(arena: Arena, engine: Engine) -> None:
    match = await arena.live(2, is_synchronous=False)
    first = await arena.matches.report(CLIENT, match.id, scores(7))
    assert first.match.state is MatchState.LIVE
    assert (await arena.matches.report(CLIENT, match.id, scores(9))).verdict is Verdict.CONTRADICTED
    assert engine.counts.contradicted_results == 1
    last = await arena.matches.report(CLIENT, match.id, scores(7, 8))
    assert last.match.state is MatchState.FINISHED
    assert await check(arena, [match], kept=20) == [900, 1_080, OPENING, OPENING]


async def test_a_match_without_a_fee_has_no_money(arena: Arena) -> None:
    match = await arena.live(entry_fee_micros=0)
    heard = await arena.matches.report(CLIENT, match.id, scores(1, 2))
    assert isinstance(heard.match, Match)
    assert heard.match.settled_ms is not None
    assert await check(arena, [match], kept=0) == [OPENING] * 4
