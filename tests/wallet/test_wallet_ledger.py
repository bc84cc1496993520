"""What the ledger has of bets: each once, in legs that sum to zero, also in the archive; and who did it in another's stead."""

import random
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest
from playclock.archive.urls import open_archive
from playclock.clock import ManualClock
from playclock.core.ledger import Transfer, TransferKind
from playclock.core.outbox import Audit, OutboxEvent, decode
from playclock.core.wallet import Bet, BetState, Result, WalletRules, is_waiting, result_of
from playclock.errors import AgentAway, BetClosed, SessionEnded
from playclock.stores.base import PARTITIONS, Store

from tests.conftest import StoreOpener, World, WorldMaker
from tests.wallet.conftest import MICROS, RULES, Agent, PosterMaker, Table, TableMaker, seat

QUICK = WalletRules(timeout_ms=RULES.timeout_ms, unknown_after_ms=1_000, rollback_pause_ms=1_000)


async def told(store: Store) -> list[OutboxEvent]:
    """Return what lies in the outbox."""
    return [decode(event.data) for event in await store.events(dict.fromkeys(range(PARTITIONS), 0), 100_000)]


async def transfers(store: Store) -> list[Transfer]:
    kinds = (TransferKind.BET, TransferKind.BET_ROLLBACK)
    return [event for event in await told(store) if isinstance(event, Transfer) and event.kind in kinds]


def sums(booked: list[Transfer]) -> Counter[str]:
    found: Counter[str] = Counter()
    for transfer in booked:
        assert sum(leg.amount_micros for leg in transfer.legs) == 0
        for leg in transfer.legs:
            found[leg.ledger_account] += leg.amount_micros
    return found


async def test_bets_are_booked_once_and_what_is_taken_back_is_reversed(table: Table, agent: Agent, store: Store) -> None:
    accepted = await table.bet("t1", 5 * MICROS, 2 * MICROS)
    await table.bet("t1", 5 * MICROS, 2 * MICROS)
    await table.bet("t2", 2_000 * MICROS)
    agent.fault(makeBet="lost")
    await table.bet("t3", MICROS)
    agent.fault()
    await table.settle("t3")

    (booked,) = await transfers(store)
    assert (booked.id, booked.session_id, booked.account_id) == (f"bet/{accepted.id}", table.session_id, "agent/1")
    game = World.GAME_ID
    assert sums([booked]) == {"agent/1/EUR": -3 * MICROS, f"bets/{game}": 5 * MICROS, f"wins/{game}": -2 * MICROS}

    await table.roll_back("t1")
    await table.roll_back("t1")
    _, back = await transfers(store)
    assert (back.kind, back.reverses) == (TransferKind.BET_ROLLBACK, booked.id)
    assert set(sums([booked, back]).values()) == {0}


async def test_a_rollback_is_booked_when_it_is_confirmed_and_not_before(table: Table, agent: Agent, store: Store) -> None:
    await table.bet("t1", 5 * MICROS)
    agent.fault(rollback="5xx_before")
    await table.roll_back("t1")
    assert [each.kind for each in await transfers(store)] == [TransferKind.BET]
    agent.fault()
    await table.settle("t1")

    assert [each.kind for each in await transfers(store)] == [TransferKind.BET, TransferKind.BET_ROLLBACK]


async def test_what_an_operator_does_is_on_the_audit_trail(table: Table, store: Store) -> None:
    by_game = await table.bet("t1", MICROS)
    bet = await table.bet("t2", MICROS, caller=World.OPERATOR)
    await table.roll_back("t2", caller=World.OPERATOR)
    await table.roll_back("t1")

    found = [(each.action, each.target, each.detail) for each in await told(store) if isinstance(each, Audit)]
    assert [each for each in found if "Bet" in each[0]] == [
        ("MakeBet", table.session_id, bet.id),
        ("RollbackBet", table.session_id, bet.id),
    ]
    assert by_game.id not in str(found)


async def test_the_archive_has_each_leg(store: Store, make_world: WorldMaker, make_poster: PosterMaker, agent: Agent) -> None:
    archive = await open_archive("sqlite://", store)
    world = await make_world(store, wallet=RULES, post=make_poster(), archive=archive)
    await world.provision()
    table = await seat(world, agent.url, agent.player)
    bet = await table.bet("t1", 5 * MICROS, 2 * MICROS)
    await table.roll_back("t1")
    await world.engine.sweep()

    entries, _ = await archive.history.entries("agent/1", page_token="", limit=100)
    await archive.close()

    assert {entry.game_session_id for entry in entries} == {table.session_id}
    assert [(entry.transfer_id, entry.kind, entry.amount_micros) for entry in entries][:4] == [
        (f"bet/{bet.id}", "BET", -5 * MICROS),
        (f"bet/{bet.id}", "BET", 5 * MICROS),
        (f"bet/{bet.id}", "BET", -2 * MICROS),
        (f"bet/{bet.id}", "BET", 2 * MICROS),
    ]
    assert sum(entry.amount_micros for entry in entries) == 0
    assert len(entries) == 8


