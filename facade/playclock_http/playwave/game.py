"""Game-server calls: verify, heartbeat and end, authenticated by X-Api-Key."""

import re
from typing import Final

import grpc
from playclock.v1 import session_service_pb2, session_service_pb2_grpc

from playclock_http import fields
from playclock_http.address import TrustedProxies
from playclock_http.callers import Callers
from playclock_http.endpoint import Reply
from playclock_http.incoming import Incoming
from playclock_http.playwave.envelope import success
from playclock_http.playwave.schemas import End, EndAnswer, Heartbeat, HeartbeatAnswer, Refused, Verified, Verify
from playclock_http.refusal import Refusal, bad_request
from playclock_http.upstream import Metadata, Upstream

# What gRPC carries as metadata: printable ASCII without blanks at its ends. No key of ours is anything else.
_API_KEY: Final = re.compile(rb"[\x21-\x7e](?:[\x20-\x7e]{0,1022}[\x21-\x7e])?")
_IDEMPOTENCY_KEY: Final = re.compile(rb"[\x20-\x7e]{1,255}")
_DIGITS: Final = re.compile(r"[0-9]{1,10}", re.ASCII)

_REASONS: Final = {
    session_service_pb2.OpenSessionResponse.REASON_OTT_EXPIRED: "OTT_EXPIRED",
    session_service_pb2.OpenSessionResponse.REASON_OTT_ALREADY_USED: "OTT_ALREADY_USED",
    session_service_pb2.OpenSessionResponse.REASON_GAME_MISMATCH: "GAME_MISMATCH",
    session_service_pb2.OpenSessionResponse.REASON_NOT_CHARGEABLE: "NOT_CHARGEABLE",
    # The document knows four reasons; of those this one has the right advice: invalid OTT, kick the user.
    session_service_pb2.OpenSessionResponse.REASON_USER_MISMATCH: "GAME_MISMATCH",
}
_CHARGE_EXHAUSTED: Final = session_service_pb2.HeartbeatResponse.RESULT_CHARGE_EXHAUSTED
_RESULTS: Final = {
    session_service_pb2.HeartbeatResponse.RESULT_OK: "OK",
    session_service_pb2.HeartbeatResponse.RESULT_CHARGE_EXHAUSTED: "CHARGE_EXHAUSTED",
    session_service_pb2.HeartbeatResponse.RESULT_SESSION_REPLACED: "SESSION_REPLACED",
}


class GameCalls:
    """The handlers of the game-server calls."""

    def __init__(self, upstream: Upstream, proxies: TrustedProxies) -> None:
        sessions = session_service_pb2_grpc.SessionServiceStub(upstream.channel)
        self._open_session = sessions.OpenSession
        self._heartbeat = sessions.Heartbeat
        self._end_session = sessions.EndSession
        self._callers = Callers(upstream)
        self._deadline_sec = upstream.deadline_sec
        self._upstream = upstream
        self._proxies = proxies

    async def verify(self, incoming: Incoming) -> Reply:
        """Redeem an OTT into a session. A refused OTT is an answer, not an error."""
        metadata = self._credentials(incoming)
        try:
            body = incoming.decode(await incoming.body(), Verify)
            request_id = _idempotency_key(incoming)
        except Refusal as refusal:
            raise await self._callers.may_hear(refusal, metadata) from None
        answer = await self._open_session(
            session_service_pb2.OpenSessionRequest(ott=body.ott, provider_user_id=body.provider_user_id, request_id=request_id),
            timeout=self._deadline_sec,
            metadata=metadata,
        )
        if answer.is_valid:
            return success(incoming.request_id, Verified(True, answer.game_session_id, answer.is_pc_cafe))
        return success(incoming.request_id, Refused(False, _REASONS[answer.reason]))

    async def heartbeat(self, incoming: Incoming) -> Reply:
        """Keep a session alive."""
        metadata = self._credentials(incoming)
        try:
            body = incoming.decode(await incoming.body(), Heartbeat)
        except Refusal as refusal:
            raise await self._callers.may_hear(refusal, metadata) from None
        answer = await self._heartbeat(
            session_service_pb2.HeartbeatRequest(game_session_id=body.game_session_id, provider_user_id=body.provider_user_id),
            timeout=self._deadline_sec,
            metadata=metadata,
        )
        data = HeartbeatAnswer(_RESULTS[answer.result], answer.next_heartbeat_in, answer.play_duration_sec)
        if answer.result == _CHARGE_EXHAUSTED:
            data.grace_remaining_sec = answer.grace_remaining_sec
        return success(incoming.request_id, data)

    async def end(self, incoming: Incoming) -> Reply:
        """End a session."""
        metadata = self._credentials(incoming)
        try:
            body = await _end_body(incoming)
        except Refusal as refusal:
            raise await self._callers.may_hear(refusal, metadata) from None
        answer = await self._end_session(
            session_service_pb2.EndSessionRequest(
                game_session_id=body.game_session_id, play_duration_sec=body.play_duration_sec
            ),
            timeout=self._deadline_sec,
            metadata=metadata,
        )
        told = answer.client_play_duration_sec if answer.HasField("client_play_duration_sec") else None
        return success(incoming.request_id, EndAnswer("SUCCESS", answer.play_duration_sec, told))

    def _credentials(self, incoming: Incoming) -> Metadata:
        """Return the metadata of a game server's call. Raises Refusal (INVALID_API_KEY).

        A call without a key is refused here and never made: a channel that has an identity of its own would lend it.
        """
        key = incoming.header(b"x-api-key")
        if key is None or not _API_KEY.fullmatch(key):
            raise Refusal("INVALID_API_KEY", "X-Api-Key: missing or malformed", status=grpc.StatusCode.UNAUTHENTICATED)
        address = self._proxies.caller(incoming.peer, incoming.forwarded)
        return (
            ("x-api-key", key.decode("ascii")),
            ("x-request-id", incoming.request_id),
            *self._upstream.handing_on(address),
        )


def _idempotency_key(incoming: Incoming) -> str:
    key = incoming.header(b"idempotency-key")
    if key is None:
        return ""
    if not _IDEMPOTENCY_KEY.fullmatch(key):
        raise bad_request("Idempotency-Key: expected 1 to 255 printable ASCII characters")
    return key.decode("ascii")


async def _end_body(incoming: Incoming) -> End:
    """Return what an end says: its body, or its query where it has none. Raises Refusal.

    Not every HTTP client sends a body with DELETE. A query that does not count has to be well-formed all the same.
    """
    raw = await incoming.body()
    query = _end_query(incoming)
    if not raw:
        return fields.convert(query, End)
    body = incoming.decode(raw, End)
    if query:
        fields.convert({"game_session_id": body.game_session_id, **query}, End)
    return body


def _end_query(incoming: Incoming) -> dict[str, object]:
    query: dict[str, object] = dict(incoming.query())
    seconds = query.get("play_duration_sec")
    if isinstance(seconds, str) and _DIGITS.fullmatch(seconds):
        query["play_duration_sec"] = int(seconds)
    return query
