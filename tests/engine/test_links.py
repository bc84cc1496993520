"""Links: an agent's session is one launch, its links are good once and for a while, and no token lies in the store in clear."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace
from playclock.clock import ManualClock
from playclock.core import links as core
from playclock.core.answers import Opened, Refused, Result
from playclock.core.ids import launch_id_of, launch_key, ott_key, partition_in, player_seat_key
from playclock.core.launch import Launch
from playclock.core.ott import Refusal
from playclock.core.outbox import Audit, decode
from playclock.core.player import read_attributes
from playclock.core.session import EndReason
from playclock.core.timers import Timers
from playclock.engine.records import LAUNCHES
from playclock.errors import (
    AgentNotFound,
    BadRequest,
    GameNotAvailable,
    GameNotFound,
    GameProviderNotFound,
    LaunchNotFound,
    PermissionDenied,
    RequestIdReused,
    StoreAway,
)
from playclock.v1 import Agent, Provisioning

from tests.links import (
    AGENT,
    AGENT_SECRET,
    ATTRIBUTES,
    GAME_NUMBER,
    NO_URL_NUMBER,
    OTHER_AGENT,
    OTHER_NUMBER,
    PLAYER,
    UNOFFERED_NUMBER,
    agents,
    make_link,
    token_of,
)

if TYPE_CHECKING:
    from tests.conftest import FaultInjectingStore, Restart, World, WorldMaker

LINK_MS = 300_000
DAY_SEC = 86_400
LAUNCH = launch_id_of(1, PLAYER.player_id, "session_abc123")


@pytest.fixture
async def world(world: "World") -> "World":
    await world.provision(agents(world))
    return world


async def play(world: "World", ott: str, *, game: Any = None) -> str:  # noqa: ANN401 - a caller
    """Redeem a link's OTT and return the session's id."""
    answer = await world.redeem(ott, caller=game or world.GAME, user=PLAYER.player_id)
    assert isinstance(answer, Opened), answer
    return answer.session_id


async def launch(world: "World", launch_id: str = LAUNCH) -> Launch | None:
    """Return a launch as it lies in the store."""
    (record,) = await world.engine.store.get([launch_key(launch_id)])
    return None if record is None else LAUNCHES.decode(record.data)


def all_in(folder: Path) -> bytes:
    """Return whatever is written in a folder's files."""
    return b"".join(file.read_bytes() for file in folder.iterdir() if file.is_file())


async def rotate_key(world: "World") -> None:
    """Give the first agent a new key, beside which the old one goes on for a minute."""
    (old,) = world.engine.context.estate.held_by("agent/1") or ()
    await world.engine.keys.rotate(world.OPERATOR, old.id, overlap_ms=60_000)


async def beat(world: "World", session_id: str, *, game: Any = None) -> Result:  # noqa: ANN401 - a caller
    return (await world.beat(session_id, caller=game or world.GAME, user=PLAYER.player_id)).result


