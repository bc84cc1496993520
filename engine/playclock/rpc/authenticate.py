"""Credentials in the metadata to a caller, and the one table of who may call what."""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from google.protobuf.message import DecodeError

from playclock.engine import OPERATOR, Caller, Engine, Role, SignedRequest
from playclock.errors import InvalidApiKey, InvalidSignature, PermissionDenied
from playclock.rpc.auth import verify
from playclock.rpc.call import Call, Identify, unidentified
from playclock.v1.auth_service_pb2 import LauncherCredentials, SignedHttpRequest

API_KEY: Final = "x-api-key"
AUTHORIZATION: Final = "authorization"
LAUNCHER_CREDENTIALS: Final = "x-launcher-credentials-bin"
SIGNED_REQUEST: Final = "x-signed-request-bin"
REQUEST_ID: Final = "x-request-id"

_BEARER: Final = "Bearer "
_CREDENTIALS_BYTES_MAX: Final = 8_192

Metadata = Sequence[tuple[str, str | bytes]]
M = TypeVar("M", LauncherCredentials, SignedHttpRequest)

_GAME, _LAUNCHER, _OPERATOR = Role.GAME, Role.LAUNCHER, Role.OPERATOR
_SIGNERS: Final = (Role.LAUNCHER, Role.AGENT, Role.DEVELOPER)

ACCESS: Final[dict[str, tuple[Role, ...]]] = {
    "/playclock.v1.AccountService/GetAccount": (_OPERATOR,),
    "/playclock.v1.AccountService/InquirePrice": (_OPERATOR,),
    "/playclock.v1.AccountService/ListEntries": (_OPERATOR,),
    "/playclock.v1.AccountService/ReverseTopUp": (_OPERATOR,),
    "/playclock.v1.AccountService/CreateTransfer": (_OPERATOR,),
    "/playclock.v1.AccountService/PostTransfer": (_OPERATOR,),
    "/playclock.v1.AccountService/VoidTransfer": (_OPERATOR,),
    "/playclock.v1.AccountService/GetTransfer": (_OPERATOR,),
    "/playclock.v1.AccountService/TopUpAccount": (_OPERATOR,),
    "/playclock.v1.AuthService/VerifyCaller": (_GAME, *_SIGNERS, _OPERATOR),
    "/playclock.v1.AuthService/VerifyRequest": (_OPERATOR,),
    "/playclock.v1.AuthService/SignRequest": (_OPERATOR,),
    "/playclock.v1.LaunchService/StartLaunch": (_LAUNCHER, _OPERATOR),
    "/playclock.v1.LaunchService/HeartbeatLaunch": (_LAUNCHER, _OPERATOR),
    "/playclock.v1.LaunchService/EndLaunch": (_LAUNCHER, _OPERATOR),
    "/playclock.v1.LaunchService/IssueOtt": (_LAUNCHER, _OPERATOR),
    "/playclock.v1.ProvisioningService/ApplyProvisioning": (_OPERATOR,),
    "/playclock.v1.ProvisioningService/GetProvisioning": (_OPERATOR,),
    "/playclock.v1.SessionService/OpenSession": (_GAME, _OPERATOR),
    "/playclock.v1.SessionService/Heartbeat": (_GAME, _OPERATOR),
    "/playclock.v1.SessionService/BatchHeartbeat": (_GAME, _OPERATOR),
    "/playclock.v1.SessionService/EndSession": (_GAME, _OPERATOR),
    "/playclock.v1.SessionService/EndSessionsOfServer": (_GAME, _OPERATOR),
    "/playclock.v1.SessionService/GetSession": (_GAME, _OPERATOR),
    "/playclock.v1.SessionService/ListSessions": (_GAME, _OPERATOR),
    "/playclock.v1.SessionService/TerminateSession": (_OPERATOR,),
    "/playclock.v1.SessionService/WatchSessions": (_GAME, _OPERATOR),
    "/playclock.v1.SettlementService/ExportSettlements": (_GAME, _OPERATOR),
    "/playclock.v1.SettlementService/ListSettlements": (_GAME, _OPERATOR),
    "/playclock.v1.SettlementService/SummarizeSettlements": (_GAME, _OPERATOR),
}
"""Who may call what. A method without a row cannot be called."""


async def authenticate(
    engine: Engine,
    method: str,
    metadata: Metadata,
    peer: Callable[[], str],
    *,
    changes: bool,
    trusted: bool,
    fallback: Caller | None,
    identify: Identify = unidentified,
) -> Call:
    """Return who calls `method`, and whether it is inside the trust boundary: in process, or with an operator's token.

    A signature is used up where the method `changes` something. `fallback` stands for a caller without any credentials; None
    refuses it. `identify` tells whom the client's certificate names, which counts for nothing by itself. Raises
    Unauthenticated's children, PermissionDenied, BadRequest, StoreAway.
    """
    given = dict(metadata)
    signature_id = ""
    if API_KEY in given:
        caller = engine.callers.game(_text(given[API_KEY]))
    elif LAUNCHER_CREDENTIALS in given or SIGNED_REQUEST in given:
        trusted = trusted or (AUTHORIZATION in given and bool(_operator(engine, given[AUTHORIZATION])))
        if not trusted:
            raise InvalidSignature("a signature is believed only of callers inside the trust boundary")
        if LAUNCHER_CREDENTIALS in given:
            launched = _signed_request(_message(LauncherCredentials, given[LAUNCHER_CREDENTIALS]))
            caller = await engine.signatures.launcher(launched, use_up=changes)
        else:
            signed = await verify(engine, _message(SignedHttpRequest, given[SIGNED_REQUEST]), use_up=changes)
            caller, signature_id = signed.caller, signed.request_id
    elif AUTHORIZATION in given:
        caller, trusted = _operator(engine, given[AUTHORIZATION]), True
    elif fallback is not None:
        caller = fallback
    else:
        raise InvalidApiKey("the call carries no credentials")
    if caller.role not in ACCESS.get(method, ()):
        raise PermissionDenied("this caller may not make this call", role=caller.role.value)
    return Call(caller, peer, trusted, signature_id, identify)


def _operator(engine: Engine, authorization: str | bytes) -> Caller:
    text = _text(authorization)
    if not text.startswith(_BEARER):
        raise InvalidApiKey("expected a bearer token")
    engine.callers.operator(text.removeprefix(_BEARER))
    return OPERATOR


def _message(kind: type[M], value: str | bytes) -> M:
    if isinstance(value, str) or len(value) > _CREDENTIALS_BYTES_MAX:
        raise InvalidSignature("the signer's credentials are malformed")
    try:
        return kind.FromString(value)
    except DecodeError as error:
        raise InvalidSignature("the signer's credentials are malformed") from error


def _signed_request(credentials: LauncherCredentials) -> SignedRequest:
    return SignedRequest(
        launcher_id=credentials.launcher_id,
        timestamp=credentials.timestamp,
        nonce=credentials.nonce,
        signature=credentials.signature,
        method=credentials.http_method,
        path=credentials.http_path,
        body_sha256=credentials.body_sha256,
    )


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")
