"""The archive: settlements, ledger and audit trail in an SQL database, written from the outbox exactly once."""
