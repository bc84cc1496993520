"""What developers do with their games, on every store."""

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf.message import Message
from playclock.v1 import (
    BatchGetPublicGamesRequest,
    GameFields,
    GetPublicGameRequest,
    RegisterGameRequest,
    RewardsSplit,
    UpdateRegisteredGameRequest,
)

from tests.audit_trail import trail
from tests.developers.callers import ANN, BEN, FIELDS, Games
from tests.rpc.conftest import Failed, Rpc

if TYPE_CHECKING:
    from tests.conftest import World

FULL: dict[str, Any] = {
    "html_game": True,
    "iframable": True,
    "cover_image_url": "https://cdn.example.com/c.webp",
    "twitter": "https://twitter.com/awesomegame",
    "discord": "https://discord.gg/awesomegame",
    "telegram": "@awesomegame",
    "max_score_per_session": 1_000,
    "max_sessions_per_day": 10,
    "max_cumulative_points_per_day": 5_000,
    "hidden": True,
    "jwks_url": "https://mygame.example.com/jwks.json",
}
PLATFORMS = ["WEB", "DESKTOP", "MOBILE", "CONSOLE", "web", "ios", "android", "steam", "itch", "epic", "HTML", "External_Url"]
NOBODY = "770e8400-e29b-41d4-a716-446655440002"
WALLET = "sol:9qdvVLY3vLhmvV7uBkLJsQKcHDjxhoUWJ9uZASYEfwwC"


async def refused(call: Awaitable[object]) -> Failed:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return Rpc.unpacked(caught.value)


def split(**shares: int) -> RewardsSplit:
    return RewardsSplit(shares=shares)


class TestRegistering:
    async def test_a_game_has_all_that_was_said_and_is_its_creators(self, games: Games) -> None:
        made = await games.register(**FULL)
        assert {field: getattr(made, field) for field in FIELDS | FULL} == FIELDS | FULL
        assert (made.creator_id, made.owner_id, made.ownership_validated) == (ANN, "", False)
        assert dict(made.org_rewards_split) == {ANN: 10_000}
        assert (await games.public.GetPublicGame(GetPublicGameRequest(game_id=made.id))).game == made

    async def test_what_is_not_said_is_as_documented(self, games: Games) -> None:
        made = await games.register()
        assert not any(getattr(made, field) for field in FULL)
        assert await games.mine(ANN) == [FIELDS["name"]]
        assert await games.mine(BEN) == []

    @pytest.mark.parametrize("platform", PLATFORMS)
    async def test_every_platform_of_every_source_is_known_in_any_case(self, games: Games, platform: str) -> None:
        assert (await games.register(platform=platform)).platform == platform.upper()

    @pytest.mark.parametrize("field", FIELDS)
    async def test_what_is_required_is_named_where_it_is_missing(self, games: Games, field: str) -> None:
        failed = await refused(games.register(**{field: ""}))
        assert (failed.code, failed.violations) == (grpc.StatusCode.INVALID_ARGUMENT, (field,))
        assert failed.descriptions == ("No image provided" if field == "image_url" else "is required",)
        assert await games.mine(ANN) == []

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("platform", "AMIGA"),
            ("play_url", "javascript:alert(1)"),
            ("image_url", "//evil.example/x.png"),
            ("twitter", "javascript:alert(1)"),
            ("max_sessions_per_day", -1),
            ("org_rewards_split", split(**{WALLET: 9_999})),
        ],
    )
    async def test_a_bad_value_is_named_at_registration_and_change(self, games: Games, field: str, value: object) -> None:
        made = await games.register()
        fields: dict[str, Any] = {field: value}
        for call in (games.register(**fields), games.update(ANN, made.id, **fields)):
            assert (await refused(call)).violations == (field,)
        assert await games.mine(ANN) == [made.name]

    @pytest.mark.parametrize(
        ("shares", "message"),
        [
            ({"x:ann": 6_000, "x:ben": 3_000}, "Total org rewards split must equal 10000 bps"),
            ({"x:ann": 6_000, "x:ben": 5_000}, "Total org rewards split exceeds 10000 bps"),
            ({"invalid-id": 10_000}, "Unable to resolve playerId: invalid-id"),
        ],
    )
    async def test_a_wrong_split_is_refused_to_the_letter(self, games: Games, shares: dict[str, int], message: str) -> None:
        failed = await refused(games.register(org_rewards_split=split(**shares)))
        assert failed.descriptions == (message,)

    async def test_one_signature_registers_one_game_and_no_other(self, games: Games) -> None:
        made = await asyncio.gather(*(games.register(once="r") for _ in range(3)))
        assert len({game.id for game in made}) == 1
        assert (await refused(games.register(once="r", name="Other"))).reason == "REQUEST_ID_REUSED"
        assert await games.mine(ANN) == [made[0].name]

    async def test_a_developer_acts_for_himself_and_others_say_for_whom(self, games: Games) -> None:
        for_ben = RegisterGameRequest(fields=GameFields(**FIELDS), developer_id=BEN)
        failed = await refused(games.public.RegisterGame(for_ben, metadata=games.signed(ANN)))
        assert failed.code == grpc.StatusCode.PERMISSION_DENIED
        assert (await games.operator.RegisterGame(for_ben)).game.creator_id == BEN
        for nobody in ("", "x", FIELDS["name"], NOBODY):
            for_ben.developer_id = nobody
            assert (await refused(games.operator.RegisterGame(for_ben))).violations == ("developer_id",)


