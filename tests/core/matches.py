"""Matches for tests of the core, and the accounts of those who play as a few numbers."""

from collections import Counter
from typing import Any

from msgspec.structs import replace
from playclock.core.escrow import Outcome, Step, StepKind, entry_id_of, fee_transfer, outstanding, payout_id_of
from playclock.core.match import Match, MatchRules, Seat, Terms
from playclock.core.match_moves import joined, started, stepped
from playclock.core.payout import PayoutRule
from playclock.core.results import Heard, Report, TeamReport, UserScore, reported
from playclock.errors import EngineError

NOW_MS = 1_750_000_000_000
RULES = MatchRules()
TERMS = Terms(
    game_id="the-game",
    client_id="the-client",
    is_synchronous=True,
    is_tournament=False,
    currency="GCOIN",
    entry_fee_micros=100,
    fee_basis_points=1_000,
    payout=PayoutRule(),
    players_min=2,
    players_max=4,
    submissions_total=1,
    join_ms=3_600_000,
    play_ms=600_000,
)


def match_of(**terms: Any) -> Match:  # noqa: ANN401
    return Match(id="00" * 12, terms=replace(TERMS, **terms), created_ms=NOW_MS)


class Bank:
    """The accounts of players. Each step counts once, as the two-phase transfers and payouts behind it do."""

    def __init__(self, opening: int) -> None:
        self.free: Counter[str] = Counter()
        self.opening = opening
        self.held: dict[str, int] = {}
        self.posted: set[str] = set()
        self.over: set[str] = set()
        self.paid: set[str] = set()
        self.escrow = 0
        self.kept = 0

    def open(self, account_id: str) -> None:
        self.free.setdefault(account_id, self.opening)

    def take(self, match: Match, step: Step) -> Outcome:
        entry, seat, fee = entry_id_of(match, step.seat), step.seat, match.terms.entry_fee_micros
        if step.kind is StepKind.HOLD:
            return self._hold(entry, seat, fee)
        if step.kind is StepKind.POST:
            if entry in self.held:
                self.escrow += self.held.pop(entry)
                self.posted.add(entry)
            return Outcome.DONE if entry in self.posted else Outcome.REFUSED
        if step.kind is StepKind.RELEASE:
            self._hold(entry, seat, fee)
            self.free[seat.account_id] += self.held.pop(entry, 0)
            self.over.add(entry)
            return self._pay(match, seat, fee) if entry in self.posted else Outcome.DONE
        return self._pay(match, seat, seat.payout_micros)

    def total(self) -> int:
        """Return all the money there is."""
        return sum(self.free.values()) + sum(self.held.values()) + self.escrow + self.kept

    def book_fee(self, match: Match) -> None:
        transfer = fee_transfer(match)
        if transfer is not None:
            self.escrow += transfer.legs[0].amount_micros
            self.kept += transfer.legs[1].amount_micros

    def _hold(self, entry: str, seat: Seat, fee: int) -> Outcome:
        if entry in self.held or entry in self.posted or entry in self.over:
            return Outcome.DONE
        if self.free[seat.account_id] < fee:
            self.over.add(entry)
            return Outcome.REFUSED
        self.free[seat.account_id] -= fee
        self.held[entry] = fee
        return Outcome.DONE

    def _pay(self, match: Match, seat: Seat, amount: int) -> Outcome:
        if payout_id_of(match, seat) not in self.paid:
            self.paid.add(payout_id_of(match, seat))
            self.free[seat.account_id] += amount
            self.escrow -= amount
        return Outcome.DONE


def settled(match: Match, bank: Bank, *, now_ms: int = NOW_MS) -> Match:
    """Take all steps that a match waits for, until it waits for none."""
    while steps := outstanding(match):
        for step in steps:
            match = stepped(match, step, bank.take(match, step), now_ms=now_ms)
    return match


def with_players(match: Match, bank: Bank, *users: str, now_ms: int = NOW_MS) -> Match:
    """Let users join, each a team with an account of the same name; "a/red" joins team "red"."""
    for each in users:
        user, _, team = each.partition("/")
        bank.open(user)
        after = joined(match, user, team or user, user, now_ms=now_ms)
        assert isinstance(after, Match), after
        match = settled(after, bank)
    return match


def live(match: Match, bank: Bank, *users: str, now_ms: int = NOW_MS) -> Match:
    match = started(with_players(match, bank, *users), RULES, needs_push=False, now_ms=now_ms)
    return settled(match, bank, now_ms=now_ms)


def scores(**reached: int) -> Report:
    return Report(participants=tuple(UserScore(user, score) for user, score in reached.items()))


def teams(**reached: tuple[int, int] | None) -> Report:
    """Return a report of teams: score and ranking of each, None for one that has forfeited."""
    return Report(teams=tuple(TeamReport(team, *(of or (0, 0)), has_forfeited=of is None) for team, of in reached.items()))


def heard(match: Match, report: Report, *, now_ms: int = NOW_MS) -> Heard:
    answer = reported(match, report, now_ms=now_ms)
    assert not isinstance(answer, EngineError), answer
    return answer
