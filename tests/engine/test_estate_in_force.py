"""The estate: applied as a whole or not at all, credited once, in force in every process as soon as that looks."""

import asyncio
from typing import TYPE_CHECKING

import pytest
from playclock.clock import ManualClock
from playclock.core.answers import Opened, Refused
from playclock.core.catalog import Game
from playclock.core.charge import Account
from playclock.core.estate import AccountPlan, Cafe, Launcher, MatchClient, Resource, hash_key
from playclock.core.ott import Refusal
from playclock.core.tariff import Rounding, Tariff
from playclock.engine import Caller, Role
from playclock.errors import BadRequest, InvalidApiKey, NotPcCafe, TooMuchContention
from playclock.stores.base import Store

if TYPE_CHECKING:
    from tests.conftest import EngineMaker, Restart, StoreOpener, World

GAME_ID = "11111111-2222-4333-8444-555555555555"


def game(id_: str = GAME_ID, *, number: int = 7, keys: tuple[str, ...] = ("key-7",), name: str = "Seven") -> Game:
    hashes = tuple(hash_key(key) for key in keys)
    return Game(id=id_, number=number, name=name, brand="", image_url="", play_url="", demo_url="", api_key_hashes=hashes)


def cafe(id_: str = "cafe-7", network: str = "198.51.7.0/24", *, account: str | None = None, tariff: str | None = None) -> Cafe:
    return Cafe(id=id_, name=id_, networks=(network,), account_id=account, tariff_id=tariff)


def plan(id_: str = "account-7", opening_micros: int = 7_000_000, *, currency: str = "GCOIN") -> AccountPlan:
    return AccountPlan(id=id_, currency=currency, opening_balance_micros=opening_micros)


def tariff(id_: str = "tariff-7", price_micros: int = 1_000_000, *, currency: str = "GCOIN") -> Tariff:
    return Tariff(id_, currency, 60_000, price_micros, Rounding.STARTED_UNIT)


class TestApply:
    async def test_it_says_what_it_created_and_what_it_changed(self, world: "World") -> None:
        estate = world.engine.estate
        first = await estate.apply([game(), plan(), tariff(), cafe(account="account-7", tariff="tariff-7")])
        assert first.created == [f"game/{GAME_ID}", "account/account-7", "tariff/tariff-7", "cafe/cafe-7"]
        assert first.updated == []
        second = await estate.apply([game(name="Eight"), cafe("cafe-8", "198.51.8.0/24"), tariff()])
        assert (second.created, second.updated) == (["cafe/cafe-8"], [f"game/{GAME_ID}"])
        assert second.revision == first.revision + 1

    async def test_a_second_time_changes_nothing(self, world: "World") -> None:
        revision = world.engine.context.estate.revision
        records = await world.engine.store.get(["00:directory:estate"])
        for _ in range(3):
            await world.provision()
        assert world.engine.context.estate.revision == revision
        assert await world.engine.store.get(["00:directory:estate"]) == records

    async def test_only_looking_changes_nothing_either(self, world: "World", elsewhere: "World") -> None:
        estate = world.engine.estate
        changes = await estate.apply([game(), plan()], validate_only=True)
        assert changes.created == [f"game/{GAME_ID}", "account/account-7"]
        assert GAME_ID not in world.engine.context.catalog.games
        await elsewhere.engine.estate.refresh()
        assert GAME_ID not in elsewhere.engine.context.catalog.games
        with pytest.raises(AssertionError):
            await world.account("account-7")

    async def test_what_is_not_named_stays(self, world: "World") -> None:
        await world.engine.estate.apply([game()])
        assert set(world.engine.context.catalog.games) == {GAME_ID, world.GAME_ID, world.OTHER_GAME_ID}
        assert isinstance(await world.redeem(await world.ott()), Opened)

    @pytest.mark.parametrize(
        ("resources", "culprit"),
        [
            ([cafe(account="nobody", tariff="standard")], "cafe/cafe-7"),
            ([cafe(account="cafe-1", tariff="none")], "cafe/cafe-7"),
            ([cafe(account="cafe-1")], "cafe/cafe-7"),
            ([cafe(tariff="standard")], "cafe/cafe-7"),
            ([plan(currency="KRW"), cafe(account="account-7", tariff="standard")], "cafe/cafe-7"),
            ([cafe(network="127.0.0.0/8")], "cafe/cafe-7"),
            ([game(keys=("the-key-of-the-game",))], f"game/{GAME_ID}"),
            ([game(number=123)], f"game/{GAME_ID}"),
            ([tariff("standard", currency="KRW")], "cafe/cafe-1"),
            ([MatchClient(id="m", secrets=(b"s",), game_id=GAME_ID, match_info_url="")], "match_client/m"),
        ],
    )
    async def test_what_does_not_fit_together_is_refused_as_a_whole(
        self, world: "World", resources: list[Resource], culprit: str
    ) -> None:
        revision = world.engine.context.estate.revision
        with pytest.raises(BadRequest) as refusal:
            await world.engine.estate.apply([Launcher(id="innocent", secrets=(b"s",)), *resources])
        assert list(refusal.value.violations) == [culprit]
        await world.engine.estate.refresh()
        assert world.engine.context.estate.revision == revision
        assert "innocent" not in world.engine.context.estate.launchers

    async def test_changes_of_two_processes_at_once_are_all_kept(self, world: "World", elsewhere: "World") -> None:
        games = [
            game(f"{number:08d}-2222-4333-8444-555555555555", number=number, keys=(f"key-{number}",)) for number in range(1, 9)
        ]
        await asyncio.gather(*((world, elsewhere)[number % 2].engine.estate.apply([each]) for number, each in enumerate(games)))
        for there in (world, elsewhere):
            await there.engine.estate.refresh()
            assert {each.id for each in games} <= set(there.engine.context.catalog.games)


