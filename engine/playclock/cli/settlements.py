"""`playclock settlements`: what ended sessions came to, for people, for spreadsheets and for auditors."""

import asyncio
import csv
import json
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click
import msgspec
from google.protobuf.timestamp_pb2 import Timestamp

from playclock.cli.addresses import Address
from playclock.cli.failures import Failure, UsageFailure
from playclock.cli.options import DEFAULT_GRPC, FILE, engine_option, json_option, token_option
from playclock.cli.printing import amount, duration, print_json, print_table
from playclock.cli.remote import CALL_SEC, authorization, calling
from playclock.cli.teaching import example
from playclock.core import settlement as core
from playclock.v1.settlement_service_pb2 import (
    ExportSettlementsRequest,
    Settlement,
    SettlementSummary,
    SummarizeSettlementsRequest,
)
from playclock.v1.settlement_service_pb2_grpc import SettlementServiceStub

Command = TypeVar("Command", bound=Callable[..., Any])

_COLUMNS: Final = tuple(field.name for field in msgspec.structs.fields(core.Settlement))
_GROUPINGS: Final = ("game", "cafe", "account", "day", "month")


@click.group(epilog=example("playclock settlements summarize --by cafe --by month --time-zone Asia/Seoul"))
def settlements() -> None:
    """Show what ended sessions came to."""


def _chosen_options(command: Command) -> Command:
    for option in reversed(
        (
            click.option("--game", default="", metavar="ID", help="Only this game's."),
            click.option("--account", default="", metavar="ID", help="Only this account's."),
            click.option("--from", "from_", metavar="DATE", help="Only sessions that ended on this day or later: 2026-11-01."),
            click.option("--until", metavar="DATE", help="Only sessions that ended before this day."),
            click.option("--time-zone", default="UTC", show_default=True, help="Where days begin, such as Asia/Seoul."),
            engine_option(DEFAULT_GRPC),
            token_option,
        )
    ):
        command = option(command)
    return command


@settlements.command(epilog=example("playclock settlements export --from 2026-11-01 --until 2026-12-01 > november.csv"))
@click.option("--format", "style", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True, help="How to print.")
@_chosen_options
def export(*, style: str, engine: Address, token: str | None, **chosen: Any) -> None:  # noqa: ANN401 - the options above
    """Print all settlements, as they come, in the order of their archiving.

    `playclock settlements verify` checks what `--format jsonl` has printed.
    """
    asyncio.run(_print_all(engine, token, _export_request(**chosen), _write_csv if style == "csv" else _write_jsonl))


@settlements.command(epilog=example("playclock settlements summarize --by account --by month --time-zone Asia/Seoul"))
@click.option("--by", multiple=True, type=click.Choice(_GROUPINGS), help="By what to sum up; may be given again.")
@json_option
@_chosen_options
def summarize(
    *,
    by: tuple[str, ...],
    as_json: bool,
    engine: Address,
    token: str | None,
    time_zone: str,
    **chosen: Any,  # noqa: ANN401
) -> None:
    """Sum settlements up."""
    filtered = _export_request(time_zone=time_zone, **chosen)
    request = SummarizeSettlementsRequest(
        group_by=[SummarizeSettlementsRequest.Grouping.Value(f"GROUPING_{name.upper()}") for name in by],
        time_zone=time_zone,
        account_id=filtered.account_id,
    )
    request.game_id = filtered.game_id
    for field in ("ended_from", "ended_until"):
        if filtered.HasField(field):
            getattr(request, field).CopyFrom(getattr(filtered, field))
    summaries = asyncio.run(_summaries(engine, token, request))
    if as_json:
        print_json([_summary_fields(summary) for summary in summaries])
        return
    rows = [[str(value) for value in _summary_row(summary)] for summary in summaries]
    print_table(("game", "cafe", "account", "period", "currency", "sessions", "played", "billed", "amount"), rows)


