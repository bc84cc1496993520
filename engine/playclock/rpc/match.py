"""MatchService: messages to the engine and back."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from playclock.core.match import Match, submissions_left
from playclock.core.match_news import MatchNews
from playclock.core.match_terms import PLAYERS_MAX
from playclock.core.match_token import TOKEN_MAX, status_of
from playclock.core.results import Verdict
from playclock.engine import Engine, Role
from playclock.rpc.call import Call
from playclock.rpc.fields import check
from playclock.rpc.match_messages import (
    STATUSES,
    event_message,
    kind_problem,
    match_message,
    report_of,
    state_of,
    state_problem,
    terms_of,
)
from playclock.rpc.messages import timestamp
from playclock.v1 import match_service_pb2 as pb


class MatchServicer:
    """Translates for whoever runs matches, and for the clients of their games."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def CreateMatch(self, request: pb.CreateMatchRequest, call: Call) -> pb.CreateMatchResponse:
        """Make a match."""
        check(**{"terms.payout.kind": kind_problem(request.terms.payout)})
        match = await self._engine.matches.create(
            call.caller, terms_of(request.terms), request_id=call.request_id(request.request_id)
        )
        return pb.CreateMatchResponse(match=_message(match, call))

    async def JoinMatch(self, request: pb.JoinMatchRequest, call: Call) -> pb.JoinMatchResponse:
        """Let a user join."""
        match = await self._engine.matches.join(
            call.caller, request.match_id, user_id=request.user_id, team_id=request.team_id, account_id=request.account_id
        )
        return pb.JoinMatchResponse(match=_message(match, call))

    async def LeaveMatch(self, request: pb.LeaveMatchRequest, call: Call) -> pb.LeaveMatchResponse:
        """Let a user leave."""
        match = await self._engine.matches.leave(call.caller, request.match_id, user_id=request.user_id)
        return pb.LeaveMatchResponse(match=_message(match, call))

    async def StartMatch(self, request: pb.StartMatchRequest, call: Call) -> pb.StartMatchResponse:
        """Start a match."""
        return pb.StartMatchResponse(match=_message(await self._engine.matches.start(call.caller, request.match_id), call))

    async def CancelMatch(self, request: pb.CancelMatchRequest, call: Call) -> pb.CancelMatchResponse:
        """Cancel a match."""
        return pb.CancelMatchResponse(match=_message(await self._engine.matches.cancel(call.caller, request.match_id), call))

    async def GetMatch(self, request: pb.GetMatchRequest, call: Call) -> pb.GetMatchResponse:
        """Show a match."""
        return pb.GetMatchResponse(match=_message(await self._engine.matches.get(call.caller, request.match_id), call))

    async def ListMatches(self, request: pb.ListMatchesRequest, call: Call) -> pb.ListMatchesResponse:
        """List matches."""
        check(state=state_problem(request.state))
        matches, next_page_token = await self._engine.matches.listing.page(
            call.caller,
            page_size=request.page_size,
            page_token=request.page_token,
            game_id=request.game_id,
            client_id=request.client_id,
            user_id=request.user_id,
            state=state_of(request.state),
        )
        return pb.ListMatchesResponse(matches=[_message(match, call) for match in matches], next_page_token=next_page_token)

    async def WatchMatches(self, request: pb.WatchMatchesRequest, call: Call) -> AsyncIterator[pb.WatchMatchesResponse]:
        """Tell what happens to matches."""
        sees = self._engine.matches.sees

        def is_wanted(news: MatchNews) -> bool:
            match = news.match
            is_meant = request.game_id in ("", match.terms.game_id) and request.match_id in ("", match.id)
            return is_meant and sees(call.caller, match)

        async with aclosing(self._engine.feed.follow(MatchNews, is_wanted, cursor=request.cursor)) as told:
            async for item in told:
                event = None if item.event is None else event_message(item.event, shows_accounts=_shows_accounts(call))
                yield pb.WatchMatchesResponse(event=event, cursor=item.cursor)

    async def IssueMatchToken(self, request: pb.IssueMatchTokenRequest, call: Call) -> pb.IssueMatchTokenResponse:
        """Issue a player's token."""
        issued = await self._engine.matches.tokens.issue(call.caller, request.match_id, user_id=request.user_id)
        return pb.IssueMatchTokenResponse(
            token=issued.token, expire_time=timestamp(issued.expires_ms), launch_url=issued.launch_url
        )

    async def InspectMatchToken(self, request: pb.InspectMatchTokenRequest, call: Call) -> pb.InspectMatchTokenResponse:
        """Say what a token is good for."""
        check(token=None if 0 < len(request.token) <= TOKEN_MAX else f"expected 1 to {TOKEN_MAX} characters")
        found = await self._engine.matches.tokens.inspect(call.caller, request.token)
        return pb.InspectMatchTokenResponse(
            match_id=found.match.id,
            user_id=found.seat.user_id,
            match_status=STATUSES[status_of(found.match)],
            submissions_total=found.match.terms.submissions_total,
            submissions_left=submissions_left(found.match, found.seat),
            expire_time=timestamp(found.expires_ms),
        )

    async def ReportResult(self, request: pb.ReportResultRequest, call: Call) -> pb.ReportResultResponse:
        """Report a result."""
        few = f"expected {PLAYERS_MAX} at most"
        check(
            participants=few if len(request.participants) > PLAYERS_MAX else None,
            teams=few if len(request.teams) > PLAYERS_MAX else None,
        )
        heard = await self._engine.matches.report(call.caller, request.match_id, report_of(request))
        is_contradicted = heard.verdict is Verdict.CONTRADICTED
        return pb.ReportResultResponse(contradicted=is_contradicted, match=_message(heard.match, call))


def _message(match: Match, call: Call) -> pb.Match:
    return match_message(match, shows_accounts=_shows_accounts(call))


def _shows_accounts(call: Call) -> bool:
    return call.caller.role is not Role.MATCH_CLIENT
