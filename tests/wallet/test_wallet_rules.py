"""The wallet against a real agent's server that behaves: bets once each, repeats, refusals, the end, rollbacks."""

import asyncio
from typing import Any

import pytest
from playclock.clock import ManualClock
from playclock.core.wallet import BetState, Result, result_of
from playclock.errors import (
    BadRequest,
    BetClosed,
    BetNotFound,
    EngineError,
    NoWallet,
    SessionEnded,
    SessionNotFound,
    TransactionIdReused,
)

from tests.conftest import World
from tests.wallet.conftest import MICROS, Agent, Table


async def test_the_balance_is_the_agent_s(table: Table, agent: Agent) -> None:
    assert await table.wallet.balance(World.GAME, table.session_id) == (agent.OPENING, "EUR")
    (asked,) = agent.asked()

    assert (asked["type"], asked["session_id"], asked["player_id"]) == ("getBalance", table.session_id[3:], agent.player)
    assert (asked["player_username"], asked["currency"], asked["language"], asked["game_id"]) == ("john_doe", "EUR", "ru", 123)


async def test_a_bet_is_debited_and_its_win_credited_to_the_micro(table: Table, agent: Agent) -> None:
    bet = await table.bet("t1", 10_500_001, 3_000_003)

    assert (bet.state, result_of(bet)) == (BetState.ACCEPTED, Result.ACCEPTED)
    assert bet.balance_micros == agent.OPENING - 10_500_001 + 3_000_003 == agent.balance()
    assert await table.get("t1") == bet


async def test_the_same_transaction_hears_the_first_answer_and_is_sent_once(table: Table, agent: Agent) -> None:
    first = await table.bet("t1", MICROS)
    await table.bet("t2", MICROS)

    assert await table.bet("t1", MICROS) == first
    assert len(agent.asked("makeBet")) == 2


@pytest.mark.parametrize("other", [{"bet": 2}, {"win": 1}, {"round_id": "r2"}])
async def test_the_same_transaction_with_other_contents_is_an_error(table: Table, other: dict[str, Any]) -> None:
    await table.bet("t1", 1)

    with pytest.raises(TransactionIdReused):
        await table.bet("t1", **{"bet": 1, **other})


async def test_a_hundred_equal_bets_at_once_are_one(table: Table, agent: Agent) -> None:
    bets = await asyncio.gather(*(table.bet("t1", MICROS) for _ in range(100)))

    assert {result_of(bet) for bet in bets} == {Result.ACCEPTED}
    assert len(agent.asked("makeBet")) == 1
    assert agent.balance() == agent.OPENING - MICROS


async def test_insufficient_funds_say_what_there_is_and_need_no_rollback(table: Table, agent: Agent) -> None:
    bet = await table.bet("t1", 2_000 * MICROS)
    await table.world.engine.sweep()

    assert (bet.state, result_of(bet), bet.balance_micros) == (BetState.REFUSED, Result.INSUFFICIENT_FUNDS, agent.OPENING)
    assert await table.bet("t1", 2_000 * MICROS) == bet
    assert [each["type"] for each in agent.asked()] == ["makeBet"]


async def test_a_refusal_says_why_and_needs_no_rollback(table: Table, agent: Agent) -> None:
    agent.fault(makeBet="refuse")
    bet = await table.bet("t1", MICROS)
    await table.world.engine.sweep()

    assert (bet.state, result_of(bet), bet.agent_error) == (BetState.REFUSED, Result.REFUSED, "player_blocked")
    assert [each["type"] for each in agent.asked()] == ["makeBet"]


async def test_an_ended_session_takes_wins_and_rollbacks_and_no_bets(table: Table, agent: Agent) -> None:
    await table.bet("t1", 5 * MICROS, round_id="r1")
    await table.bet("t2", 5 * MICROS, round_id="r2")
    await table.world.end(table.session_id)

    with pytest.raises(SessionEnded):
        await table.bet("t3", 1)
    assert result_of(await table.bet("t4", 0, 7 * MICROS, round_id="r1")) is Result.ACCEPTED
    assert (await table.roll_back("t2")).state is BetState.ROLLED_BACK
    assert agent.balance() == agent.OPENING + 2 * MICROS


async def test_wins_go_on_when_the_session_is_forgotten(table: Table, agent: Agent, clock: ManualClock) -> None:
    await table.bet("t1", 5 * MICROS)
    await table.world.end(table.session_id)
    clock.advance(86_400)
    await table.world.engine.sweep()

    with pytest.raises(SessionEnded):
        await table.bet("t2", 1)
    assert result_of(await table.bet("t3", 0, 7 * MICROS)) is Result.ACCEPTED
    assert agent.balance() == agent.OPENING + 2 * MICROS


async def test_a_silent_session_takes_wins(table: Table, clock: ManualClock) -> None:
    await table.bet("t1", 5 * MICROS)
    clock.advance(240)

    assert result_of(await table.bet("t2", 0, MICROS)) is Result.ACCEPTED
    with pytest.raises(SessionEnded):
        await table.bet("t3", 1)


