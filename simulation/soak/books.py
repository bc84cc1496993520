"""The books of a store, read past the engine: its records and events as they lie there."""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from playclock.core.charge import Account
from playclock.core.codec import Codec
from playclock.core.ids import account_key
from playclock.core.ledger import Transfer
from playclock.core.ott import Ott
from playclock.core.outbox import decode
from playclock.core.records import SessionEvent
from playclock.core.session import Session
from playclock.stores.redis_commits import record_in

from tests.redis_servers import RedisServer

SESSIONS, OTTS, ACCOUNTS = Codec(Session), Codec(Ott), Codec(Account)


class Books:
    """All that lies in a store."""

    def __init__(self, records: Mapping[str, bytes], events: Iterable[bytes]) -> None:
        kinds = {key: key.split(":")[1] for key in records}
        self.sessions = {key: SESSIONS.decode(data) for key, data in records.items() if kinds[key] == "session"}
        self.otts = {key: OTTS.decode(data) for key, data in records.items() if kinds[key] == "ott"}
        self.account = ACCOUNTS.decode(records[account_key("cafe-1")])
        told = [decode(data) for data in events]
        self.told = Counter((event.session.id, event.happening) for event in told if isinstance(event, SessionEvent))
        self.transfers = [event for event in told if isinstance(event, Transfer)]


def books_in_file(path: Path) -> Books:
    connection = sqlite3.connect(path)
    records = dict(connection.execute("SELECT key, data FROM records").fetchall())
    events = [data for (data,) in connection.execute("SELECT data FROM events").fetchall()]
    connection.close()
    return Books(records, events)


def books_in_redis(server: RedisServer) -> Books:
    """Read all there is, as it lies there."""
    with server.client() as client:
        keys = list(client.scan_iter("{p:??}r*", count=10_000))
        found = dict(zip(keys, client.mget(keys), strict=True))
        streams = [client.xrange(stream) for stream in client.scan_iter("{p:??}events", count=10_000)]
    lying = {f"{key[3:5].decode()}{key[7:].decode()}": record_in(data) for key, data in found.items()}
    records = {key: record.data for key, record in lying.items() if record is not None}
    return Books(records, [fields[b"d"] for entries in streams for _, fields in entries])
