"""AuthService: messages to answers."""

from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from playclock.core.signing import HttpRequest, Scheme
from playclock.engine import Engine, Role
from playclock.engine.signatures import Signed
from playclock.errors import BadRequest
from playclock.rpc.call import Call
from playclock.rpc.fields import check
from playclock.v1.auth_service_pb2 import (
    SIGNATURE_SCHEME_AGENT,
    SIGNATURE_SCHEME_LAUNCHER,
    SIGNATURE_SCHEME_PLAYFUN,
    SIGNATURE_SCHEME_STANDARD_WEBHOOKS,
    HttpHeader,
    SignedHttpRequest,
    SignRequestRequest,
    SignRequestResponse,
    VerifyCallerRequest,
    VerifyCallerResponse,
    VerifyRequestRequest,
    VerifyRequestResponse,
)

HEADERS_MAX: Final = 64
KEY_ID_MAX: Final = 256

_ROLES = {
    Role.GAME: VerifyCallerResponse.ROLE_GAME,
    Role.LAUNCHER: VerifyCallerResponse.ROLE_LAUNCHER,
    Role.OPERATOR: VerifyCallerResponse.ROLE_OPERATOR,
    Role.AGENT: VerifyCallerResponse.ROLE_AGENT,
    Role.DEVELOPER: VerifyCallerResponse.ROLE_DEVELOPER,
    Role.MATCH_CLIENT: VerifyCallerResponse.ROLE_MATCH_CLIENT,
    Role.SERVICE: VerifyCallerResponse.ROLE_SERVICE,
}
_SCHEMES: Final[dict[int, Scheme]] = {
    SIGNATURE_SCHEME_LAUNCHER: Scheme.LAUNCHER,
    SIGNATURE_SCHEME_AGENT: Scheme.AGENT,
    SIGNATURE_SCHEME_PLAYFUN: Scheme.PLAYFUN,
    SIGNATURE_SCHEME_STANDARD_WEBHOOKS: Scheme.STANDARD_WEBHOOKS,
}


class AuthServicer:
    """Tells who calls and who signed, and signs. That a call got here is the check of its own credentials."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def VerifyCaller(self, request: VerifyCallerRequest, call: Call) -> VerifyCallerResponse:  # noqa: ARG002
        """Tell whose credentials the call carries."""
        return VerifyCallerResponse(role=_ROLES[call.caller.role], id=call.caller.id)

    async def VerifyRequest(self, request: VerifyRequestRequest, call: Call) -> VerifyRequestResponse:  # noqa: ARG002
        """Tell who signed an HTTP request."""
        if request.mode not in VerifyRequestRequest.Mode.values():
            raise BadRequest({"mode": "expected a known mode"})
        use_up = request.mode != VerifyRequestRequest.MODE_LOOK
        signed = await verify(self._engine, request.request, use_up=use_up, field="request.")
        signed_time = Timestamp()
        signed_time.FromMilliseconds(signed.signed_ms)
        return VerifyRequestResponse(
            role=_ROLES[signed.caller.role],
            id=signed.caller.id,
            is_repeat=signed.is_repeat,
            request_id=signed.request_id,
            signed_time=signed_time,
        )

    async def SignRequest(self, request: SignRequestRequest, call: Call) -> SignRequestResponse:  # noqa: ARG002
        """Sign an HTTP request."""
        scheme = _SCHEMES.get(request.scheme)
        check(scheme=_scheme_problem(scheme), key_id=_key_id_problem(request.key_id, required=True))
        assert scheme is not None, "checked above"
        outgoing = self._engine.signatures.sign(
            scheme,
            request.key_id,
            method=request.http_method,
            path=request.http_path,
            body=request.body,
            message_id=request.message_id,
        )
        headers = [HttpHeader(name=name, value=value) for name, value in outgoing.headers.items()]
        return SignRequestResponse(headers=headers, body=outgoing.body)


async def verify(
    engine: Engine, request: SignedHttpRequest, *, use_up: bool, from_memory: bool = False, field: str = ""
) -> Signed:
    """Return who signed a request that came as a message; `field` is where it lies. Raises what `Signatures.verify` does."""
    scheme = _SCHEMES.get(request.scheme)
    required = scheme is Scheme.STANDARD_WEBHOOKS
    check(
        **{
            f"{field}scheme": _scheme_problem(scheme),
            f"{field}key_id": _key_id_problem(request.key_id, required=required),
            f"{field}headers": None if len(request.headers) <= HEADERS_MAX else f"expected at most {HEADERS_MAX}",
        }
    )
    assert scheme is not None, "checked above"
    received = HttpRequest(
        method=request.http_method,
        path=request.http_path,
        headers=tuple((header.name, header.value) for header in request.headers),
        body=request.body,
    )
    return await engine.signatures.verify(scheme, received, signer=request.key_id, use_up=use_up, from_memory=from_memory)


def _scheme_problem(scheme: Scheme | None) -> str | None:
    return "expected a known scheme" if scheme is None else None


def _key_id_problem(key_id: str, *, required: bool) -> str | None:
    if required and not key_id:
        return "is required"
    return None if len(key_id) <= KEY_ID_MAX else f"expected at most {KEY_ID_MAX} characters"
