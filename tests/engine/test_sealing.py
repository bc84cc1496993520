"""Secrets in the store: under a master key, bound to their record, and nowhere to be found as they are."""

import base64
import contextlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace
from playclock.clock import ManualClock
from playclock.core.catalog import Game
from playclock.core.codec import Codec, encode
from playclock.core.credentials import Credential
from playclock.core.estate import Directory, Launcher, Provider, Resource, hash_key, resource_key
from playclock.core.outbox import Audit, decode
from playclock.engine import Caller, Role
from playclock.engine.sealing import Sealer, SealError
from playclock.stores.base import ABSENT, Commit, Put, Store
from playclock.v1 import Agent, ChargeProvider, Developer, MatchClient, Provisioning

from tests.engine.test_keys import create, is_accepted, signs

if TYPE_CHECKING:
    from tests.conftest import FaultInjectingStore, StoreOpener, World, WorldMaker
    from tests.redis_fixtures import RedisOfTests

OPERATOR = Caller(Role.OPERATOR)
OLD, NEW = bytes(range(32)), bytes(range(32, 64))
CREDENTIALS, PROVIDERS = Codec(Credential), Codec(Provider)
SECRETS = {
    "launcher": "the-secret-of-the-launcher",
    "agent": "the-token-of-the-agent",
    "developer": "the-secret-of-the-developer",
    "match_client": "the-secret-of-the-client",
    "provider": "the-token-for-the-partner",
}


def signers(game_id: str) -> Provisioning:
    return Provisioning(
        agents=[Agent(id=1, name="One", api_token=SECRETS["agent"])],
        developers=[Developer(id="550e8400-e29b-41d4-a716-446655440000", secret=SECRETS["developer"])],
        match_clients=[MatchClient(client_id="m", client_secret=SECRETS["match_client"], game=game_id)],
        providers=[ChargeProvider(id="partner", target="127.0.0.1:1", token=SECRETS["provider"], plaintext=True)],
    )


async def lying(store: Store) -> dict[str, bytes]:
    """Return all records of the estate as they lie in the store."""
    (directory,) = await store.get(["00:directory:estate"])
    assert directory is not None
    keys = Codec(Directory).decode(directory.data).keys
    records = await store.get(keys)
    return {key: record.data for key, record in zip(keys, records, strict=True) if record is not None}


async def rewrite(store: Store, resource: Resource) -> None:
    """Write a record of the estate as somebody would who has the store and nothing else."""
    key = resource_key(resource)
    record, directory = await store.get([key, "00:directory:estate"])
    assert directory is not None
    puts = (
        Put(key=key, expect=ABSENT if record is None else record.version, data=encode(resource)),
        Put(key="00:directory:estate", expect=directory.version, data=directory.data),
    )
    assert await store.commit([Commit(partition=0, puts=puts)]) == [None]


async def credential_in(store: Store, owner: str) -> Credential:
    records = [CREDENTIALS.decode(data) for key, data in (await lying(store)).items() if ":credential:" in key]
    return next(record for record in records if record.owner == owner)


@pytest.fixture
async def sealing(make_world: "WorldMaker", store: Store) -> "World":
    world = await make_world(store, sealer=Sealer(OLD))
    await world.provision()
    await world.provision(signers(world.GAME_ID))
    return world


