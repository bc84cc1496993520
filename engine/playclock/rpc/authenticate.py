"""Credentials in the metadata to a caller who may make the call."""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from google.protobuf.message import DecodeError

from playclock.engine import Caller, Engine, Role, SignedRequest
from playclock.engine.jose import looks_like_jwt
from playclock.errors import InvalidApiKey, InvalidSignature, PermissionDenied
from playclock.rpc.access import ACCESS, FOR_SECRETS, FROM_MEMORY, OWN, name_of_rpc
from playclock.rpc.auth import verify
from playclock.rpc.call import Call, Identify, unidentified
from playclock.v1.auth_service_pb2 import LauncherCredentials, SignedHttpRequest

API_KEY: Final = "x-api-key"
AUTHORIZATION: Final = "authorization"
LAUNCHER_CREDENTIALS: Final = "x-launcher-credentials-bin"
SIGNED_REQUEST: Final = "x-signed-request-bin"
REQUEST_ID: Final = "x-request-id"

_BEARER: Final = "Bearer "
_BASIC: Final = "Basic "
_CREDENTIALS_BYTES_MAX: Final = 8_192

Metadata = Sequence[tuple[str, str | bytes]]
M = TypeVar("M", LauncherCredentials, SignedHttpRequest)


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
    """Return who calls `method`, and whether it is inside the trust boundary: in process, or an operator or a service.

    A signature is used up where the method `changes` something. `fallback` stands for a caller without any credentials; None
    refuses it. `identify` tells whom the client's certificate names, which counts where the metadata have no credentials.
    Raises Unauthenticated's children, PermissionDenied, BadRequest, StoreAway.
    """
    given = dict(metadata)
    rpc, signature_id = name_of_rpc(method), ""
    if API_KEY in given:
        caller = engine.callers.game(_text(given[API_KEY]))
    elif LAUNCHER_CREDENTIALS in given or SIGNED_REQUEST in given:
        if AUTHORIZATION in given:
            _permit_to_hand_on(engine, _bearer(engine, given[AUTHORIZATION]), rpc)
        elif not trusted:
            voucher = certified(engine, identify)
            if voucher is None:
                raise InvalidSignature("a signature is believed only of callers inside the trust boundary")
            _permit_to_hand_on(engine, voucher, rpc)
        trusted = True
        if LAUNCHER_CREDENTIALS in given:
            launched = _signed_request(_message(LauncherCredentials, given[LAUNCHER_CREDENTIALS]))
            caller = await engine.signatures.launcher(launched, use_up=changes)
        else:
            request = _message(SignedHttpRequest, given[SIGNED_REQUEST])
            signed = await verify(engine, request, use_up=changes, from_memory=rpc in FROM_MEMORY)
            caller, signature_id = signed.caller, signed.request_id
    elif AUTHORIZATION in given:
        caller, trusted = await _authorized(engine, given[AUTHORIZATION], rpc, trusted=trusted)
    elif fallback is not None:
        caller = fallback
    elif (known := certified(engine, identify)) is not None:
        caller, trusted = known, True
    else:
        raise InvalidApiKey("the call carries no credentials")
    _permit(engine, caller, rpc)
    return Call(caller, peer, trusted, signature_id, identify)


def _permit(engine: Engine, caller: Caller, rpc: str) -> None:
    """Raise PermissionDenied for a caller who may not make the call."""
    is_listed = caller.role is not Role.SERVICE or rpc == OWN or engine.context.estate.may_call(caller.id, rpc)
    if caller.role not in ACCESS.get(rpc, ()) or not is_listed:
        raise PermissionDenied("this caller may not make this call", role=caller.role.value)


def _permit_to_hand_on(engine: Engine, caller: Caller, rpc: str) -> None:
    """Raise PermissionDenied for who may not hand others' signatures on for the call: a service whose list lacks it.

    What it says of third parties is believed, so a list that lacks a call keeps its service out of that call altogether.
    """
    if caller.role is Role.SERVICE and not engine.context.estate.may_call(caller.id, rpc):
        raise PermissionDenied("this caller may not hand a signature on for this call", role=caller.role.value)


async def _authorized(engine: Engine, authorization: str | bytes, rpc: str, *, trusted: bool) -> tuple[Caller, bool]:
    """Return whose token or secret it is, and whether that is inside the trust boundary: a match client is not."""
    text = _text(authorization)
    if rpc in FOR_SECRETS and text.startswith(_BASIC):
        return engine.openid.client(text), trusted
    try:
        return _bearer(engine, text), True
    except InvalidApiKey:
        # Only now: what others send is looked up as before.
        token = text.removeprefix(_BEARER)
        if rpc in FOR_SECRETS or token == text or not looks_like_jwt(token):
            raise
    return await engine.openid.caller(token), trusted


def _bearer(engine: Engine, authorization: str | bytes) -> Caller:
    text = _text(authorization)
    if not text.startswith(_BEARER):
        raise InvalidApiKey("expected a bearer token")
    return engine.callers.bearer(text.removeprefix(_BEARER))


def certified(engine: Engine, identify: Identify) -> Caller | None:
    """Return the operator or the service whom the client's certificate names; None for nobody. Raises InvalidApiKey."""
    identity = identify()
    if identity is None:
        return None
    return engine.callers.certified((identity.common_name, *identity.dns_names, *identity.uris))


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