class TestOpeningBalance:
    async def test_it_is_credited_once(self, world: "World", elsewhere: "World", clock: ManualClock) -> None:
        session = await world.open()
        clock.advance(1)
        await world.end(session)
        spent = await world.account()
        assert spent.balance_micros == world.OPENING_MICROS - 1_000_000
        await world.provision()
        await elsewhere.provision()
        await world.engine.estate.apply([plan("cafe-1", 900_000_000)])
        await world.engine.estate.apply([plan("cafe-1", world.OPENING_MICROS)])
        assert await world.account() == spent

    async def test_it_is_credited_once_by_two_processes_at_once(self, world: "World", elsewhere: "World") -> None:
        await asyncio.gather(*(each.engine.estate.apply([plan()]) for each in (world, elsewhere) for _ in range(5)))
        assert await world.account("account-7") == Account("account-7", "GCOIN", 7_000_000, 0)

    async def test_a_change_that_is_refused_credits_nothing(self, world: "World") -> None:
        with pytest.raises(BadRequest):
            await world.engine.estate.apply([plan(), cafe(account="account-7", tariff="none")])
        with pytest.raises(AssertionError):
            await world.account("account-7")


class TestCurrency:
    async def test_of_an_account_that_nobody_used_it_is_changed(self, world: "World") -> None:
        await world.engine.estate.apply([plan(opening_micros=0)])
        await world.engine.estate.apply([plan(opening_micros=0, currency="KRW")])
        assert (await world.account("account-7")).currency == "KRW"
        changed = await world.engine.estate.apply([plan(opening_micros=0, currency="GCOIN")])
        assert changed.updated == ["account/account-7"]
        assert await world.account("account-7") == Account("account-7", "GCOIN", 0, 0, is_untouched=True)

    async def test_of_one_that_was_paid_into_it_stays_even_if_all_is_gone(self, world: "World") -> None:
        accounts = world.engine.accounts
        await world.engine.estate.apply([plan(), plan("account-8", opening_micros=0)])
        booked = await accounts.top_up(world.OPERATOR, "account-8", 5, request_id="r")
        await accounts.reverse(world.OPERATOR, "account-8", booked.transfer_id)
        revision = world.engine.context.estate.revision
        for account_id in ("account-7", "account-8"):
            for validate_only in (True, False):
                with pytest.raises(BadRequest) as refusal:
                    await world.engine.estate.apply([game(), plan(account_id, currency="KRW")], validate_only=validate_only)
                assert list(refusal.value.violations) == [f"account/{account_id}"]
                assert "has been used in GCOIN" in refusal.value.message
            assert (await world.account(account_id)).currency == "GCOIN"
        await world.engine.estate.refresh()
        assert world.engine.context.estate.revision == revision

    async def test_of_one_on_which_a_session_was_opened_it_stays(self, world: "World") -> None:
        free = tariff("free", 0)
        await world.engine.estate.apply([plan(opening_micros=0), free, cafe(account="account-7", tariff="free")])
        await world.end(await world.open(at="198.51.7.1"))
        with pytest.raises(BadRequest):
            await world.engine.estate.apply([plan(currency="KRW"), tariff("free", 0, currency="KRW")])

    async def test_a_launch_from_before_cannot_open_a_session_in_the_old_one(self, world: "World", elsewhere: "World") -> None:
        await world.engine.estate.apply([plan(opening_micros=0), tariff("old", 0), cafe(account="account-7", tariff="old")])
        await elsewhere.engine.estate.refresh()
        before, other = await world.ott(at="198.51.7.1"), await elsewhere.ott(pc="pc-2", at="198.51.7.1")
        renamed, new = plan(opening_micros=0, currency="KRW"), tariff("new", 0, currency="KRW")
        await world.engine.estate.apply([renamed, new, cafe(account="account-7", tariff="new")])
        for there, ott in ((world, before), (elsewhere, other)):
            assert await there.redeem(ott) == Refused(Refusal.NOT_CHARGEABLE)
        assert isinstance(await world.redeem(await world.ott(at="198.51.7.1")), Opened)

    async def test_of_one_that_is_used_meanwhile_it_stays(self, world: "World", elsewhere: "World") -> None:
        for number in range(8):
            account = f"account-{number}"
            await world.engine.estate.apply([plan(account, opening_micros=0)])
            answers = await asyncio.gather(
                world.engine.estate.apply([plan(account, opening_micros=0, currency="KRW")]),
                elsewhere.engine.accounts.top_up(world.OPERATOR, account, 5, request_id=account),
                return_exceptions=True,
            )
            currency = (await world.account(account)).currency
            assert isinstance(answers[0], BadRequest) is (currency == "GCOIN")
            assert world.engine.context.estate.plans[account].currency == currency


