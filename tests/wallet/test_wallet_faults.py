"""An agent that is down, slow, or answers twice: no bet counts twice, none is lost, and every rollback arrives in the end."""

import asyncio
from contextlib import suppress

import pytest
from playclock.clock import ManualClock
from playclock.core.wallet import BetState, Result, WalletRules, result_of
from playclock.engine import Engine
from playclock.errors import AgentAway, AgentRefused, NoWallet
from playclock.v1 import Agent as AgentMessage
from playclock.v1 import Provisioning

from tests.conftest import FaultInjectingStore, StoreOpener, World, WorldMaker
from tests.wallet.agent_process import BUSY_SEC
from tests.wallet.conftest import HASTY, MICROS, RULES, URL_SECRET, Agent, AgentProcess, PosterMaker, Table, TableMaker

DOUBTFUL = ["gone", "lost", "5xx_before", "5xx_after", "unreadable", "busy"]


def clock_of(engine: Engine) -> ManualClock:
    assert isinstance(engine.clock, ManualClock)
    return engine.clock


@pytest.mark.parametrize("fault", DOUBTFUL)
async def test_what_leaves_a_bet_in_doubt_is_taken_back(table: Table, agent: Agent, fault: str) -> None:
    agent.fault(makeBet=fault)
    bet = await table.bet("t1", 5 * MICROS, MICROS)
    assert (bet.state, result_of(bet)) == (BetState.ROLLING_BACK, Result.ROLLED_BACK)
    agent.fault()

    settled = await table.settle("t1")

    assert settled.state is BetState.ROLLED_BACK
    assert agent.balance() == agent.OPENING
    assert len(agent.asked("makeBet")) == 1
    rollbacks = agent.asked("rollback")
    assert {each["original_transaction_id"] for each in rollbacks} == {bet.id}
    assert len({each["transaction_id"] for each in rollbacks}) == 1
    again = await table.bet("t1", 5 * MICROS, MICROS)
    assert (again, result_of(again)) == (settled, Result.ROLLED_BACK)
    assert len(agent.asked("makeBet")) == 1


@pytest.mark.parametrize("fault", ["silent", "slow"])
async def test_an_agent_that_is_too_slow_is_not_waited_for(make_table: TableMaker, agent: Agent, fault: str) -> None:
    table = await make_table(HASTY)
    agent.fault(makeBet=fault)
    bet = await table.bet("t1", 5 * MICROS)
    assert (bet.state, bet.agent_error) == (BetState.ROLLING_BACK, "TIMEOUT")
    agent.fault()

    assert (await table.settle("t1")).state is BetState.ROLLED_BACK
    assert agent.balance() == agent.OPENING


@pytest.mark.parametrize("fault", ["twice", "repeated"])
async def test_an_agent_that_answers_twice_has_done_it_once(table: Table, agent: Agent, fault: str) -> None:
    agent.fault(makeBet=fault, rollback=fault)

    assert (await table.bet("t1", 5 * MICROS, MICROS)).state is BetState.ACCEPTED
    assert agent.balance() == agent.OPENING - 4 * MICROS
    assert (await table.roll_back("t1")).state is BetState.ROLLED_BACK
    assert agent.balance() == agent.OPENING


@pytest.mark.parametrize("fault", ["gone", "lost", "5xx_before", "5xx_after", "unreadable", "refuse"])
async def test_a_rollback_is_told_until_it_is_confirmed(table: Table, agent: Agent, fault: str) -> None:
    await table.bet("t1", 5 * MICROS)
    agent.fault(rollback=fault)
    assert (await table.roll_back("t1")).state is BetState.ROLLING_BACK
    for _ in range(3):
        clock_of(table.world.engine).advance(ms=RULES.rollback_pause_max_ms)
        await table.world.engine.sweep()
        assert (await table.get("t1")).state is BetState.ROLLING_BACK
    assert len(agent.asked("rollback")) == 4
    agent.fault()

    assert (await table.settle("t1")).state is BetState.ROLLED_BACK
    assert agent.balance() == agent.OPENING


async def test_pauses_between_rollbacks_grow(table: Table, agent: Agent, clock: ManualClock) -> None:
    await table.bet("t1", 5 * MICROS)
    agent.fault(rollback="refuse")
    began_ms = clock.now_ms()
    await table.roll_back("t1")
    told_ms = []
    for _ in range(160):
        clock.advance(1)
        before = len(agent.asked("rollback"))
        await table.world.engine.sweep()
        told_ms += [clock.now_ms() - began_ms] * (len(agent.asked("rollback")) - before)

    assert told_ms == [5_000, 15_000, 35_000, 75_000, 155_000]
    assert (await table.get("t1")).agent_error == "player_blocked"


async def test_another_call_tries_again_at_once(table: Table, agent: Agent) -> None:
    await table.bet("t1", 5 * MICROS)
    agent.fault(rollback="5xx_before")
    await table.roll_back("t1")
    agent.fault()

    assert (await table.roll_back("t1", caller=World.OPERATOR)).state is BetState.ROLLED_BACK


