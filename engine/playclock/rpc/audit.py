"""AuditService: messages to the archive and back."""

from playclock.engine import Engine
from playclock.engine.history import AuditFilter
from playclock.rpc.account import page_limit
from playclock.rpc.call import Call
from playclock.rpc.messages import milliseconds, timestamp
from playclock.v1 import audit_service_pb2 as pb


class AuditServicer:
    """Translates for operators."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def ListAuditEvents(self, request: pb.ListAuditEventsRequest, call: Call) -> pb.ListAuditEventsResponse:  # noqa: ARG002
        """List the audit trail."""
        chosen = AuditFilter(
            actor=request.actor,
            from_ms=milliseconds(request.acted_from) if request.HasField("acted_from") else None,
            until_ms=milliseconds(request.acted_until) if request.HasField("acted_until") else None,
        )
        found, next_page_token = await self._engine.history.audit(
            chosen, page_token=request.page_token, limit=page_limit(request.page_size)
        )
        events = [
            pb.AuditEvent(
                act_time=timestamp(each.at_ms), actor=each.actor, action=each.action, target=each.target, detail=each.detail
            )
            for each in found
        ]
        return pb.ListAuditEventsResponse(events=events, next_page_token=next_page_token)
