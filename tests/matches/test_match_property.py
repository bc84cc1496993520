"""Random matches over MatchService: whatever their terms, results and ends, money is conserved and nobody is below zero."""

import random
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import grpc
import pytest
from playclock.clock import ManualClock
from playclock.rpc.inprocess import InProcessChannel
from playclock.v1 import (
    CancelMatchRequest,
    CreateMatchRequest,
    GetMatchRequest,
    JoinMatchRequest,
    LeaveMatchRequest,
    Match,
    MatchServiceStub,
    MatchTerms,
    ParticipantReport,
    PayoutRule,
    ReportResultRequest,
    StartMatchRequest,
    TeamReport,
)

from tests.matches.conftest import CLIENT, OPENING, PLAYERS, Arena, check, user

if TYPE_CHECKING:
    from playclock.v1.match_service_pb2_grpc import MatchServiceAsyncStub

MATCHES: Final = 60
"""How many are played, one after another, for each seed."""
RULES: Final = (
    PayoutRule(),
    PayoutRule(kind=PayoutRule.KIND_PERCENTAGES, weights=[6_000, 3_000, 1_000]),
    PayoutRule(kind=PayoutRule.KIND_PERCENTAGES, weights=[3_333, 3_333, 3_334]),
    PayoutRule(kind=PayoutRule.KIND_PER_RANK, weights=[7, 0, 3]),
    PayoutRule(kind=PayoutRule.KIND_PER_RANK, weights=[1, 1]),
)
OPEN: Final = (Match.STATE_CREATED, Match.STATE_STARTING, Match.STATE_LIVE)


class Chance:
    """Plays one match as the dice have it."""

    def __init__(self, dice: random.Random, arena: Arena, clock: ManualClock) -> None:
        self._dice = dice
        self._arena = arena
        self._clock = clock
        self._stub: MatchServiceAsyncStub = MatchServiceStub(InProcessChannel(arena.engine, operator=True))

    async def play(self) -> Match:
        """Return a match that has come to its end."""
        dice, stub = self._dice, self._stub
        terms = MatchTerms(
            client_id=CLIENT.id,
            synchronous=dice.random() < 0.6,
            currency="GCOIN",
            entry_fee_micros=dice.choice([0, 1, 7, 50, 101]),
            fee_basis_points=dice.choice([0, 0, 1, 777, 777, 10_000]),
            payout=dice.choice(RULES),
            players_max=dice.randint(2, PLAYERS),
            join_sec=60,
            play_sec=60,
        )
        if not terms.synchronous:
            terms.tournament = dice.random() < 0.5
            terms.submissions_total = dice.randint(1, 3) if terms.tournament else 1
        match = (await stub.CreateMatch(CreateMatchRequest(terms=terms))).match
        for _ in range(30):
            await self._step(match)
            match = (await stub.GetMatch(GetMatchRequest(match_id=match.match_id))).match
            if match.state not in OPEN:
                break
        for _ in range(4):
            await self._arena.engine.sweep()
            match = (await stub.GetMatch(GetMatchRequest(match_id=match.match_id))).match
            if match.HasField("settle_time"):
                return match
            self._clock.advance(200)
        raise AssertionError(f"the match has not come to its end: {match}")

    async def _step(self, match: Match) -> None:
        dice, stub, who = self._dice, self._stub, self._dice.randrange(PLAYERS)
        id_ = match.match_id
        steps: dict[str, int] = {"join": 12, "leave": 2, "start": 4, "report": 8, "cancel": 1, "wait": 1, "sweep": 1}
        (what,) = dice.choices(list(steps), list(steps.values()))
        calls: dict[str, Any] = {
            "join": lambda: stub.JoinMatch(
                JoinMatchRequest(match_id=id_, user_id=user(who), account_id=f"p{who}", team_id=dice.choice(["", "a", "b"]))
            ),
            "leave": lambda: stub.LeaveMatch(LeaveMatchRequest(match_id=id_, user_id=user(who))),
            "start": lambda: stub.StartMatch(StartMatchRequest(match_id=id_)),
            "report": lambda: stub.ReportResult(self._report(match)),
            "cancel": lambda: stub.CancelMatch(CancelMatchRequest(match_id=id_)),
            "wait": self._wait,
            "sweep": self._arena.engine.sweep,
        }
        try:
            await calls[what]()
        except grpc.aio.AioRpcError as error:
            refusals = (grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT)
            assert error.code() in refusals, error  # noqa: PT017 - one of three

    async def _wait(self) -> None:
        self._clock.advance(self._dice.choice([10, 61]))

    def _report(self, match: Match) -> ReportResultRequest:
        """Return a result with ties, ranks and forfeits; sometimes one that is not whole."""
        dice, request = self._dice, ReportResultRequest(match_id=match.match_id)
        players = [player.user_id for player in match.players]
        if not match.terms.synchronous:
            chosen = dice.sample(players, dice.randint(0, len(players)))
            request.participants.extend(ParticipantReport(user_id=each, score=dice.randrange(4)) for each in chosen)
        elif dice.random() < 0.3:
            request.participants.extend(ParticipantReport(user_id=each, score=dice.randrange(3)) for each in players)
        else:
            ranks = dice.random() < 0.5
            for team_id in dict.fromkeys(player.team_id for player in match.players):
                forfeit = dice.random() < 0.25
                ranking = dice.randint(1, 3) if ranks and not forfeit else 0
                request.teams.add(team_id=team_id, score=dice.randrange(3), ranking=ranking, forfeit=forfeit)
            if dice.random() < 0.1:
                request.teams.append(TeamReport(team_id="nobody"))
        return request