class Run:
    """Bets, wins, repeats and rollbacks in an order that a seed decides, while the agent fails as it likes."""

    FAULTS = ("", "", "", "gone", "lost", "5xx_before", "5xx_after", "unreadable", "refuse", "twice", "repeated")

    def __init__(self, seed: int, tables: list[Table], agent: Agent) -> None:
        self.chance = random.Random(seed)
        self.tables = tables
        self.agent = agent
        self.made: dict[str, dict[str, Any]] = {}
        self.answers: dict[str, set[Result | None]] = {}

    async def step(self) -> None:
        chance, table = self.chance, self.chance.choice(self.tables)
        self.agent.fault(makeBet=chance.choice(self.FAULTS), rollback=chance.choice(self.FAULTS))
        clock = table.world.engine.clock
        assert isinstance(clock, ManualClock)
        match chance.randrange(10):
            case 0 | 1 if self.made:
                with suppress(BetClosed, AgentAway):
                    await table.roll_back(chance.choice(list(self.made)))
            case 2 if self.made:
                await self._bet(table, chance.choice(list(self.made)))
            case 3:
                clock.advance(ms=chance.randrange(1, 40_000))
                await table.world.engine.sweep()
            case _:
                transaction_id = f"t{len(self.made)}"
                self.made[transaction_id] = {
                    "bet": chance.choice((0, 1, chance.randrange(10**9))),
                    "win": chance.choice((0, 0, chance.randrange(10**9))),
                    "round_id": f"r{chance.randrange(6)}",
                }
                await self._bet(table, transaction_id)

    async def _bet(self, table: Table, transaction_id: str) -> None:
        with suppress(AgentAway, SessionEnded):
            bet = await table.bet(transaction_id, **self.made[transaction_id])
            self.answers.setdefault(transaction_id, set()).add(result_of(bet))

    async def settle(self) -> list[Bet]:
        """Let the agent be well, and time go by until nothing waits."""
        self.agent.fault()
        table = self.tables[0]
        clock = table.world.engine.clock
        assert isinstance(clock, ManualClock)
        for _ in range(40):
            clock.advance(ms=RULES.rollback_pause_max_ms)
            await table.world.engine.sweep()
            bets, _ = await table.wallet.list(World.OPERATOR, table.session_id, page_size=1_000, page_token="")
            if not any(map(is_waiting, bets)):
                return bets
        raise AssertionError("a bet waits for ever")


@pytest.fixture
async def tables(
    make_table: TableMaker, open_again: StoreOpener, make_world: WorldMaker, make_poster: PosterMaker
) -> list[Table]:
    """Return a session as two processes see it."""
    table = await make_table(QUICK)
    return [table, table.at(await make_world(await open_again(), wallet=QUICK, post=make_poster()))]


@pytest.mark.parametrize("seed", range(3))
async def test_the_agents_book_and_our_ledger_agree_to_the_micro(
    seed: int, store: Store, tables: list[Table], agent: Agent
) -> None:
    run = Run(seed, tables, agent)
    for _ in range(60):
        await run.step()
    bets = await run.settle()

    assert {bet.transaction_id for bet in bets} == set(run.answers)
    assert {len(answers) for answers in run.answers.values()} == {1}, "a repeat hears the first answer"
    assert {bet.state for bet in bets} == {BetState.ACCEPTED, BetState.REFUSED, BetState.ROLLED_BACK}
    booked = sums(await transfers(store))
    counted = [bet for bet in bets if bet.state is BetState.ACCEPTED]
    assert booked["agent/1/EUR"] == agent.balance() - agent.OPENING == sum(bet.win_micros - bet.bet_micros for bet in counted)
    assert booked[f"bets/{World.GAME_ID}"] == sum(bet.bet_micros for bet in counted)
    assert booked[f"wins/{World.GAME_ID}"] == -sum(bet.win_micros for bet in counted)
    assert sum(booked.values()) == 0
    # By transaction, too: what counts for one counts for the other.
    theirs = {name for name, each in agent.transactions().items() if not each["is_rolled_back"]}
    assert theirs == {bet.id for bet in counted}
