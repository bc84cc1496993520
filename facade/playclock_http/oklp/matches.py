"""The match calls: what a player's token is good for, and results, authenticated by an access token."""

import re
from typing import Final, TypeVar

import grpc
import msgspec
from playclock.v1 import match_service_pb2 as pb
from playclock.v1.match_service_pb2_grpc import MatchServiceStub

from playclock_http.address import TrustedProxies
from playclock_http.callers import Callers
from playclock_http.endpoint import Reply
from playclock_http.incoming import MAX_BODY_BYTES, Incoming
from playclock_http.oklp import schemas
from playclock_http.refusal import Refusal
from playclock_http.upstream import Metadata, Upstream

MAX_RESULT_BYTES: Final = 256 * 1024
"""How long a result may be: that of as many teams as there can be, each with the longest id that JSON may have to escape."""

_BEARER: Final = re.compile(rb"bearer +([\x21-\x7e]+)", re.IGNORECASE)
_ACCESS_TOKEN: Final = re.compile(r"eyJ[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+){2}", re.ASCII)
_ACCESS_TOKEN_MAX: Final = 4096
_JSON: Final = msgspec.json.Encoder()

_STATUSES: Final = {
    number: name.removeprefix("STATUS_").lower() for name, number in pb.InspectMatchTokenResponse.Status.items() if number
}
_STATES: Final = {
    **{number: name.removeprefix("STATE_").lower() for name, number in pb.Match.State.items() if number},
    # Who hears what counts of a match that is not live yet has sent a score to a tournament.
    pb.Match.STATE_CREATED: "pending",
    pb.Match.STATE_STARTING: "pending",
}

BodyT = TypeVar("BodyT", schemas.TokenToInspect, schemas.Result)


class MatchCalls:
    """The handlers of the match calls."""

    def __init__(self, upstream: Upstream, proxies: TrustedProxies) -> None:
        matches = MatchServiceStub(upstream.channel)
        self._inspect_match_token = matches.InspectMatchToken
        self._report_result = matches.ReportResult
        self._callers = Callers(upstream)
        self._deadline_sec = upstream.deadline_sec
        self._upstream = upstream
        self._proxies = proxies

    async def token_info(self, incoming: Incoming) -> Reply:
        """Say who plays which match by a token."""
        body, metadata = await self._receive(incoming, schemas.TokenToInspect)
        answer = await self._inspect_match_token(
            pb.InspectMatchTokenRequest(token=body.token), timeout=self._deadline_sec, metadata=metadata
        )
        info = schemas.TokenInfo(
            match_id=answer.match_id,
            user_id=answer.user_id,
            match_status=_STATUSES[answer.match_status],
            submissions_total=answer.submissions_total,
            submissions_left=answer.submissions_left,
        )
        return Reply(200, _JSON.encode(info))

    async def finish(self, incoming: Incoming) -> Reply:
        """Take a result, and say which one counts."""
        body, metadata = await self._receive(incoming, schemas.Result, at_most=MAX_RESULT_BYTES)
        answer = await self._report_result(
            pb.ReportResultRequest(
                match_id=body.match_id,
                participants=[pb.ParticipantReport(user_id=each.id, score=each.score) for each in body.participants],
                teams=[
                    pb.TeamReport(team_id=team.id, score=team.score, ranking=team.ranking, forfeit=team.forfeit)
                    for team in body.teams
                ],
            ),
            timeout=self._deadline_sec,
            metadata=metadata,
        )
        return Reply(200, _JSON.encode(_accepted(answer.match)))

    async def _receive(
        self, incoming: Incoming, declared: type[BodyT], *, at_most: int = MAX_BODY_BYTES
    ) -> tuple[BodyT, Metadata]:
        """Return the body and the metadata by which the engine learns who calls.

        Raises Refusal, and AioRpcError to whoever has no good token and must not hear what is wrong with the body.
        """
        metadata = self._credentials(incoming)
        try:
            return incoming.decode(await incoming.body(at_most=at_most), declared), metadata
        except Refusal as refusal:
            raise await self._callers.may_hear(refusal, metadata) from None

    def _credentials(self, incoming: Incoming) -> Metadata:
        """Return the metadata of a match client's call. Raises Refusal.

        A call without an access token is refused here and never made: a channel that has an identity of its own would lend it.
        What cannot be one is not handed on either: operators' and services' tokens are of no use here.
        """
        shown = _BEARER.fullmatch(incoming.header(b"authorization") or b"")
        if shown is None:
            message = "Authorization: expected Bearer and an access token"
            raise Refusal("TOKEN_REQUIRED", message, status=grpc.StatusCode.UNAUTHENTICATED)
        token = shown[1].decode("ascii")
        if len(token) > _ACCESS_TOKEN_MAX or not _ACCESS_TOKEN.fullmatch(token):
            raise Refusal("INVALID_API_KEY", "", status=grpc.StatusCode.UNAUTHENTICATED)
        return (
            ("authorization", f"Bearer {token}"),
            ("x-request-id", incoming.request_id),
            *self._upstream.handing_on(self._proxies.caller(incoming.peer, incoming.forwarded)),
        )


def _accepted(match: pb.Match) -> schemas.AcceptedResult:
    return schemas.AcceptedResult(
        match_id=match.match_id,
        match_status=_STATES[match.state],
        participants=[schemas.Participant(player.user_id, max(player.scores)) for player in match.players if player.scores],
        # Whoever has not forfeited has a rank.
        teams=[schemas.Place(team.team_id, team.score, team.rank, not team.rank) for team in match.results],
    )
