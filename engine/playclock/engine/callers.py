"""Who calls: a game server, a launcher, an operator. Answered from memory, but for the nonce that a launcher uses up."""

import hmac
from collections.abc import Sequence
from enum import Enum

import msgspec

from playclock.core.codec import encode
from playclock.core.estate import hash_key
from playclock.core.ids import nonce_key
from playclock.core.records import Nonce
from playclock.core.signing import NONCE, check_window, launcher_text, verify
from playclock.engine.context import Context
from playclock.errors import InvalidApiKey, InvalidSignature, RequestReplayed
from playclock.stores.base import ABSENT, Commit, Put


class Role(Enum):
    """A kind of caller."""

    GAME = "game"
    LAUNCHER = "launcher"
    OPERATOR = "operator"


class Caller(msgspec.Struct, frozen=True, gc=False):
    """Who calls: `id` is a game's or a launcher's; operators have none."""

    role: Role
    id: str = ""

    @property
    def game_id(self) -> str | None:
        """The only game that the caller may act for; None where it may act for any."""
        return self.id if self.role is Role.GAME else None


OPERATOR = Caller(Role.OPERATOR)


class SignedRequest(msgspec.Struct, frozen=True, gc=False):
    """A launcher's signature and what it covers, as it arrived."""

    launcher_id: str
    timestamp: str
    nonce: str
    signature: str
    method: str
    path: str
    body_sha256: bytes


class Callers:
    """Recognises callers by their credentials."""

    def __init__(self, context: Context, *, operator_tokens: Sequence[str]) -> None:
        self._context = context
        self._operator_hashes = [hash_key(token) for token in operator_tokens]

    def game(self, api_key: str) -> Caller:
        """Return the game whose key this is. Raises InvalidApiKey.

        Keys are looked up by their hash, so that how long it takes says nothing about how nearly right a guess was.
        """
        game_id = self._context.estate.game_of_key.get(hash_key(api_key))
        if game_id is None:
            raise InvalidApiKey("API Key is invalid or inactive")
        return Caller(Role.GAME, game_id)

    def operator(self, token: str) -> Caller:
        """Return the operator whose bearer token this is. Raises InvalidApiKey."""
        given = hash_key(token)
        if not any(hmac.compare_digest(given, known) for known in self._operator_hashes):
            raise InvalidApiKey("the bearer token is invalid")
        return OPERATOR

    async def launcher(self, request: SignedRequest, *, use_nonce: bool) -> Caller:
        """Return the launcher that signed the request; use its nonce up, or only look whether it was used.

        The signature is checked before anything else is told. Raises InvalidSignature, RequestExpired, RequestReplayed,
        StoreAway.
        """
        context, now_ms = self._context, self._context.clock.now_ms()
        known = context.estate.launchers.get(request.launcher_id)
        signed = launcher_text(
            method=request.method,
            path=request.path,
            timestamp=request.timestamp,
            nonce=request.nonce,
            body_sha256=request.body_sha256,
        )
        verify(known.secrets if known else (), signed=signed, signature=request.signature)
        window_ms = context.timers.signature_window_ms
        signed_ms = check_window(request.timestamp, now_ms=now_ms, window_ms=window_ms)
        if not NONCE.fullmatch(request.nonce):
            raise InvalidSignature("the nonce is not 1 to 128 visible ASCII characters")
        key = nonce_key(request.launcher_id, request.nonce)
        # Kept until the signature is too old by itself, and a minute for clocks that differ.
        put = Put(key=key, expect=ABSENT, data=encode(Nonce(now_ms)), retain_until_ms=signed_ms + window_ms + 60_000)
        if use_nonce:
            (conflict,) = await context.records.commit([Commit(partition=int(key[:2], 16), puts=(put,))])
            replayed = conflict is not None
        else:
            ((version, _),) = await context.records.load([key], fresh=True)
            replayed = version != ABSENT
        if replayed:
            raise RequestReplayed("the nonce has been used before")
        return Caller(Role.LAUNCHER, request.launcher_id)
