"""Access tokens and signing keys: on every store, in every process, and without asking the store."""

import asyncio
import base64
from typing import TYPE_CHECKING

import jwt
import pytest
from playclock.clock import ManualClock
from playclock.core.outbox import Audit, decode
from playclock.core.signing_keys import AHEAD_MS, KEPT_MS
from playclock.engine import Caller, Engine, Role
from playclock.engine.openid import LOOK_AGAIN_MS
from playclock.engine.sealing import Sealer
from playclock.errors import BadRequest, InvalidApiKey, PermissionDenied, RealmNotFound, StoreAway
from playclock.stores.base import Store
from playclock.v1 import MatchClient, Provisioning

from tests.openid import bent, forgeries, read

if TYPE_CHECKING:
    from tests.conftest import FaultInjectingStore, StoreOpener, World, WorldMaker

OPERATOR = Caller(Role.OPERATOR)
SECRET = "the+secret/of%the client=="
CLIENT = "super-game"
ISSUER = "http://127.0.0.1:8080/auth/realms/letsbet"


def basic(client_id: str = CLIENT, secret: str = SECRET) -> str:
    return "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()


async def provision(world: "World", **changed: str) -> None:
    client = MatchClient(client_id=CLIENT, client_secret=SECRET, game=world.GAME_ID)
    for field, value in changed.items():
        setattr(client, field, value)
    await world.provision(Provisioning(match_clients=[client]))


async def issue(engine: Engine) -> str:
    caller = engine.openid.client(basic())
    return (await engine.openid.issue(caller, realm="letsbet", grant_type="client_credentials", scope="olp-report-api")).token


async def is_refused(engine: Engine, token: str) -> bool:
    try:
        await engine.openid.caller(token)
    except InvalidApiKey:
        return True
    return False


@pytest.fixture
async def match(world: "World") -> "World":
    await provision(world)
    return world


class TestTheStore:
    async def test_engines_that_need_a_key_at_once_agree_on_one(
        self, match: "World", make_world: "WorldMaker", open_again: "StoreOpener"
    ) -> None:
        engines = [match.engine, *[(await make_world(await open_again())).engine for _ in range(2)]]
        tokens = await asyncio.gather(*(issue(engine) for engine in engines for _ in range(2)))
        assert len({read(token)[0]["kid"] for token in tokens}) == 1
        for engine in engines:
            await engine.estate.refresh()
            assert len(engine.context.estate.signing_keys) == 1
            assert {await engine.openid.caller(token) for token in tokens} == {Caller(Role.MATCH_CLIENT, CLIENT)}

    async def test_a_restart_keeps_the_key(self, match: "World", make_world: "WorldMaker", open_again: "StoreOpener") -> None:
        token = await issue(match.engine)
        later = (await make_world(await open_again())).engine
        assert (await later.openid.caller(token)).id == CLIENT
        assert read(await issue(later))[0]["kid"] == read(token)[0]["kid"]

    async def test_the_key_is_sealed_and_sealed_anew(
        self, make_world: "WorldMaker", store: Store, open_again: "StoreOpener"
    ) -> None:
        old, new = bytes(32), bytes([1]) * 32
        world = await make_world(store, sealer=Sealer(old))
        await world.provision()
        await provision(world)
        token = await issue(world.engine)
        (key,) = world.engine.context.estate.signing_keys
        (record,) = await store.get(["00:signingkeys:tokens"])
        assert record is not None
        assert key.private not in record.data
        assert key.private[100:120] not in record.data
        changing = (await make_world(await open_again(), sealer=Sealer(new, [old]))).engine
        assert await changing.keys.reseal(OPERATOR) >= 2
        after = (await make_world(await open_again(), sealer=Sealer(new))).engine
        assert (await after.openid.caller(token)).id == CLIENT

    async def test_without_a_client_a_stranger_makes_no_key(self, world: "World", store: Store) -> None:
        with pytest.raises(RealmNotFound):
            await world.engine.openid.realm("letsbet")
        assert await store.get(["00:signingkeys:tokens"]) == [None]

    async def test_it_is_away_only_for_the_first_key(
        self, make_world: "WorldMaker", faulty_store: "FaultInjectingStore"
    ) -> None:
        world = await make_world(faulty_store)
        await world.provision()
        await provision(world)
        faulty_store.is_away = True
        with pytest.raises(StoreAway):
            await issue(world.engine)
        faulty_store.is_away = False
        await issue(world.engine)
        faulty_store.is_away = True
        # Whatever concerns a token that is known asks the store nothing.
        token = await issue(world.engine)
        assert (await world.engine.openid.caller(token)).id == CLIENT
        assert (await world.engine.openid.realm("")).signing.id == read(token)[0]["kid"]