@settlements.command(epilog=example("playclock settlements verify november.jsonl"))
@click.argument("file", type=FILE)
@click.option("--whole", is_flag=True, help="Also check that the file begins with each game's first settlement.")
def verify(*, file: Path, whole: bool) -> None:
    """Check the chain of exported settlements, offline: that none was changed, left out or slipped in."""
    problems = core.chain_problems(_read_jsonl(file), whole=whole)
    if problems:
        raise Failure("\n".join(problems))
    click.echo("the chain holds")


async def _print_all(
    engine: Address, token: str | None, request: ExportSettlementsRequest, write: Callable[[Settlement, bool], None]
) -> None:
    first = True
    async for settlement in _exported(engine, token, request):
        write(settlement, first)
        first = False


async def _exported(engine: Address, token: str | None, request: ExportSettlementsRequest) -> AsyncIterator[Settlement]:
    async with calling(engine) as channel:
        stream = SettlementServiceStub(channel).ExportSettlements(request, metadata=authorization(token))
        async for response in stream:
            yield response.settlement


async def _summaries(engine: Address, token: str | None, request: SummarizeSettlementsRequest) -> list[SettlementSummary]:
    async with calling(engine) as channel:
        service = SettlementServiceStub(channel)
        answer = await service.SummarizeSettlements(request, metadata=authorization(token), timeout=CALL_SEC)
        return list(answer.summaries)


def _write_csv(settlement: Settlement, first: bool) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    if first:
        writer.writerow(_COLUMNS)
    writer.writerow([_unformulated(value) for value in msgspec.structs.asdict(_record(settlement)).values()])


def _write_jsonl(settlement: Settlement, _first: bool) -> None:
    click.echo(json.dumps(msgspec.to_builtins(_record(settlement))))


def _unformulated(value: object) -> object:
    """Keep a spreadsheet from taking what strangers chose for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t") else value


def _record(message: Settlement) -> core.Settlement:
    """Return the settlement as it is hashed."""
    fields = {name: getattr(message, name) for name in _COLUMNS if not name.endswith("_ms")}
    if not message.HasField("client_play_duration_sec"):
        fields["client_play_duration_sec"] = None
    return core.Settlement(**fields, started_ms=message.started.ToMilliseconds(), ended_ms=message.ended.ToMilliseconds())


def _read_jsonl(file: Path) -> Iterator[core.Settlement]:
    decoder = msgspec.json.Decoder(core.Settlement)
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                yield decoder.decode(line)
            except msgspec.MsgspecError as error:
                raise Failure(f"{file}:{number}: no settlement: {error}") from None


def _export_request(
    *, game: str, account: str, from_: str | None, until: str | None, time_zone: str
) -> ExportSettlementsRequest:
    request = ExportSettlementsRequest(game_id=game, account_id=account)
    try:
        zone = ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise UsageFailure(f"there is no time zone {time_zone!r}; name one as the IANA database does") from None
    if from_ is not None:
        request.ended_from.CopyFrom(_day(from_, zone))
    if until is not None:
        request.ended_until.CopyFrom(_day(until, zone))
    return request


def _day(text: str, zone: tzinfo) -> Timestamp:
    """Return when a day begins."""
    try:
        begins = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=zone)
    except ValueError:
        raise UsageFailure(f"{text!r} is no day; write it as 2026-11-01") from None
    timestamp = Timestamp()
    timestamp.FromDatetime(begins)
    return timestamp


def _summary_row(summary: SettlementSummary) -> tuple[object, ...]:
    return (
        summary.game_id,
        summary.cafe_id,
        summary.account_id,
        summary.period,
        summary.currency,
        summary.session_count,
        duration(summary.play_duration_sec),
        duration(summary.billed_sec),
        amount(summary.amount_micros),
    )


def _summary_fields(summary: SettlementSummary) -> dict[str, object]:
    return {field.name: getattr(summary, field.name) for field in SettlementSummary.DESCRIPTOR.fields}