class TestChanging:
    @pytest.mark.parametrize("field", sorted(FIELDS | FULL))
    async def test_each_field_can_be_changed_by_itself(self, games: Games, field: str) -> None:
        before = await games.register()
        value: Any = {"name": "Other", "description": "Else", "play_url": "https://b.example/", "platform": "IOS"}.get(
            field, (FULL | {"image_url": "https://cdn.example.com/i.png"}).get(field)
        )
        fields: dict[str, Any] = {field: value}
        after = await games.update(ANN, before.id, **fields)
        assert getattr(after, field) == value
        assert changed(before, after) == {field, "revision"}

    @pytest.mark.parametrize("field", sorted(FIELDS))
    async def test_what_is_required_cannot_be_taken_away(self, games: Games, field: str) -> None:
        made = await games.register()
        nothing: dict[str, Any] = {field: ""}
        assert (await refused(games.update(ANN, made.id, **nothing))).violations == (field,)

    async def test_what_is_not_required_can(self, games: Games) -> None:
        made = await games.register(**FULL)
        nothing = {field: type(value)() for field, value in FULL.items()}
        after = await games.update(ANN, made.id, **nothing)
        assert {field: getattr(after, field) for field in FULL} == nothing

    async def test_another_developers_game_is_his(self, games: Games) -> None:
        made = await games.register()
        for call in (games.update(BEN, made.id, name="Mine"), games.toggle(BEN, made.id)):
            assert (await refused(call)).code == grpc.StatusCode.PERMISSION_DENIED
        assert await games.mine(ANN) == [made.name]

    async def test_where_somebody_owns_it_the_creator_only_sees_it(self, games: Games) -> None:
        made = await games.register()
        await games.as_operator(made.id, owner_id=BEN)
        assert (await refused(games.update(ANN, made.id, name="Mine"))).code == grpc.StatusCode.PERMISSION_DENIED
        assert (await games.update(BEN, made.id, name="Ben's")).name == "Ben's"
        assert await games.mine(ANN) == await games.mine(BEN) == ["Ben's"]

    async def test_no_field_is_lost_where_two_change_it_at_once(self, games: Games, elsewhere: "World") -> None:
        made = await games.register()
        there = Games(elsewhere.engine)
        await elsewhere.engine.estate.refresh()
        await asyncio.gather(games.update(ANN, made.id, name="New"), there.update(ANN, made.id, twitter="@new"))
        await elsewhere.engine.estate.refresh()
        after = (await there.public.GetPublicGame(GetPublicGameRequest(game_id=made.id))).game
        assert (after.name, after.twitter, after.revision) == ("New", "@new", made.revision + 2)

    async def test_of_two_who_know_the_same_revision_one_is_told_that_he_lost(self, games: Games, elsewhere: "World") -> None:
        made = await games.register()
        there = Games(elsewhere.engine)
        await elsewhere.engine.estate.refresh()
        answers = await asyncio.gather(
            games.update(ANN, made.id, revision=made.revision, name="Here"),
            there.update(ANN, made.id, revision=made.revision, description="There"),
            return_exceptions=True,
        )
        (failure,) = (answer for answer in answers if isinstance(answer, grpc.aio.AioRpcError))
        failed = Rpc.unpacked(failure)
        assert (failed.code, failed.reason) == (grpc.StatusCode.ABORTED, "GAME_CHANGED")
        await games.refresh()
        after = (await games.public.GetPublicGame(GetPublicGameRequest(game_id=made.id))).game
        assert ((after.name == "Here"), (after.description == "There")) in {(True, False), (False, True)}

    async def test_a_signature_that_comes_again_undoes_nothing(self, games: Games) -> None:
        made = await games.register()
        await games.update(ANN, made.id, once="u", name="First")
        await games.update(ANN, made.id, name="Second")
        assert (await games.update(ANN, made.id, once="u", name="First")).name == "Second"
        assert (await refused(games.update(ANN, made.id, once="u", name="Third"))).reason == "REQUEST_ID_REUSED"

    async def test_the_trail_tells_who_did_what(self, games: Games, world: "World") -> None:
        made = await games.register()
        await games.update(ANN, made.id, name="Other", hidden=False)
        await games.toggle(ANN, made.id)
        subject = f"game/{made.id}"
        assert [told for told in await trail(world, f"developer/{ANN}") if told[1] == subject] == [
            ("RegisterGame", subject, made.name),
            ("UpdateRegisteredGame", subject, "changed hidden, name"),
            ("ToggleVisibility", subject, ""),
        ]

    async def test_a_game_that_would_fit_into_no_page_is_refused(self, games: Games) -> None:
        made = await games.register(description="\U0001f3ae" * 4_000)
        long: dict[str, Any] = dict.fromkeys(
            ("play_url", "image_url", "cover_image_url", "jwks_url"), f"https://x.example/{'x' * 2000}"
        )
        await games.update(ANN, made.id, **long)
        tokens: Any = [{"id": str(index), "name": "\U0001f3ae" * 200} for index in range(30)]
        failed = await refused(games.as_operator(made.id, tokens=tokens))
        assert failed.violations == ("game",)


