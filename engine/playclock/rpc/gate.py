"""Lets calls in: who calls, from where, and whether a limit says no.

Who guesses credentials is told so, and hears nothing more of them, right or wrong. Callers who have shown good ones from the
same address before go on, and so do heartbeats and ends of what is alive, whoever makes them: `docs/decisions.md`, "Limits".
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final

from playclock.core.limits import home_of
from playclock.engine import Caller, Engine, Role
from playclock.engine.limits import Limit
from playclock.engine.requests import name_of
from playclock.errors import (
    BadRequest,
    EngineError,
    InvalidApiKey,
    InvalidSignature,
    PermissionDenied,
    RateLimited,
    TryAgain,
    Unauthenticated,
    WrongState,
)
from playclock.rpc.access import ACCESS, name_of_rpc
from playclock.rpc.authenticate import (
    API_KEY,
    AUTHORIZATION,
    LAUNCHER_CREDENTIALS,
    SIGNED_REQUEST,
    Metadata,
    authenticate,
    certified,
)
from playclock.rpc.call import Call, Identify, address_of
from playclock.v1.session_service_pb2 import BatchHeartbeatResponse, EndSessionsOfServerResponse

CALLER_ADDRESS: Final = "x-caller-address"
"""The metadata in which somebody inside the trust boundary tells from where a call came that it hands on."""
ADDRESS_AUTHORIZATION: Final = "x-caller-address-authorization"
"""The bearer token for which that is believed, where the call's credentials are somebody else's."""

ESSENTIAL: Final = frozenset(
    {
        "/playclock.v1.LaunchService/EndLaunch",
        "/playclock.v1.LaunchService/HeartbeatLaunch",
        "/playclock.v1.SessionService/BatchHeartbeat",
        "/playclock.v1.SessionService/EndSession",
        "/playclock.v1.SessionService/EndSessionsOfServer",
        "/playclock.v1.SessionService/Heartbeat",
    }
)
"""What keeps sessions alive and ends them: no limit refuses it."""

FOR_GAMES: Final = frozenset(method for method in ESSENTIAL if Role.GAME in ACCESS[name_of_rpc(method)])
"""Those of them that game servers may call."""

FOR_FACADES: Final = frozenset(
    {
        "/playclock.v1.DeveloperGameService/BatchGetGamesByToken",
        "/playclock.v1.DeveloperGameService/BatchGetPublicGames",
        "/playclock.v1.DeveloperGameService/GetGameByToken",
        "/playclock.v1.DeveloperGameService/GetPublicGame",
        "/playclock.v1.DeveloperGameService/ListPublicGames",
        "/playclock.v1.ImageService/GetImage",
        "/playclock.v1.LimitService/TakeLimit",
        "/playclock.v1.OpenIdService/GetConfiguration",
        "/playclock.v1.OpenIdService/GetJwks",
        "/playclock.v1.OpenIdService/GetRealm",
        "/playclock.v1.PointsService/GetPlayerPoints",
        "/playclock.v1.PointsService/GetPlayerStreak",
        "/playclock.v1.PointsService/GetSessionState",
        "/playclock.v1.PointsService/FlushPoints",
        "/playclock.v1.PointsService/CommitPoints",
    }
)
"""What may also be called in process without credentials: a facade there has none."""

OF_CALLS: Final[Mapping[str, str]] = {
    "/playclock.v1.DeveloperGameService/ClaimOwnership": "claims_per_developer",
    "/playclock.v1.PointsService/BatchSavePoints": "point_saves_per_developer",
}
"""The calls that have a limit of their own, by its name."""

UNLIMITED: Final = frozenset({Role.OPERATOR, Role.SERVICE})
"""Whose calls are not counted: they are inside the trust boundary."""

_NOBODY: Final = Caller(Role.GAME, "")
_CREDENTIALS: Final = (API_KEY, AUTHORIZATION, LAUNCHER_CREDENTIALS, SIGNED_REQUEST)
_PROOFS: Final[Mapping[type, Callable[[Any], bool]]] = {
    BatchHeartbeatResponse: lambda response: any(result.HasField("response") for result in response.results),
    EndSessionsOfServerResponse: lambda response: bool(response.game_session_ids),
}
"""Whether an answer tells of something that is alive, for the answers that may tell of nothing."""


class Gate:
    """Lets calls in, or not."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._limits = engine.limits
        self._wrong = engine.limits.wrong_credentials

    def admit_game(self, method: str, metadata: Metadata, peer: Callable[[], str], *, trusted: bool) -> Call | None:
        """Return the game server that sends a heartbeat or an end, where nothing else has to be looked at; None where it has.

        It is `admit` for the calls that come all the time, without what only others need.
        """
        if method not in FOR_GAMES or (self._wrong is not None and self._wrong.has_full):
            return None
        key = dict(metadata).get(API_KEY)
        if not isinstance(key, str):
            return None
        try:
            return Call(self._engine.callers.game(key), peer, trusted)
        except InvalidApiKey:
            return None  # to be counted, and told

    async def admit(
        self,
        method: str,
        metadata: Metadata,
        peer: Callable[[], str],
        identify: Identify,
        *,
        changes: bool,
        trusted: bool,
        fallback: Caller | None,
    ) -> Call:
        """Return who calls. Raises RateLimited, and what `authenticate` raises."""
        limits, wrong = self._limits, self._wrong
        known = partial(
            authenticate, self._engine, method, metadata, peer, trusted=trusted, fallback=fallback, identify=identify
        )
        if wrong is not None and wrong.has_full:
            home = self._home(metadata, peer, identify, trusted=trusted)
            refusal = wrong.refusal(home)
            if refusal is not None:
                suspect = await self._suspect(method, home, Suspicion(wrong, refusal), known)
                if suspect is not None:
                    return suspect
        if method in FOR_FACADES and trusted and not any(key in _CREDENTIALS for key, _ in metadata):
            return Call(fallback or _NOBODY, peer, trusted)
        try:
            call = await known(changes=changes)
        except (InvalidApiKey, InvalidSignature):
            if wrong is not None:
                wrong.count(self._home(metadata, peer, identify, trusted=trusted))
            raise
        if method in ESSENTIAL:
            return call
        home, name = self._home(metadata, peer, identify, trusted=call.trusted), name_of(call.caller)
        limits.remember(home, name)
        if call.caller.role not in UNLIMITED:
            self._count(method, name)
        return call._replace(home=home)

    def _count(self, method: str, name: str) -> None:
        """Count a call. Raises RateLimited."""
        for limit in (self._limits.calls, self._limits.named(OF_CALLS.get(method, ""))):
            if limit is not None:
                limit.take(name)

    async def _suspect(
        self, method: str, home: str, suspicion: "Suspicion", known: Callable[..., Awaitable[Call]]
    ) -> Call | None:
        """Return a call that may be a guess, and is let in all the same; None for one that is none, of a caller known there.

        Raises RateLimited for all others, with good credentials and with bad ones.
        """
        is_essential = method in ESSENTIAL
        try:
            # Nothing is used up unless the call is carried out.
            call = await known(changes=is_essential)
        except (Unauthenticated, PermissionDenied, BadRequest):
            raise suspicion.refusal() from None
        if is_essential:
            return call._replace(suspicion=suspicion)
        if not self._limits.knows(home, name_of(call.caller)):
            raise suspicion.refusal()
        return None

    def _home(self, metadata: Metadata, peer: Callable[[], str], identify: Identify, *, trusted: bool) -> str:
        """Return from where a call comes. It is believed of those inside the trust boundary, and of nobody else."""
        told = bearer = None
        for key, value in metadata:
            if key == CALLER_ADDRESS:
                told = value
            elif key == ADDRESS_AUTHORIZATION or (key == AUTHORIZATION and bearer is None):
                bearer = value
        vouches = trusted or (isinstance(bearer, str) and self._is_good(bearer))
        if vouches or (told is not None and self._is_certified(identify)):
            return home_of(told) if isinstance(told, str) else ""
        return home_of(address_of(peer()))

    def _is_certified(self, identify: Identify) -> bool:
        try:
            return certified(self._engine, identify) is not None
        except InvalidApiKey:
            return False

    def _is_good(self, bearer: str) -> bool:
        try:
            self._engine.callers.bearer(bearer.removeprefix("Bearer "))
        except InvalidApiKey:
            return False
        return True


class Suspicion:
    """What is held against a call that was let in all the same: that it may be a guess."""

    def __init__(self, limit: Limit, refusal: RateLimited) -> None:
        self._limit = limit
        self._refusal = refusal

    def refusal(self) -> RateLimited:
        """Return what is told, and count it."""
        return self._limit.told(self._refusal)

    def check(self, response: object) -> None:
        """Raise RateLimited for an answer that tells of nothing alive, and so of nothing but that the key is good."""
        is_proof = _PROOFS.get(type(response))
        if is_proof is not None and not is_proof(response):
            raise self.refusal()

    def instead_of(self, error: EngineError) -> EngineError:
        """Return what is told instead of an error: whoever knows of something that was alive hears it as it is."""
        return error if isinstance(error, WrongState | TryAgain) else self.refusal()
