"""The world of `tests/conftest.py` over gRPC: the same calls over a socket and in process."""

import hashlib
import hmac
import itertools
from collections.abc import AsyncIterator, Awaitable
from typing import Any, Final, NamedTuple

import grpc
import grpc.aio
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health_pb2_grpc
from playclock.core.signing import Scheme, sign_launcher
from playclock.engine import Engine
from playclock.rpc.inprocess import InProcessChannel
from playclock.rpc.server import Server
from playclock.v1 import (
    SIGNATURE_SCHEME_AGENT,
    SIGNATURE_SCHEME_PLAYFUN,
    SIGNATURE_SCHEME_STANDARD_WEBHOOKS,
    AccountServiceStub,
    AuthServiceStub,
    GameLinkServiceStub,
    HttpHeader,
    LauncherCredentials,
    LaunchServiceStub,
    ProvisioningServiceStub,
    SessionServiceStub,
    SettlementServiceStub,
    SignedHttpRequest,
    WalletServiceStub,
)

Metadata = tuple[tuple[str, str | bytes], ...]

KEY = "the-key-of-the-game"
OTHER_KEY = "the-key-of-the-other-game"
SECRET = "the-secret-of-the-launcher"
OPERATOR_TOKEN = "operator-token"


KINDS: Final[tuple[type[Message], ...]] = (
    error_details_pb2.ErrorInfo,
    error_details_pb2.BadRequest,
    error_details_pb2.RetryInfo,
    error_details_pb2.QuotaFailure,
)


class Failed(NamedTuple):
    """How a call failed, details unpacked."""

    code: grpc.StatusCode
    sentence: str
    reason: str = ""
    metadata: dict[str, str] | None = None
    violations: tuple[str, ...] = ()
    descriptions: tuple[str, ...] = ()
    retry_ms: int | None = None