class TestToggling:
    async def test_it_hides_and_shows(self, games: Games) -> None:
        made = await games.register()
        assert [(await games.toggle(ANN, made.id)).hidden for _ in range(3)] == [True, False, True]

    async def test_one_signature_toggles_once_wherever_it_comes(self, games: Games, elsewhere: "World") -> None:
        made = await games.register()
        await elsewhere.engine.estate.refresh()
        there = Games(elsewhere.engine)
        shown = await asyncio.gather(*((games, there)[index % 2].toggle(ANN, made.id, once="t") for index in range(6)))
        assert {game.hidden for game in shown} == {True}
        await games.toggle(ANN, made.id)
        assert not (await games.toggle(ANN, made.id, once="t")).hidden

    @pytest.mark.parametrize("game_id", ["", "x", BEN])
    async def test_what_is_no_game_is_refused(self, games: Games, game_id: str) -> None:
        code = grpc.StatusCode.NOT_FOUND if game_id == BEN else grpc.StatusCode.INVALID_ARGUMENT
        request = UpdateRegisteredGameRequest(game_id=game_id, fields=GameFields(name="x"))
        update = games.public.UpdateRegisteredGame(request, metadata=games.signed(ANN))
        for call in (update, games.toggle(ANN, game_id), games.public.GetPublicGame(GetPublicGameRequest(game_id=game_id))):
            assert (await refused(call)).code == code
        assert not (await games.public.BatchGetPublicGames(BatchGetPublicGamesRequest(game_ids=[game_id]))).games


def changed(before: Message, after: Message) -> set[str]:
    """Return the names of the fields that differ, but for the time of the change."""
    return {
        field.name
        for field in before.DESCRIPTOR.fields
        if field.name != "update_time" and getattr(before, field.name) != getattr(after, field.name)
    }
