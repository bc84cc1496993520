"""Match tokens: issued for players and inspected for games, with no record but the match itself."""

from typing import TypeVar

from msgspec import Struct

from playclock.core import match_token as core
from playclock.core.credentials import Credential, is_alive
from playclock.core.estate import MatchClient, owner_of
from playclock.core.ids import is_uuid
from playclock.core.launch_url import launch_url
from playclock.core.match import Match, Seat, is_closed
from playclock.core.match_moves import wrong_state
from playclock.core.match_token import MatchToken
from playclock.core.signed_token import Claimed
from playclock.engine.callers import Caller, Role
from playclock.engine.context import Context
from playclock.engine.matches.keeper import Keeper
from playclock.errors import BadRequest, EngineError, MatchTokenNotFound

T = TypeVar("T")


class Issued(Struct, frozen=True):
    """A token, and where it leads."""

    token: str
    expires_ms: int
    launch_url: str

    def __repr__(self) -> str:
        return f"Issued(expires_ms={self.expires_ms})"


class Inspected(Struct, frozen=True):
    """What a token is good for."""

    match: Match
    seat: Seat
    expires_ms: int


class MatchTokens:
    """Issues and inspects match tokens."""

    def __init__(self, context: Context, keeper: Keeper) -> None:
        self._context = context
        self._keeper = keeper

    async def issue(self, caller: Caller, match_id: str, *, user_id: str) -> Issued:
        """Return a token for a player of a match that is not over, and the launch URL with it.

        Raises BadRequest, also where the match's client has no key, MatchNotFound, PlayerNotFound, WrongMatchState, StoreAway.
        """
        if not is_uuid(user_id):
            raise BadRequest({"user_id": "expected a lower-case UUID"})
        match = await self._keeper.get(caller, match_id)
        seat = _or_raise(core.seat_for_token(match, user_id))
        if is_closed(match):
            raise wrong_state(match, "the match is over")
        now_ms, estate = self._context.clock.now_ms(), self._context.estate
        keys, client = estate.signing_as(MatchClient, match.terms.client_id, now_ms), match.terms.client_id
        if not keys:
            raise BadRequest({"match_id": "the match's client has no key that is alive"})
        expires_ms = now_ms + self._keeper.rules.token_ttl_ms
        token = core.make_token(keys[0], match, seat, expires_ms=expires_ms)
        return Issued(token, expires_ms, launch_url(estate.match_clients[client].launch_url, token))

    async def inspect(self, caller: Caller, token: str) -> Inspected:
        """Return what a token is good for: whose it is, and the match as time has it now.

        Raises MatchTokenNotFound, MatchTokenExpired, PlayerNotFound, MatchNotFound, StoreAway.
        """
        claimed = core.read_token(token)
        key = None if claimed is None else self._key(caller, claimed)
        said = _or_raise(core.verified(claimed, [] if key is None else [key], now_ms=self._context.clock.now_ms()))
        match = await self._keeper.get(caller, said.match_id)
        if key is None or key.owner != owner_of(MatchClient, match.terms.client_id):
            # A client of the same game has signed it, whose match it is not.
            raise MatchTokenNotFound("no such match token")
        return Inspected(match, _or_raise(core.seat_of_token(match, said)), said.expires_ms)

    def _key(self, caller: Caller, claimed: Claimed[MatchToken]) -> Credential | None:
        """Return the key that a token names, if it is alive and a client's of whom the caller may know."""
        estate = self._context.estate
        key = estate.credentials.get(claimed.said.key_id)
        if key is None or not is_alive(key, self._context.clock.now_ms()):
            return None
        kind, _, client_id = key.owner.partition("/")
        client = estate.match_clients.get(client_id) if kind == Role.MATCH_CLIENT.value else None
        asking = estate.match_clients.get(caller.id) if caller.role is Role.MATCH_CLIENT else client
        return key if client is not None and asking is not None and client.game_id == asking.game_id else None


def _or_raise(found: T | EngineError) -> T:
    if isinstance(found, EngineError):
        raise found
    return found
