"""Keys from their creation to their end: on every store, in every process, and to the millisecond."""

import asyncio
import hashlib
import hmac
from collections.abc import Sequence
from typing import TYPE_CHECKING

import grpc.aio
import pytest
from playclock.clock import ManualClock
from playclock.core.credentials import ALIVE_MAX, Credential
from playclock.core.outbox import Audit, decode
from playclock.core.signing import HttpRequest, Scheme
from playclock.engine import Caller, Engine, Role
from playclock.engine.keys import Made
from playclock.errors import (
    BadRequest,
    EngineError,
    InvalidApiKey,
    InvalidSignature,
    KeyInactive,
    KeyNotFound,
    RequestIdReused,
    StoreAway,
    TooManyKeys,
)
from playclock.rpc.inprocess import InProcessChannel
from playclock.stores.base import Record
from playclock.stores.memory import MemoryStore
from playclock.v1 import (
    Agent,
    ApplyProvisioningRequest,
    CreateKeyRequest,
    Developer,
    ExpireKeyRequest,
    Key,
    KeyServiceStub,
    ListKeysRequest,
    MatchClient,
    ProvisionedGame,
    Provisioning,
    ProvisioningServiceStub,
    ResealKeysRequest,
    RevokeKeyRequest,
    RotateKeyRequest,
)

if TYPE_CHECKING:
    from tests.conftest import FaultInjectingStore, Restart, World, WorldMaker

HOUR_MS = 3_600_000
OPERATOR = Caller(Role.OPERATOR)


def game_of(world: "World") -> str:
    return f"game/{world.GAME_ID}"


async def create(world: "World", owner: str = "", **settings: object) -> Made:
    return await world.engine.keys.create(OPERATOR, owner or game_of(world), **settings)  # type: ignore[arg-type]


async def listed(world: "World", owner: str = "") -> list[Credential]:
    return [each.credential for each in await world.engine.keys.list(owner, world.engine.key_uses)]


def is_accepted(engine: Engine, api_key: str) -> bool:
    try:
        return engine.callers.game(api_key).role is Role.GAME
    except InvalidApiKey:
        return False


