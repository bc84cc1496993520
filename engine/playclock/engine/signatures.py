"""Who signed a request, and whether it was seen before; and requests of ours, signed. Secrets never leave this module."""

import secrets as randomness
from typing import Final

import msgspec
from msgspec.structs import replace

from playclock.core.codec import encode
from playclock.core.credentials import Credential
from playclock.core.estate import Agent, Developer, Launcher, MatchClient, Signer
from playclock.core.ids import nonce_key, request_id_of, signature_key
from playclock.core.records import Nonce
from playclock.core.signing import PROOFS, HttpRequest, Proof, Scheme, check, is_proof_of
from playclock.core.signing.agent import agent_headers, text_to_send
from playclock.core.signing.headers import method_problem, path_problem
from playclock.core.signing.launcher import launcher_headers, launcher_proof
from playclock.core.signing.playfun import playfun_headers
from playclock.core.signing.webhooks import is_message_id, webhook_headers, webhook_key
from playclock.core.signing.window import check_life, remember_until_ms
from playclock.engine.callers import Caller, Role
from playclock.engine.context import Context
from playclock.errors import BadRequest, InvalidSignature, RequestReplayed
from playclock.stores.base import ABSENT, Commit, Put

_SIGNERS: Final[dict[Scheme, tuple[Role, type[Signer]]]] = {
    Scheme.LAUNCHER: (Role.LAUNCHER, Launcher),
    Scheme.AGENT: (Role.AGENT, Agent),
    Scheme.PLAYFUN: (Role.DEVELOPER, Developer),
    Scheme.STANDARD_WEBHOOKS: (Role.MATCH_CLIENT, MatchClient),
}


class SignedRequest(msgspec.Struct, frozen=True, gc=False):
    """A launcher's signature and what it covers, as it arrived."""

    launcher_id: str
    timestamp: str
    nonce: str
    signature: str
    method: str
    path: str
    body_sha256: bytes