class InMemory:
    @pytest.fixture
    def store_kind(self) -> str:
        return "memory"


class TestClients(InMemory):
    @pytest.mark.parametrize(
        "authorization",
        [
            basic(),
            basic(secret="the%2Bsecret%2Fof%25the+client%3D%3D"),
            basic(secret="the%2Bsecret%2Fof%25the%20client%3d%3d"),
        ],
        ids=["as it is", "as a form", "percent-encoded"],
    )
    async def test_a_secret_is_read_as_it_is_and_as_the_rfc_writes_it(self, match: "World", authorization: str) -> None:
        caller = match.engine.openid.client(authorization)
        assert (caller.role, caller.id) == (Role.MATCH_CLIENT, CLIENT)

    @pytest.mark.parametrize(
        "authorization",
        [
            basic(secret=SECRET[:-1]),
            basic(secret=""),
            basic("other"),
            basic(""),
            "Basic ",
            "Basic !!!!",
            "Basic é",
            "Basic " + base64.b64encode(b"super-game").decode(),
            "Basic " + base64.b64encode(b"\xff:\xff").decode(),
        ],
    )
    async def test_whatever_else_is_refused(self, match: "World", authorization: str) -> None:
        with pytest.raises(InvalidApiKey):
            match.engine.openid.client(authorization)

    async def test_only_the_grant_the_scope_and_the_realm_that_there_are(self, match: "World") -> None:
        openid, caller = match.engine.openid, match.engine.openid.client(basic())
        for grant_type, scope, field in (
            ("", "", "grant_type"),
            ("password", "", "grant_type"),
            ("client_credentials", "openid", "scope"),
            ("client_credentials", "olp-report-api olp-report-api", "scope"),
        ):
            with pytest.raises(BadRequest) as refusal:
                await openid.issue(caller, realm="", grant_type=grant_type, scope=scope)
            assert list(refusal.value.violations) == [field]
        with pytest.raises(RealmNotFound):
            await openid.issue(caller, realm="other", grant_type="client_credentials", scope="")

    async def test_a_token_ends_with_the_key_for_which_it_was_issued(self, match: "World") -> None:
        engine = match.engine
        made = await engine.keys.create(OPERATOR, f"match_client/{CLIENT}")
        other = engine.openid.client(basic(secret=made.secret))
        of_other = (await engine.openid.issue(other, realm="", grant_type="client_credentials", scope="")).token
        token = await issue(engine)
        await engine.keys.revoke(OPERATOR, made.credential.id)
        assert await is_refused(engine, of_other)
        assert (await engine.openid.caller(token)).id == CLIENT

    async def test_who_signed_but_has_no_key_any_more_gets_none(self, match: "World") -> None:
        (key,) = match.engine.context.estate.held_by(f"match_client/{CLIENT}") or ()
        await match.engine.keys.revoke(OPERATOR, key.id)
        with pytest.raises(PermissionDenied):
            await match.engine.openid.issue(
                Caller(Role.MATCH_CLIENT, CLIENT), realm="", grant_type="client_credentials", scope=""
            )


class TestTokens(InMemory):
    async def test_another_library_verifies_it_by_the_key_that_is_shown(self, match: "World", clock: ManualClock) -> None:
        token = await issue(match.engine)
        realm = await match.engine.openid.realm("letsbet")
        key = jwt.PyJWK({"kty": "RSA", "n": realm.signing.modulus, "e": realm.signing.exponent})
        claims = jwt.decode(
            token, key, algorithms=["RS256"], audience="olp-report-api", issuer=ISSUER, options={"verify_exp": False}
        )
        assert (claims["azp"], claims["client_id"], claims["scope"]) == (CLIENT, CLIENT, "olp-report-api")
        assert claims["exp"] - claims["iat"] == 300
        assert claims["iat"] == clock.now_ms() // 1000
        again = read(await issue(match.engine))[1]
        assert again["jti"] != claims["jti"]

    async def test_no_forgery_passes(self, match: "World") -> None:
        token = await issue(match.engine)
        assert not await is_refused(match.engine, token)
        der = base64.b64decode((await match.engine.openid.realm("")).signing.der)
        passed = [name for name, forged in forgeries(token, der).items() if not await is_refused(match.engine, forged)]
        assert passed == []

    async def test_every_bit_counts(self, match: "World") -> None:
        token = await issue(match.engine)
        for changed in bent(token):
            assert await is_refused(match.engine, changed), changed

    async def test_it_is_over_at_its_end(self, match: "World", clock: ManualClock) -> None:
        token = await issue(match.engine)
        clock.advance(300 - 0.001 - clock.now_ms() % 1000 / 1000)
        assert not await is_refused(match.engine, token)
        clock.advance(0.001)
        assert await is_refused(match.engine, token)

    async def test_the_token_of_a_call_of_ours_is_no_access_token(self, match: "World") -> None:
        pushed = await match.engine.openid.push_token(CLIENT)
        assert read(pushed)[1]["aud"] == CLIENT
        assert await is_refused(match.engine, pushed)

    async def test_the_use_of_a_key_is_noted(self, match: "World", clock: ManualClock) -> None:
        token = await issue(match.engine)
        clock.advance(10)
        await match.engine.openid.caller(token)
        (key,) = match.engine.context.estate.held_by(f"match_client/{CLIENT}") or ()
        assert match.engine.context.uses[key.id] == clock.now_ms()


