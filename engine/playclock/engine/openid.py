"""Access tokens of match clients: issued for a client's secret, and recognised from memory as its callers' are."""

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets as randomness
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_plus

from playclock.core import openid as core
from playclock.core import signing_keys
from playclock.core.credentials import Credential, digest_of, is_alive
from playclock.core.estate import Estate, MatchClient, owner_of
from playclock.core.openid import AccessClaims, OpenIdRules
from playclock.core.outbox import Audit
from playclock.core.signing_keys import SigningKey
from playclock.engine import requests
from playclock.engine.callers import Caller, Role
from playclock.engine.context import Context
from playclock.engine.estate import Edit, EstateKeeper
from playclock.engine.jose import Keys, PublicKey, generate, key_id_of
from playclock.errors import BadRequest, InvalidApiKey, PermissionDenied, RealmNotFound

LOOK_AGAIN_MS: Final = 1_000
"""How long a key that nobody knows is unknown: strangers who make ids up cost the store no more than a reading a second."""

_BASIC: Final = "Basic "
_NOBODYS: Final = Credential(id="", owner="", created_ms=0, secret=randomness.token_bytes(32))


@dataclass(frozen=True, slots=True)
class Realm:
    """What the realm shows to all."""

    name: str
    base_url: str
    issuer: str
    signing: PublicKey
    """The key that signs now."""
    published: Sequence[PublicKey]
    """All keys whose tokens count, or will."""


@dataclass(frozen=True, slots=True)
class Issued:
    """An access token."""

    token: str
    life_sec: int

    def __repr__(self) -> str:
        return f"Issued(life_sec={self.life_sec})"


