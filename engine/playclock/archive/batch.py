"""Events as rows of the archive, written in one transaction together with how far they reach."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, bindparam, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from playclock.archive.cursors import Move, digest, move
from playclock.archive.schema import audit, chains, entries, settlements
from playclock.core.codec import UnknownFormat
from playclock.core.ledger import Transfer
from playclock.core.match_news import MatchNews
from playclock.core.outbox import Audit, decode
from playclock.core.records import Happening, SessionEvent
from playclock.core.session import Session
from playclock.core.settlement import FIRST_HASH, Settlement, settlement_of
from playclock.stores.base import StoredEvent

Row = dict[str, object]


class Contradiction(msgspec.Struct, frozen=True):
    """Something that the outbox tells a second time, with other contents. The archive keeps the first."""

    kind: str
    id: str
    partition: int
    sequence: int
    """Where the second one lies."""


class Batch:
    """Events, and what they come to as rows, for one transaction."""

    def __init__(self, moves: Mapping[int, Move], events: Sequence[StoredEvent]) -> None:
        """Decode the events; `moves` says from where to where each partition's cursor goes. Raises UnknownFormat."""
        self.moves: Final = moves
        self._ended: Final[list[tuple[Session, StoredEvent]]] = []
        self._transfers: Final[list[tuple[Transfer, StoredEvent]]] = []
        self._audit: Final[list[Row]] = []
        self.contradictions: list[Contradiction] = []
        """What the last writing met."""
        for stored in events:
            try:
                self._take(stored)
            except UnknownFormat as error:
                error.add_note(f"partition {stored.partition}, sequence {stored.sequence}")
                raise

    def write(self, connection: Connection) -> None:
        """Write everything, unless another projector was there first: then raise Overtaken."""
        if connection.dialect.name == "postgresql":
            # One writer at a time, as on SQLite: so that numbers become visible in their order, and no reader who
            # goes from page to page ever passes one that was given, and not yet committed.
            connection.execute(text("LOCK TABLE cursors IN SHARE ROW EXCLUSIVE MODE"))
        move(connection, self.moves)
        self.contradictions = []
        if self._ended:
            self._write_settlements(connection)
        if self._transfers:
            self._write_entries(connection)
        if self._audit:
            self._write_audit(connection)

    def _take(self, stored: StoredEvent) -> None:
        event = decode(stored.data)
        match event:
            case SessionEvent():
                if event.happening is Happening.ENDED:
                    self._ended.append((event.session, stored))
            case Transfer():
                self._transfers.append((event, stored))
            case MatchNews():
                pass  # its money has transfers of its own
            case Audit():
                place = {"partition": stored.partition, "sequence": stored.sequence, "digest": digest(stored.data)}
                done = msgspec.structs.asdict(event)
                del done["once"]  # in the digest
                self._audit.append({**place, **done})

    def _write_settlements(self, connection: Connection) -> None:
        columns = (settlements.c.game_session_id, settlements.c.previous_hash, settlements.c.hash)
        query = select(*columns).where(settlements.c.game_session_id.in_([session.id for session, _ in self._ended]))
        there = {session_id: (previous_hash, hash_) for session_id, previous_hash, hash_ in connection.execute(query)}
        games = sorted({session.game_id for session, _ in self._ended})
        locked = select(chains).where(chains.c.game_id.in_(games)).order_by(chains.c.game_id).with_for_update()
        before = {game_id: (last, length) for game_id, last, length in connection.execute(locked)}
        after = dict(before)
        rows: list[Settlement] = []
        for session, stored in self._ended:
            if session.id in there:
                previous_hash, hash_ = there[session.id]
                if settlement_of(session, previous_hash).hash != hash_:
                    self._contradict("settlement", session.id, stored)
                continue
            last, length = after.get(session.game_id, (FIRST_HASH, 0))
            rows.append(settlement_of(session, last))
            there[session.id] = (last, rows[-1].hash)
            after[session.game_id] = (rows[-1].hash, length + 1)
        if rows:
            connection.execute(insert(settlements), [msgspec.structs.asdict(row) for row in rows])
            _move_chains(connection, before, after)

    def _write_entries(self, connection: Connection) -> None:
        """Write the legs of transfers that are not there yet: all of a transfer's or none, so that they sum to zero."""
        query = select(entries).where(entries.c.transfer_id.in_([transfer.id for transfer, _ in self._transfers]))
        there: defaultdict[str, list[Row]] = defaultdict(list)
        for row in connection.execute(query.order_by(entries.c.transfer_id, entries.c.leg)).mappings():
            there[row["transfer_id"]].append({name: value for name, value in row.items() if name != "number"})
        rows: list[Row] = []
        for transfer, stored in self._transfers:
            legs = _legs(transfer)
            if transfer.id not in there:
                there[transfer.id] = legs
                rows += legs
            elif there[transfer.id] != legs:
                self._contradict("transfer", transfer.id, stored)
        if rows:
            connection.execute(insert(entries), rows)

    def _write_audit(self, connection: Connection) -> None:
        """Write what is not there yet: events that a failover took back are read a second time."""
        once = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        connection.execute(once(audit).on_conflict_do_nothing(index_elements=["digest"]), self._audit)

    def _contradict(self, kind: str, id_: str, stored: StoredEvent) -> None:
        self.contradictions.append(Contradiction(kind, id_, stored.partition, stored.sequence))


def _legs(transfer: Transfer) -> list[Row]:
    return [
        {
            "transfer_id": transfer.id,
            "leg": number,
            "account_id": transfer.account_id,
            "ledger_account": leg.ledger_account,
            "amount_micros": leg.amount_micros,
            "kind": transfer.kind.name,
            "booked_ms": transfer.at_ms,
            "game_session_id": transfer.session_id or "",
            "reverses": transfer.reverses,
        }
        for number, leg in enumerate(transfer.legs)
    ]


def _move_chains(connection: Connection, before: Mapping[str, tuple[str, int]], after: Mapping[str, tuple[str, int]]) -> None:
    new = [{"game_id": game, "hash": last, "length": length} for game, (last, length) in after.items() if game not in before]
    if new:
        connection.execute(insert(chains), new)
    moved: list[dict[str, Any]] = [
        {"at": game, "to": last, "by": length} for game, (last, length) in after.items() if game in before
    ]
    if moved:
        statement = (
            update(chains).where(chains.c.game_id == bindparam("at")).values(hash=bindparam("to"), length=bindparam("by"))
        )
        connection.execute(statement, moved)
