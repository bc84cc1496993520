"""The chain around every method: request id, caller, errors, log. The same over a socket and in process.

Not gRPC interceptors: those build a handler for every call, which costs a tenth of a heartbeat, and an in-process channel
would go past them. Here every method is wrapped once, when the service is made.
"""

import logging
import re
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from time import perf_counter_ns
from typing import Any, Final, Protocol

from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2

from playclock.engine import Caller, Engine, Role
from playclock.engine.counts import Calls
from playclock.errors import EngineError, RateLimited, TryAgain
from playclock.rpc.access import check_rows
from playclock.rpc.account import AccountServicer
from playclock.rpc.audit import AuditServicer
from playclock.rpc.auth import AuthServicer
from playclock.rpc.authenticate import REQUEST_ID, Metadata
from playclock.rpc.call import Call, Identify, unidentified
from playclock.rpc.catalog import CatalogServicer
from playclock.rpc.delivery import DeliveryServicer
from playclock.rpc.developer_game import DeveloperGameServicer
from playclock.rpc.game_link import GameLinkServicer
from playclock.rpc.gate import Gate
from playclock.rpc.health import SERVICE as HEALTH
from playclock.rpc.health import HealthServicer
from playclock.rpc.image import ImageServicer
from playclock.rpc.key import KeyServicer
from playclock.rpc.launch import LaunchServicer
from playclock.rpc.limit import LimitServicer
from playclock.rpc.match import MatchServicer
from playclock.rpc.openid import OpenIdServicer
from playclock.rpc.points import PointsServicer
from playclock.rpc.provisioning import ProvisioningServicer
from playclock.rpc.session import SessionServicer
from playclock.rpc.settlement import SettlementServicer
from playclock.rpc.status import Failure, failure_of, internal_failure
from playclock.rpc.wallet import WalletServicer
from playclock.v1 import (
    account_service_pb2,
    audit_service_pb2,
    auth_service_pb2,
    catalog_service_pb2,
    delivery_service_pb2,
    developer_game_service_pb2,
    game_link_service_pb2,
    image_service_pb2,
    key_service_pb2,
    launch_service_pb2,
    limit_service_pb2,
    match_service_pb2,
    openid_service_pb2,
    points_service_pb2,
    provisioning_service_pb2,
    session_service_pb2,
    settlement_service_pb2,
    wallet_service_pb2,
)

_log = logging.getLogger("playclock.rpc")

_REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
_QUIET: Final = frozenset(
    {
        "Heartbeat",
        "BatchHeartbeat",
        "VerifyCaller",
        "VerifyRequest",
        "SignRequest",
        "GetSession",
        "GetImage",
        "ListSessions",
        "HeartbeatLaunch",
        "ListAgentGames",
        "VerifyDemoToken",
        "GetPoints",
        "GetLeaderboard",
        "GetStreak",
        "ListPlayerSessions",
        "ListRiskySessions",
        "GetPlayerPoints",
        "GetPlayerStreak",
        "GetSessionState",
        "FlushPoints",
        "CommitPoints",
        "ValidateSessionToken",
        "GetMatch",
        "ListMatches",
        "InspectMatchToken",
    }
)
"""Methods of which only failures are worth a line by default: they come all the time, or change nothing."""

OK: Final = "OK"
CANCELLED: Final = "CANCELLED"
"""How a call is counted whose caller went away, or whose deadline was over, before it was answered."""

NOBODY: Final = Caller(Role.GAME, "")
"""Who calls what is open to all: nobody in particular, who may act for no game."""


class Method:
    """One method of the service: what it takes, what it gives, and who does it."""

    def __init__(
        self,
        name: str,
        request_type: type[Message],
        response_type: type[Message],
        handler: Callable[..., Any],
        calls: Calls,
        *,
        changes: bool,
    ) -> None:
        self.name = name
        self.changes = changes
        """Whether a call may change something: the proto does not say that it has no side effects."""
        self.request_type = request_type
        self.response_type = response_type
        self.handler = handler
        self.calls = calls
        """What is counted of it."""
        self.open_to_all = name.startswith(f"/{HEALTH}/")
        self.level = logging.DEBUG if self.open_to_all or name.rpartition("/")[2] in _QUIET else logging.INFO


class UnaryMethod(Method):
    """One request, one response."""


class StreamMethod(Method):
    """One request, a stream of responses."""


class UploadMethod(Method):
    """A stream of requests, one response. Nothing of the stream is taken before its caller is let in."""


class Peer(Protocol):
    """Tells the connection's other end."""

    def __call__(self) -> str:
        """Return it as gRPC writes it."""


