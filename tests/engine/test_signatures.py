"""Signatures on every store: each nonce once, a repeat told as one, a life of one window, and no trust without the store."""

import asyncio
import hashlib
import hmac
from copy import copy
from typing import TYPE_CHECKING

import pytest
from playclock.clock import ManualClock
from playclock.core.signing import HttpRequest, Scheme
from playclock.core.signing.launcher import launcher_headers
from playclock.engine.signatures import Signatures, Signed
from playclock.errors import EngineError, InvalidSignature, StoreAway
from playclock.v1 import Agent, Developer, MatchClient, Provisioning

from tests.conftest import KINDS

if TYPE_CHECKING:
    from tests.conftest import EngineMaker, FaultInjectingStore, World

AGENT, TOKENLESS, DEVELOPER, CLIENT = "1", "2", "550e8400-e29b-41d4-a716-446655440000", "super-game"
SCHEMES = list(Scheme)


@pytest.fixture
def store_kind() -> str:
    """Return the one kind of store that most of this needs."""
    return "memory"


@pytest.fixture
async def signers(world: "World") -> "World":
    """Add who signs to the world."""
    await world.provision(
        Provisioning(
            agents=[Agent(id=1, name="One", api_token="agent-token"), Agent(id=2, name="Two")],
            developers=[Developer(id=DEVELOPER, secret="developer-secret")],
            match_clients=[MatchClient(client_id=CLIENT, client_secret="match-secret", game=world.GAME_ID)],
        )
    )
    return world


def key_of(world: "World", scheme: Scheme) -> str:
    known = {Scheme.LAUNCHER: world.LAUNCHER_ID, Scheme.AGENT: AGENT, Scheme.PLAYFUN: DEVELOPER}
    return known.get(scheme, CLIENT)


def signed(world: "World", scheme: Scheme, *, off_sec: int = 0, path: str = "/a") -> HttpRequest:
    """Sign a request that is dated a little off the engine's time."""
    signer = copy(world.engine.context)
    signer.clock = ManualClock(world.engine.clock.now_ms() + off_sec * 1000)
    body = f'{{"agent_id":1,"path":"{path}","timestamp":{signer.clock.now_ms() // 1000}}}'.encode()
    outgoing = Signatures(signer).sign(scheme, key_of(world, scheme), method="POST", path=path, body=body)
    headers = tuple(outgoing.headers.items())
    return HttpRequest(method="POST", path=path, headers=headers, body=outgoing.body)


async def verify(world: "World", scheme: Scheme, request: HttpRequest, *, use_up: bool = True) -> Signed:
    signer = CLIENT if scheme is Scheme.STANDARD_WEBHOOKS else ""
    return await world.engine.signatures.verify(scheme, request, signer=signer, use_up=use_up)


async def answer(world: "World", scheme: Scheme, request: HttpRequest, *, use_up: bool = True) -> str:
    """Return "first" or "repeat", or the reason of the refusal."""
    try:
        return "repeat" if (await verify(world, scheme, request, use_up=use_up)).is_repeat else "first"
    except EngineError as error:
        return error.reason


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_what_the_engine_signs_it_verifies(signers: "World", scheme: Scheme) -> None:
    proved = await verify(signers, scheme, signed(signers, scheme))
    assert proved.caller.id == key_of(signers, scheme)
    assert abs(proved.signed_ms - signers.engine.clock.now_ms()) < 1_000
    assert proved.request_id.startswith("sig_")


@pytest.mark.parametrize("off_sec", [-300, -10, 0, 10, 300])
@pytest.mark.parametrize("scheme", SCHEMES)
async def test_a_signature_lives_for_a_window_at_most_and_is_first_once(
    signers: "World", clock: ManualClock, scheme: Scheme, off_sec: int
) -> None:
    request = signed(signers, scheme, off_sec=off_sec)
    heard = []
    for _ in range(24):
        heard.append(await answer(signers, scheme, request))
        clock.advance(30)
        await signers.engine.sweep()
    assert heard[0] == "first"
    if scheme is Scheme.LAUNCHER:
        assert set(heard[1:]) <= {"REQUEST_REPLAYED", "REQUEST_EXPIRED"}
    else:
        good = 1 + (300 + min(off_sec, 0)) // 30
        assert heard == ["first"] + ["repeat"] * (good - 1) + ["REQUEST_EXPIRED"] * (24 - good)


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_outside_the_window_nothing_is_good(signers: "World", scheme: Scheme) -> None:
    for off_sec in (-302, 302, -100_000):
        assert await answer(signers, scheme, signed(signers, scheme, off_sec=off_sec)) == "REQUEST_EXPIRED"


@pytest.mark.parametrize("scheme", [scheme for scheme in SCHEMES if scheme is not Scheme.LAUNCHER])
async def test_a_repeat_has_the_request_id_of_the_first_and_nothing_else_has(signers: "World", scheme: Scheme) -> None:
    request, other = signed(signers, scheme), signed(signers, scheme, path="/b")
    first, again, another = [await verify(signers, scheme, each) for each in (request, request, other)]
    assert first.request_id == again.request_id != another.request_id
    assert (first.is_repeat, again.is_repeat, another.is_repeat) == (False, True, False)


async def test_an_agents_body_in_another_order_is_the_same_signature(signers: "World") -> None:
    request = signed(signers, Scheme.AGENT)
    first = await verify(signers, Scheme.AGENT, request)
    name, _, rest = request.body[1:-1].partition(b",")
    turned = HttpRequest(headers=request.headers, body=b"{ " + rest + b", " + name + b"}")
    again = await verify(signers, Scheme.AGENT, turned)
    assert (again.is_repeat, again.request_id) == (True, first.request_id)


