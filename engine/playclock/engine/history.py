"""What the engine's users ask of the archive. The archive itself is a package of its own, with a database behind it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from enum import Enum
from typing import Protocol

import msgspec

from playclock.core.outbox import Audit
from playclock.core.settlement import Settlement
from playclock.errors import NoArchive


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which settlements are meant. An empty field lets everything through; times are of the session's end."""

    account_id: str = ""
    game_id: str = ""
    cafe_id: str = ""
    from_ms: int | None = None
    until_ms: int | None = None


class AuditFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of the audit trail is meant. An empty field lets everything through."""

    actor: str = ""
    from_ms: int | None = None
    until_ms: int | None = None


class Grouping(Enum):
    """By what settlements are summed up."""

    GAME = "game"
    CAFE = "cafe"
    ACCOUNT = "account"
    DAY = "day"
    MONTH = "month"


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The settlements of one group, summed up. What is not grouped by is empty."""

    game_id: str = ""
    cafe_id: str = ""
    account_id: str = ""
    period: str = ""
    """The day (2026-11-20) or the month (2026-11)."""
    currency: str
    session_count: int
    play_duration_sec: int
    billed_sec: int
    amount_micros: int


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One leg of a transfer, as it was booked."""

    transfer_id: str
    leg: int
    ledger_account: str
    amount_micros: int
    kind: str
    booked_ms: int
    game_session_id: str


class History(Protocol):
    """Settlements and entries, as far as they have been archived. All methods raise ArchiveAway."""

    async def settlements(self, chosen: Filter, *, page_token: str, limit: int) -> tuple[list[Settlement], str]:
        """Return a page of settlements in the order of their archiving, and the next page's token, empty after the last.

        That order is the order of each game's chain. Raises BadRequest for what is no page token.
        """

    async def summarize(self, chosen: Filter, *, group_by: Sequence[Grouping], time_zone: str) -> list[Summary]:
        """Return a row for each group and currency, in order. Raises BadRequest for an unknown time zone, or day with month."""

    def export(self, chosen: Filter) -> AsyncIterator[Settlement]:
        """Yield all settlements in the order of their archiving, without holding them all in memory."""

    async def entries(self, account_id: str, *, page_token: str, limit: int) -> tuple[list[Entry], str]:
        """Return a page of an account's entries in the order of their archiving, and the next page's token."""

    async def audit(self, chosen: AuditFilter, *, page_token: str, limit: int) -> tuple[list[Audit], str]:
        """Return a page of the audit trail in the order of its archiving, and the next page's token."""


class FilledArchive(Protocol):
    """A history that fills itself from the outbox of the engine's store. Its owner opens and closes it."""

    @property
    def history(self) -> History:
        """What is archived."""

    def positions(self) -> Mapping[int, int]:
        """Return how far each partition has been archived, at least; nothing beyond may be dropped."""

    def wake(self) -> None:
        """Tell that there may be something new."""

    async def project(self) -> int:
        """Archive everything that there is, and return how many events that were. Raises ArchiveAway, StoreAway."""

    async def run(self) -> None:
        """Archive what there is and what comes, until cancelled. Raises nothing, waits for what is away."""

    async def finish(self, within_sec: float) -> None:
        """Archive what there is, as far as that can be done at once. Raises nothing."""


class NoHistory:
    """Stands where no archive is kept: everything that is asked of it raises NoArchive."""

    async def settlements(self, chosen: Filter, *, page_token: str, limit: int) -> tuple[list[Settlement], str]:  # noqa: ARG002
        """Raise NoArchive."""
        raise _no_archive()

    async def summarize(self, chosen: Filter, *, group_by: Sequence[Grouping], time_zone: str) -> list[Summary]:  # noqa: ARG002
        """Raise NoArchive."""
        raise _no_archive()

    async def export(self, chosen: Filter) -> AsyncIterator[Settlement]:  # noqa: ARG002
        """Raise NoArchive."""
        raise _no_archive()
        yield

    async def entries(self, account_id: str, *, page_token: str, limit: int) -> tuple[list[Entry], str]:  # noqa: ARG002
        """Raise NoArchive."""
        raise _no_archive()

    async def audit(self, chosen: AuditFilter, *, page_token: str, limit: int) -> tuple[list[Audit], str]:  # noqa: ARG002
        """Raise NoArchive."""
        raise _no_archive()


def _no_archive() -> NoArchive:
    return NoArchive("this server keeps no archive")