class Dispatcher:
    """All methods of an engine, each with its chain."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._gate = Gate(engine)
        self.methods: dict[str, Method] = {}
        served = (
            (account_service_pb2, "AccountService", AccountServicer(engine)),
            (audit_service_pb2, "AuditService", AuditServicer(engine)),
            (auth_service_pb2, "AuthService", AuthServicer(engine)),
            (catalog_service_pb2, "CatalogService", CatalogServicer(engine)),
            (delivery_service_pb2, "DeliveryService", DeliveryServicer(engine)),
            (developer_game_service_pb2, "DeveloperGameService", DeveloperGameServicer(engine)),
            (game_link_service_pb2, "GameLinkService", GameLinkServicer(engine)),
            (image_service_pb2, "ImageService", ImageServicer(engine)),
            (key_service_pb2, "KeyService", KeyServicer(engine)),
            (launch_service_pb2, "LaunchService", LaunchServicer(engine)),
            (limit_service_pb2, "LimitService", LimitServicer(engine)),
            (match_service_pb2, "MatchService", MatchServicer(engine)),
            (openid_service_pb2, "OpenIdService", OpenIdServicer(engine)),
            (points_service_pb2, "PointsService", PointsServicer(engine)),
            (provisioning_service_pb2, "ProvisioningService", ProvisioningServicer(engine)),
            (session_service_pb2, "SessionService", SessionServicer(engine)),
            (settlement_service_pb2, "SettlementService", SettlementServicer(engine)),
            (wallet_service_pb2, "WalletService", WalletServicer(engine)),
        )
        self.services = [f"playclock.v1.{name}" for _, name, _ in served]
        self.health = HealthServicer(engine, self.services)
        for module, name, servicer in served:
            self._add(module, name, servicer)
        check_rows(self.methods)
        self._add(health_pb2, "Health", self.health)

    async def unary(
        self,
        method: Method,
        request: Message | AsyncIterator[Message],
        metadata: Metadata,
        peer: Peer,
        *,
        trusted: bool,
        fallback: Caller | None = None,
        identify: Identify = unidentified,
    ) -> Message:
        """Answer a call; the request of an UploadMethod is a stream. Raises Failure."""
        began_ns = perf_counter_ns()
        code = CANCELLED
        suspicion = None
        try:
            call = await self._begin(method, metadata, peer, identify, trusted=trusted, fallback=fallback)
            suspicion = call.suspicion
            response: Message = await method.handler(request, call)
            if suspicion is not None:
                suspicion.check(response)
            code = OK
        except Failure as known:
            code = known.code.name
            raise
        except Exception as error:  # noqa: BLE001 - the boundary: whatever it is, the caller gets a status and the log the rest
            if suspicion is not None and isinstance(error, EngineError) and not isinstance(error, RateLimited):
                error = suspicion.instead_of(error)
            failure = self._failure(error, method, metadata, began_ns)
            code = failure.code.name
            raise failure from None
        finally:
            method.calls.end(code, perf_counter_ns() - began_ns)
        if _log.isEnabledFor(method.level):
            _tell(method, _request_id(metadata), began_ns, OK, method.level)
        return response

    async def stream(
        self,
        method: Method,
        request: Message,
        metadata: Metadata,
        peer: Peer,
        *,
        trusted: bool,
        fallback: Caller | None = None,
        identify: Identify = unidentified,
    ) -> AsyncIterator[Message]:
        """Answer a call with a stream. Raises Failure."""
        began_ns = perf_counter_ns()
        code = CANCELLED
        try:
            call = await self._begin(method, metadata, peer, identify, trusted=trusted, fallback=fallback)
            # Closed with its caller, not when it is collected some time.
            async with aclosing(method.handler(request, call)) as responses:
                async for response in responses:
                    yield response
            code = OK
        except Exception as error:  # noqa: BLE001 - the boundary, as in `unary`
            failure = self._failure(error, method, metadata, began_ns)
            code = failure.code.name
            raise failure from None
        finally:
            method.calls.end(code, None)

    async def _begin(
        self, method: Method, metadata: Metadata, peer: Peer, identify: Identify, *, trusted: bool, fallback: Caller | None
    ) -> Call:
        if method.open_to_all:
            return Call(NOBODY, peer, trusted)
        if self.engine.is_late():
            await self.engine.catch_up()
        call = self._gate.admit_game(method.name, metadata, peer, trusted=trusted)
        return call or await self._gate.admit(
            method.name, metadata, peer, identify, changes=method.changes, trusted=trusted, fallback=fallback
        )

    def _add(self, module: Any, service_name: str, servicer: object) -> None:  # noqa: ANN401 - a generated module
        service = module.DESCRIPTOR.services_by_name[service_name]
        for descriptor in service.methods:
            if not hasattr(servicer, descriptor.name):
                continue  # the health library knows a List that is too new to be relied on
            name = f"/{service.full_name}/{descriptor.name}"
            kind: type[Method] = UploadMethod if descriptor.client_streaming else UnaryMethod
            if descriptor.server_streaming:
                kind = StreamMethod
            request_type = getattr(module, descriptor.input_type.name)
            response_type = getattr(module, descriptor.output_type.name)
            handler, calls = getattr(servicer, descriptor.name), self.engine.counts.calls_of(name)
            changes = descriptor.GetOptions().idempotency_level != MethodOptions.NO_SIDE_EFFECTS
            self.methods[name] = kind(name, request_type, response_type, handler, calls, changes=changes)

    def _failure(self, error: Exception, method: Method, metadata: Metadata, began_ns: int) -> Failure:
        request_id = _request_id(metadata)
        if isinstance(error, EngineError):
            level = logging.WARNING if isinstance(error, TryAgain) else logging.INFO
            if _log.isEnabledFor(level):
                _tell(method, request_id, began_ns, error.reason, level)
            return failure_of(error)
        fields = {"method": method.name, "request_id": request_id}
        _log.error("call failed", exc_info=error, extra={"fields": fields})
        return internal_failure(request_id)


def _request_id(metadata: Metadata) -> str:
    for key, value in metadata:
        if key == REQUEST_ID and isinstance(value, str) and _REQUEST_ID.fullmatch(value):
            return value
    return f"req_{secrets.token_hex(16)}"


def _tell(method: Method, request_id: str, began_ns: int, outcome: str, level: int) -> None:
    duration_us = (perf_counter_ns() - began_ns) // 1_000
    fields = {"method": method.name, "request_id": request_id, "outcome": outcome, "duration_us": duration_us}
    _log.log(level, "call", extra={"fields": fields})