class TestALink:
    async def test_redeems_into_a_session_that_tells_of_the_player(self, world: "World", clock: ManualClock) -> None:
        link = await make_link(world)
        assert link.url == f"https://game.example.com/play?token={token_of(link)}&gameId=123&playerId=player_123"
        assert link.expires_ms == clock.now_ms() + LINK_MS
        answer = await world.redeem(token_of(link), user=PLAYER.player_id)
        assert isinstance(answer, Opened)
        assert (answer.is_pc_cafe, read_attributes(answer.attributes)) == (False, ATTRIBUTES)
        session = await world.get(answer.session_id)
        assert (session.provider_user_id, session.game_id) == (PLAYER.player_id, world.GAME_ID)
        assert (session.charge, session.cafe_id, session.launcher_until_ms) == (None, "", None)
        assert read_attributes(session.attributes) == ATTRIBUTES

    async def test_is_good_once(self, world: "World") -> None:
        ott = token_of(await make_link(world))
        await play(world, ott)
        assert await world.redeem(ott, user=PLAYER.player_id) == Refused(Refusal.ALREADY_USED)

    async def test_is_good_for_its_game_and_its_player(self, world: "World") -> None:
        ott = token_of(await make_link(world))
        assert await world.redeem(ott, user="somebody") == Refused(Refusal.USER_MISMATCH)
        refused = await world.redeem(ott, caller=world.OTHER_GAME, user=PLAYER.player_id)
        assert refused == Refused(Refusal.GAME_MISMATCH)
        await play(world, ott)

    async def test_is_good_for_five_minutes_to_the_millisecond(self, world: "World", clock: ManualClock) -> None:
        late, early = [token_of(await make_link(world, session=session)) for session in ("late", "early")]
        clock.advance(ms=LINK_MS - 1)
        await play(world, early)
        clock.advance(ms=1)
        assert await world.redeem(late, user=PLAYER.player_id) == Refused(Refusal.EXPIRED)

    async def test_is_good_for_as_long_as_the_settings_say(
        self, world: "World", make_world: "WorldMaker", clock: ManualClock
    ) -> None:
        short = await make_world(world.engine.store, timers=Timers(link_ttl_ms=1_000))
        link = await make_link(short)
        assert link.expires_ms == clock.now_ms() + 1_000
        clock.advance(1)
        assert await short.redeem(token_of(link), user=PLAYER.player_id) == Refused(Refusal.EXPIRED)

    async def test_outlives_a_restart(self, world: "World", restart: "Restart") -> None:
        first = await make_link(world)
        again = await restart()
        assert await make_link(again) == first
        await play(again, token_of(first))

    async def test_its_session_lives_on_heartbeats_alone(self, world: "World", clock: ManualClock) -> None:
        session_id = await play(world, token_of(await make_link(world)))
        for _ in range(10):  # far beyond the life of a launch whose launcher is silent, and of the link
            clock.advance(200)
            await world.engine.sweep()
            assert await beat(world, session_id) is Result.OK
        clock.advance(240)
        assert (await world.get(session_id)).end_reason is EndReason.HEARTBEAT_TIMEOUT