class TestInForce:
    async def test_another_process_follows_when_it_looks(self, world: "World", elsewhere: "World") -> None:
        await world.engine.estate.apply([game(), cafe()])
        with pytest.raises(InvalidApiKey):
            elsewhere.engine.callers.game("key-7")
        with pytest.raises(NotPcCafe):
            await elsewhere.start(at="198.51.7.1")
        await elsewhere.engine.estate.refresh()
        assert elsewhere.engine.callers.game("key-7") == Caller(Role.GAME, GAME_ID)
        await elsewhere.start(at="198.51.7.1")

    async def test_a_key_that_is_taken_away_is_worth_nothing(self, world: "World", elsewhere: "World") -> None:
        await world.engine.estate.apply([game(keys=("old", "new"))])
        await world.engine.estate.apply([game(keys=("new",))])
        await elsewhere.engine.estate.refresh()
        for there in (world, elsewhere):
            assert there.engine.callers.game("new").id == GAME_ID
            with pytest.raises(InvalidApiKey):
                there.engine.callers.game("old")

    async def test_it_is_there_after_a_restart(self, world: "World", restart: "Restart") -> None:
        await world.engine.estate.apply([game()])
        again = await restart()
        assert again.engine.context.estate.resources == world.engine.context.estate.resources
        assert again.engine.context.catalog.games == world.engine.context.catalog.games
        assert again.engine.context.estate.revision == world.engine.context.estate.revision

    async def test_a_session_keeps_the_price_with_which_it_began(self, world: "World", clock: ManualClock) -> None:
        session = await world.open("pc-1")
        await world.engine.estate.apply([tariff("standard", 9_000_000)])
        later = await world.open("pc-2")
        clock.advance(60)
        bills = [(await world.end(each)).charge for each in (session, later)]
        assert [bill.billed_micros for bill in bills if bill] == [1_000_000, 9_000_000]

    async def test_the_narrowest_network_counts(self, world: "World") -> None:
        await world.engine.estate.apply([cafe("room", "127.0.7.0/24"), cafe("seat", "127.0.7.7/32")])
        for address, expected in (("127.0.7.7", "seat"), ("127.0.7.8", "room"), ("127.0.8.1", "cafe-1")):
            session = await world.open(at=address)
            assert (await world.stored(session)).cafe_id == expected

    async def test_a_process_that_does_not_know_a_new_tariff_yet_asks_for_patience(
        self, world: "World", elsewhere: "World"
    ) -> None:
        await world.engine.estate.apply([plan(), tariff(), cafe(account="account-7", tariff="tariff-7")])
        ott = await world.ott(at="198.51.7.1")
        with pytest.raises(TooMuchContention):
            await elsewhere.redeem(ott)
        await elsewhere.engine.estate.refresh()
        assert isinstance(await elsewhere.redeem(ott), Opened)
        assert await world.redeem(ott) == Refused(Refusal.ALREADY_USED)


async def test_an_engine_begins_with_what_is_in_the_store(
    world: "World", make_engine: "EngineMaker", open_again: "StoreOpener", store: Store
) -> None:
    assert store is world.engine.store
    again = await make_engine(await open_again())
    assert again.context.estate.resources == world.engine.context.estate.resources
