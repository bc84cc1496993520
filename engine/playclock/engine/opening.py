"""Opening: an OTT becomes a session, in the same commit in which it is used up, money is set aside and the old one ends."""

from typing import Final

import msgspec
from msgspec.structs import replace

from playclock.core import launch as launches
from playclock.core import moves
from playclock.core import ott as otts
from playclock.core import session as core
from playclock.core.answers import Opened, Refused
from playclock.core.catalog import Game
from playclock.core.charge import Charge
from playclock.core.grants import Grant
from playclock.core.guards import is_kept
from playclock.core.ids import (
    SESSION_PREFIX,
    account_key,
    answer_key,
    is_uuid,
    launch_key,
    ott_key,
    partition_in,
    session_key,
)
from playclock.core.launch import Launch, Seat
from playclock.core.ott import Ott, Refusal
from playclock.core.records import Answer
from playclock.core.session import Event, Session
from playclock.engine import requests
from playclock.engine.audit import audit
from playclock.engine.callers import Caller
from playclock.engine.context import Context
from playclock.engine.guesses import Guesses
from playclock.engine.partners import Partners
from playclock.engine.records import ANSWERS, LAUNCHES, OTTS, SEATS
from playclock.engine.work import Work
from playclock.errors import BadRequest, TooMuchContention
from playclock.stores.base import UNMOVED

_OPEN_ANSWER: Final = msgspec.msgpack.Decoder(Opened | Refused)


