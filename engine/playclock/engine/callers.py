"""Who calls. Games, operators and services are known by a key, from memory; who signs, by `playclock.engine.signatures`."""

import hmac
from collections.abc import Sequence
from enum import Enum

import msgspec

from playclock.core.estate import hash_key
from playclock.engine.context import Context
from playclock.errors import InvalidApiKey


class Role(Enum):
    """A kind of caller."""

    GAME = "game"
    LAUNCHER = "launcher"
    OPERATOR = "operator"
    AGENT = "agent"
    DEVELOPER = "developer"
    MATCH_CLIENT = "match_client"
    SERVICE = "service"


class Caller(msgspec.Struct, frozen=True, gc=False):
    """Who calls: `id` is a game's, a service's, that of whoever signed, or the name in an operator's certificate, or empty."""

    role: Role
    id: str = ""
    key_id: str = ""
    """Which of its keys a match client has shown that asks for a token; empty for all others."""

    @property
    def game_id(self) -> str | None:
        """The only game that the caller may act for; None where it may act for any, or not by its own word."""
        return self.id if self.role is Role.GAME else None


OPERATOR = Caller(Role.OPERATOR)


class Callers:
    """Recognises callers by their credentials."""

    def __init__(self, context: Context, *, operator_tokens: Sequence[str], operator_certificates: Sequence[str]) -> None:
        self._context = context
        self._operator_certificates = frozenset(operator_certificates)
        self._operator_hashes = [hash_key(token) for token in operator_tokens]

    def game(self, api_key: str) -> Caller:
        """Return the game whose key this is. Raises InvalidApiKey.

        One that was revoked or has expired is refused as an unknown one is.
        """
        context, now_ms = self._context, self._context.clock.now_ms()
        credential = context.estate.credential_of("game", api_key, now_ms)
        if credential is None:
            raise InvalidApiKey("API Key is invalid or inactive")
        context.uses[credential.id] = now_ms
        return Caller(Role.GAME, credential.owner.removeprefix("game/"))

    def bearer(self, token: str) -> Caller:
        """Return the operator or the internal service whose bearer token this is. Raises InvalidApiKey.

        A service's is looked up by its hash, as a game's key is, and may have ended like one.
        """
        given = hash_key(token)
        if any(hmac.compare_digest(given, known) for known in self._operator_hashes):
            return OPERATOR
        context, now_ms = self._context, self._context.clock.now_ms()
        credential = context.estate.credential_of("service", token, now_ms)
        if credential is None:
            raise InvalidApiKey("the bearer token is invalid")
        context.uses[credential.id] = now_ms
        return Caller(Role.SERVICE, credential.owner.removeprefix("service/"))

    def certified(self, names: Sequence[str]) -> Caller | None:
        """Return the operator or the service whose verified certificate has these names; None for a certificate of nobody's.

        Raises InvalidApiKey where the names are those of several.
        """
        services = self._context.estate.service_of_certificate
        operators = [Caller(Role.OPERATOR, name) for name in names if name in self._operator_certificates]
        found = {*operators[:1], *(Caller(Role.SERVICE, services[name]) for name in names if name in services)}
        if len(found) > 1:
            raise InvalidApiKey("the certificate has names of several callers")
        return next(iter(found), None)
