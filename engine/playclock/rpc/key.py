"""KeyService: messages to the engine and back."""

from typing import Final

from playclock.core.credentials import LIFE_MS_MAX, OVERLAP_MS, Credential, is_alive
from playclock.core.signing_keys import SigningKey
from playclock.engine import Engine
from playclock.errors import BadRequest
from playclock.rpc.call import Call
from playclock.rpc.messages import timestamp
from playclock.v1 import key_service_pb2 as pb

_SEC_MAX: Final = LIFE_MS_MAX // 1000


class KeyServicer:
    """Translates for operators."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def CreateKey(self, request: pb.CreateKeyRequest, call: Call) -> pb.CreateKeyResponse:
        """Create a key."""
        made = await self._engine.keys.create(
            call.caller,
            request.owner,
            label=request.label,
            life_ms=_ms(request, "expire_after_sec"),
            request_id=request.request_id,
        )
        return pb.CreateKeyResponse(key=self._message(made.credential), secret=made.secret)

    async def ListKeys(self, request: pb.ListKeysRequest, call: Call) -> pb.ListKeysResponse:  # noqa: ARG002
        """List keys."""
        listed = await self._engine.keys.list(request.owner, self._engine.key_uses)
        return pb.ListKeysResponse(keys=[self._message(each.credential, each.last_used_ms) for each in listed])

    async def RotateKey(self, request: pb.RotateKeyRequest, call: Call) -> pb.RotateKeyResponse:
        """Create a key's successor."""
        overlap_ms = _ms(request, "overlap_sec")
        made, previous = await self._engine.keys.rotate(
            call.caller,
            request.key_id,
            overlap_ms=OVERLAP_MS if overlap_ms is None else overlap_ms,
            life_ms=_ms(request, "expire_after_sec"),
            request_id=request.request_id,
        )
        return pb.RotateKeyResponse(key=self._message(made.credential), secret=made.secret, previous=self._message(previous))

    async def ExpireKey(self, request: pb.ExpireKeyRequest, call: Call) -> pb.ExpireKeyResponse:
        """Give a key another end."""
        expiring = await self._engine.keys.expire(call.caller, request.key_id, life_ms=_ms(request, "after_sec"))
        return pb.ExpireKeyResponse(key=self._message(expiring))

    async def RevokeKey(self, request: pb.RevokeKeyRequest, call: Call) -> pb.RevokeKeyResponse:
        """End a key."""
        return pb.RevokeKeyResponse(key=self._message(await self._engine.keys.revoke(call.caller, request.key_id)))

    async def ResealKeys(self, request: pb.ResealKeysRequest, call: Call) -> pb.ResealKeysResponse:  # noqa: ARG002
        """Encrypt all secrets under the current master key."""
        return pb.ResealKeysResponse(resealed=await self._engine.keys.reseal(call.caller))

    async def RotateSigningKey(self, request: pb.RotateSigningKeyRequest, call: Call) -> pb.RotateSigningKeyResponse:
        """Make the signing key's successor."""
        keys = await self._engine.openid.rotate(call.caller, at_once=request.at_once)
        return pb.RotateSigningKeyResponse(keys=map(_signing_key, keys))

    def _message(self, credential: Credential, last_used_ms: int | None = None) -> pb.Key:
        state = pb.Key.STATE_REVOKED if credential.revoked_ms is not None else pb.Key.STATE_EXPIRED
        if is_alive(credential, self._engine.clock.now_ms()):
            state = pb.Key.STATE_ALIVE
        return pb.Key(
            id=credential.id,
            owner=credential.owner,
            state=state,
            label=credential.label,
            create_time=timestamp(credential.created_ms),
            expire_time=None if credential.expires_ms is None else timestamp(credential.expires_ms),
            revoke_time=None if credential.revoked_ms is None else timestamp(credential.revoked_ms),
            last_used_time=None if last_used_ms is None else timestamp(last_used_ms),
            provisioned=credential.is_provisioned,
        )


def _signing_key(key: SigningKey) -> pb.SigningKey:
    return pb.SigningKey(
        id=key.id,
        create_time=timestamp(key.created_ms),
        sign_time=timestamp(key.signs_from_ms),
        expire_time=None if key.ends_ms is None else timestamp(key.ends_ms),
    )


def _ms(request: pb.CreateKeyRequest | pb.RotateKeyRequest | pb.ExpireKeyRequest, field: str) -> int | None:
    """Return a duration in milliseconds; None where it is absent. Raises BadRequest for what would overflow the year."""
    if not request.HasField(field):  # type: ignore[arg-type] # each has the fields that it is asked for
        return None
    seconds: int = getattr(request, field)
    if abs(seconds) > _SEC_MAX:
        raise BadRequest({field: f"expected {_SEC_MAX} at most"})
    return seconds * 1000