class TestRotation(InMemory):
    async def kids(self, engine: Engine) -> list[str]:
        return [key.id for key in (await engine.openid.realm("")).published]

    async def test_the_successor_is_shown_then_signs_and_the_old_one_goes_when_its_tokens_have(
        self, match: "World", clock: ManualClock
    ) -> None:
        engine = match.engine
        old = read(await issue(engine))[0]["kid"]
        shown = [key.id for key in await engine.openid.rotate(OPERATOR)]
        assert shown == await self.kids(engine) == [old, shown[1]]
        clock.advance(AHEAD_MS / 1000 - 0.001)
        last = await issue(engine)
        assert read(last)[0]["kid"] == old == (await engine.openid.realm("")).signing.id
        clock.advance(0.001)
        assert read(await issue(engine))[0]["kid"] == shown[1] == (await engine.openid.realm("")).signing.id
        assert (await engine.openid.caller(last)).id == CLIENT
        clock.advance(KEPT_MS / 1000)
        assert await self.kids(engine) == [shown[1]]

    async def test_a_repeat_makes_no_other_and_both_are_told_once(self, match: "World", store: Store) -> None:
        await issue(match.engine)
        first = await match.engine.openid.rotate(OPERATOR)
        assert await match.engine.openid.rotate(OPERATOR) == first
        events = [decode(event.data) for event in await store.events(dict.fromkeys(range(256), 0), 1_000)]
        told = [event for event in events if isinstance(event, Audit) and event.action == "RotateSigningKey"]
        assert [(event.target, event.detail) for event in told] == [("realm/letsbet", first[1].id)]

    async def test_at_once_ends_every_token_everywhere(
        self, match: "World", make_world: "WorldMaker", open_again: "StoreOpener", clock: ManualClock
    ) -> None:
        token = await issue(match.engine)
        other = (await make_world(await open_again())).engine
        assert not await is_refused(other, token)
        (alone,) = await match.engine.openid.rotate(OPERATOR, at_once=True)
        assert await is_refused(match.engine, token)
        new = await issue(match.engine)
        assert read(new)[0]["kid"] == alone.id
        clock.advance(1)
        await other.estate.refresh()  # as happens twice a second
        assert await is_refused(other, token)
        assert not await is_refused(other, new)

    async def test_a_key_that_nobody_knows_is_looked_for_once_a_second_at_most(
        self, make_world: "WorldMaker", faulty_store: "FaultInjectingStore", clock: ManualClock
    ) -> None:
        world = await make_world(faulty_store)
        await world.provision()
        await provision(world)
        token = await issue(world.engine)
        elsewhere = (await make_world(faulty_store)).engine
        unknown = forgeries(token, base64.b64decode((await world.engine.openid.realm("")).signing.der))
        assert await is_refused(elsewhere, unknown["somebody else's key under its own id"])
        await world.engine.openid.rotate(OPERATOR, at_once=True)
        new = await issue(world.engine)
        faulty_store.is_away = True
        assert await is_refused(elsewhere, new), "it is not looked for again so soon"
        faulty_store.is_away = False
        clock.advance(LOOK_AGAIN_MS / 1000)
        assert not await is_refused(elsewhere, new)

    async def test_calls_that_come_at_once_wait_for_the_one_that_looks(
        self, make_world: "WorldMaker", busy_store: "FaultInjectingStore"
    ) -> None:
        world = await make_world(busy_store)
        await world.provision()
        await provision(world)
        elsewhere = (await make_world(busy_store)).engine
        token = await issue(world.engine)
        assert await asyncio.gather(*(is_refused(elsewhere, token) for _ in range(10))) == [False] * 10
