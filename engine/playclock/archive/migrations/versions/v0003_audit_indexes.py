"""Let the audit trail be asked for an actor and for a time."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the indexes."""
    op.create_index("audit_by_actor", "audit", ["actor", "number"])
    op.create_index("audit_by_time", "audit", ["at_ms"])