class TestTheSameRequest:
    async def test_a_hundred_at_once_make_one_launch_and_one_link(self, world: "World") -> None:
        links = await asyncio.gather(*(make_link(world) for _ in range(100)))
        assert len({link.url for link in links}) == 1
        found = await launch(world)
        assert found is not None
        assert found.agent is not None
        assert found.agent.number == 1

    async def test_so_they_do_when_they_overtake_each_other_in_two_processes(
        self, world: "World", elsewhere: "World", make_world: "WorldMaker", busy_store: "FaultInjectingStore"
    ) -> None:
        crowded = await make_world(busy_store)
        links = await asyncio.gather(*(make_link((crowded, elsewhere)[number % 2]) for number in range(100)))
        assert len({link.url for link in links}) == 1
        found = await launch(world)
        assert found is not None
        assert found.agent is not None
        assert found.agent.number == 1

    async def test_gets_the_same_link_until_that_is_used_and_then_another_to_the_same_launch(self, world: "World") -> None:
        first = await make_link(world)
        assert await make_link(world) == first
        session_id = await play(world, token_of(first))
        second = await make_link(world)
        assert token_of(second) != token_of(first)
        assert await make_link(world) == second
        assert (await world.get(await play(world, token_of(second)))).launch_id == LAUNCH
        assert (await world.get(session_id)).launch_id == LAUNCH

    async def test_gets_another_once_the_last_is_over(self, world: "World", clock: ManualClock) -> None:
        first = await make_link(world)
        clock.advance(ms=LINK_MS - 1)
        assert await make_link(world) == first
        clock.advance(ms=1)
        second = await make_link(world)
        assert token_of(second) != token_of(first)
        assert second.expires_ms == clock.now_ms() + LINK_MS
        await play(world, token_of(second))

    async def test_gets_another_once_the_last_was_refused_too_often(self, world: "World") -> None:
        first = await make_link(world)
        for _ in range(5):
            await world.redeem(token_of(first), user="somebody")
        second = await make_link(world)
        assert token_of(second) != token_of(first)
        await play(world, token_of(second))

    async def test_hears_what_another_process_did(self, world: "World", elsewhere: "World") -> None:
        first = await make_link(world)
        for there in (world, elsewhere):  # both remember what they read of the token, unused
            assert await make_link(there) == first
        await play(elsewhere, token_of(first))
        assert token_of(await make_link(world)) != token_of(first)

    async def test_gets_another_under_the_agents_new_key(self, world: "World", clock: ManualClock) -> None:
        first = await make_link(world)
        clock.advance(1)
        await world.provision(Provisioning(agents=[Agent(id=1, name="One", api_token="another-token-of-it", games=[123])]))
        second = await make_link(world)
        assert token_of(second) != token_of(first)
        assert await make_link(world) == second
        await play(world, token_of(second))

    @pytest.mark.parametrize(
        "changed",
        [
            {"number": OTHER_NUMBER},
            {"player_id": "player_124"},
            {"username": "jane_doe"},
            {"language": "en"},
            {"currency": "USD"},
            {"home_url": "https://example.com/"},
            {"ip": "192.168.1.2"},
        ],
        ids=lambda changed: next(iter(changed)),
    )
    async def test_with_other_contents_is_refused(self, world: "World", elsewhere: "World", changed: dict[str, Any]) -> None:
        first = await make_link(world)
        for there in (world, elsewhere):
            with pytest.raises(BadRequest) as caught:
                await make_link(there, **changed)
            assert caught.value.violations == {"agent_session_id": "was used before with other contents"}
        assert await make_link(world) == first
        assert await make_link(world, session="another", **changed) != first

    async def test_is_remembered_for_a_day_after_the_last_repeat(self, world: "World", clock: ManualClock) -> None:
        for _ in range(5):
            await make_link(world)
            clock.advance(DAY_SEC + 300 - 1)
            await world.engine.sweep()
            with pytest.raises(BadRequest, match="agent_session_id"):
                await make_link(world, language="en")
        found = await launch(world)
        assert found is not None
        assert found.agent is not None
        assert found.agent.number == 5

    async def test_of_another_agent_is_another_request(self, world: "World") -> None:
        first = await make_link(world)
        other = await make_link(world, caller=OTHER_AGENT, language="en")
        assert token_of(other) != token_of(first)

    @pytest.mark.parametrize("swept", [False, True])
    async def test_after_two_days_is_a_new_one_whose_tokens_nobody_has_seen(
        self, world: "World", clock: ManualClock, *, swept: bool
    ) -> None:
        first = await make_link(world)
        clock.advance(2 * DAY_SEC + 300)
        if swept:
            await world.engine.sweep()
        second = await make_link(world, language="en")
        assert token_of(second) != token_of(first)
        session = await world.get(await play(world, token_of(second)))
        assert read_attributes(session.attributes)["language"] == "en"
        assert await world.redeem(token_of(first), user=PLAYER.player_id) == Refused(Refusal.EXPIRED)