class TestTheStore:
    async def test_no_secret_lies_there_as_it_is(self, sealing: "World", raw: "Raw") -> None:
        made = [await create(sealing), await create(sealing, "launcher/launcher-1"), await create(sealing, "match_client/m")]
        await sealing.engine.keys.rotate(OPERATOR, made[1].credential.id)
        await sealing.engine.keys.revoke(OPERATOR, made[2].credential.id)
        is_accepted(sealing.engine, made[0].secret)
        await sealing.engine.sweep()
        found = await raw.read()
        assert b"launcher-1" in found, "this looks where the records are"
        for secret in (*SECRETS.values(), *(each.secret for each in made), sealing.KEY, sealing.OTHER_KEY):
            for spelling in spellings(secret.encode()):
                assert spelling not in found, secret
        assert not any(spelling in found for spelling in spellings(OLD))

    async def test_what_was_sealed_is_read_by_every_process_with_the_key(
        self, sealing: "World", make_world: "WorldMaker", open_again: "StoreOpener"
    ) -> None:
        made = await create(sealing, "launcher/launcher-1")
        elsewhere = await make_world(await open_again(), sealer=Sealer(OLD))
        assert await signs(elsewhere, made.secret)
        assert await signs(elsewhere, SECRETS["launcher"])
        assert elsewhere.engine.context.estate.providers["partner"].token == SECRETS["provider"].encode()

    @pytest.mark.usefixtures("sealing")
    @pytest.mark.parametrize("sealer", [None, Sealer(NEW)], ids=["no master key", "another"])
    async def test_without_the_key_there_is_a_sentence_and_no_engine(
        self, make_world: "WorldMaker", open_again: "StoreOpener", sealer: Sealer | None
    ) -> None:
        with pytest.raises(SealError, match=r"under the master key [0-9a-f]{16}, which was not given"):
            await make_world(await open_again(), sealer=sealer)

    async def test_applying_the_same_again_changes_nothing(self, sealing: "World", store: Store) -> None:
        before = await lying(store)
        await sealing.provision()
        await sealing.provision(signers(sealing.GAME_ID))
        assert await lying(store) == before

    async def test_nothing_of_a_secret_is_logged(self, sealing: "World", caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        made = await create(sealing, "launcher/launcher-1")
        await signs(sealing, made.secret)
        assert made.secret not in caplog.text
        assert made.secret not in repr((made, made.credential, sealing.engine.context.estate.credentials))


class TestTampering:
    @pytest.fixture
    def store_kind(self) -> str:
        return "memory"

    async def refused(self, make_world: "WorldMaker", store: Store) -> None:
        with pytest.raises(SealError, match="was changed after it was sealed"):
            await make_world(store, sealer=Sealer(OLD))

    @pytest.mark.usefixtures("sealing")
    async def test_every_byte_counts(self, make_world: "WorldMaker", store: Store) -> None:
        stored = await credential_in(store, "launcher/launcher-1")
        for index in (0, 11, 12, len(stored.secret) - 1):
            changed = bytearray(stored.secret)
            changed[index] ^= 1
            await rewrite(store, replace(stored, secret=bytes(changed)))
            await self.refused(make_world, store)
        for cut in (b"", stored.secret[:5], stored.secret[:-1]):
            await rewrite(store, replace(stored, secret=cut))
            await self.refused(make_world, store)
        await rewrite(store, stored)
        assert await signs(await make_world(store, sealer=Sealer(OLD)), SECRETS["launcher"])

    @pytest.mark.usefixtures("sealing")
    async def test_a_secret_is_good_in_its_own_record_alone(self, make_world: "WorldMaker", store: Store) -> None:
        mine, theirs = await credential_in(store, "launcher/launcher-1"), await credential_in(store, "agent/1")
        await rewrite(store, replace(mine, secret=theirs.secret))
        await self.refused(make_world, store)

    @pytest.mark.usefixtures("sealing")
    async def test_a_secret_is_good_for_its_own_owner_alone(self, make_world: "WorldMaker", store: Store) -> None:
        await rewrite(store, replace(await credential_in(store, "agent/1"), owner="launcher/launcher-1"))
        await self.refused(make_world, store)

    async def test_a_running_engine_goes_on_with_what_it_knows(self, sealing: "World", store: Store) -> None:
        stored = await credential_in(store, "launcher/launcher-1")
        await rewrite(store, replace(stored, secret=stored.secret[::-1]))
        with pytest.raises(SealError):
            await sealing.engine.estate.refresh()
        assert await signs(sealing, SECRETS["launcher"])


class TestResealing:
    @pytest.mark.usefixtures("sealing")
    async def test_afterwards_the_old_key_is_of_no_use_and_not_needed(
        self, make_world: "WorldMaker", open_again: "StoreOpener", store: Store
    ) -> None:
        both = await make_world(await open_again(), sealer=Sealer(NEW, [OLD]))
        assert await both.engine.keys.reseal(OPERATOR) == 5
        assert await both.engine.keys.reseal(OPERATOR) == 0
        new = await make_world(await open_again(), sealer=Sealer(NEW))
        assert await signs(new, SECRETS["launcher"])
        with pytest.raises(SealError):
            await make_world(await open_again(), sealer=Sealer(OLD))
        told = [decode(event.data) for event in await store.events({0: 0}, 1_000)]
        audits = [event for event in told if isinstance(event, Audit) and event.action == "ResealKeys"]
        assert [(each.actor, each.detail) for each in audits] == [("operator/", "5 secrets")]

    @pytest.mark.usefixtures("sealing")
    async def test_before_it_both_are_read_and_what_is_new_lies_under_the_new_one(
        self, make_world: "WorldMaker", open_again: "StoreOpener", store: Store
    ) -> None:
        both = await make_world(await open_again(), sealer=Sealer(NEW, [OLD]))
        made = await create(both, "agent/1")
        assert (await credential_in(store, "launcher/launcher-1")).sealed_by == Sealer(OLD).master_id
        new = next(each for each in await of(store, "agent/1") if each.id == made.credential.id)
        assert new.sealed_by == Sealer(NEW).master_id
        assert await signs(both, SECRETS["launcher"])

    async def test_it_is_one_commit_so_a_failure_leaves_all_as_it_was(
        self, faulty_store: "FaultInjectingStore", make_world: "WorldMaker"
    ) -> None:
        sealing = await make_world(faulty_store, sealer=Sealer(OLD))
        await sealing.provision()
        both = await make_world(faulty_store, sealer=Sealer(NEW, [OLD]))
        before = await lying(faulty_store)
        faulty_store.conflict_in = {0}
        with pytest.raises(Exception, match="others kept changing"):
            await both.engine.keys.reseal(OPERATOR)
        faulty_store.conflict_in = set()
        assert await lying(faulty_store) == before
        await both.engine.keys.reseal(OPERATOR)
        assert {each.sealed_by for each in await of(faulty_store, "launcher/launcher-1")} == {Sealer(NEW).master_id}


class TestUpgrading:
    async def test_what_lies_unsealed_is_sealed_when_a_key_is_given(
        self, world: "World", make_world: "WorldMaker", open_again: "StoreOpener", raw: "Raw"
    ) -> None:
        await world.provision(signers(world.GAME_ID))
        assert SECRETS["launcher"].encode() in await raw.read(), "without a key it lies there as it is"
        sealing = await make_world(await open_again(), sealer=Sealer(OLD))
        assert {each.sealed_by for each in await of(sealing.engine.store, "launcher/launcher-1")} == {Sealer(OLD).master_id}
        assert await signs(sealing, SECRETS["launcher"])
        with pytest.raises(SealError):
            await world.engine.estate.refresh()

    async def test_records_that_name_their_own_keys_become_keys_that_can_be_revoked(
        self, store: Store, make_world: "WorldMaker", open_again: "StoreOpener"
    ) -> None:
        game_id = "3f0e8a52-6c1b-4a53-9f0e-0d1f2a3b4c5d"
        game = Game(
            id=game_id,
            number=1,
            name="G",
            brand="",
            image_url="",
            play_url="",
            demo_url="",
            api_key_hashes=(hash_key("the-key-of-the-game"),),
        )
        launcher = Launcher(id="launcher-1", secrets=(b"the-secret-of-the-launcher",))
        directory = Directory((resource_key(game), resource_key(launcher)))
        puts = [Put(key=resource_key(each), expect=ABSENT, data=encode(each)) for each in (game, launcher)]
        puts.append(Put(key="00:directory:estate", expect=ABSENT, data=encode(directory)))
        assert await store.commit([Commit(partition=0, puts=puts)]) == [None]
        world = await make_world(store, sealer=Sealer(OLD))
        assert is_accepted(world.engine, "the-key-of-the-game")
        assert await signs(world, "the-secret-of-the-launcher")
        ids = {each.credential.owner: each.credential.id for each in await world.engine.keys.list("", world.engine.key_uses)}
        assert set(ids) == {f"game/{game_id}", "launcher/launcher-1"}
        revision = world.engine.context.estate.revision
        again = await make_world(await open_again(), sealer=Sealer(OLD))
        assert again.engine.context.estate.revision == revision, "it is done once"
        await again.engine.keys.revoke(OPERATOR, ids["launcher/launcher-1"])
        await again.provision()
        assert not await signs(again, "the-secret-of-the-launcher")


@pytest.mark.parametrize("master", [b"", bytes(31), bytes(33)])
def test_a_master_key_has_256_bits(master: bytes) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Sealer(master)


async def of(store: Store, owner: str) -> Sequence[Credential]:
    records = [CREDENTIALS.decode(data) for key, data in (await lying(store)).items() if ":credential:" in key]
    return [record for record in records if record.owner == owner]


def spellings(secret: bytes) -> list[bytes]:
    """Return a secret as it is, in hex and in base64, at each of the three offsets that base64 has, without its ends."""
    found = [secret, secret.hex().encode(), secret.hex().upper().encode()]
    for encode_ in (base64.b64encode, base64.urlsafe_b64encode):
        found += [encode_(bytes(offset) + secret)[offset * 2 : -4].lstrip(b"A")[4:] for offset in range(3)]
    return found


class Raw:
    """All bytes of a store, as a thief of its disk or of a dump has them."""

    def __init__(self, kind: str, folder: Path, servers: Sequence[object], store: Store) -> None:
        self._kind, self._folder, self._servers, self._store = kind, folder, servers, store

    async def read(self) -> bytes:
        if self._kind == "sqlite":
            return b"".join(file.read_bytes() for file in self._folder.glob("playclock.db*"))
        if self._kind == "memory":
            return b"".join((await lying(self._store)).values()) + b"".join(
                event.data for event in await self._store.events(dict.fromkeys(range(256), 0), 10_000)
            )
        found = b""
        for server in self._servers:
            with contextlib.closing(server.client()) as client:  # type: ignore[attr-defined]
                for key in client.scan_iter(count=1_000):
                    found += key + b"\n" + _value(client, key) + b"\n"
        return found


def _value(client: Any, key: bytes) -> bytes:  # noqa: ANN401 - redis-py's
    """Return all bytes of a key's value: strings and what stands in streams are bytes as they came."""
    match client.type(key):
        case b"string":
            return bytes(client.get(key))
        case b"zset":
            return b"".join(client.zrange(key, 0, -1))
        case b"stream":
            return b"".join(value for _, entry in client.xrange(key) for value in entry.values())
    raise AssertionError(key)


@pytest.fixture
def raw(store_kind: str, tmp_path: Path, store: Store, request: pytest.FixtureRequest) -> Raw:
    servers: Sequence[object] = ()
    if store_kind in ("redis", "cluster"):
        redis: RedisOfTests = request.getfixturevalue(f"{store_kind}_of_tests")
        servers = redis.servers
    return Raw(store_kind, tmp_path, servers, store)


def test_a_search_for_spellings_finds_them() -> None:
    """It would be worth nothing if it let these through."""
    secret = b"the-secret-of-the-launcher"
    for hidden in (secret, secret.hex().encode(), *(base64.b64encode(b"x" * offset + secret + b"yz") for offset in range(3))):
        assert any(spelling in hidden for spelling in spellings(secret)), hidden


def test_what_the_clock_shows_is_no_part_of_a_seal() -> None:
    sealer, now_ms = Sealer(OLD), ManualClock().now_ms()
    credential = sealer.marked(Credential(id="key_1", owner="launcher/l", created_ms=now_ms, secret=b"s"))
    first, second = sealer.sealed(credential), sealer.sealed(credential)
    assert first != second, "each has a nonce of its own"
    assert sealer.opened(first) == sealer.opened(second) == credential
