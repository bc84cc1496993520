"""Matches: each call changes the match's record, and then takes the steps on accounts that follow from it.

A step that is cut off is found by the sweeper of any process: as long as a seat waits for one, the match is due soon.
"""

import secrets
from typing import Final

from msgspec.structs import replace

from playclock.core import match_moves as moves
from playclock.core import results
from playclock.core.escrow import Step, StepKind, outstanding
from playclock.core.fields import request_id_problem, resource_id_problem
from playclock.core.ids import make_match_id, match_id_of, match_key
from playclock.core.match import Match, MatchRules, SeatState, Terms, is_closed, seat_of
from playclock.core.match_terms import player_problems, terms_problems
from playclock.core.results import Heard, Report, Verdict
from playclock.engine.audit import audit
from playclock.engine.callers import Caller
from playclock.engine.context import Context
from playclock.engine.matches.deliveries import Deliveries
from playclock.engine.matches.keeper import Change, Keeper
from playclock.engine.matches.listing import MatchListing
from playclock.engine.matches.money import Money
from playclock.engine.matches.notices import Notices
from playclock.engine.matches.pushing import Pushing
from playclock.engine.matches.sending import Sender
from playclock.engine.matches.settling import Settling
from playclock.engine.matches.tokens import MatchTokens
from playclock.engine.requests import name_of
from playclock.engine.transfers import Transfers
from playclock.engine.work import Work
from playclock.errors import BadRequest, EngineError, RequestIdReused, TryAgain


class Matches:
    """What operators, services and match clients can ask of matches."""

    def __init__(self, context: Context, transfers: Transfers, rules: MatchRules, sender: Sender) -> None:
        self._context = context
        self._rules: Final = rules
        self.notices: Final = Notices(context, sender.rules, is_able=sender.is_able)
        self._keeper: Final = Keeper(context, rules, self.notices)
        self.settling: Final = Settling(context, self._keeper, Money(context, transfers))
        self.tokens: Final = MatchTokens(context, self._keeper)
        self.pushing: Final = Pushing(context, self._keeper, self.notices, self.settling, sender)
        self.listing: Final = MatchListing(context, self._keeper)
        self.deliveries: Final = Deliveries(context, self._keeper, self.notices, self.pushing, sender)
        self.get: Final = self._keeper.get
        self.sees: Final = self._keeper.sees
        self.sweep: Final = self._keeper.sweep

    async def create(self, caller: Caller, terms: Terms, *, request_id: str = "") -> Match:
        """Make a match; the same one again for the same request id.

        The terms' game is that of their match client; where they name none, it is filled in. Raises BadRequest,
        RequestIdReused, StoreAway, TooMuchContention.
        """
        problems = {f"terms.{field}": problem for field, problem in terms_problems(terms).items()}
        problem = request_id_problem(request_id)
        if problem:
            problems["request_id"] = problem
        client = self._context.estate.match_clients.get(terms.client_id)
        if client is None or terms.game_id not in ("", client.game_id):
            problems["terms.client_id"] = "expected a match client of the game"
        if client is None or problems:
            raise BadRequest(problems)
        terms = replace(terms, game_id=client.game_id)
        match_id = match_id_of(name_of(caller), request_id) if request_id else make_match_id(secrets.token_bytes(12))
        needs_push = bool(client.match_info_url)

        async def decision(work: Work) -> Match | EngineError:
            await work.prefetch(match_key(match_id), fresh=True)
            there = await self._keeper.read(work, match_id)
            if there is not None:
                return there if there.terms == terms else RequestIdReused("the request id was used before with other contents")
            made = Match(id=match_id, terms=terms, created_ms=work.now_ms, needs_push=needs_push)
            await self._keeper.save(work, None, made)
            audit(self._context, work, caller, "CreateMatch", match_id)
            return made

        return await self._keeper.decided(match_id, decision)

    async def join(self, caller: Caller, match_id: str, *, user_id: str, team_id: str = "", account_id: str = "") -> Match:
        """Let a user join, as a team of one where none is named, and hold the entry fee on the account.

        Repeatable. Raises BadRequest, MatchNotFound, WrongMatchState, MatchFull, AlreadyJoined, AccountNotFound,
        InsufficientCredit, TooManyTransfers, TransferIdReused, StoreAway, TooMuchContention.
        """
        team_id = team_id or user_id
        problems = player_problems(user_id=user_id, team_id=team_id)
        if problems:
            raise BadRequest(problems)

        def change(match: Match, now_ms: int) -> Match | EngineError:
            problem = resource_id_problem(account_id) if match.terms.entry_fee_micros else None
            if problem:
                return BadRequest({"account_id": problem})
            return moves.joined(match, user_id, team_id, account_id if match.terms.entry_fee_micros else "", now_ms=now_ms)

        match = await self._keeper.change(caller, "JoinMatch", match_id, change, detail=user_id)
        seat = seat_of(match, user_id)
        assert seat is not None, "joined"
        if seat.state is not SeatState.JOINING:
            return match
        return await self.settling.shielded(self.settling.hold(match, Step(StepKind.HOLD, seat)))

    async def leave(self, caller: Caller, match_id: str, *, user_id: str) -> Match:
        """Let a user leave before the start, and let the fee go. Raises as `join` does, and PlayerNotFound."""
        return await self._changed(
            caller, "LeaveMatch", match_id, lambda match, now_ms: moves.left(match, user_id, now_ms=now_ms), detail=user_id
        )

    async def start(self, caller: Caller, match_id: str) -> Match:
        """Start a match: all fees go into escrow. Repeatable.

        Raises BadRequest, MatchNotFound, WrongMatchState, TooFewPlayers, StoreAway, TooMuchContention.
        """

        def change(match: Match, now_ms: int) -> Match | EngineError:
            if match.starting_ms is not None and not is_closed(match):
                return match
            return moves.why_no_start(match) or moves.started(match, self._rules, needs_push=match.needs_push, now_ms=now_ms)

        return await self._changed(caller, "StartMatch", match_id, change)

    async def cancel(self, caller: Caller, match_id: str) -> Match:
        """Cancel a match: all fees go back. Repeatable. Raises BadRequest, MatchNotFound, WrongMatchState, StoreAway."""
        return await self._changed(caller, "CancelMatch", match_id, lambda match, now_ms: moves.cancelled(match, now_ms=now_ms))

    async def report(self, caller: Caller, match_id: str, report: Report) -> Heard:
        """Report a result: the first that is accepted counts, whatever comes later hears of that one.

        Raises BadRequest, MatchNotFound, WrongMatchState, StoreAway, TooMuchContention.
        """
        verdicts: list[Verdict] = []

        def change(match: Match, now_ms: int) -> Match | EngineError:
            verdicts.clear()
            heard = results.reported(match, report, now_ms=now_ms)
            if isinstance(heard, EngineError):
                return heard
            verdicts.append(heard.verdict)
            return heard.match

        match = await self._changed(caller, "ReportResult", match_id, change)
        if verdicts[0] is Verdict.CONTRADICTED:
            self._context.counts.contradicted_results += 1
        return Heard(match, verdicts[0])

    async def _changed(self, caller: Caller, action: str, match_id: str, change: Change, *, detail: str = "") -> Match:
        """Change a match, and take the steps that follow; who cannot be reached now is reached later."""
        match = await self._keeper.change(caller, action, match_id, change, detail=detail)
        if not outstanding(match):
            return match
        try:
            return await self.settling.shielded(self.settling.carry_on(match_id))
        except TryAgain:
            return match
