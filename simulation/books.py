"""What must hold after every call, kept and checked from outside: by what is in the outbox and in the store."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from playclock.core import session as core
from playclock.core.charge import Account
from playclock.core.ledger import Transfer
from playclock.core.outage import Outage
from playclock.core.outbox import decode
from playclock.core.records import Happening, SessionEvent
from playclock.core.session import Session, State
from playclock.core.settlement import FIRST_HASH, settlement_of
from playclock.core.tariff import cost_micros
from playclock.core.timers import Timers
from playclock.stores.base import StoredEvent


class Books:
    """Everything that was told, summed up, and what was seen of each session before."""

    def __init__(self, timers: Timers) -> None:
        self.timers: Final = timers
        self.positions: Final[dict[int, int]] = {}
        self.transfers: Final[dict[str, Transfer]] = {}
        self.sums: Final[Counter[str]] = Counter()
        """Account of the ledger -> the sum of its entries."""
        self.last: Final[dict[str, SessionEvent]] = {}
        """Session -> the last that was told of it."""
        self.outages: Final[set[Outage]] = set()
        self._sums_of: Final[dict[str, Counter[str]]] = {}
        self._numbers: Final[Counter[str]] = Counter()
        self._heard: Final[dict[str, list[int]]] = {}
        self._billed_ms: Final[dict[str, int]] = {}
        self._ended: Final[dict[str, Session]] = {}
        self._floors: Final[dict[str, int]] = {}

    def read(self, events: Iterable[StoredEvent]) -> None:
        """Take in what was told since, in order."""
        for stored in events:
            assert stored.sequence == self.positions.get(stored.partition, 0) + 1
            self.positions[stored.partition] = stored.sequence
            match decode(stored.data):
                case Transfer() as transfer:
                    self._book(transfer)
                case SessionEvent() as event:
                    self._hear_of(event)

    def heard(self, session_id: str, now_ms: int) -> None:
        """Note that a session was opened, or that its heartbeat was accepted."""
        self._heard.setdefault(session_id, []).append(now_ms)
        self._billed_ms.pop(session_id, None)

    def check(self, accounts: Sequence[Account], sessions: Sequence[Session], outages: Iterable[Outage], now_ms: int) -> None:
        """Check all that the store has against all that was told. What the store has dropped is not among it."""
        self.outages.update(outages)
        for account in accounts:
            assert self.sums[f"held/{account.id}"] == account.held_micros
            assert self.sums[f"wallet/{account.id}"] == max(0, account.unheld_micros)
            assert self.sums[f"debt/{account.id}"] == min(0, account.unheld_micros)
            assert account.held_micros >= 0
            # A limit that is lowered takes nothing back, so what counts is the lowest floor that there ever was.
            self._floors[account.id] = min(self._floors.get(account.id, 0), -account.debt_limit_micros)
            assert account.unheld_micros >= self._floors[account.id]
        assert sum(self.sums.values()) == 0
        for session in sessions:
            self._check_money(session)
            self._check_time(session, now_ms)
            self._check_end(session)

    def close(self, accounts: Sequence[Account]) -> None:
        """Check that all has come to its end, and that the settlements are the ledger's revenue, to the micro-unit."""
        for account in accounts:
            assert account.held_micros == 0, "a hold is left"
        revenue: Counter[str] = Counter()
        for session_id, event in self.last.items():
            assert event.happening is Happening.ENDED, f"{session_id} lives for ever"
            revenue[event.session.game_id] += settlement_of(event.session, FIRST_HASH).amount_micros
        for game_id, micros in revenue.items():
            assert micros == self.sums[f"revenue/{game_id}"]

    def _book(self, transfer: Transfer) -> None:
        assert transfer.id not in self.transfers, "a transfer was told twice"
        assert sum(leg.amount_micros for leg in transfer.legs) == 0
        self.transfers[transfer.id] = transfer
        for leg in transfer.legs:
            self.sums[leg.ledger_account] += leg.amount_micros
        if transfer.session_id is not None:
            self._numbers[transfer.session_id] += 1
            assert transfer.id == f"{transfer.session_id}/{self._numbers[transfer.session_id]}"
            sums = self._sums_of.setdefault(transfer.session_id, Counter())
            for leg in transfer.legs:
                sums[leg.ledger_account.partition("/")[0]] += leg.amount_micros

    def _hear_of(self, event: SessionEvent) -> None:
        session_id = event.session.id
        before = self.last.get(session_id)
        assert (before is None) == (event.happening is Happening.OPENED)
        assert before is None or before.happening is not Happening.ENDED, "told of after its end"
        assert (event.happening is Happening.ENDED) == (event.session.state is State.ENDED)
        self.last[session_id] = event

    def _check_money(self, session: Session) -> None:
        charge, sums = session.charge, self._sums_of.get(session.id, Counter())
        if charge is None:
            assert not sums
            return
        assert (charge.billed_micros, charge.held_micros) == (sums["revenue"], sums["held"])
        assert charge.billed_micros == cost_micros(charge.tariff, session.billed_ms, charge.anchors)
        assert charge.held_micros >= 0
        assert charge.sequence == self._numbers[session.id] or not self._numbers[session.id]

    def _check_time(self, session: Session, now_ms: int) -> None:
        heard = self._heard[session.id]
        assert session.billed_ms + session.grace_used_ms <= core.played_until_ms(session, now_ms) - session.started_ms
        assert session.billed_ms <= self._covered_ms(heard, session.ended_ms or now_ms)
        assert session.grace_used_ms <= self.timers.grace_ms
        # An outage renews the lease without a heartbeat, and credit that ran out within it was billed by itself.
        renewals = 1 + sum(outage.end_ms > heard[-1] for outage in self.outages)
        before_ms = self._billed_ms.setdefault(session.id, session.billed_ms)
        assert 0 <= session.billed_ms - before_ms <= renewals * self.timers.session_ttl_ms

    def _covered_ms(self, heard: list[int], until_ms: int) -> int:
        """Return for how long the session had a lease, while we were there ourselves."""
        ttl_ms = self.timers.session_ttl_ms
        leases = [(at_ms, at_ms + ttl_ms) for at_ms in heard]
        for outage in sorted(self.outages, key=lambda outage: outage.end_ms):
            if any(begin_ms <= outage.start_ms < end_ms for begin_ms, end_ms in leases):
                leases.append((outage.end_ms, outage.end_ms + ttl_ms * 5 // 4))
        covered_ms, reached_ms = 0, 0
        for lease_begin_ms, lease_end_ms in sorted(leases):
            begin_ms, end_ms = max(lease_begin_ms, reached_ms), min(lease_end_ms, until_ms)
            if begin_ms < end_ms:
                covered_ms += end_ms - begin_ms - self._away_ms(begin_ms, end_ms)
                reached_ms = end_ms
        return covered_ms

    def _away_ms(self, begin_ms: int, end_ms: int) -> int:
        return sum(max(0, min(end_ms, outage.end_ms) - max(begin_ms, outage.start_ms)) for outage in self.outages)

    def _check_end(self, session: Session) -> None:
        told = self.last[session.id]
        assert (session.state is State.ENDED) == (told.happening is Happening.ENDED)
        if session.state is State.ENDED:
            assert told.session == session
            assert self._ended.setdefault(session.id, session) == session, "an end is final"
            assert session.charge is None or session.charge.held_micros == 0