class Rpc:
    """Stubs on one channel, credentials of everybody, and failures as values."""

    GAME: Final[Metadata] = (("x-api-key", KEY),)
    OTHER_GAME: Final[Metadata] = (("x-api-key", OTHER_KEY),)
    OPERATOR: Final[Metadata] = (("authorization", f"Bearer {OPERATOR_TOKEN}"),)

    def __init__(self, channel: grpc.aio.Channel, engine: Engine) -> None:
        self.channel = channel
        self.accounts = AccountServiceStub(channel)
        self.auth = AuthServiceStub(channel)
        self.launches = LaunchServiceStub(channel)
        self.links = GameLinkServiceStub(channel)
        self.provisioning = ProvisioningServiceStub(channel)
        self.sessions = SessionServiceStub(channel)
        self.settlements = SettlementServiceStub(channel)
        self.wallet = WalletServiceStub(channel)
        self.health = health_pb2_grpc.HealthStub(channel)
        self._engine = engine
        self._nonces = itertools.count()

    def signed(self, *, trusted: bool = True, **changed: Any) -> Metadata:  # noqa: ANN401 - any field of the credentials
        """Return a launcher's credentials as the facade hands them on; `changed` after they were signed."""
        path, body = "/v1/launcher/session/start", hashlib.sha256(b"{}").digest()
        timestamp = changed.pop("signed_at", str(self._engine.clock.now_ms() // 1000))
        nonce = changed.pop("signed_nonce", f"nonce-{next(self._nonces)}")
        secret = changed.pop("secret", SECRET).encode()
        signature = sign_launcher(secret, method="POST", path=path, timestamp=timestamp, nonce=nonce, body_sha256=body)
        credentials = LauncherCredentials(
            launcher_id="launcher-1",
            timestamp=timestamp,
            nonce=nonce,
            signature=signature,
            http_method="POST",
            http_path=path,
            body_sha256=body,
        )
        for field, value in changed.items():
            setattr(credentials, field, value)
        handed_on: Metadata = (("x-launcher-credentials-bin", credentials.SerializeToString()),)
        return handed_on + self.OPERATOR if trusted else handed_on

    def signed_by_agent(self, *, secret: bytes = b"the-token-of-the-agent", agent_id: int = 1, once: str = "") -> Metadata:
        """Return an agent's credentials as the facade hands them on; `once` makes a signature of its own of them."""
        more = f',"once":"{once}"' if once else ""
        body = f'{{"agent_id":{agent_id},"timestamp":{self._engine.clock.now_ms() // 1000}{more}}}'.encode()
        header = HttpHeader(name="X-Signature", value=hmac.new(secret, body, "sha256").hexdigest())
        request = SignedHttpRequest(scheme=SIGNATURE_SCHEME_AGENT, headers=[header], body=body)
        return (("x-signed-request-bin", request.SerializeToString()), *self.OPERATOR)

    def signed_by_developer(self, *, secret: bytes = b"the-secret-of-the-developer") -> Metadata:
        """Return a developer's credentials as the facade hands them on."""
        developer, timestamp = "550e8400-e29b-41d4-a716-446655440000", self._engine.clock.now_ms()
        signature = hmac.new(secret, f"get\n/games/me\n{timestamp}".encode(), "sha256").hexdigest()
        value = f"HMAC-SHA256 apiKey={developer} signature={signature} timestamp={timestamp}"
        request = SignedHttpRequest(
            scheme=SIGNATURE_SCHEME_PLAYFUN,
            http_method="GET",
            http_path="/games/me",
            headers=[HttpHeader(name="Authorization", value=value)],
        )
        return (("x-signed-request-bin", request.SerializeToString()), *self.OPERATOR)

    def signed_by_match_client(self) -> Metadata:
        """Return a match client's credentials as the facade hands them on."""
        signed = self._engine.signatures.sign(Scheme.STANDARD_WEBHOOKS, "match-1", body=b"{}")
        headers = [HttpHeader(name=name, value=value) for name, value in signed.headers.items()]
        request = SignedHttpRequest(
            scheme=SIGNATURE_SCHEME_STANDARD_WEBHOOKS, key_id="match-1", headers=headers, body=signed.body
        )
        return (("x-signed-request-bin", request.SerializeToString()), *self.OPERATOR)

    @staticmethod
    def bearer(token: str) -> Metadata:
        """Return what a service with a token sends."""
        return (("authorization", f"Bearer {token}"),)

    async def failure(self, call: Awaitable[object]) -> Failed:
        """Await a call that has to fail, and return how it did."""
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        return self.unpacked(caught.value)

    @staticmethod
    def unpacked(error: grpc.aio.AioRpcError) -> Failed:
        """Return a failed call's status as a value."""
        return _unpacked(error)


def _unpacked(error: grpc.aio.AioRpcError) -> Failed:
    failed = Failed(error.code(), error.details() or "")
    raw = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin")
    if raw is None:
        return failed
    status = Status.FromString(raw if isinstance(raw, bytes) else raw.encode())
    assert (status.code, status.message) == (failed.code.value[0], failed.sentence)
    for detail in status.details:
        found: Message
        for kind in KINDS:
            found = kind()
            if detail.Unpack(found):
                failed = _with_detail(failed, found)
                break
        else:
            raise AssertionError(detail)
    return failed


def _with_detail(failed: Failed, detail: Any) -> Failed:  # noqa: ANN401 - one of three messages
    if isinstance(detail, error_details_pb2.ErrorInfo):
        assert detail.domain == "playclock"
        return failed._replace(reason=detail.reason, metadata=dict(detail.metadata))
    if isinstance(detail, error_details_pb2.BadRequest):
        assert all(violation.description for violation in detail.field_violations)
        violations = detail.field_violations
        return failed._replace(
            violations=tuple(violation.field for violation in violations),
            descriptions=tuple(violation.description for violation in violations),
        )
    if isinstance(detail, error_details_pb2.QuotaFailure):
        assert [violation.subject for violation in detail.violations] == [(failed.metadata or {})["limit"]]
        return failed
    return failed._replace(retry_ms=detail.retry_delay.ToMilliseconds())


@pytest.fixture(params=["memory"])
def store_kind(request: pytest.FixtureRequest) -> str:
    """Return the one kind of store that is needed here: what stores do has tests of its own."""
    return str(request.param)


@pytest.fixture
async def server(engine: Engine) -> AsyncIterator[Server]:
    server = await Server.start(engine, "127.0.0.1:0")
    yield server
    await server.drain(0)


@pytest.fixture
async def rpc(server: Server, engine: Engine) -> AsyncIterator[Rpc]:
    """Calls over a socket."""
    async with grpc.aio.insecure_channel(server.address) as channel:
        yield Rpc(channel, engine)


@pytest.fixture
def near(engine: Engine) -> Rpc:
    """Calls in process."""
    return Rpc(InProcessChannel(engine), engine)