class OpenId:
    """Issues access tokens, says whose they are, and shows the keys by which others can tell."""

    def __init__(self, context: Context, keeper: EstateKeeper, rules: OpenIdRules) -> None:
        self._context = context
        self._keeper = keeper
        self.rules: Final = rules
        self._keys = Keys()
        self._making = asyncio.Lock()
        self._looking = asyncio.Lock()
        self._looked_ms: int | None = None

    def client(self, authorization: str) -> Caller:
        """Return the match client whose id and secret these are, as HTTP's Basic has them. Raises InvalidApiKey.

        Both are read as RFC 6749, section 2.3.1, has them written, and as they are: many clients do not encode them.
        """
        client_id, secret = _basic(authorization)
        now_ms = self._context.clock.now_ms()
        used = self._alive(unquote_plus(client_id), [secret, unquote_plus(secret)], now_ms)
        if used is None:
            raise InvalidApiKey("the client is unknown, or its secret is wrong")
        self._context.uses[used.id] = now_ms
        return Caller(Role.MATCH_CLIENT, used.owner.partition("/")[2], key_id=used.id)

    async def caller(self, token: str) -> Caller:
        """Return the match client whose access token this is. Raises InvalidApiKey; StoreAway only for a key not known yet."""
        now_ms = self._context.clock.now_ms()
        claims = await self._verified(token, now_ms) if len(token) <= core.TOKEN_MAX else None
        if claims is None or not core.counts(claims, self.rules, now_ms):
            raise InvalidApiKey("the access token is invalid or has expired")
        credential = self._context.estate.credentials.get(claims.key_id)
        if credential is None or credential.owner != _owner(claims.azp) or not is_alive(credential, now_ms):
            raise InvalidApiKey("the key for which the access token was issued has ended")
        self._context.uses[credential.id] = now_ms
        return Caller(Role.MATCH_CLIENT, claims.azp)

    async def issue(self, caller: Caller, *, realm: str, grant_type: str, scope: str) -> Issued:
        """Return an access token for a match client. Raises BadRequest, RealmNotFound, PermissionDenied, StoreAway."""
        self._check_realm(realm)
        if grant_type != core.GRANT:
            raise BadRequest({"grant_type": f"expected {core.GRANT}" if grant_type else "is required"})
        if scope.split() not in ([], [core.SCOPE]):
            raise BadRequest({"scope": f"expected {core.SCOPE}"})
        key_id = caller.key_id or self._newest(caller.id)
        claims = core.access_claims(
            self.rules, client_id=caller.id, key_id=key_id, jti=_jti(), now_ms=self._context.clock.now_ms()
        )
        return Issued(await self._signed(claims), self.rules.token_life_ms // 1000)

    async def push_token(self, client_id: str) -> str:
        """Return the token with which playclock calls a match client, who verifies it by the realm's key. Raises StoreAway."""
        claims = core.push_claims(self.rules, client_id=client_id, jti=_jti(), now_ms=self._context.clock.now_ms())
        return await self._signed(claims)

    async def realm(self, name: str) -> Realm:
        """Return what the realm shows; the one there is where none is named. Raises RealmNotFound, StoreAway."""
        self._check_realm(name)
        signing, keys = await self._signing(), self._read()
        known = signing_keys.published(keys.source, self._context.clock.now_ms())
        return Realm(
            name=self.rules.realm,
            base_url=self.rules.base_url or core.BASE_URL,
            issuer=core.issuer(self.rules),
            signing=keys.public(signing.id),
            published=[keys.public(key.id) for key in known],
        )

    async def rotate(self, caller: Caller, *, at_once: bool = False) -> Sequence[SigningKey]:
        """Make the key's successor, and return all that count. It signs after it was published for a while.

        `at_once` is for a key that somebody has stolen: the successor signs now, and no token of others counts any more. Raises
        StoreAway, TooMuchContention.
        """
        made = await asyncio.to_thread(generate)

        def decide(estate: Estate) -> Edit:
            now_ms = self._context.clock.now_ms()
            keys = signing_keys.rotated(estate.signing_keys, made, now_ms=now_ms, at_once=at_once)
            if keys == estate.signing_keys:
                return Edit()
            action = "RotateSigningKey"
            told = Audit(now_ms, requests.name_of(caller), action, f"realm/{self.rules.realm}", made.id)
            return Edit([signing_keys.record_of(keys)], told=[told])

        await self._keeper.edit(decide)
        return signing_keys.published(self._context.estate.signing_keys, self._context.clock.now_ms())

    def _check_realm(self, name: str) -> None:
        """Raise RealmNotFound for another realm, and where there is no client: strangers make no key that nobody needs."""
        if name not in ("", self.rules.realm) or not self._context.estate.match_clients:
            raise RealmNotFound("no such realm")

    def _alive(self, client_id: str, secrets: Sequence[str], now_ms: int) -> Credential | None:
        """Return the client's key that one of the spellings is, if it is alive. Takes the same work for an unknown client."""
        held = self._context.estate.signing_as(MatchClient, client_id, now_ms)
        given = [digest_of(secret) for secret in secrets]
        found = [
            each
            for each in held or (_NOBODYS,)
            for digest in given
            if hmac.compare_digest(hashlib.sha256(each.secret).digest(), digest)
        ]
        return found[0] if held and found else None

    def _newest(self, client_id: str) -> str:
        held = self._context.estate.signing_as(MatchClient, client_id, self._context.clock.now_ms())
        if not held:
            raise PermissionDenied("the client has no key that is alive", role=Role.MATCH_CLIENT.value)
        return held[0].id

    async def _verified(self, token: str, now_ms: int) -> AccessClaims | None:
        key_id = key_id_of(token)
        if key_id is None:
            return None
        if not self._is_published(key_id, now_ms):
            await self._look_again(now_ms)
            if not self._is_published(key_id, now_ms):
                return None
        return self._read().verified(token, key_id, AccessClaims)

    def _is_published(self, key_id: str, now_ms: int) -> bool:
        return any(key.id == key_id for key in signing_keys.published(self._context.estate.signing_keys, now_ms))

    async def _look_again(self, now_ms: int) -> None:
        """Read the estate anew if that was not done just now: another engine may have made its first key.

        Whoever comes while somebody reads waits for what is found.
        """
        async with self._looking:
            if self._looked_ms is None or now_ms - self._looked_ms >= LOOK_AGAIN_MS:
                self._looked_ms = now_ms
                await self._keeper.refresh()

    async def _signed(self, claims: dict[str, str | int]) -> str:
        signing = await self._signing()
        return self._read().sign(signing.id, claims)

    async def _signing(self) -> SigningKey:
        """Return the key that signs now; the first time, make it."""
        found = signing_keys.signing(self._context.estate.signing_keys, self._context.clock.now_ms())
        if found is not None:
            return found
        async with self._making:
            found = signing_keys.signing(self._context.estate.signing_keys, self._context.clock.now_ms())
            return found or await self._made()

    async def _made(self) -> SigningKey:
        made = await asyncio.to_thread(generate)

        def decide(estate: Estate) -> Edit:
            now_ms = self._context.clock.now_ms()
            if signing_keys.signing(estate.signing_keys, now_ms) is not None:
                return Edit()  # another engine was faster
            keys = signing_keys.rotated(estate.signing_keys, made, now_ms=now_ms, at_once=False)
            return Edit([signing_keys.record_of(keys)])

        await self._keeper.edit(decide)
        found = signing_keys.signing(self._context.estate.signing_keys, self._context.clock.now_ms())
        assert found is not None, "somebody has just made one"
        return found

    def _read(self) -> Keys:
        """Return the keys of the estate that is in force, read."""
        current = self._context.estate.signing_keys
        if self._keys.source is not current:
            self._keys = Keys(current, self._keys)
        return self._keys


def _owner(client_id: str) -> str:
    return owner_of(MatchClient, client_id)


def _jti() -> str:
    return randomness.token_hex(16)


def _basic(authorization: str) -> tuple[str, str]:
    try:
        text = base64.b64decode(authorization.removeprefix(_BASIC).strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        raise InvalidApiKey("expected Basic and base64 of ID:SECRET") from None
    client_id, colon, secret = text.partition(":")
    if not colon:
        raise InvalidApiKey("expected Basic and base64 of ID:SECRET")
    return client_id, secret
