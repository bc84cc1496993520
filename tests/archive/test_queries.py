"""What users of the archive ask: pages, filters, sums by the days of a time zone."""

from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest
from playclock.archive.archive import Archive
from playclock.archive.schema import settlements
from playclock.core.settlement import FIRST_HASH, Settlement
from playclock.engine.history import Filter, Grouping
from playclock.errors import BadRequest
from sqlalchemy import insert

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str, fold: int = 0) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold).timestamp() * 1000)


def made(number: int, ended_ms: int, currency: str = "EUR") -> Settlement:
    return Settlement(
        game_session_id=f"gs_{number}",
        game_id=f"game-{number % 2}",
        account_id=f"account-{number % 3}",
        cafe_id=f"cafe-{number % 5}",
        provider_user_id="player",
        started_ms=ended_ms - 60_000,
        ended_ms=ended_ms,
        end_reason="CLIENT_END",
        play_duration_sec=60,
        client_play_duration_sec=None,
        billed_sec=60,
        grace_sec=0,
        unproven_sec=0,
        amount_micros=1 << 40,
        currency=currency,
        tariff="standard",
        previous_hash=FIRST_HASH,
        hash=FIRST_HASH,
    )


async def file(archive: Archive, *filed: Settlement) -> list[Settlement]:
    values = [msgspec.structs.asdict(each) for each in filed]
    await archive.database.run(lambda connection: connection.execute(insert(settlements), values) and None)
    return list(filed)


async def test_pages_together_are_the_list_and_the_export(archive: Archive) -> None:
    filed = await file(archive, *(made(number, number * 1_000) for number in range(25)))
    token, listed = "", []
    for size in (10, 10, 5):
        page, token = await archive.settlements(Filter(), page_token=token, limit=10)
        assert len(page) == size
        listed += page
    assert token == ""
    assert listed == filed == [each async for each in archive.export(Filter())]


@pytest.mark.parametrize(
    "chosen",
    [
        Filter(account_id="account-1"),
        Filter(game_id="game-1", cafe_id="cafe-3"),
        Filter(from_ms=5_000, until_ms=9_000),
        Filter(from_ms=-(1 << 80), until_ms=1 << 80),
        Filter(account_id="nobody"),
    ],
)
async def test_a_filter_lets_through_what_it_names(archive: Archive, chosen: Filter) -> None:
    filed = await file(archive, *(made(number, number * 1_000) for number in range(25)))
    expected = [
        each
        for each in filed
        if all(value in ("", getattr(each, name)) for name, value in list(msgspec.structs.asdict(chosen).items())[:3])
        and (chosen.from_ms is None or each.ended_ms >= chosen.from_ms)
        and (chosen.until_ms is None or each.ended_ms < chosen.until_ms)
    ]
    assert (await archive.settlements(chosen, page_token="", limit=100))[0] == expected
    assert [each async for each in archive.export(chosen)] == expected


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-11-20", 24)])
async def test_a_day_is_as_long_as_it_is_in_its_time_zone(archive: Archive, day: str, hours: int) -> None:
    begin_ms = at(f"{day}T00:00")
    filed = [made(hour + 3, begin_ms + hour * 3_600_000) for hour in range(-3, 30)]
    await file(archive, *filed, made(99, begin_ms + hours * 3_600_000 - 1), made(98, begin_ms - 1))
    sums = await archive.summarize(Filter(), group_by=[Grouping.DAY], time_zone="Europe/Berlin")
    (found,) = [each for each in sums if each.period == day]
    assert (found.session_count, found.amount_micros) == (hours + 1, (hours + 1) << 40)
    assert sum(each.session_count for each in sums) == 35


async def test_sums_are_by_group_and_currency_in_order(archive: Archive) -> None:
    moment = at("2026-11-30T23:30")
    await file(archive, *(made(number, moment + number * 3_600_000, "KRW" if number > 6 else "EUR") for number in range(10)))
    sums = await archive.summarize(Filter(), group_by=[Grouping.MONTH, Grouping.GAME], time_zone="Europe/Berlin")
    assert [(each.period, each.game_id, each.currency, each.session_count) for each in sums] == [
        ("2026-11", "game-0", "EUR", 1),
        ("2026-12", "game-0", "EUR", 3),
        ("2026-12", "game-0", "KRW", 1),
        ("2026-12", "game-1", "EUR", 3),
        ("2026-12", "game-1", "KRW", 2),
    ]
    total = await archive.summarize(Filter(cafe_id="cafe-1"), group_by=[], time_zone="UTC")
    assert [(each.currency, each.session_count, each.cafe_id) for each in total] == [("EUR", 2, "")]


@pytest.mark.parametrize("time_zone", ["Europe/Nowhere", "", "../../etc/passwd", "Europe", "UTC\0"])
async def test_what_is_no_time_zone_is_refused(archive: Archive, time_zone: str) -> None:
    with pytest.raises(BadRequest, match="time_zone"):
        await archive.summarize(Filter(), group_by=[Grouping.DAY], time_zone=time_zone)


async def test_a_day_with_a_month_is_refused(archive: Archive) -> None:
    with pytest.raises(BadRequest, match="group_by"):
        await archive.summarize(Filter(), group_by=[Grouping.DAY, Grouping.MONTH], time_zone="UTC")


async def test_what_is_no_page_token_or_of_another_list_is_refused(archive: Archive) -> None:
    await file(archive, made(1, 1), made(2, 2))
    _, token = await archive.settlements(Filter(), page_token="", limit=1)
    for bad in ("x", "AAAA", token[:-2], "é"):
        with pytest.raises(BadRequest, match="page_token"):
            await archive.settlements(Filter(), page_token=bad, limit=1)
    with pytest.raises(BadRequest, match="page_token"):
        await archive.entries("account-1", page_token=token, limit=1)