class Redemption(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Who redeems an OTT, and for whom."""

    caller: Caller
    ott: str
    provider_user_id: str
    server_id: str
    grant: Grant | None = None
    """What the partner has granted that pays for the cafe, once it was asked."""


class Unpaid(msgspec.Struct, frozen=True):
    """An OTT that could be redeemed, if the partner that pays for the cafe says yes."""

    launch: Launch
    game: Game


class Opening:
    """Redeems OTTs."""

    def __init__(self, context: Context, partners: Partners) -> None:
        self._context = context
        self._partners = partners
        self._guesses = Guesses(context)

    async def open(
        self, caller: Caller, *, ott: str, provider_user_id: str, request_id: str = "", server_id: str = "", home: str = ""
    ) -> Opened | Refused:
        """Redeem an OTT into a session. A refusal is an answer, and leaves the OTT as it was but for the count.

        `home` is the address, or network, from which the caller calls.

        Raises BadRequest, RequestIdReused, RateLimited, StoreAway, AuthorityAway, TooMuchContention.
        """
        if not is_uuid(ott):
            raise BadRequest({"ott": "expected a lower-case UUID"})
        await self._guesses.check(caller, home, ott)
        redemption = Redemption(caller=caller, ott=ott, provider_user_id=provider_user_id, server_id=server_id)
        now_ms = self._context.clock.now_ms()
        if request_id:
            await requests.claim(self._context, caller, request_id, (ott, provider_user_id, server_id))
        answer = await self._redeem(redemption, request_id, now_ms)
        if isinstance(answer, Unpaid):
            # Asked outside of any decision: a partner takes its time, and others of the partition need not wait for it.
            grant = await self._partners.open(answer.launch, answer.game, ott=ott, provider_user_id=provider_user_id)
            answer = await self._redeem(replace(redemption, grant=grant), request_id, now_ms)
        assert not isinstance(answer, Unpaid), "asked again with what the partner has granted"
        if isinstance(answer, Refused):
            self._guesses.count(caller, home, answer.refusal)
        return answer

    async def _redeem(self, redemption: Redemption, request_id: str, now_ms: int) -> Opened | Refused | Unpaid:
        partition = partition_in(redemption.ott)
        caller_name = requests.name_of(redemption.caller)
        answers_at = answer_key(partition, caller_name, request_id) if request_id else None

        async def decision(work: Work) -> Opened | Refused | Unpaid:
            if answers_at is not None:
                first = await work.read(ANSWERS, answers_at)
                if first is not None:
                    answered: Opened | Refused = _OPEN_ANSWER.decode(first.data)
                    return answered
            answer = await self._open(work, redemption)
            if answers_at is not None and not isinstance(answer, Unpaid):
                retain_until_ms = now_ms + self._context.timers.tombstone_retention_ms
                work.write(answers_at, Answer(msgspec.msgpack.encode(answer)), retain_until_ms=retain_until_ms)
            return answer

        return await self._context.turns.decide(partition, now_ms, decision)

    async def _open(self, work: Work, redemption: Redemption) -> Opened | Refused | Unpaid:
        context, timers, ott = self._context, self._context.timers, redemption.ott
        # Afresh: another process may have redeemed it, and "expired" is an answer that no commit would check.
        await work.prefetch(ott_key(ott), fresh=True)
        token = await work.read(OTTS, ott_key(ott))
        if token is None or not is_kept(token.expires_ms, now_ms=work.now_ms, retention_ms=timers.tombstone_retention_ms):
            return Refused(Refusal.EXPIRED)
        refusal = otts.refusal(
            token,
            game_id=redemption.caller.game_id,
            provider_user_id=redemption.provider_user_id,
            now_ms=work.now_ms,
            epoch=await work.epoch(),
        )
        if refusal in (Refusal.EXPIRED, Refusal.ALREADY_USED):
            return Refused(refusal)
        if refusal is not None:
            return self._refuse(work, ott, token, refusal)
        await work.prefetch(launch_key(token.launch_id), fresh=True)
        launch = await work.read(LAUNCHES, launch_key(token.launch_id))
        if launch is None or context.catalog.is_closed(token.game_id):
            return Refused(Refusal.EXPIRED)
        launch = launches.advance(launch, now_ms=work.now_ms, timers=timers, outages=context.outages)
        if not launches.is_live(launch):
            return Refused(Refusal.EXPIRED)
        if launch.provider_id is not None and redemption.grant is None:
            game = context.catalog.open_to_players(token.game_id)
            return Refused(Refusal.EXPIRED) if game is None else Unpaid(launch, game)
        session = await self._replace(work, launch, token, redemption)
        if session is None:
            work.discard()
            return self._refuse(work, ott, token, Refusal.NOT_CHARGEABLE)
        work.write(
            ott_key(ott), otts.redeem(token, session.id), retain_until_ms=token.expires_ms + timers.tombstone_retention_ms
        )
        audit(context, work, redemption.caller, "OpenSession", session.id, detail=f"game/{session.game_id}")
        wait_sec = core.next_heartbeat_sec(session, work.now_ms, timers)
        return Opened(session.id, session.is_in_cafe, wait_sec, session.attributes)

    def _refuse(self, work: Work, ott: str, token: Ott, refusal: Refusal) -> Refused:
        retain_until_ms = token.expires_ms + self._context.timers.tombstone_retention_ms
        work.write(ott_key(ott), otts.count_refusal(token), retain_until_ms=retain_until_ms)
        return Refused(refusal)

    async def _replace(self, work: Work, launch: Launch, token: Ott, redemption: Redemption) -> Session | None:
        """End what runs on the launch's seat and open a session there; None where the account cannot pay for it."""
        context = self._context
        key = launches.seat_key_of(launch, work.partition)
        await work.prefetch(key, *([account_key(launch.account_id)] if launch.account_id else []), fresh=True)
        seat = await work.read(SEATS, key)
        if seat is not None and seat.session_id is not None:
            await work.prefetch(session_key(seat.session_id), fresh=True)
            old = await context.read_session(work, seat.session_id)
            if old is not None and core.is_live(old):
                await context.move_session(work, old, Event.REPLACE)
        payer = await self._charge(work, launch)
        if payer is None:
            return None
        charge, free_micros = payer
        session = moves.open_session(
            id=SESSION_PREFIX + context.new_uuid(work.partition),
            game_id=token.game_id,
            provider_user_id=redemption.provider_user_id,
            launch_id=launch.id,
            cafe_id=launch.cafe_id,
            pc_id=launch.pc_id,
            server_id=redemption.server_id,
            launcher_until_ms=launch.lease_until_ms if launch.agent is None else None,
            charge=charge,
            free_micros=free_micros,
            now_ms=work.now_ms,
            timers=context.timers,
            grant=redemption.grant,
            attributes=b"" if launch.agent is None else launch.agent.attributes,
        )
        if session is None:
            return None
        await context.create_session(work, session)
        work.write(key, Seat(launch.id, session.id))
        # Written as it was: a launcher that renews or ends its launch meanwhile must conflict, or the session would not hear.
        due_ms = UNMOVED if launch.agent is None else None
        retain_until_ms = launches.retain_until_ms(launch, context.timers)
        work.write(launch_key(launch.id), launch, due_ms=due_ms, retain_until_ms=retain_until_ms)
        return session

    async def _charge(self, work: Work, launch: Launch) -> tuple[Charge | None, int] | None:
        """Return who pays which price for a session of the launch, holding nothing yet, and what can be set aside.

        None where the price is in another currency than the account: the launch began before that was changed.
        """
        if launch.account_id is None or launch.tariff_id is None:
            return None, 0
        account = await self._context.read_account(work, launch.account_id)
        free_micros = 0 if account is None else account.free_micros
        tariff = self._context.estate.tariffs.get(launch.tariff_id)
        if tariff is None:
            raise TooMuchContention("the tariff is so new that this process has not read it yet")
        if account is not None and account.currency != tariff.currency:
            return None
        return Charge(launch.account_id, tariff, billed_micros=0, held_micros=0), free_micros
