"""SettlementService: messages to the archive and back."""

from collections.abc import AsyncIterator
from typing import Final

from playclock.core import settlement as core
from playclock.engine import Caller, Engine
from playclock.engine.history import Filter, Grouping
from playclock.rpc.account import page_limit
from playclock.rpc.call import Call
from playclock.rpc.fields import check
from playclock.rpc.messages import milliseconds, timestamp
from playclock.v1 import settlement_service_pb2 as pb

_GROUPINGS: Final = {
    pb.SummarizeSettlementsRequest.GROUPING_GAME: Grouping.GAME,
    pb.SummarizeSettlementsRequest.GROUPING_CAFE: Grouping.CAFE,
    pb.SummarizeSettlementsRequest.GROUPING_ACCOUNT: Grouping.ACCOUNT,
    pb.SummarizeSettlementsRequest.GROUPING_DAY: Grouping.DAY,
    pb.SummarizeSettlementsRequest.GROUPING_MONTH: Grouping.MONTH,
}


class SettlementServicer:
    """Translates for operators, and for game servers what is their game's."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def ListSettlements(self, request: pb.ListSettlementsRequest, call: Call) -> pb.ListSettlementsResponse:
        """List settlements."""
        settlements, next_page_token = await self._engine.history.settlements(
            _filter(request, call.caller, cafe_id=request.cafe_id),
            page_token=request.page_token,
            limit=page_limit(request.page_size),
        )
        messages = [settlement_message(settlement) for settlement in settlements]
        return pb.ListSettlementsResponse(settlements=messages, next_page_token=next_page_token)

    async def SummarizeSettlements(
        self, request: pb.SummarizeSettlementsRequest, call: Call
    ) -> pb.SummarizeSettlementsResponse:
        """Sum settlements up."""
        check(group_by="is not known" if any(each not in _GROUPINGS for each in request.group_by) else None)
        summaries = await self._engine.history.summarize(
            _filter(request, call.caller, cafe_id=request.cafe_id),
            group_by=[_GROUPINGS[each] for each in request.group_by],
            time_zone=request.time_zone or "UTC",
        )
        return pb.SummarizeSettlementsResponse(
            summaries=[
                pb.SettlementSummary(
                    game_id=summary.game_id,
                    cafe_id=summary.cafe_id,
                    account_id=summary.account_id,
                    period=summary.period,
                    currency=summary.currency,
                    session_count=summary.session_count,
                    play_duration_sec=summary.play_duration_sec,
                    billed_sec=summary.billed_sec,
                    amount_micros=summary.amount_micros,
                )
                for summary in summaries
            ]
        )

    async def ExportSettlements(
        self, request: pb.ExportSettlementsRequest, call: Call
    ) -> AsyncIterator[pb.ExportSettlementsResponse]:
        """Stream settlements."""
        async for settlement in self._engine.history.export(_filter(request, call.caller)):
            yield pb.ExportSettlementsResponse(settlement=settlement_message(settlement))


def settlement_message(settlement: core.Settlement) -> pb.Settlement:
    """Return a settlement as a message."""
    return pb.Settlement(
        game_session_id=settlement.game_session_id,
        account_id=settlement.account_id,
        game_id=settlement.game_id,
        play_duration_sec=settlement.play_duration_sec,
        billed_sec=settlement.billed_sec,
        grace_sec=settlement.grace_sec,
        amount_micros=settlement.amount_micros,
        end_reason=settlement.end_reason,
        tariff=settlement.tariff,
        started=timestamp(settlement.started_ms),
        ended=timestamp(settlement.ended_ms),
        client_play_duration_sec=settlement.client_play_duration_sec,
        previous_hash=settlement.previous_hash,
        hash=settlement.hash,
        cafe_id=settlement.cafe_id,
        provider_user_id=settlement.provider_user_id,
        unproven_sec=settlement.unproven_sec,
        currency=settlement.currency,
    )


Chosen = pb.ListSettlementsRequest | pb.SummarizeSettlementsRequest | pb.ExportSettlementsRequest


def _filter(request: Chosen, caller: Caller, *, cafe_id: str = "") -> Filter:
    return Filter(
        account_id=request.account_id,
        game_id=caller.game_id or request.game_id,
        cafe_id=cafe_id,
        from_ms=milliseconds(request.ended_from) if request.HasField("ended_from") else None,
        until_ms=milliseconds(request.ended_until) if request.HasField("ended_until") else None,
    )