class TestTheSameSignature:
    async def test_gets_the_same_link_though_it_was_used_and_is_over(self, world: "World", clock: ManualClock) -> None:
        first = await make_link(world, request_id="sig_1")
        await play(world, token_of(first))
        assert await make_link(world, request_id="sig_1") == first
        clock.advance(ms=LINK_MS + 1)
        assert await make_link(world, request_id="sig_1") == first
        second = await make_link(world, request_id="sig_2")
        assert token_of(second) != token_of(first)
        assert await make_link(world, request_id="sig_1") == first
        assert await make_link(world, request_id="sig_2") == second

    async def test_gets_it_in_another_process_and_after_a_rotation_of_keys(
        self, world: "World", elsewhere: "World", clock: ManualClock
    ) -> None:
        first = await make_link(world, request_id="sig_1")
        clock.advance(1)
        await rotate_key(world)
        await elsewhere.engine.estate.refresh()
        for there in (world, elsewhere):
            assert await make_link(there, request_id="sig_1") == first

    async def test_of_a_hundred_at_once_is_answered_once(self, world: "World") -> None:
        links = await asyncio.gather(*(make_link(world, request_id="sig_1") for _ in range(100)))
        assert len({link.url for link in links}) == 1

    async def test_beside_another_session_of_the_player_is_refused(self, world: "World") -> None:
        await make_link(world, request_id="sig_1")
        with pytest.raises(RequestIdReused):
            await make_link(world, session="another", request_id="sig_1")


class TestOnePlayerAndOneGame:
    async def test_have_one_session_and_the_second_replaces_the_first(self, world: "World") -> None:
        first = await play(world, token_of(await make_link(world)))
        second = await play(world, token_of(await make_link(world, session="another")))
        assert await beat(world, first) is Result.SESSION_REPLACED
        assert await beat(world, second) is Result.OK
        assert (await world.get(first)).end_reason is EndReason.REPLACED

    async def test_so_it_is_when_one_launch_is_played_twice(self, world: "World") -> None:
        first = await play(world, token_of(await make_link(world)))
        second = await play(world, token_of(await make_link(world)))
        assert (await beat(world, first), await beat(world, second)) == (Result.SESSION_REPLACED, Result.OK)

    async def test_leave_the_players_other_games_alone(self, world: "World") -> None:
        first = await play(world, token_of(await make_link(world)))
        other = await make_link(world, number=OTHER_NUMBER, session="another")
        second = await play(world, token_of(other), game=world.OTHER_GAME)
        assert await beat(world, first) is Result.OK
        assert await beat(world, second, game=world.OTHER_GAME) is Result.OK

    async def test_leave_other_players_and_other_agents_players_alone(self, world: "World") -> None:
        first = await play(world, token_of(await make_link(world)))
        others = await play(world, token_of(await make_link(world, caller=OTHER_AGENT)))
        answer = await world.redeem(token_of(await make_link(world, session="2", player_id="another")), user="another")
        assert isinstance(answer, Opened)
        assert (await beat(world, first), await beat(world, others)) == (Result.OK, Result.OK)

    async def test_a_hundred_links_at_once_leave_one_session(self, world: "World", elsewhere: "World") -> None:
        otts = [token_of(await make_link(world, session=f"session {number}")) for number in range(20)]
        redeemed = [play((world, elsewhere)[number % 2], ott) for number, ott in enumerate(otts)]
        told = [await beat(world, session_id) for session_id in await asyncio.gather(*redeemed)]
        assert sorted(told) == [Result.OK] + [Result.SESSION_REPLACED] * 19


