"""Make the tables of the first version.

Written out, and not made from the schema: a revision must do tomorrow what it did the first time.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "cursors",
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
    )
    op.create_table(
        "settlements",
        sa.Column("number", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("game_session_id", sa.Text, nullable=False, unique=True),
        sa.Column("game_id", sa.Text, nullable=False),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("cafe_id", sa.Text, nullable=False),
        sa.Column("provider_user_id", sa.Text, nullable=False),
        sa.Column("started_ms", sa.BigInteger, nullable=False),
        sa.Column("ended_ms", sa.BigInteger, nullable=False),
        sa.Column("end_reason", sa.Text, nullable=False),
        sa.Column("play_duration_sec", sa.BigInteger, nullable=False),
        sa.Column("client_play_duration_sec", sa.BigInteger),
        sa.Column("billed_sec", sa.BigInteger, nullable=False),
        sa.Column("grace_sec", sa.BigInteger, nullable=False),
        sa.Column("unproven_sec", sa.BigInteger, nullable=False),
        sa.Column("amount_micros", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("tariff", sa.Text, nullable=False),
        sa.Column("previous_hash", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("settlements_by_account", "settlements", ["account_id", "number"])
    op.create_index("settlements_by_game", "settlements", ["game_id", "number"])
    op.create_index("settlements_by_cafe", "settlements", ["cafe_id", "number"])
    op.create_index("settlements_by_end", "settlements", ["ended_ms"])
    op.create_table(
        "chains",
        sa.Column("game_id", sa.Text, primary_key=True),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("length", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "entries",
        sa.Column("number", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("transfer_id", sa.Text, nullable=False),
        sa.Column("leg", sa.Integer, nullable=False),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("ledger_account", sa.Text, nullable=False),
        sa.Column("amount_micros", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("booked_ms", sa.BigInteger, nullable=False),
        sa.Column("game_session_id", sa.Text, nullable=False),
        sa.Column("reverses", sa.Text),
        sa.UniqueConstraint("transfer_id", "leg", name="entries_once"),
        sqlite_autoincrement=True,
    )
    op.create_index("entries_by_account", "entries", ["account_id", "number"])
    op.create_table(
        "audit",
        sa.Column("number", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("partition", sa.Integer, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.UniqueConstraint("partition", "sequence", name="audit_once"),
        sqlite_autoincrement=True,
    )
