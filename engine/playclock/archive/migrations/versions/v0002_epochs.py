"""Let cursors know the store's epoch, and audit entries what they are known by when they are read a second time.

Entries of the first version never were: for them their place is as good.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    with op.batch_alter_table("cursors") as cursors:
        cursors.add_column(sa.Column("epoch", sa.Text, nullable=False, server_default=""))
        cursors.add_column(sa.Column("safe_sequence", sa.BigInteger, nullable=False, server_default="0"))
        cursors.add_column(sa.Column("safe_digest", sa.Text, nullable=False, server_default=""))
    with op.batch_alter_table("audit", table_kwargs={"sqlite_autoincrement": True}) as audit:
        audit.add_column(sa.Column("digest", sa.Text, nullable=True))
    op.execute("UPDATE audit SET digest = CAST(partition AS VARCHAR) || '/' || CAST(sequence AS VARCHAR)")
    with op.batch_alter_table("audit", table_kwargs={"sqlite_autoincrement": True}) as audit:
        audit.alter_column("digest", existing_type=sa.Text, nullable=False)
        audit.drop_constraint("audit_once", type_="unique")
        audit.create_unique_constraint("audit_once", ["digest"])