async def test_a_message_that_is_signed_anew_is_the_same_message(signers: "World", clock: ManualClock) -> None:
    ids = []
    for _ in range(2):
        outgoing = signers.engine.signatures.sign(Scheme.STANDARD_WEBHOOKS, CLIENT, body=b"{}", message_id="msg_1")
        request = HttpRequest(headers=tuple(outgoing.headers.items()), body=outgoing.body)
        proved = await verify(signers, Scheme.STANDARD_WEBHOOKS, request)
        ids.append((proved.request_id, proved.is_repeat, outgoing.headers["webhook-signature"]))
        clock.advance(60)
    assert [repeat for _, repeat, _ in ids] == [False, True]
    assert ids[0][0] == ids[1][0]
    assert ids[0][2] != ids[1][2]


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_one_schemes_signature_is_not_anothers(signers: "World", scheme: Scheme) -> None:
    request = signed(signers, scheme)
    for other in SCHEMES:
        if other is not scheme:
            assert await answer(signers, other, request) in ("INVALID_SIGNATURE", "BAD_REQUEST")


async def test_who_has_no_secret_learns_who_is_an_agent_after_the_work_and_of_nobody_else(signers: "World") -> None:
    for agent_id, metadata in ((1, {}), (2, {"signer": "WITHOUT_SECRET"}), (3, {"signer": "UNKNOWN"})):
        body = f'{{"agent_id":{agent_id},"timestamp":1}}'.encode()
        headers = (("X-Signature", hmac.new(b"wrong", body, hashlib.sha256).hexdigest()),)
        with pytest.raises(InvalidSignature) as caught:
            await verify(signers, Scheme.AGENT, HttpRequest(headers=headers, body=body))
        assert (caught.value.message, caught.value.metadata) == ("no current secret made this signature", metadata)
    for launcher in (signers.LAUNCHER_ID, "nobody"):
        wrong = launcher_headers(b"wrong", launcher_id=launcher, method="POST", path="/", timestamp="1", nonce="n", body=b"")
        with pytest.raises(InvalidSignature) as caught:
            await verify(signers, Scheme.LAUNCHER, HttpRequest(method="POST", path="/", headers=tuple(wrong.items())))
        assert caught.value.metadata == {}


async def test_who_has_to_have_signed_has_to_be_who_did(signers: "World") -> None:
    request = signed(signers, Scheme.PLAYFUN)
    signatures = signers.engine.signatures
    with pytest.raises(InvalidSignature):
        await signatures.verify(Scheme.PLAYFUN, request, signer="550e8400-e29b-41d4-a716-446655440001", use_up=True)
    assert (await signatures.verify(Scheme.PLAYFUN, request, signer=DEVELOPER, use_up=True)).caller.id == DEVELOPER
    message = signed(signers, Scheme.STANDARD_WEBHOOKS)
    with pytest.raises(InvalidSignature):
        await signatures.verify(Scheme.STANDARD_WEBHOOKS, message, signer="nobody", use_up=True)


class TestOnEveryStore:
    @pytest.fixture(params=KINDS)
    def store_kind(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.mark.parametrize("scheme", SCHEMES)
    async def test_looking_uses_nothing_up_and_using_up_is_seen_by_all(
        self, signers: "World", elsewhere: "World", scheme: Scheme
    ) -> None:
        await elsewhere.engine.estate.refresh()
        request = signed(signers, scheme)
        again = "REQUEST_REPLAYED" if scheme is Scheme.LAUNCHER else "repeat"
        for _ in range(2):
            assert await answer(signers, scheme, request, use_up=False) == "first"
        assert await answer(signers, scheme, request) == "first"
        for world in (signers, elsewhere):
            for use_up in (True, False):
                assert await answer(world, scheme, request, use_up=use_up) == again

    @pytest.mark.parametrize("scheme", SCHEMES)
    async def test_of_many_copies_at_once_one_is_the_first(self, signers: "World", scheme: Scheme) -> None:
        request = signed(signers, scheme)
        answers = await asyncio.gather(*(answer(signers, scheme, request) for _ in range(50)))
        again = "REQUEST_REPLAYED" if scheme is Scheme.LAUNCHER else "repeat"
        assert sorted(answers) == sorted(["first"] + [again] * 49)


class TestWithoutAStore:
    @pytest.fixture
    async def signatures(self, signers: "World", faulty_store: "FaultInjectingStore", make_engine: "EngineMaker") -> Signatures:
        engine = await make_engine(faulty_store)
        faulty_store.is_away = True
        assert signers.engine is not engine
        return engine.signatures

    @pytest.mark.parametrize("scheme", SCHEMES)
    async def test_a_read_that_needs_none_is_believed_unless_its_nonce_may_have_been_used(
        self, signers: "World", signatures: Signatures, scheme: Scheme
    ) -> None:
        request, signer = signed(signers, scheme), key_of(signers, scheme)
        call = signatures.verify(scheme, request, signer=signer, use_up=False, from_memory=True)
        if scheme is Scheme.LAUNCHER:
            with pytest.raises(StoreAway):
                await call
        else:
            assert (await call).caller.id == signer
        with pytest.raises(StoreAway):
            await signatures.verify(scheme, request, signer=signer, use_up=True, from_memory=True)

    @pytest.mark.parametrize("use_up", [True, False])
    @pytest.mark.parametrize("scheme", SCHEMES)
    async def test_no_signature_is_believed(
        self, signers: "World", signatures: Signatures, scheme: Scheme, *, use_up: bool
    ) -> None:
        request = signed(signers, scheme)
        with pytest.raises(StoreAway):
            await signatures.verify(scheme, request, signer=key_of(signers, scheme), use_up=use_up)
