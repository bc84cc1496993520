"""The archive as its users ask it: settlements, sums and entries, page by page."""

import base64
import binascii
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, func, select

from playclock.archive.database import Database
from playclock.archive.errors import ArchiveError
from playclock.archive.schema import audit, entries, settlements
from playclock.core.outbox import Audit
from playclock.core.settlement import Settlement
from playclock.engine.history import AuditFilter, Entry, Filter, Grouping, Summary
from playclock.errors import ArchiveAway, BadRequest

EXPORT_PAGE: Final = 1_000

QUARTER_MS: Final = 900_000
"""Days begin at a whole quarter of an hour of UTC, in every time zone there is and has been since 1980."""

_SETTLEMENT: Final = [settlements.c[field.name] for field in msgspec.structs.fields(Settlement)]
_ENTRY: Final = [entries.c[field.name] for field in msgspec.structs.fields(Entry)]
_AUDIT: Final = [audit.c[name] for name in ("at_ms", "actor", "action", "target", "detail")]
_COLUMNS: Final = {
    Grouping.GAME: settlements.c.game_id,
    Grouping.CAFE: settlements.c.cafe_id,
    Grouping.ACCOUNT: settlements.c.account_id,
}
_PERIODS: Final = {Grouping.DAY: "%Y-%m-%d", Grouping.MONTH: "%Y-%m"}
_TOKENS: Final = msgspec.msgpack.Decoder(tuple[str, int])
_BOUND: Final = (1 << 63) - 1

T = TypeVar("T")


