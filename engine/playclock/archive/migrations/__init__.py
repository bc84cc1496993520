"""The archive's Alembic environment. `Archive.open` runs it; nobody else has to."""