def check_payouts(match: Match) -> None:
    """See that the pot went to whom it was due, to the last micro-unit."""
    pot = match.terms.entry_fee_micros * len(match.players)
    paid = {player.user_id: player.payout_micros for player in match.players}
    if match.state != Match.STATE_FINISHED:
        assert set(paid.values()) <= {0, match.terms.entry_fee_micros}
        assert match.fee_micros == 0
        return
    assert match.fee_micros == pot * match.terms.fee_basis_points // 10_000
    assert sum(paid.values()) + match.fee_micros == pot
    ranks = {team.team_id: team.rank for team in match.results}
    assert 1 in ranks.values()
    for team_id, rank in ranks.items():
        members = [player.payout_micros for player in match.players if player.team_id == team_id]
        assert max(members) - min(members) <= 1
        assert rank or not any(members)
    if match.terms.payout.kind in (PayoutRule.KIND_UNSPECIFIED, PayoutRule.KIND_WINNER_TAKES_ALL):
        assert all(ranks[player.team_id] == 1 for player in match.players if player.payout_micros)


def check_variety(matches: Sequence[Match]) -> None:
    """See that the dice were fair: ends of all kinds, and results that were hard."""
    ends = Counter(match.state for match in matches)
    assert min(ends[state] for state in (Match.STATE_FINISHED, Match.STATE_ABORTED, Match.STATE_CANCELLED)) > 0
    finished = [match for match in matches if match.state == Match.STATE_FINISHED]
    assert any(0 in {team.rank for team in match.results} for match in finished)
    assert any(len({team.rank for team in match.results}) < len(match.results) for match in finished)
    assert any(len(match.results) < len(match.players) for match in finished)


@pytest.mark.parametrize("store_kind", ["memory"], indirect=True)
@pytest.mark.parametrize("seed", range(3))
async def test_money_is_conserved_over_random_matches(seed: int, arena: Arena, clock: ManualClock) -> None:
    chance = Chance(random.Random(20_261_121 + seed), arena, clock)
    ended, kept = list[Match](), 0
    for _ in range(MATCHES):
        match = await chance.play()
        check_payouts(match)
        ended.append(match)
        kept += match.fee_micros
    found = [await arena.matches.get(CLIENT, match.match_id) for match in ended]
    balances = await check(arena, found, kept=kept)
    assert sum(balances) == PLAYERS * OPENING - kept
    assert kept > 0
    check_variety(ended)