async def signs(world: "World", secret: str, launcher: str = "launcher-1", *, path: str = "/a") -> bool:
    """Say whether a launcher's signature with this secret is believed. Nothing is used up."""
    timestamp, body = str(world.engine.clock.now_ms() // 1000), hashlib.sha256(b"").hexdigest()
    text = f"POST\n{path}\n{timestamp}\nnonce-1\n{body}"
    mac = hmac.new(secret.encode(), text.encode(), "sha256").hexdigest()
    headers = (("X-Launcher-Id", launcher), ("X-Timestamp", timestamp), ("X-Nonce", "nonce-1"), ("X-Signature", mac))
    request = HttpRequest(method="POST", path=path, headers=headers)
    try:
        await world.engine.signatures.verify(Scheme.LAUNCHER, request, use_up=False)
    except InvalidSignature:
        return False
    return True


async def provisioned_id(world: "World") -> str:
    """Return the id of the one key that the world's file names for its game."""
    (found,) = [each for each in await listed(world, game_of(world)) if each.is_provisioned]
    return found.id


class TestCreating:
    async def test_a_created_key_is_in_force_everywhere_when_that_looks(self, world: "World", elsewhere: "World") -> None:
        made = await create(world, label="server 1")
        assert made.secret.startswith("pck_")
        assert is_accepted(world.engine, made.secret)
        assert not is_accepted(elsewhere.engine, made.secret)
        await elsewhere.engine.estate.refresh()
        assert elsewhere.engine.callers.game(made.secret) == Caller(Role.GAME, world.GAME_ID)
        assert is_accepted(world.engine, world.KEY), "what the file names goes on"

    async def test_it_is_there_after_a_restart(self, world: "World", restart: "Restart") -> None:
        made, launchers = await create(world), await create(world, "launcher/launcher-1")
        again = await restart()
        assert is_accepted(again.engine, made.secret)
        assert await signs(again, launchers.secret)

    async def test_what_signs_signs_with_it(self, world: "World") -> None:
        made = await create(world, "launcher/launcher-1")
        assert await signs(world, made.secret)
        assert await signs(world, world.SECRET)
        assert not await signs(world, made.secret + "x")

    async def test_the_newest_is_signed_with(self, world: "World", clock: ManualClock) -> None:
        clock.advance(1)
        made = await create(world, "launcher/launcher-1")
        outgoing = world.engine.signatures.sign(Scheme.LAUNCHER, "launcher-1", method="POST", path="/a")
        headers = outgoing.headers
        text = f"POST\n/a\n{headers['X-Timestamp']}\n{headers['X-Nonce']}\n{hashlib.sha256(b'').hexdigest()}"
        assert headers["X-Signature"] == hmac.new(made.secret.encode(), text.encode(), "sha256").hexdigest()

    @pytest.mark.parametrize(
        ("owner", "field"),
        [("", "owner"), ("game/x", "owner"), ("cafe/cafe-1", "owner"), ("launcher/", "owner"), ("launcher-1", "owner")],
    )
    async def test_nobody_has_no_keys(self, world: "World", owner: str, field: str) -> None:
        with pytest.raises(BadRequest) as refusal:
            await world.engine.keys.create(OPERATOR, owner)
        assert list(refusal.value.violations) == [field]

    async def test_an_owner_has_so_many_at_once(self, world: "World") -> None:
        made = [await create(world) for _ in range(ALIVE_MAX - 1)]
        with pytest.raises(TooManyKeys):
            await create(world)
        await world.engine.keys.revoke(OPERATOR, made[0].credential.id)
        await create(world)

    async def test_two_processes_at_once_do_not_make_more(self, world: "World", elsewhere: "World") -> None:
        answers = await asyncio.gather(
            *(create((world, elsewhere)[number % 2]) for number in range(4 * ALIVE_MAX)), return_exceptions=True
        )
        made = [answer for answer in answers if isinstance(answer, Made)]
        assert len(made) <= ALIVE_MAX - 1
        assert all(isinstance(answer, Made | EngineError) for answer in answers)
        await elsewhere.engine.estate.refresh()
        await world.engine.estate.refresh()
        for there in (world, elsewhere):
            assert all(is_accepted(there.engine, each.secret) for each in made)
        assert len(await listed(world, game_of(world))) == len(made) + 1

    async def test_a_repeat_creates_no_other_and_tells_no_secret(self, world: "World", elsewhere: "World") -> None:
        first = await create(world, label="l", request_id="r")
        again = await create(elsewhere, label="l", request_id="r")
        assert (again.credential.id, again.secret) == (first.credential.id, "")
        assert len(await listed(world, game_of(world))) == 2
        with pytest.raises(RequestIdReused):
            await create(world, label="other", request_id="r")


class TestRotating:
    async def test_both_work_until_the_end_of_the_overlap_and_then_only_the_new_one(
        self, world: "World", elsewhere: "World", clock: ManualClock
    ) -> None:
        old = await create(world, "launcher/launcher-1", label="l")
        made, ending = await world.engine.keys.rotate(OPERATOR, old.credential.id, overlap_ms=HOUR_MS)
        await elsewhere.engine.estate.refresh()
        assert (made.credential.label, ending.expires_ms) == ("l", clock.now_ms() + HOUR_MS)
        clock.advance(ms=HOUR_MS - 1)
        for there in (world, elsewhere):
            assert await signs(there, old.secret)
            assert await signs(there, made.secret)
        clock.advance(ms=1)
        for there in (world, elsewhere):
            assert not await signs(there, old.secret)
            assert await signs(there, made.secret)

    async def test_an_api_key_too(self, world: "World", clock: ManualClock) -> None:
        old = await provisioned_id(world)
        made, _ = await world.engine.keys.rotate(OPERATOR, old, overlap_ms=HOUR_MS)
        clock.advance(ms=HOUR_MS - 1)
        assert [is_accepted(world.engine, key) for key in (world.KEY, made.secret)] == [True, True]
        clock.advance(ms=1)
        assert [is_accepted(world.engine, key) for key in (world.KEY, made.secret)] == [False, True]

    async def test_a_repeat_makes_no_third(self, world: "World") -> None:
        old = await provisioned_id(world)
        first, _ = await world.engine.keys.rotate(OPERATOR, old, request_id="r")
        again, _ = await world.engine.keys.rotate(OPERATOR, old, request_id="r")
        assert (again.credential.id, again.secret) == (first.credential.id, "")
        assert len(await listed(world, game_of(world))) == 2

    async def test_one_that_has_ended_has_no_successor(self, world: "World") -> None:
        made = await create(world)
        await world.engine.keys.revoke(OPERATOR, made.credential.id)
        for change in (
            world.engine.keys.rotate(OPERATOR, made.credential.id),
            world.engine.keys.expire(OPERATOR, made.credential.id, life_ms=None),
        ):
            with pytest.raises(KeyInactive) as refusal:
                await change
            assert refusal.value.metadata == {"state": "REVOKED"}

    async def test_what_nobody_knows_is_not_found(self, world: "World") -> None:
        with pytest.raises(KeyNotFound):
            await world.engine.keys.rotate(OPERATOR, "key_0123456789abcdef")
        with pytest.raises(BadRequest):
            await world.engine.keys.revoke(OPERATOR, "key_0123456789ABCDEF")


class TestEnding:
    async def test_a_revoked_key_is_refused_here_at_once_and_elsewhere_when_that_looks(
        self, world: "World", elsewhere: "World"
    ) -> None:
        made, launchers = await create(world), await create(world, "launcher/launcher-1")
        await elsewhere.engine.estate.refresh()
        for each in (made, launchers):
            await world.engine.keys.revoke(OPERATOR, each.credential.id)
        assert not is_accepted(world.engine, made.secret)
        assert not await signs(world, launchers.secret)
        await elsewhere.engine.estate.refresh()
        assert not is_accepted(elsewhere.engine, made.secret)
        assert not await signs(elsewhere, launchers.secret)

    async def test_it_is_answered_like_one_that_never_was(self, world: "World", clock: ManualClock) -> None:
        revoked, expired = await create(world), await create(world, life_ms=1)
        await world.engine.keys.revoke(OPERATOR, revoked.credential.id)
        clock.advance(ms=1)
        answers = set()
        for key in (revoked.secret, expired.secret, "pck_never-was"):
            with pytest.raises(InvalidApiKey) as refusal:
                world.engine.callers.game(key)
            answers.add((refusal.value.message, tuple(refusal.value.metadata), refusal.value.reason))
        assert len(answers) == 1

    async def test_revoking_twice_changes_nothing(self, world: "World", clock: ManualClock) -> None:
        made = await create(world)
        first = await world.engine.keys.revoke(OPERATOR, made.credential.id)
        revision = world.engine.context.estate.revision
        clock.advance(1)
        assert await world.engine.keys.revoke(OPERATOR, made.credential.id) == first
        assert world.engine.context.estate.revision == revision

    async def test_an_end_can_be_given_moved_and_taken_away(self, world: "World", clock: ManualClock) -> None:
        made = await create(world, life_ms=1_000)
        await world.engine.keys.expire(OPERATOR, made.credential.id, life_ms=2_000)
        clock.advance(ms=1_999)
        assert is_accepted(world.engine, made.secret)
        await world.engine.keys.expire(OPERATOR, made.credential.id, life_ms=None)
        clock.advance(3_600)
        assert is_accepted(world.engine, made.secret)
        await world.engine.keys.expire(OPERATOR, made.credential.id, life_ms=1)
        clock.advance(ms=1)
        assert not is_accepted(world.engine, made.secret)


class TestProvisioning:
    async def apply(self, world: "World", *keys: str) -> Sequence[str]:
        game = ProvisionedGame(id=world.GAME_ID, number=123, name="Champagne Party", api_keys=keys)
        request = ApplyProvisioningRequest(provisioning=Provisioning(games=[game]))
        service = ProvisioningServiceStub(InProcessChannel(world.engine, operator=True))
        answer = await service.ApplyProvisioning(request)
        return list(answer.inactive_keys)

    async def test_a_file_takes_no_created_key_away(self, world: "World") -> None:
        made = await create(world)
        await self.apply(world, "another")
        assert [is_accepted(world.engine, key) for key in (made.secret, "another", world.KEY)] == [True, True, False]

    async def test_a_key_that_the_file_names_again_is_good_again(self, world: "World") -> None:
        await self.apply(world, "another")
        await self.apply(world, "another", world.KEY)
        assert is_accepted(world.engine, world.KEY)

    async def test_what_was_revoked_stays_so_and_is_told(self, world: "World", elsewhere: "World") -> None:
        key_id = await provisioned_id(world)
        await world.engine.keys.revoke(OPERATOR, key_id)
        for there in (world, elsewhere):
            assert await self.apply(there, world.KEY) == [f"{game_of(world)}: {key_id}"]
            assert not is_accepted(there.engine, world.KEY)
        assert await self.apply(world) == []
        assert await self.apply(world, world.KEY) == [f"{game_of(world)}: {key_id}"]
        assert not is_accepted(world.engine, world.KEY)

    async def test_what_was_rotated_ends_though_the_file_still_names_it(self, world: "World", clock: ManualClock) -> None:
        key_id = await provisioned_id(world)
        await world.engine.keys.rotate(OPERATOR, key_id, overlap_ms=1_000)
        assert await self.apply(world, world.KEY) == []
        clock.advance(1)
        assert await self.apply(world, world.KEY) == [f"{game_of(world)}: {key_id}"]
        assert not is_accepted(world.engine, world.KEY)

    async def test_a_revoked_signer_stays_so(self, world: "World") -> None:
        (held,) = await listed(world, "launcher/launcher-1")
        await world.engine.keys.revoke(OPERATOR, held.id)
        await world.provision()
        assert not await signs(world, world.SECRET)


class TestListing:
    async def test_all_are_there_and_no_secret_is(self, world: "World") -> None:
        await world.provision(
            Provisioning(
                agents=[Agent(id=1, name="One", api_token="agent-token"), Agent(id=2, name="Two")],
                developers=[Developer(id="550e8400-e29b-41d4-a716-446655440000", secret="developer-secret")],
                match_clients=[MatchClient(client_id="m", client_secret="match-secret", game=world.GAME_ID)],
            )
        )
        keys = KeyServiceStub(InProcessChannel(world.engine, operator=True))
        made = await keys.CreateKey(CreateKeyRequest(owner="agent/2", label="for two"))
        everybody = (await keys.ListKeys(ListKeysRequest())).keys
        assert {key.owner for key in everybody} == {
            game_of(world),
            f"game/{world.OTHER_GAME_ID}",
            "launcher/launcher-1",
            "agent/1",
            "agent/2",
            "developer/550e8400-e29b-41d4-a716-446655440000",
            "match_client/m",
        }
        shown = str(everybody)
        for secret in (made.secret, world.KEY, world.SECRET, "agent-token", "developer-secret", "match-secret"):
            assert secret not in shown
        (own,) = (await keys.ListKeys(ListKeysRequest(owner="agent/2"))).keys
        assert (own.label, own.state, own.provisioned) == ("for two", Key.STATE_ALIVE, False)

    async def test_what_has_ended_is_listed_with_its_end(self, world: "World", clock: ManualClock) -> None:
        keys = KeyServiceStub(InProcessChannel(world.engine, operator=True))
        first = (await keys.CreateKey(CreateKeyRequest(owner=game_of(world), expire_after_sec=60))).key
        second = (await keys.CreateKey(CreateKeyRequest(owner=game_of(world)))).key
        await keys.RevokeKey(RevokeKeyRequest(key_id=second.id))
        clock.advance(60)
        states = {key.id: key.state for key in (await keys.ListKeys(ListKeysRequest(owner=game_of(world)))).keys}
        assert (states[first.id], states[second.id]) == (Key.STATE_EXPIRED, Key.STATE_REVOKED)
        assert first.expire_time.seconds == first.create_time.seconds + 60

    async def test_every_change_is_in_the_audit_trail_without_a_secret(self, world: "World") -> None:
        keys = KeyServiceStub(InProcessChannel(world.engine, operator=True))
        made = await keys.CreateKey(CreateKeyRequest(owner=game_of(world)))
        rotated = await keys.RotateKey(RotateKeyRequest(key_id=made.key.id, overlap_sec=60))
        await keys.ExpireKey(ExpireKeyRequest(key_id=rotated.key.id, after_sec=60))
        await keys.RevokeKey(RevokeKeyRequest(key_id=rotated.key.id))
        await keys.RevokeKey(RevokeKeyRequest(key_id=rotated.key.id))
        await keys.ResealKeys(ResealKeysRequest())
        store = world.engine.store
        told = [decode(event.data) for event in await store.events(dict.fromkeys(await store.heads(), 0), 1_000)]
        audits = [event for event in told if isinstance(event, Audit) and event.action.endswith("Key")]
        assert [(each.actor, each.action, each.target, each.detail) for each in audits] == [
            ("operator/", "CreateKey", game_of(world), made.key.id),
            ("operator/", "RotateKey", game_of(world), f"{made.key.id} by {rotated.key.id}"),
            ("operator/", "ExpireKey", game_of(world), rotated.key.id),
            ("operator/", "RevokeKey", game_of(world), rotated.key.id),
        ]

    async def test_a_duration_that_no_clock_knows_is_refused(self, world: "World") -> None:
        keys = KeyServiceStub(InProcessChannel(world.engine, operator=True))
        for seconds in (0, -1, 1 << 62):
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await keys.CreateKey(CreateKeyRequest(owner=game_of(world), expire_after_sec=seconds))
            assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT


class TestLastUse:
    async def used_ms(self, world: "World", credential_id: str) -> int | None:
        uses = {each.credential.id: each.last_used_ms for each in await world.engine.keys.list("", world.engine.key_uses)}
        return uses[credential_id]

    async def test_it_is_told_by_every_process_once_it_was_written(
        self, world: "World", elsewhere: "World", clock: ManualClock
    ) -> None:
        key_id, launchers = await provisioned_id(world), await create(world, "launcher/launcher-1")
        assert await self.used_ms(world, key_id) is None
        world.engine.callers.game(world.KEY)
        assert await signs(world, launchers.secret)
        used_ms = clock.now_ms()
        clock.advance(5)
        for each in (key_id, launchers.credential.id):
            assert await self.used_ms(world, each) == used_ms
            assert await self.used_ms(elsewhere, each) is None
        await world.engine.sweep()
        for each in (key_id, launchers.credential.id):
            assert await self.used_ms(elsewhere, each) == used_ms

    async def test_of_two_processes_the_later_use_counts(self, world: "World", elsewhere: "World", clock: ManualClock) -> None:
        key_id = await provisioned_id(world)
        world.engine.callers.game(world.KEY)
        clock.advance(7_200)
        elsewhere.engine.callers.game(world.KEY)
        await elsewhere.engine.sweep()
        await world.engine.sweep()
        assert await self.used_ms(world, key_id) == clock.now_ms()

    async def test_of_a_signers_keys_only_the_one_that_signed_was_used(self, world: "World") -> None:
        made = await create(world, "launcher/launcher-1")
        assert await signs(world, made.secret)
        uses = {each.credential.id for each in await world.engine.keys.list("", world.engine.key_uses) if each.last_used_ms}
        assert uses == {made.credential.id}


class CountingStore(MemoryStore):
    """Counts the calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    async def get(self, keys: Sequence[str]) -> list[Record | None]:
        self.calls += ["get"]
        return await super().get(keys)

    async def commit(self, commits: Sequence[object]) -> list[object]:  # type: ignore[override]
        self.calls += ["commit"]
        return await super().commit(commits)  # type: ignore[arg-type, return-value]


async def test_recognising_a_caller_asks_the_store_nothing_and_its_use_is_written_once_an_hour(
    make_world: "WorldMaker", clock: ManualClock
) -> None:
    store = CountingStore()
    world = await make_world(store)
    await world.provision()
    store.calls.clear()
    for _ in range(100):
        world.engine.callers.game(world.KEY)
        world.engine.callers.game(world.OTHER_KEY)
    assert store.calls == []
    await world.engine.key_uses.write()
    assert store.calls == ["get", "commit"]
    for _ in range(59):
        clock.advance(60)
        world.engine.callers.game(world.KEY)
        await world.engine.key_uses.write()
    assert store.calls == ["get", "commit"]
    clock.advance(60)
    world.engine.callers.game(world.KEY)
    await world.engine.key_uses.write()
    assert store.calls == ["get", "commit"] * 2


async def test_an_answer_that_was_lost_leaves_one_key_behind(
    faulty_store: "FaultInjectingStore", make_world: "WorldMaker"
) -> None:
    world = await make_world(faulty_store)
    await world.provision()
    faulty_store.stalls_after = asyncio.Event()
    lost = asyncio.create_task(create(world, request_id="r"))
    await faulty_store.stalled.wait()
    faulty_store.stalls_after.set()  # the claim of the request id was made
    faulty_store.stalled.clear()
    faulty_store.stalls_after = asyncio.Event()
    await faulty_store.stalled.wait()
    lost.cancel()
    with pytest.raises(asyncio.CancelledError):
        await lost
    faulty_store.stalls_after = None
    again = await create(world, request_id="r")
    assert again.secret == ""
    assert [each.id for each in await listed(world, game_of(world)) if not each.is_provisioned] == [again.credential.id]


async def test_a_store_that_is_away_changes_nothing(faulty_store: "FaultInjectingStore", make_world: "WorldMaker") -> None:
    world = await make_world(faulty_store)
    await world.provision()
    faulty_store.is_away = True
    with pytest.raises(StoreAway):
        await create(world)
    assert is_accepted(world.engine, world.KEY), "who calls is known without the store"
    faulty_store.is_away = False
    assert len(await listed(world, game_of(world))) == 1