async def test_a_bet_that_comes_after_its_rollback_is_taken_back_as_well(make_table: TableMaker, agent: Agent) -> None:
    table = await make_table(HASTY)
    agent.fault(makeBet="held", rollback="naive")
    bet = await table.bet("t1", 5 * MICROS)
    await table.world.engine.sweep()
    assert len(agent.asked("rollback")) == 1
    assert (await table.get("t1")).state is BetState.ROLLING_BACK, "it knows no such bet yet, and that is not believed yet"
    agent.release()
    await agent.until(lambda: bet.id in agent.transactions())
    assert agent.balance() == agent.OPENING - 5 * MICROS

    assert (await table.settle("t1")).state is BetState.ROLLED_BACK
    assert agent.balance() == agent.OPENING


async def test_an_agent_that_does_not_know_the_bet_is_believed_in_the_end(
    table: Table, agent: Agent, clock: ManualClock
) -> None:
    agent.fault(makeBet="gone", rollback="naive")
    began_ms = clock.now_ms()
    await table.bet("t1", 5 * MICROS)

    settled = await table.settle("t1")

    assert (settled.state, settled.agent_error) == (BetState.ROLLED_BACK, "transaction_not_found")
    assert clock.now_ms() - began_ms >= RULES.unknown_after_ms
    assert agent.balance() == agent.OPENING


async def test_an_agent_that_is_down_is_asked_nothing_and_owed_no_rollback(
    table: Table, process: AgentProcess, agent: Agent
) -> None:
    process.kill()
    try:
        bet = await table.bet("t1", 5 * MICROS)
        assert (bet.state, result_of(bet), bet.agent_error) == (BetState.ROLLED_BACK, Result.ROLLED_BACK, "not_sent")
    finally:
        process.restart()
    await table.world.engine.sweep()

    assert agent.asked() == []
    assert (await table.bet("t2", 5 * MICROS)).state is BetState.ACCEPTED


@pytest.mark.parametrize(("fault", "left"), [("silent", 0), ("slow", 5 * MICROS)])
async def test_an_agent_that_dies_over_a_bet_hears_of_the_rollback_when_it_is_back(
    table: Table, process: AgentProcess, agent: Agent, fault: str, left: int
) -> None:
    agent.fault(makeBet=fault)
    making = asyncio.create_task(table.bet("t1", 5 * MICROS))
    await agent.until(lambda: agent.asked("makeBet") and (fault == "silent" or agent.transactions()))
    process.kill()
    try:
        assert (await making).state is BetState.ROLLING_BACK
        await table.world.engine.sweep()
        assert (await table.get("t1")).state is BetState.ROLLING_BACK
    finally:
        process.restart()
    assert agent.balance() == agent.OPENING - left

    assert (await table.settle("t1")).state is BetState.ROLLED_BACK
    assert agent.balance() == agent.OPENING


async def test_an_agent_that_fails_again_and_again_is_left_alone_and_nothing_is_noted(table: Table, agent: Agent) -> None:
    agent.fault(makeBet="5xx_before")
    for number in range(5):
        await table.bet(f"t{number}", MICROS)
    with pytest.raises(AgentAway) as caught:
        await table.bet("t5", MICROS)
    with pytest.raises(AgentAway):
        await table.wallet.balance(World.GAME, table.session_id)
    assert caught.value.retry_after_ms == 1_000
    assert len(agent.asked()) == 5
    assert table.world.engine.callbacks.circuits == {"1": True}
    agent.fault()
    clock_of(table.world.engine).advance(1)

    assert (await table.bet("t5", MICROS)).state is BetState.ACCEPTED
    assert table.world.engine.callbacks.circuits == {"1": False}


async def test_an_agent_that_asks_to_be_left_alone_is(table: Table, agent: Agent, clock: ManualClock) -> None:
    agent.fault(makeBet="busy")
    await table.bet("t1", MICROS)
    agent.fault()
    clock.advance(BUSY_SEC - 1)
    await table.world.engine.sweep()
    with pytest.raises(AgentAway) as caught:
        await table.bet("t2", MICROS)
    assert caught.value.retry_after_ms == 1_000
    assert len(agent.asked()) == 1
    clock.advance(1)

    assert (await table.bet("t2", MICROS)).state is BetState.ACCEPTED
    assert (await table.settle("t1")).state is BetState.ROLLED_BACK


async def test_a_balance_that_nobody_tells_is_an_error(table: Table, agent: Agent) -> None:
    agent.fault(getBalance="refuse")
    with pytest.raises(AgentRefused) as refused:
        await table.wallet.balance(World.GAME, table.session_id)
    assert refused.value.metadata == {"agent_error": "player_blocked"}
    for fault in ("5xx_after", "unreadable", "lost"):
        agent.fault(getBalance=fault)
        with pytest.raises(AgentAway):
            await table.wallet.balance(World.GAME, table.session_id)