class Signed(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What a signature proves."""

    caller: Caller
    signed_ms: int
    request_id: str
    """Stands for the request id of a call that changes something and was given none: repeats of the signature have the same,
    so that the call acts once and a repeat hears the first answer."""
    is_repeat: bool
    """Whether it was used up before."""


class Outgoing(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A request as it has to be sent, byte for byte."""

    headers: dict[str, str]
    body: bytes


class Signatures:
    """Checks signatures of those whom the estate knows, and signs with their secrets."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def launcher(self, request: SignedRequest, *, use_up: bool) -> Caller:
        """Return the launcher that signed the request; use its nonce up, or only look whether it was used.

        Raises InvalidSignature, RequestExpired, RequestReplayed, StoreAway.
        """
        proof = launcher_proof(
            launcher_id=request.launcher_id,
            timestamp=request.timestamp,
            nonce=request.nonce,
            signature=request.signature,
            method=request.method,
            path=request.path,
            body_sha256=request.body_sha256,
        )
        return (await self._accept(Scheme.LAUNCHER, proof, use_up=use_up)).caller

    async def verify(
        self, scheme: Scheme, request: HttpRequest, *, signer: str = "", use_up: bool, from_memory: bool = False
    ) -> Signed:
        """Return who signed the request; use the signature up, or only look whether it was used.

        A launcher's nonce is good once. Other dialects have none: whoever sends a request again is told as often as it comes
        within the window, counted from its signed time and from its first use, and `Signed.request_id` makes it act once.
        `signer` is who has to have signed, where the request itself does not say so. `from_memory` does not even look whether
        the signature was used, for reads that need no store otherwise; a nonce is looked up all the same.

        Raises BadRequest, InvalidSignature (of an agent that is unknown or has no token, the metadata says so), RequestExpired,
        RequestReplayed, StoreAway.
        """
        proof = PROOFS[scheme](request)
        if scheme is Scheme.STANDARD_WEBHOOKS:
            proof = replace(proof, signer=signer)
        elif signer not in ("", proof.signer):
            raise InvalidSignature("somebody else says to have signed")
        return await self._accept(scheme, proof, use_up=use_up, from_memory=from_memory)

    def sign(
        self, scheme: Scheme, signer: str, *, method: str = "", path: str = "", body: bytes = b"", message_id: str = ""
    ) -> Outgoing:
        """Sign a request with the signer's newest secret, at the engine's time; a message with every secret.

        An agent's body carries its own time. Without a `message_id` a message gets a new one. Raises BadRequest.
        """
        now_ms = self._context.clock.now_ms()
        secrets = [credential.secret for credential in self._credentials(scheme, signer, now_ms) or ()]
        if not secrets:
            raise BadRequest({"key_id": "nobody of this scheme has this id and a secret"})
        newest = secrets[0]
        seconds = str(now_ms // 1000)
        if scheme is Scheme.AGENT:
            body = text_to_send(body)
            return Outgoing(headers=agent_headers(newest, body=body), body=body)
        if scheme is Scheme.STANDARD_WEBHOOKS:
            message_id = message_id or f"msg_{randomness.token_hex(16)}"
            if not is_message_id(message_id):
                raise BadRequest({"message_id": "expected 1 to 256 visible ASCII characters, none of them a dot"})
            headers = webhook_headers(secrets, message_id=message_id, timestamp=seconds, body=body)
            return Outgoing(headers=headers, body=body)
        problems = {"http_method": method_problem(method), "http_path": path_problem(path)}
        if any(problems.values()):
            raise BadRequest({field: problem for field, problem in problems.items() if problem})
        if scheme is Scheme.PLAYFUN:
            headers = playfun_headers(newest, developer_id=signer, method=method, path=path, timestamp=str(now_ms))
        else:
            nonce = randomness.token_hex(16)
            headers = launcher_headers(
                newest, launcher_id=signer, method=method, path=path, timestamp=seconds, nonce=nonce, body=body
            )
        return Outgoing(headers=headers, body=body)

    def _credentials(self, scheme: Scheme, signer: str, now_ms: int) -> tuple[Credential, ...] | None:
        """Return the signer's keys that are alive, newest first, each with what it signs with; None for nobody."""
        alive = self._context.estate.signing_as(_SIGNERS[scheme][1], signer, now_ms)
        if alive is None or scheme is not Scheme.STANDARD_WEBHOOKS:
            return alive
        return tuple(replace(credential, secret=webhook_key(credential.secret)) for credential in alive)

    async def _accept(self, scheme: Scheme, proof: Proof, *, use_up: bool, from_memory: bool = False) -> Signed:
        now_ms, window_ms = self._context.clock.now_ms(), self._context.timers.signature_window_ms
        credentials = self._credentials(scheme, proof.signer, now_ms)
        secrets = [credential.secret for credential in credentials or ()]
        try:
            check(proof, secrets, now_ms=now_ms, window_ms=window_ms)
        except InvalidSignature as error:
            # Told after the same work as for everybody; the agent API's own documents tell it to all.
            if scheme is Scheme.AGENT and not secrets:
                raise InvalidSignature(error.message, signer="UNKNOWN" if credentials is None else "WITHOUT_SECRET") from None
            raise
        used = next(each for each in credentials or () if len(secrets) == 1 or is_proof_of(proof, each.secret))
        self._context.uses[used.id] = now_ms
        caller = Caller(_SIGNERS[scheme][0], proof.signer)
        name = f"{caller.role.value}/{caller.id}"
        is_nonce = scheme is Scheme.LAUNCHER
        key = nonce_key(proof.signer, proof.once) if is_nonce else signature_key(name, proof.once)
        until_ms = remember_until_ms(proof.signed_ms, now_ms=now_ms, window_ms=window_ms)
        first_ms = None
        if use_up:
            first_ms = await self._first_use(key, now_ms, until_ms)
        elif is_nonce or not from_memory:
            first_ms = await self._look(key)
        if first_ms is not None:
            if is_nonce:
                raise RequestReplayed("the nonce has been used before")
            check_life(first_ms, now_ms=now_ms, window_ms=window_ms)
        request_id = request_id_of(name, proof.once)
        return Signed(caller=caller, signed_ms=proof.signed_ms, request_id=request_id, is_repeat=first_ms is not None)

    async def _first_use(self, key: str, now_ms: int, retain_until_ms: int) -> int | None:
        """Use a nonce or signature up; return when it was used up before, None where it was not. Raises StoreAway."""
        put = Put(key=key, expect=ABSENT, data=encode(Nonce(now_ms)), retain_until_ms=retain_until_ms)
        (conflict,) = await self._context.records.commit([Commit(partition=int(key[:2], 16), puts=(put,))])
        if conflict is None:
            return None
        cached = self._context.records.cached(key)
        return now_ms if cached is None else _used_ms(cached[1])

    async def _look(self, key: str) -> int | None:
        ((version, nonce),) = await self._context.records.load([key], fresh=True)
        return None if version == ABSENT else _used_ms(nonce)


def _used_ms(nonce: Nonce) -> int:
    return nonce.used_ms
