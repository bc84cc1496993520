"""Messages that could name all games: bounded however many there are and however much they hold."""

from typing import TYPE_CHECKING

from msgspec.structs import replace
from playclock.core.catalog import Game
from playclock.v1 import GetProvisioningRequest, Provisioning, StartLaunchRequest, Tariff

if TYPE_CHECKING:
    from tests.conftest import World
    from tests.rpc.conftest import Rpc

URL = "https://example.com/".ljust(2_048, "x")


def fill(world: "World", count: int) -> list[Game]:
    """Put in so many games, as large as they may be, and return all, by number."""
    catalog = world.engine.context.catalog
    plain = next(iter(catalog.games.values()))
    catalog.take(
        [
            replace(
                plain,
                id=f"{number:08x}-2222-4333-8444-555555555555",
                number=number,
                name=f"{number % 7} ".ljust(200, "\U0001f600"),
                brand="\U0001f600" * 200,
                image_url=URL,
                play_url=URL,
                demo_url=URL,
                is_hidden=number % 5 == 0,
            )
            for number in range(10_000, 10_000 + count)
        ],
        catalog.revision,
    )
    return sorted(catalog.games.values(), key=lambda game: game.number)


async def test_the_estate_is_shown_page_by_page_and_all_but_games_once(world: "World", rpc: "Rpc") -> None:
    await world.provision(Provisioning(tariffs=[Tariff(id="shown", currency="GCOIN", unit_sec=60, price_micros=1)]))
    numbers = [game.number for game in fill(world, 1_000)]
    for page_size, expected in ((0, 400), (10_000, 400), (350, 350)):
        token, found = "", list[int]()
        while not found or token:
            request = GetProvisioningRequest(page_size=page_size, page_token=token)
            shown = await rpc.provisioning.GetProvisioning(request, metadata=rpc.OPERATOR)
            assert any(tariff.id == "shown" for tariff in shown.provisioning.tariffs) == (not found)
            page = [game.number for game in shown.provisioning.games]
            assert page == numbers[len(found) : len(found) + expected]
            found, token = found + page, shown.next_page_token
        assert found == numbers


async def test_a_page_that_nobody_can_have_asked_for_is_refused(rpc: "Rpc") -> None:
    for wrong, field in (
        (GetProvisioningRequest(page_size=-1), "page_size"),
        (GetProvisioningRequest(page_token="?"), "page_token"),
    ):
        failed = await rpc.failure(rpc.provisioning.GetProvisioning(wrong, metadata=rpc.OPERATOR))
        assert (failed.reason, failed.violations) == ("BAD_REQUEST", (field,))


async def test_a_launcher_hears_of_the_first_thousand_games_by_name_that_are_not_hidden(world: "World", rpc: "Rpc") -> None:
    visible = [game for game in fill(world, 1_500) if game.is_visible]
    visible.sort(key=lambda game: (game.name.casefold(), game.id))
    start = StartLaunchRequest(pc_id="pc-1", internal_ip="192.168.0.1", external_ip=world.PAYING)
    launch = await rpc.launches.StartLaunch(start, metadata=rpc.OPERATOR)
    assert [game.game_id for game in launch.games] == [game.id for game in visible[:1_000]]
