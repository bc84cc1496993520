"""Keys as an operator keeps them: created, listed, rotated, given an end, revoked, and sealed anew."""

import hashlib
import secrets as randomness
from collections.abc import Sequence

import msgspec

from playclock.core import credentials as core
from playclock.core.credentials import Credential
from playclock.core.estate import OWNERS, Estate
from playclock.core.fields import request_id_problem, text_problem
from playclock.core.outbox import Audit
from playclock.engine import requests
from playclock.engine.callers import Caller
from playclock.engine.context import Context
from playclock.engine.estate import Edit, EstateKeeper, new_credential_id
from playclock.engine.keyuses import KeyUses
from playclock.errors import BadRequest, KeyNotFound


class Made(msgspec.Struct, frozen=True):
    """A key that was created. The secret is told this once; a repeat of the request hears of the key without it."""

    credential: Credential
    secret: str

    def __repr__(self) -> str:
        return f"Made({self.credential!r})"


class Listed(msgspec.Struct, frozen=True):
    """A key, and when it was last used: to the hour, and None where nobody knows of a use."""

    credential: Credential
    last_used_ms: int | None


class Keys:
    """What an operator can do with keys. Each change is one commit, and in force everywhere within a second."""

    def __init__(self, context: Context, keeper: EstateKeeper) -> None:
        self._context = context
        self._keeper = keeper

    async def list(self, owner: str, uses: KeyUses) -> list[Listed]:
        """Return an owner's keys, or all where none is named, newest first, with those that have ended.

        Raises BadRequest, StoreAway.
        """
        await self._keeper.refresh()
        estate = self._context.estate
        found = self._held(estate, owner) if owner else core.newest_first(estate.credentials.values())
        used_ms = await uses.read()
        return [Listed(credential, used_ms.get(credential.id)) for credential in found if credential.id]

    async def create(
        self, caller: Caller, owner: str, *, label: str = "", life_ms: int | None = None, request_id: str = ""
    ) -> Made:
        """Create a key for an owner, "game/ID", once for each request id.

        Raises BadRequest, TooManyKeys, RequestIdReused, StoreAway, TooMuchContention.
        """
        problem = text_problem(label, core.LABEL_MAX, required=False)
        if problem:
            raise BadRequest({"label": problem})
        request = await self._claim(caller, request_id, ("CreateKey", owner, label, str(life_ms)))
        random, credential_id = randomness.token_bytes(core.SECRET_BYTES), new_credential_id()
        made = Made(Credential(id="", owner=owner, created_ms=0), "")

        def decide(estate: Estate) -> Edit:
            nonlocal made
            held = self._held(estate, owner)
            before = _made_before(held, request)
            if before is not None:
                made = before
                return Edit()
            now_ms, secret = self._context.clock.now_ms(), core.make_secret(owner, random)
            credential = core.create(
                held,
                owner,
                secret,
                credential_id=credential_id,
                now_ms=now_ms,
                life_ms=life_ms,
                label=label,
                request=request,
            )
            made = Made(credential, secret)
            forgotten = [each for each in held if core.is_forgotten(each, now_ms)]
            return Edit([credential], forgotten, [self._audit(caller, "CreateKey", credential)])

        await self._keeper.edit(decide)
        return made

    async def rotate(
        self,
        caller: Caller,
        credential_id: str,
        *,
        overlap_ms: int = core.OVERLAP_MS,
        life_ms: int | None = None,
        request_id: str = "",
    ) -> tuple[Made, Credential]:
        """Create a key's successor, and let the key end after the overlap. Returns both, the new one first.

        Raises KeyNotFound, KeyInactive, TooManyKeys, BadRequest, RequestIdReused, StoreAway, TooMuchContention.
        """
        request = await self._claim(caller, request_id, ("RotateKey", credential_id, str(overlap_ms), str(life_ms)))
        random, new_id = randomness.token_bytes(core.SECRET_BYTES), new_credential_id()
        answer: list[tuple[Made, Credential]] = []

        def decide(estate: Estate) -> Edit:
            answer.clear()
            old = _known(estate, credential_id)
            held = self._held(estate, old.owner)
            before = _made_before(held, request)
            if before is not None:
                answer.append((before, old))
                return Edit()
            now_ms = self._context.clock.now_ms()
            ending = core.overlapped(old, now_ms=now_ms, overlap_ms=overlap_ms)
            secret = core.make_secret(old.owner, random)
            successor = core.create(
                [ending if each.id == old.id else each for each in held],
                old.owner,
                secret,
                credential_id=new_id,
                now_ms=now_ms,
                life_ms=life_ms,
                label=old.label,
                request=request,
            )
            answer.append((Made(successor, secret), ending))
            told = self._audit(caller, "RotateKey", ending, f"{ending.id} by {successor.id}")
            return Edit([ending, successor], [each for each in held if core.is_forgotten(each, now_ms)], [told])

        await self._keeper.edit(decide)
        return answer[0]

    async def expire(self, caller: Caller, credential_id: str, *, life_ms: int | None) -> Credential:
        """Let a key end in so long, or never where `life_ms` is None.

        Raises KeyNotFound, KeyInactive, BadRequest, StoreAway, TooMuchContention.
        """

        def decide(estate: Estate) -> Edit:
            expiring = core.expiring(_known(estate, credential_id), now_ms=self._context.clock.now_ms(), life_ms=life_ms)
            return Edit([expiring], told=[self._audit(caller, "ExpireKey", expiring)])

        await self._keeper.edit(decide)
        return _known(self._context.estate, credential_id)

    async def revoke(self, caller: Caller, credential_id: str) -> Credential:
        """End a key at once and for good. A repeat changes nothing.

        Raises BadRequest, KeyNotFound, StoreAway, TooMuchContention.
        """

        def decide(estate: Estate) -> Edit:
            known = _known(estate, credential_id)
            revoked = core.revoked(known, now_ms=self._context.clock.now_ms())
            return Edit() if revoked is known else Edit([revoked], told=[self._audit(caller, "RevokeKey", revoked)])

        await self._keeper.edit(decide)
        return _known(self._context.estate, credential_id)

    async def reseal(self, caller: Caller) -> int:
        """Encrypt all secrets in the store under the current master key, and return how many were not.

        Raises StoreAway, TooMuchContention.
        """
        now_ms = self._context.clock.now_ms()
        return await self._keeper.reseal(
            lambda number: Audit(now_ms, requests.name_of(caller), "ResealKeys", "estate", f"{number} secrets")
        )

    async def _claim(self, caller: Caller, request_id: str, contents: Sequence[str]) -> bytes:
        """Claim a request id, and return what recognises its repeats; nothing where there is none."""
        problem = request_id_problem(request_id)
        if problem:
            raise BadRequest({"request_id": problem})
        if not request_id:
            return b""
        await requests.claim(self._context, caller, request_id, contents, retain_ms=core.REMEMBERED_MS)
        parts = (requests.name_of(caller), request_id, *contents)
        return hashlib.sha256("".join(f"{len(part)}:{part}" for part in parts).encode("utf-8", "surrogatepass")).digest()

    def _held(self, estate: Estate, owner: str) -> tuple[Credential, ...]:
        kind, _, owner_id = owner.partition("/")
        held = estate.held_by(owner)
        if held is None and kind == "game" and owner_id in self._context.catalog:
            return ()
        if held is None:
            raise BadRequest({"owner": f"nobody is called that; expected KIND/ID, and KIND one of {', '.join(OWNERS)}"})
        return held

    def _audit(self, caller: Caller, action: str, credential: Credential, detail: str = "") -> Audit:
        now_ms = self._context.clock.now_ms()
        return Audit(now_ms, requests.name_of(caller), action, credential.owner, detail or credential.id)


def _known(estate: Estate, credential_id: str) -> Credential:
    problem = core.credential_id_problem(credential_id)
    if problem:
        raise BadRequest({"key_id": problem})
    credential = estate.credentials.get(credential_id)
    if credential is None:
        raise KeyNotFound("no such key")
    return credential


def _made_before(held: Sequence[Credential], request: bytes) -> Made | None:
    found = next((credential for credential in held if request and credential.request == request), None)
    return None if found is None else Made(found, "")