class Archive:
    """What has been archived, in an SQL database. Also a `playclock.engine.history.History`."""

    def __init__(self, database: Database) -> None:
        self.database: Final = database

    async def settlements(self, chosen: Filter, *, page_token: str, limit: int) -> tuple[list[Settlement], str]:
        """Return a page of settlements in the order of their archiving, and the next page's token."""
        query = _chosen(select(settlements.c.number, *_SETTLEMENT), chosen)
        return await self._page(query, settlements.c.number, Settlement, page_token=page_token, limit=limit)

    async def entries(self, account_id: str, *, page_token: str, limit: int) -> tuple[list[Entry], str]:
        """Return a page of an account's entries in the order of their archiving, and the next page's token."""
        query = select(entries.c.number, *_ENTRY).where(entries.c.account_id == _text("account_id", account_id))
        return await self._page(query, entries.c.number, Entry, page_token=page_token, limit=limit)

    async def audit(self, chosen: AuditFilter, *, page_token: str, limit: int) -> tuple[list[Audit], str]:
        """Return a page of the audit trail in the order of its archiving, and the next page's token."""
        query = select(audit.c.number, *_AUDIT)
        if chosen.actor:
            query = query.where(audit.c.actor == _text("actor", chosen.actor))
        query = _within(query, audit.c.at_ms, chosen)
        return await self._page(query, audit.c.number, Audit, page_token=page_token, limit=limit)

    async def export(self, chosen: Filter) -> AsyncIterator[Settlement]:
        """Yield all settlements in the order of their archiving, a page at a time."""
        query = _chosen(select(settlements.c.number, *_SETTLEMENT), chosen).order_by(settlements.c.number).limit(EXPORT_PAGE)
        last = 0
        while rows := await self._rows(query.where(settlements.c.number > last)):
            for number, *values in rows:
                last = number
                yield _made(Settlement, values)

    async def summarize(self, chosen: Filter, *, group_by: Sequence[Grouping], time_zone: str) -> list[Summary]:
        """Return a row for each group and currency, ordered by the groups and then by currency."""
        zone = _zone(time_zone)
        if Grouping.DAY in group_by and Grouping.MONTH in group_by:
            raise BadRequest({"group_by": "a day and a month exclude each other"})
        periods = [_PERIODS[grouping] for grouping in group_by if grouping in _PERIODS]
        quarter = settlements.c.ended_ms - settlements.c.ended_ms % QUARTER_MS
        groups = [_COLUMNS[each] for each in dict.fromkeys(group_by) if each in _COLUMNS]
        keys: list[ColumnElement[Any]] = [*groups, settlements.c.currency, *([quarter.label("quarter")] if periods else [])]
        sums = (
            func.count(),
            func.sum(settlements.c.play_duration_sec),
            func.sum(settlements.c.billed_sec),
            func.sum(settlements.c.amount_micros),
        )
        # A label, not the expression: with bound parameters in it PostgreSQL would take it for another one.
        labels: list[ColumnElement[Any] | str] = [*groups, settlements.c.currency, *(["quarter"] if periods else [])]
        totals: dict[tuple[str, ...], Summary] = {}
        for row in await self._rows(_chosen(select(*keys, *sums), chosen).group_by(*labels)):
            names = {column.name: value for column, value in zip((*groups, settlements.c.currency), row, strict=False)}
            if periods:
                ended = datetime.fromtimestamp(row[len(groups) + 1] // 1000, UTC)
                names["period"] = ended.astimezone(zone).strftime(periods[0])
            count, played, billed, amount = (int(value) for value in row[len(keys) :])
            place = (*(names[_FIELDS[each]] for each in group_by), names["currency"])
            total = totals.get(place) or Summary(**names, session_count=0, play_duration_sec=0, billed_sec=0, amount_micros=0)
            totals[place] = msgspec.structs.replace(
                total,
                session_count=total.session_count + count,
                play_duration_sec=total.play_duration_sec + played,
                billed_sec=total.billed_sec + billed,
                amount_micros=total.amount_micros + amount,
            )
        return [totals[place] for place in sorted(totals)]

    async def _page(
        self, query: Select[Any], number: ColumnElement[int], kind: Callable[..., T], *, page_token: str, limit: int
    ) -> tuple[list[T], str]:
        name = kind.__name__
        last = _parse(name, page_token) if page_token else 0
        rows = await self._rows(query.where(number > last).order_by(number).limit(limit + 1))
        token = _print(name, rows[limit - 1][0]) if len(rows) > limit else ""
        return [_made(kind, values) for _, *values in rows[:limit]], token

    async def _rows(self, query: Select[Any]) -> list[Any]:
        def read(connection: Connection) -> list[Any]:
            return list(connection.execute(query).all())

        try:
            return await self.database.run(read)
        except ArchiveError as error:
            # Whoever asks cannot mend it; whoever can reads it in the projector's log.
            raise ArchiveAway("the archive cannot be used") from error


_FIELDS: Final = {
    Grouping.GAME: "game_id",
    Grouping.CAFE: "cafe_id",
    Grouping.ACCOUNT: "account_id",
    Grouping.DAY: "period",
    Grouping.MONTH: "period",
}


_OF_KIND: Final[dict[Callable[..., Any], list[Any]]] = {Settlement: _SETTLEMENT, Entry: _ENTRY, Audit: _AUDIT}


def _made(kind: Callable[..., T], values: Sequence[Any]) -> T:
    return kind(**{column.name: value for column, value in zip(_OF_KIND[kind], values, strict=True)})


def _chosen(query: Select[Any], chosen: Filter) -> Select[Any]:
    for name in ("account_id", "game_id", "cafe_id"):
        value = getattr(chosen, name)
        if value:
            query = query.where(settlements.c[name] == _text(name, value))
    return _within(query, settlements.c.ended_ms, chosen)


def _within(query: Select[Any], at_ms: ColumnElement[int], chosen: Filter | AuditFilter) -> Select[Any]:
    if chosen.from_ms is not None:
        query = query.where(at_ms >= _time(chosen.from_ms))
    if chosen.until_ms is not None:
        query = query.where(at_ms < _time(chosen.until_ms))
    return query


def _text(field: str, value: str) -> str:
    """Return what PostgreSQL can be asked for. Raises BadRequest."""
    if "\0" in value:
        raise BadRequest({field: "has a NUL in it"})
    return value


def _time(time_ms: int) -> int:
    return max(-_BOUND, min(time_ms, _BOUND))


def _zone(time_zone: str) -> ZoneInfo:
    try:
        return ZoneInfo(time_zone)
    except (LookupError, ValueError, OSError) as error:  # not there; no name; a folder of the database
        raise BadRequest({"time_zone": "is no time zone of the IANA database"}) from error


def _print(name: str, number: int) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode((name, number))).decode().rstrip("=")


def _parse(name: str, page_token: str) -> int:
    try:
        kind, number = _TOKENS.decode(base64.urlsafe_b64decode(page_token + "=" * (-len(page_token) % 4)))
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        raise BadRequest({"page_token": "not a page token of this service"}) from error
    if kind != name or not 0 < number <= _BOUND:
        raise BadRequest({"page_token": "not a page token of this service"})
    return number