async def test_a_bet_taken_back_is_as_if_it_had_never_been(table: Table, agent: Agent) -> None:
    first = await table.bet("t1", 5 * MICROS, 2 * MICROS)
    back = await table.roll_back("t1")

    assert back.state is BetState.ROLLED_BACK
    assert await table.roll_back("t1") == back
    assert agent.balance() == agent.OPENING
    assert len(agent.asked("rollback")) == 1
    again = await table.bet("t1", 5 * MICROS, 2 * MICROS)
    assert (result_of(again), again.balance_micros) == (Result.ACCEPTED, first.balance_micros), "the first answer stays"
    assert agent.balance() == agent.OPENING


async def test_a_bet_whose_round_was_won_since_stays(table: Table, agent: Agent) -> None:
    await table.bet("t1", 5 * MICROS)
    await table.bet("t2", 0, 9 * MICROS)

    with pytest.raises(BetClosed):
        await table.roll_back("t1")
    assert (await table.roll_back("t2")).state is BetState.ROLLED_BACK
    assert (await table.roll_back("t1")).state is BetState.ROLLED_BACK
    assert agent.balance() == agent.OPENING


async def test_a_win_of_another_round_or_one_that_was_refused_closes_nothing(table: Table, agent: Agent) -> None:
    await table.bet("t1", 5 * MICROS, round_id="r1")
    await table.bet("t2", 0, MICROS, round_id="r2")
    agent.fault(makeBet="refuse")
    await table.bet("t3", 0, MICROS, round_id="r1")

    assert (await table.roll_back("t1")).state is BetState.ROLLED_BACK


async def test_a_refused_bet_needs_no_rollback(table: Table, agent: Agent) -> None:
    refused = await table.bet("t1", 2_000 * MICROS)

    assert await table.roll_back("t1") == refused
    assert agent.asked("rollback") == []


async def test_another_game_sees_nothing(table: Table, agent: Agent) -> None:
    await table.bet("t1", 1)
    caller = World.OTHER_GAME

    for call in (
        table.bet("t1", 1, caller=caller),
        table.roll_back("t1", caller=caller),
        table.get("t1", caller=caller),
        table.wallet.balance(caller, table.session_id),
        table.wallet.list(caller, table.session_id, page_size=0, page_token=""),
    ):
        with pytest.raises(SessionNotFound):
            await call
    assert len(agent.asked()) == 1


async def test_a_session_of_no_agent_has_no_wallet(table: Table) -> None:
    alone = Table(table.world, await table.world.open("pc-9", at=World.FREE))

    with pytest.raises(NoWallet):
        await alone.bet("t1", 1)
    with pytest.raises(NoWallet):
        await alone.wallet.balance(World.GAME, alone.session_id)


async def test_what_is_not_there_is_not_found(table: Table) -> None:
    with pytest.raises(BetNotFound):
        await table.get("t1")
    with pytest.raises(BetNotFound):
        await table.roll_back("t1")
    with pytest.raises(SessionNotFound):
        await Table(table.world, table.session_id[:-4] + "0000").bet("t1", 1)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"transaction_id": ""}, "transaction_id"),
        ({"transaction_id": "x" * 129}, "transaction_id"),
        ({"round_id": "a\x00"}, "round_id"),
        ({"bet": -1}, "bet_micros"),
        ({"win": 10**18 + 1}, "win_micros"),
    ],
)
async def test_what_cannot_be_is_told_by_its_field(table: Table, wrong: dict[str, object], field: str) -> None:
    with pytest.raises(BadRequest) as caught:
        await table.bet(**{"transaction_id": "t1", "bet": 1, **wrong})  # type: ignore[arg-type]
    assert caught.value.violations.keys() == {field}


async def test_all_bets_of_a_session_are_listed_in_their_order(table: Table) -> None:
    wanted = [f"t{number}" for number in range(70)]
    for transaction_id in wanted:
        await table.bet(transaction_id, 1)

    async def page(token: str, size: int) -> tuple[list[str], str]:
        bets, following = await table.wallet.list(World.GAME, table.session_id, page_size=size, page_token=token)
        return [bet.transaction_id for bet in bets], following

    assert await page("", 0) == (wanted, "")
    listed, token = await page("", 33)
    assert listed == wanted[:33]
    rest, token = await page(token, 33)
    last, token = await page(token, 33)
    assert (rest + last, token) == (wanted[33:], "")
    for wrong in ("x", "-1", "1" * 13):
        with pytest.raises(BadRequest):
            await page(wrong, 1)


async def test_a_bet_is_forgotten_after_its_retention(table: Table, clock: ManualClock) -> None:
    await table.bet("t1", 1)
    clock.advance(ms=30 * 86_400_000 - 1)
    assert (await table.get("t1")).state is BetState.ACCEPTED
    clock.advance(ms=1)

    with pytest.raises(EngineError):
        await table.get("t1")