class TestTheStore:
    @pytest.fixture
    def store_kind(self, request: pytest.FixtureRequest) -> str:
        return str(getattr(request, "param", "memory"))

    @pytest.mark.parametrize("store_kind", ["sqlite"], indirect=True)
    async def test_has_no_token_in_clear(self, world: "World", tmp_path: Path) -> None:
        link = await make_link(world, request_id="sig_1")
        await play(world, token_of(link))
        written = all_in(tmp_path)
        assert LAUNCH.removeprefix("ls_").encode() in written  # it is the right place to look
        assert token_of(link).encode() not in written
        assert bytes.fromhex(token_of(link).replace("-", "")) not in written

    @pytest.mark.parametrize("store_kind", ["memory", "sqlite", "redis", "cluster"], indirect=True)
    async def test_forgets_all_of_it_a_day_after_it_was_over(self, world: "World", clock: ManualClock) -> None:
        ott = token_of(await make_link(world))
        session_id = await play(world, ott)
        seat = player_seat_key(partition_in(LAUNCH), 1, PLAYER.player_id, world.GAME_ID)
        keys = [launch_key(LAUNCH), ott_key(ott), seat]
        assert None not in await world.engine.store.get(keys)
        clock.advance(100)
        await world.end(session_id)
        clock.advance(DAY_SEC - 1)
        await world.engine.sweep()
        assert None not in await world.engine.store.get(keys)
        clock.advance(301)
        await world.engine.sweep()
        assert await world.engine.store.get(keys) == [None, None, None]

    async def test_keeps_the_seat_of_a_session_that_lives_for_days(self, world: "World", clock: ManualClock) -> None:
        first = await play(world, token_of(await make_link(world)))
        for _ in range(2 * DAY_SEC // 200):
            clock.advance(200)
            await beat(world, first)
        await world.engine.sweep()
        second = await play(world, token_of(await make_link(world, session="another")))
        assert (await beat(world, first), await beat(world, second)) == (Result.SESSION_REPLACED, Result.OK)

    async def test_is_asked_by_nobody_for_lists_and_demos(
        self, world: "World", make_world: "WorldMaker", faulty_store: "FaultInjectingStore"
    ) -> None:
        assert world.engine.store is faulty_store.store
        cut_off = await make_world(faulty_store)
        faulty_store.is_away = True
        links = cut_off.engine.links
        assert [game.number for game in links.offer(AGENT, 1).games] == [GAME_NUMBER, OTHER_NUMBER, NO_URL_NUMBER]
        demo = links.demo(AGENT, 1, game_number=GAME_NUMBER, player=PLAYER)
        assert links.verify_demo(world.GAME, token_of(demo)) is not None
        with pytest.raises(StoreAway):
            await make_link(cut_off)

    async def test_has_an_audit_event_for_what_an_operator_does_and_none_for_an_agent(self, world: "World") -> None:
        await make_link(world, session="agent's own")
        for _ in range(2):
            await world.engine.links.create(
                world.OPERATOR, 1, game_number=GAME_NUMBER, player=PLAYER, agent_session_id="operator's"
            )
        store = world.engine.store
        told = [decode(event.data) for event in await store.events(dict.fromkeys(await store.heads(), 0), 1_000)]
        audited = [event for event in told if isinstance(event, Audit) and event.action == "CreateGameLink"]
        assert [(event.actor, event.target, event.detail) for event in audited] == [
            ("operator/", "agent/1", f"game/{world.GAME_ID}")
        ]


class TestWhatIsRefused:
    @pytest.fixture
    def store_kind(self) -> str:
        return "memory"

    @pytest.mark.parametrize(
        ("agent_id", "number", "error"),
        [
            (3, GAME_NUMBER, AgentNotFound),
            (1, 122, GameNotFound),
            (1, 999, GameNotFound),
            (1, UNOFFERED_NUMBER, GameNotAvailable),
            (1, NO_URL_NUMBER, GameNotAvailable),
        ],
    )
    async def test_a_link(self, world: "World", agent_id: int, number: int, error: type[Exception]) -> None:
        with pytest.raises(error):
            await world.engine.links.create(
                world.OPERATOR, agent_id, game_number=number, player=PLAYER, agent_session_id="session"
            )

    @pytest.mark.parametrize(
        ("agent_id", "number", "error"),
        [
            (3, GAME_NUMBER, AgentNotFound),
            (1, 122, GameNotFound),
            (1, UNOFFERED_NUMBER, GameNotAvailable),
            (1, OTHER_NUMBER, GameProviderNotFound),
        ],
    )
    async def test_a_demo(self, world: "World", agent_id: int, number: int, error: type[Exception]) -> None:
        with pytest.raises(error):
            world.engine.links.demo(world.OPERATOR, agent_id, game_number=number, player=PLAYER)

    async def test_what_is_refused_claims_no_session_id(self, world: "World") -> None:
        with pytest.raises(GameNotAvailable):
            await make_link(world, number=UNOFFERED_NUMBER)
        await make_link(world)

    async def test_whatever_an_agent_asks_in_anothers_name(self, world: "World") -> None:
        links = world.engine.links
        with pytest.raises(PermissionDenied):
            await links.create(AGENT, 2, game_number=GAME_NUMBER, player=PLAYER, agent_session_id="session")
        with pytest.raises(PermissionDenied):
            links.demo(AGENT, 2, game_number=GAME_NUMBER, player=PLAYER)
        with pytest.raises(PermissionDenied):
            links.offer(AGENT, 2)

    async def test_an_agent_without_a_token(self, world: "World") -> None:
        await world.provision(Provisioning(agents=[Agent(id=4, name="Four", games=[GAME_NUMBER])]))
        with pytest.raises(BadRequest, match="agent_id: the agent has no API token"):
            await world.engine.links.create(
                world.OPERATOR, 4, game_number=GAME_NUMBER, player=PLAYER, agent_session_id="session"
            )
        with pytest.raises(BadRequest, match="agent_id: the agent has no API token"):
            world.engine.links.demo(world.OPERATOR, 4, game_number=GAME_NUMBER, player=PLAYER)

    async def test_to_use_an_agents_launch_as_a_launcher_does(self, world: "World") -> None:
        await make_link(world)
        launches = world.engine.launches
        with pytest.raises(LaunchNotFound):
            await launches.heartbeat(world.OPERATOR, LAUNCH)
        with pytest.raises(LaunchNotFound):
            await launches.end(world.OPERATOR, LAUNCH)
        with pytest.raises(LaunchNotFound):
            await launches.issue_ott(world.OPERATOR, LAUNCH, game_id=world.GAME_ID, provider_user_id=None)


class TestDemos:
    @pytest.fixture
    def store_kind(self) -> str:
        return "memory"

    @pytest.fixture
    def token(self, world: "World") -> str:
        return token_of(world.engine.links.demo(AGENT, 1, game_number=GAME_NUMBER, player=PLAYER))

    async def test_the_link_is_to_the_demo(self, world: "World", token: str) -> None:
        link = world.engine.links.demo(AGENT, 1, game_number=GAME_NUMBER, player=PLAYER)
        assert link.url == f"https://game.example.com/demo?token={token}&gameId=123&playerId=player_123"

    async def test_a_token_is_good_again_and_again_until_it_is_over(
        self, world: "World", token: str, clock: ManualClock
    ) -> None:
        links = world.engine.links
        for seconds in (0, 1_800, 1_799):
            clock.advance(seconds)
            found = links.verify_demo(world.GAME, token)
            assert found is not None
            assert (found[0].player, found[1].number) == (PLAYER, GAME_NUMBER)
        clock.advance(1)
        assert links.verify_demo(world.GAME, token) is None

    async def test_it_is_for_its_own_game_and_operators(self, world: "World", token: str) -> None:
        links = world.engine.links
        assert links.verify_demo(world.OTHER_GAME, token) is None
        assert links.verify_demo(world.OPERATOR, token) is not None

    async def test_it_opens_no_session(self, world: "World", token: str) -> None:
        with pytest.raises(BadRequest):
            await world.redeem(token, user=PLAYER.player_id)

    async def test_it_is_over_with_the_key_under_which_it_was_made(
        self, world: "World", token: str, clock: ManualClock
    ) -> None:
        clock.advance(1)
        await rotate_key(world)
        assert world.engine.links.verify_demo(world.GAME, token) is not None
        clock.advance(60)
        assert world.engine.links.verify_demo(world.GAME, token) is None

    async def test_another_agents_token_is_another(self, world: "World", token: str) -> None:
        other = world.engine.links.demo(OTHER_AGENT, 2, game_number=GAME_NUMBER, player=PLAYER)
        assert token_of(other) != token
        assert world.engine.links.verify_demo(world.GAME, token_of(other)) is not None


class TestGamesThatAreKeptBack:
    @pytest.fixture
    def store_kind(self) -> str:
        return "memory"

    @staticmethod
    def change(world: "World", **changed: Any) -> None:  # noqa: ANN401 - any field of a game
        catalog = world.engine.context.catalog
        game = catalog.games[world.GAME_ID]
        catalog.take([replace(game, revision=game.revision + 1, **changed)], catalog.revision + 1)

    async def test_by_their_owners_are_not_listed_and_links_to_them_work(self, world: "World") -> None:
        links, before = world.engine.links, world.engine.links.offer(AGENT, 1)
        demo = token_of(links.demo(AGENT, 1, game_number=GAME_NUMBER, player=PLAYER))
        self.change(world, is_hidden=True)
        after = links.offer(AGENT, 1)
        assert [game.number for game in after.games] == [OTHER_NUMBER, NO_URL_NUMBER]
        assert after.etag != before.etag
        await play(world, token_of(await make_link(world)))
        assert links.verify_demo(world.GAME, demo) is not None

    @pytest.mark.parametrize("changed", [{"is_admin_hidden": True}, {"deleted_ms": 1}], ids=["hidden", "deleted"])
    async def test_by_operators_or_for_ever_are_not_found_by_anybody(self, world: "World", changed: dict[str, Any]) -> None:
        links = world.engine.links
        ott = token_of(await make_link(world))
        demo = token_of(links.demo(AGENT, 1, game_number=GAME_NUMBER, player=PLAYER))
        self.change(world, **changed)
        assert [game.number for game in links.offer(AGENT, 1).games] == [OTHER_NUMBER, NO_URL_NUMBER]
        with pytest.raises(GameNotFound):
            await make_link(world)
        with pytest.raises(GameNotFound):
            links.demo(AGENT, 1, game_number=GAME_NUMBER, player=PLAYER)
        assert links.verify_demo(world.GAME, demo) is None
        assert await world.redeem(ott, user=PLAYER.player_id) == Refused(Refusal.EXPIRED)


class TestOffers:
    @pytest.fixture
    def store_kind(self) -> str:
        return "memory"

    async def test_the_same_is_made_once(self, world: "World") -> None:
        links = world.engine.links
        assert links.offer(AGENT, 1) is links.offer(AGENT, 1)
        assert links.offer(OTHER_AGENT, 2).etag == links.offer(AGENT, 1).etag

    @pytest.mark.parametrize("change", ["brand", "agent", "nothing", "play_url"])
    async def test_the_etag_changes_with_what_is_shown(self, world: "World", change: str) -> None:
        links, before = world.engine.links, world.engine.links.offer(AGENT, 1)
        provisioning = agents(world)
        if change == "brand":
            provisioning.games[0].brand = "Mini"
        elif change == "agent":
            provisioning.agents[0].games.append(UNOFFERED_NUMBER)
        elif change == "play_url":
            provisioning.games[0].play_url = "https://new.example.com/play"
        await world.provision(provisioning)
        after = links.offer(AGENT, 1)
        assert (after.etag != before.etag) is (change in ("brand", "agent"))
        if change == "brand":
            assert after.games[0].brand == "Mini"
        if change == "agent":
            await make_link(world, number=UNOFFERED_NUMBER)
        if change == "play_url":
            assert (await make_link(world)).url.startswith("https://new.example.com/play?token=")


async def test_the_key_of_another_agent_derives_other_tokens(world: "World") -> None:
    """What lies in the store is not enough to redeem: the same launch under another key has another OTT."""
    await make_link(world)
    found = await launch(world)
    assert found is not None
    (key,) = world.engine.context.estate.held_by("agent/1") or ()
    assert key.secret == AGENT_SECRET.encode()
    issued = core.last_link(found)
    assert core.ott_of(issued, [key]) == token_of(await make_link(world))
    assert core.ott_of(issued, [replace(key, secret=b"another")]) != core.ott_of(issued, [key])
