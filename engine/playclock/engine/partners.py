"""The partners who pay: asked under a breaker, remembered where they were asked before, and heard for many sessions at once."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeVar

import msgspec

from playclock.core import breaker as breakers
from playclock.core import grants, moves
from playclock.core import session as core
from playclock.core.breaker import Breaker
from playclock.core.catalog import Game
from playclock.core.estate import Cafe, Provider, parse_address
from playclock.core.grants import FailurePolicy, Grant, Word
from playclock.core.ids import charge_id_of
from playclock.core.launch import Launch
from playclock.core.session import Session
from playclock.engine.authority import Authority, Charged, Closed, Connect, PartnerCafe
from playclock.engine.context import Context
from playclock.errors import AuthorityAway

FRESH_MS: Final = 60_000
"""How long what a partner said of an address is believed without asking again."""
STALE_MS: Final = 3_600_000
"""How long it is believed while the partner does not answer."""
ADDRESSES_MAX: Final = 10_000
CALLS_MAX: Final = 64
"""How many calls of one partner are under way at once."""
ANSWERED: Final = "answered"
FAILED: Final = "failed"
SKIPPED: Final = "skipped"
"""How a call is counted that was not made, because the partner has not answered of late."""

_log = logging.getLogger(__name__)

T = TypeVar("T")


class _Link:
    """A partner, as it can be reached."""

    def __init__(self, provider: Provider, authority: Authority) -> None:
        self.provider = provider
        self.authority = authority
        self.breaker = Breaker()
        self.calls = asyncio.Semaphore(CALLS_MAX)


class _Heard(msgspec.Struct, frozen=True):
    """What a partner said of an address, and when."""

    cafe: PartnerCafe | None
    at_ms: int


class Partners:
    """Asks the partners of the estate."""

    def __init__(self, context: Context, connect: Connect | None) -> None:
        self._context = context
        self._connect = connect
        self._links: dict[str, _Link] = {}
        self._addresses: OrderedDict[tuple[str, str], _Heard] = OrderedDict()
        self._opening: dict[str, asyncio.Task[int]] = {}

    async def close(self) -> None:
        """Let go of all connections."""
        links, self._links = list(self._links.values()), {}
        for link in links:
            await link.authority.shut()

    @property
    def circuits(self) -> dict[str, bool]:
        """Whether the circuit to each partner that has been called is open, by the provider's id."""
        return {provider_id: breakers.is_open(link.breaker) for provider_id, link in self._links.copy().items()}

    async def cafe_at(self, address: str) -> Cafe | None:
        """Return the partner's cafe to which an address belongs; the first partner's by id where there are several.

        Raises AuthorityAway where no partner says yes and one did not answer.
        """
        parsed = parse_address(address)
        providers = [each for _, each in sorted(self._context.estate.providers.items()) if each.verifies_addresses]
        if parsed is None or not providers:
            return None
        asked = [self._verify(provider, str(parsed)) for provider in providers]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        for provider, answer in zip(providers, answers, strict=True):
            if isinstance(answer, PartnerCafe):
                name = f"{provider.id}/{answer.id}"
                return Cafe(id=name, name=answer.name, networks=(), account_id=None, tariff_id=None, provider_id=provider.id)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return None

    async def open(self, launch: Launch, game: Game, *, ott: str, provider_user_id: str) -> Grant:
        """Ask for the time of a session that is about to be opened, once for however many calls redeem one OTT.

        Raises AuthorityAway where the partner does not answer and the game's policy is to open none then.
        """
        assert launch.provider_id is not None
        provider, timers = self._provider(launch.provider_id), self._context.timers
        grant = Grant(
            provider_id=provider.id,
            charge_id=charge_id_of(ott),
            cafe_id=launch.cafe_id.removeprefix(f"{provider.id}/"),
            policy=game.failure_policy,
            limit_ms=game.failure_limit_ms,
        )
        charged = Charged(
            charge_id=grant.charge_id,
            cafe_id=grant.cafe_id,
            pc_id=launch.pc_id,
            game_id=game.id,
            provider_user_id=provider_user_id,
        )
        wanted_ms = max(timers.session_ttl_ms, provider.reserve_ms)
        try:
            word: Word | None = Word(await self._open_once(provider, charged, wanted_ms), wanted_ms)
        except AuthorityAway:
            if grant.policy is FailurePolicy.DENY:
                raise
            word = None
        return grants.hear(grant, word, billed_ms=0, lease_ms=timers.session_ttl_ms)

    async def renew(self, sessions: Iterable[Session], now_ms: int) -> dict[str, Word]:
        """Ask for more time for those of the sessions that need it, and return who was answered what."""
        needed = [need for session in sessions if (need := self._need(session, now_ms)) is not None]
        words = await asyncio.gather(*(self._renew(*need) for need in needed))
        return {session.id: word for (session, _, _), word in zip(needed, words, strict=True) if word is not None}

    async def confirm(self, session: Session) -> Closed:
        """Tell the partner that a session is over. Raises AuthorityAway."""
        assert session.grant is not None
        assert session.ended_ms is not None
        assert session.end_reason is not None
        ended_ms, end_reason, used_ms = session.ended_ms, session.end_reason.name, session.billed_ms
        charged = _charged(session, session.grant)
        return await self._ask(
            self._provider(session.grant.provider_id),
            "close",
            lambda authority: authority.close(charged, used_ms=used_ms, ended_ms=ended_ms, end_reason=end_reason),
        )

    def _need(self, session: Session, now_ms: int) -> tuple[Session, int, int] | None:
        context = self._context
        if session.grant is None:
            return None
        provider = context.estate.providers.get(session.grant.provider_id)
        if provider is None:
            return None
        steps = moves.advance(session, now_ms=now_ms, timers=context.timers, outages=context.outages)
        session = steps[-1] if steps else session
        if not core.is_live(session):
            return None
        need = moves.wanted(session, now_ms=now_ms, timers=context.timers, reserve_ms=provider.reserve_ms)
        return None if need is None else (session, *need)

    async def _renew(self, session: Session, used_ms: int, wanted_ms: int) -> Word | None:
        assert session.grant is not None
        charged = _charged(session, session.grant)
        try:
            granted_ms = await self._ask(
                self._provider(session.grant.provider_id),
                "renew",
                lambda authority: authority.renew(charged, used_ms=used_ms, wanted_ms=wanted_ms),
            )
        except AuthorityAway:
            return None
        return Word(granted_ms, wanted_ms)

    async def _open_once(self, provider: Provider, charged: Charged, wanted_ms: int) -> int:
        """Ask once for all that redeem the same OTT at the same time. A caller that is cancelled does not call it back."""
        task = self._opening.get(charged.charge_id)
        if task is None:
            asked = self._ask(provider, "open", lambda authority: authority.open(charged, wanted_ms=wanted_ms))
            task = self._opening[charged.charge_id] = asyncio.ensure_future(asked)
            task.add_done_callback(lambda done: self._opened(charged.charge_id, done))
        return await asyncio.shield(task)

    def _opened(self, charge_id: str, done: asyncio.Task[int]) -> None:
        self._opening.pop(charge_id, None)
        if not done.cancelled():
            done.exception()  # looked at here, for all callers may have gone

    async def _verify(self, provider: Provider, address: str) -> PartnerCafe | None:
        """Return what the partner says of an address, or said not long ago."""
        key, now_ms = (provider.id, address), self._context.clock.now_ms()
        heard = self._addresses.get(key)
        if heard is not None and now_ms < heard.at_ms + FRESH_MS:
            return heard.cafe
        try:
            cafe = await self._ask(provider, "verify_address", lambda authority: authority.verify_address(address))
        except AuthorityAway:
            if heard is not None and heard.cafe is not None and now_ms < heard.at_ms + STALE_MS:
                return heard.cafe
            raise
        self._addresses[key] = _Heard(cafe, now_ms)
        self._addresses.move_to_end(key)
        if len(self._addresses) > ADDRESSES_MAX:
            self._addresses.popitem(last=False)
        return cafe

    async def _ask(self, provider: Provider, name: str, call: Callable[[Authority], Awaitable[T]]) -> T:
        """Ask a partner, unless it is left alone for now, and count the call by its name. Raises AuthorityAway."""
        link = await self._link(provider)
        async with link.calls:
            admitted = breakers.admit(link.breaker, self._context.clock.now_ms())
            if admitted is None:
                self._count(provider, name, SKIPPED)
                raise AuthorityAway("the provider has not answered of late", provider_id=provider.id)
            link.breaker = admitted
            try:
                answer = await call(link.authority)
            except AuthorityAway as error:
                self._count(provider, name, FAILED)
                self._note(link, breakers.fail(link.breaker, self._context.clock.now_ms()), error.message)
                raise
        self._count(provider, name, ANSWERED)
        self._note(link, Breaker(), "")
        return answer

    def _count(self, provider: Provider, name: str, outcome: str) -> None:
        calls = self._context.counts.provider_calls
        calls[provider.id, name, outcome] = calls.get((provider.id, name, outcome), 0) + 1

    def _note(self, link: _Link, after: Breaker, cause: str) -> None:
        before, link.breaker = link.breaker, after
        if breakers.is_open(after) and not breakers.is_open(before):
            fields = {"provider": link.provider.id, "cause": cause}
            _log.error("a provider does not answer; games go on by their policies", extra={"fields": fields})
        elif breakers.is_open(before) and not breakers.is_open(after):
            _log.info("a provider answers again", extra={"fields": {"provider": link.provider.id}})

    async def _link(self, provider: Provider) -> _Link:
        """Return how the partner is reached as the estate has it now."""
        link = self._links.get(provider.id)
        if link is not None and link.provider == provider:
            return link
        if self._connect is None:
            raise AuthorityAway("this engine cannot reach providers", provider_id=provider.id)
        self._links[provider.id] = new = _Link(provider, self._connect(provider))
        if link is not None:
            await link.authority.shut()
        return new

    def _provider(self, provider_id: str) -> Provider:
        provider = self._context.estate.providers.get(provider_id)
        if provider is None:
            raise AuthorityAway("the provider is so new that this process has not read it yet", provider_id=provider_id)
        return provider


def _charged(session: Session, grant: Grant) -> Charged:
    return Charged(
        charge_id=grant.charge_id,
        cafe_id=grant.cafe_id,
        pc_id=session.pc_id,
        game_id=session.game_id,
        provider_user_id=session.provider_user_id,
        session_id=session.id,
        started_ms=session.started_ms,
    )