async def test_a_caller_who_goes_away_stops_nothing(table: Table, agent: Agent) -> None:
    agent.fault(makeBet="held")
    making = asyncio.create_task(table.bet("t1", MICROS))
    await agent.until(lambda: agent.asked("makeBet"))
    making.cancel()
    with suppress(asyncio.CancelledError):
        await making
    agent.release()

    assert (await table.bet("t1", MICROS)).state is BetState.ACCEPTED
    assert len(agent.asked("makeBet")) == 1


async def test_an_engine_that_stops_brings_its_bets_to_their_end(table: Table, agent: Agent) -> None:
    agent.fault(makeBet="held")
    making = asyncio.create_task(table.bet("t1", MICROS))
    await agent.until(lambda: agent.asked("makeBet"))
    stopping = asyncio.create_task(table.world.engine.__aexit__(None, None, None))
    agent.release()
    await stopping

    assert (await making).state is BetState.ACCEPTED


@pytest.fixture
async def dying(table: Table, make_world: WorldMaker, make_poster: PosterMaker, faulty_store: FaultInjectingStore) -> Table:
    """Return the table as a process sees it that a test stops at a commit."""
    return table.at(await make_world(faulty_store, wallet=RULES, post=make_poster()))


@pytest.fixture
async def others(table: Table, make_world: WorldMaker, make_poster: PosterMaker, open_again: StoreOpener) -> Table:
    """Return the table as another process sees it."""
    return table.at(await make_world(await open_again(), wallet=RULES, post=make_poster()))


async def test_another_process_takes_back_what_was_noted_and_never_sent(
    faulty_store: FaultInjectingStore, dying: Table, others: Table, agent: Agent, clock: ManualClock
) -> None:
    faulty_store.stalls_after = asyncio.Event()
    making = asyncio.create_task(dying.bet("t1", 5 * MICROS))
    await faulty_store.stalled.wait()
    assert (await others.get("t1")).state is BetState.PENDING
    clock.advance(ms=2 * RULES.timeout_ms + 5_000)

    assert (await others.settle("t1")).state is BetState.ROLLED_BACK
    faulty_store.stalls_after.set()
    assert (await making).state is BetState.ROLLED_BACK
    assert agent.asked("makeBet") == [], "who stood still for so long does not send it any more"


async def test_another_process_takes_back_what_was_sent_and_not_brought_to_its_outcome(
    faulty_store: FaultInjectingStore, dying: Table, others: Table, agent: Agent, clock: ManualClock
) -> None:
    agent.fault(makeBet="held")
    making = asyncio.create_task(dying.bet("t1", 5 * MICROS))
    await agent.until(lambda: agent.asked("makeBet"))
    faulty_store.stalls_before = asyncio.Event()
    agent.release()
    await faulty_store.stalled.wait()
    assert agent.balance() == agent.OPENING - 5 * MICROS
    await others.world.engine.sweep()
    assert (await others.get("t1")).state is BetState.PENDING, "it is not given up yet"
    clock.advance(ms=2 * RULES.timeout_ms + 5_000)

    assert (await others.settle("t1")).state is BetState.ROLLED_BACK
    assert agent.balance() == agent.OPENING
    faulty_store.stalls_before.set()
    assert result_of(await making) is Result.ROLLED_BACK


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/", "https://10.0.0.1/x", "https://[::1]/", "http://192.0.2.1/", "ftp://a/"]
)
async def test_private_addresses_are_not_called(make_table: TableMaker, agent: Agent, url: str) -> None:
    table = await make_table(url=url if url.startswith("http") else "", networks=())

    bet = await table.bet("t1", MICROS)

    assert (bet.state, bet.agent_error) == (BetState.ROLLED_BACK, "not_sent")
    assert agent.asked() == []


async def test_an_agent_without_url_or_token_has_no_wallet(table: Table, agent: Agent) -> None:
    nowhere = AgentMessage(id=1, name="Agent One", games=[123])
    await table.world.provision(Provisioning(agents=[nowhere]))

    with pytest.raises(NoWallet):
        await table.bet("t1", MICROS)
    with pytest.raises(NoWallet):
        await table.wallet.balance(World.GAME, table.session_id)
    assert agent.asked() == []


async def test_neither_the_url_nor_a_body_is_logged(table: Table, agent: Agent, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "playclock")
    agent.fault(makeBet="5xx_after", rollback="lost", getBalance="unreadable")
    for number in range(6):
        with suppress(AgentAway):
            await table.bet(f"t{number}", MICROS)
    await table.world.engine.sweep()

    assert "an agent does not answer" in caplog.text
    assert URL_SECRET not in caplog.text
    assert agent.player not in caplog.text


def test_the_rules_say_how_long() -> None:
    assert WalletRules() == WalletRules(
        timeout_ms=5_000,
        rollback_pause_ms=5_000,
        rollback_pause_max_ms=600_000,
        unknown_after_ms=60_000,
        bet_retention_ms=2_592_000_000,
    )
