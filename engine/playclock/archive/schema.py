"""The archive's tables. What a migration makes and what stands here are compared by a test."""

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, Table, Text, UniqueConstraint

_NUMBER: Final = BigInteger().with_variant(Integer, "sqlite")
"""SQLite counts up only what it calls INTEGER, which is 64 bits wide there."""

metadata: Final = MetaData()

cursors: Final = Table(
    "cursors",
    metadata,
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, nullable=False),
    Column("digest", Text, nullable=False),
    Column("epoch", Text, nullable=False, server_default=""),
    Column("safe_sequence", BigInteger, nullable=False, server_default="0"),
    Column("safe_digest", Text, nullable=False, server_default=""),
)
"""How far each partition of the outbox has been archived, and the hash of the event there, by which the store is recognised.

And in which epoch of the store; `safe_sequence` was reached so long before that no failover takes it back."""

settlements: Final = Table(
    "settlements",
    metadata,
    Column("number", _NUMBER, primary_key=True, autoincrement=True),
    Column("game_session_id", Text, nullable=False, unique=True),
    Column("game_id", Text, nullable=False),
    Column("account_id", Text, nullable=False),
    Column("cafe_id", Text, nullable=False),
    Column("provider_user_id", Text, nullable=False),
    Column("started_ms", BigInteger, nullable=False),
    Column("ended_ms", BigInteger, nullable=False),
    Column("end_reason", Text, nullable=False),
    Column("play_duration_sec", BigInteger, nullable=False),
    Column("client_play_duration_sec", BigInteger),
    Column("billed_sec", BigInteger, nullable=False),
    Column("grace_sec", BigInteger, nullable=False),
    Column("unproven_sec", BigInteger, nullable=False),
    Column("amount_micros", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("tariff", Text, nullable=False),
    Column("previous_hash", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Index("settlements_by_account", "account_id", "number"),
    Index("settlements_by_game", "game_id", "number"),
    Index("settlements_by_cafe", "cafe_id", "number"),
    Index("settlements_by_end", "ended_ms"),
    sqlite_autoincrement=True,
)
"""One for each ended session. Numbers rise in the order of archiving, which is the order of each game's chain."""

chains: Final = Table(
    "chains",
    metadata,
    Column("game_id", Text, primary_key=True),
    Column("hash", Text, nullable=False),
    Column("length", BigInteger, nullable=False),
)
"""The last hash of each game's chain."""

entries: Final = Table(
    "entries",
    metadata,
    Column("number", _NUMBER, primary_key=True, autoincrement=True),
    Column("transfer_id", Text, nullable=False),
    Column("leg", Integer, nullable=False),
    Column("account_id", Text, nullable=False),
    Column("ledger_account", Text, nullable=False),
    Column("amount_micros", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("booked_ms", BigInteger, nullable=False),
    Column("game_session_id", Text, nullable=False),
    Column("reverses", Text),
    UniqueConstraint("transfer_id", "leg", name="entries_once"),
    Index("entries_by_account", "account_id", "number"),
    sqlite_autoincrement=True,
)
"""The legs of every transfer."""

audit: Final = Table(
    "audit",
    metadata,
    Column("number", _NUMBER, primary_key=True, autoincrement=True),
    Column("partition", Integer, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("digest", Text, nullable=False),
    UniqueConstraint("digest", name="audit_once"),
    Index("audit_by_actor", "actor", "number"),
    Index("audit_by_time", "at_ms"),
    sqlite_autoincrement=True,
)
"""What operators and services did. The digest is the event's hash: one that is read a second time is known by it."""
