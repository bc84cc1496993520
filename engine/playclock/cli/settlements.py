"""`playclock settlements`: what ended sessions came to, for people, for spreadsheets and for auditors."""

from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from playclock.cli.days import beginning, zone_of
from playclock.cli.engines import RemoteEngine
from playclock.cli.failures import Failure, UsageFailure
from playclock.cli.options import FILE, engine_option, json_option, token_option
from playclock.cli.printing import amount, duration, moment, print_json, print_table
from playclock.cli.remote import CALL_SEC, ask, authorization
from playclock.cli.settlement_files import COLUMNS, fields_of, read_jsonl, write_csv, write_jsonl
from playclock.cli.teaching import example
from playclock.core.settlement import chain_problems
from playclock.v1.settlement_service_pb2 import (
    ExportSettlementsRequest,
    ListSettlementsRequest,
    Settlement,
    SettlementSummary,
    SummarizeSettlementsRequest,
)
from playclock.v1.settlement_service_pb2_grpc import SettlementServiceStub

if TYPE_CHECKING:
    from playclock.v1.settlement_service_pb2_grpc import SettlementServiceAsyncStub

Command = TypeVar("Command", bound=Callable[..., Any])

GROUPINGS: Final = ("game", "cafe", "account", "day", "month")
PAGE_SIZE: Final = 1_000


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
            engine_option,
            token_option,
        )
    ):
        command = option(command)
    return command


def _cafe_option(command: Command) -> Command:
    return click.option("--cafe", default="", metavar="ID", help="Only this cafe's.")(command)


def _csv_option(command: Command) -> Command:
    return click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")(command)


@settlements.command(name="list", epilog=example("playclock settlements list --cafe cafe-1 --from 2026-11-01 --csv"))
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="At most so many.")
@_csv_option
@json_option
@_cafe_option
@_chosen_options
def list_settlements(
    *,
    limit: int,
    as_csv: bool,
    as_json: bool,
    cafe: str,
    engine: RemoteEngine,
    token: str | None,
    **chosen: Any,  # noqa: ANN401 - the options above
) -> None:
    """List settlements, those that were archived first come first."""
    _check_one_form(as_csv=as_csv, as_json=as_json)
    request = ListSettlementsRequest(cafe_id=cafe, **_filter(**chosen))

    async def collect(service: "SettlementServiceAsyncStub") -> list[Settlement]:
        found: list[Settlement] = []
        while True:
            request.page_size = min(PAGE_SIZE, limit - len(found))
            page = await service.ListSettlements(request, metadata=authorization(token), timeout=CALL_SEC)
            found += page.settlements
            request.page_token = page.next_page_token
            if not page.next_page_token or len(found) >= limit:
                return found

    found = ask(engine, SettlementServiceStub, collect)
    if as_json:
        print_json([fields_of(settlement) for settlement in found])
    elif as_csv:
        write_csv(COLUMNS, (list(fields_of(settlement).values()) for settlement in found))
    else:
        print_table(tuple(_CELLS), [[cell(settlement) for cell in _CELLS.values()] for settlement in found])


@settlements.command(epilog=example("playclock settlements export --from 2026-11-01 --until 2026-12-01 > november.csv"))
@click.option("--format", "style", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True, help="How to print.")
@_chosen_options
def export(*, style: str, engine: RemoteEngine, token: str | None, **chosen: Any) -> None:  # noqa: ANN401 - the options above
    """Print all settlements, as they come, in the order of their archiving.

    `playclock settlements verify` checks what `--format jsonl` has printed.
    """
    request = ExportSettlementsRequest(**_filter(**chosen))

    async def print_all(service: "SettlementServiceAsyncStub") -> None:
        if style == "csv":
            write_csv(COLUMNS, ())
        async for response in service.ExportSettlements(request, metadata=authorization(token)):
            if style == "csv":
                write_csv(COLUMNS, [list(fields_of(response.settlement).values())], header=False)
            else:
                write_jsonl(response.settlement)

    ask(engine, SettlementServiceStub, print_all)


@settlements.command(epilog=example("playclock settlements summarize --by account --by month --time-zone Asia/Seoul"))
@click.option("--by", multiple=True, type=click.Choice(GROUPINGS), help="By what to sum up; may be given again.")
@_csv_option
@json_option
@_cafe_option
@_chosen_options
def summarize(
    *,
    by: tuple[str, ...],
    as_csv: bool,
    as_json: bool,
    cafe: str,
    engine: RemoteEngine,
    token: str | None,
    time_zone: str,
    **chosen: Any,  # noqa: ANN401 - the options above
) -> None:
    """Sum settlements up."""
    _check_one_form(as_csv=as_csv, as_json=as_json)
    request = SummarizeSettlementsRequest(
        group_by=[SummarizeSettlementsRequest.Grouping.Value(f"GROUPING_{name.upper()}") for name in by],
        time_zone=time_zone,
        cafe_id=cafe,
        **_filter(time_zone=time_zone, **chosen),
    )

    async def sums(service: "SettlementServiceAsyncStub") -> Sequence[SettlementSummary]:
        answer = await service.SummarizeSettlements(request, metadata=authorization(token), timeout=CALL_SEC)
        return answer.summaries

    summaries = ask(engine, SettlementServiceStub, sums)
    fields = [field.name for field in SettlementSummary.DESCRIPTOR.fields]
    if as_json:
        print_json([{name: getattr(summary, name) for name in fields} for summary in summaries])
    elif as_csv:
        write_csv(fields, ([getattr(summary, name) for name in fields] for summary in summaries))
    else:
        cells = {name: cell for name, cell in _SUMS.items() if name not in _GROUPS or not _GROUPS[name].isdisjoint(by)}
        print_table(tuple(cells), [[cell(summary) for cell in cells.values()] for summary in summaries])


@settlements.command(epilog=example("playclock settlements verify november.jsonl"))
@click.argument("file", type=FILE)
@click.option("--whole", is_flag=True, help="Also check that the file begins with each game's first settlement.")
def verify(*, file: Path, whole: bool) -> None:
    """Check the chain of exported settlements, offline: that none was changed, left out or slipped in."""
    settlements = read_jsonl(file)
    first = next(settlements, None)
    if first is None:
        raise Failure(f"{file} holds no settlement: there is nothing to check")
    problems = chain_problems(chain((first,), settlements), whole=whole)
    if problems:
        raise Failure("\n".join(problems))
    click.echo("the chain holds")


def _check_one_form(*, as_csv: bool, as_json: bool) -> None:
    if as_csv and as_json:
        raise UsageFailure("--csv and --json exclude each other")


def _filter(*, game: str, account: str, from_: str | None, until: str | None, time_zone: str) -> dict[str, Any]:
    """Return the fields by which every request chooses."""
    zone = zone_of(time_zone)
    return {
        "game_id": game,
        "account_id": account,
        "ended_from": beginning(from_, zone),
        "ended_until": beginning(until, zone),
    }


_CELLS: Final[dict[str, Callable[[Settlement], str]]] = {
    "session": lambda settlement: settlement.game_session_id,
    "cafe": lambda settlement: settlement.cafe_id,
    "player": lambda settlement: settlement.provider_user_id,
    "ended": lambda settlement: moment(settlement.ended),
    "reason": lambda settlement: settlement.end_reason,
    "played": lambda settlement: duration(settlement.play_duration_sec),
    "billed": lambda settlement: duration(settlement.billed_sec),
    "amount": lambda settlement: amount(settlement.amount_micros),
    "currency": lambda settlement: settlement.currency,
}
_GROUPS: Final = {"game": {"game"}, "cafe": {"cafe"}, "account": {"account"}, "period": {"day", "month"}}
"""Columns of sums that have something in them only where it is grouped by that."""
_SUMS: Final[dict[str, Callable[[SettlementSummary], str]]] = {
    "game": lambda summary: summary.game_id,
    "cafe": lambda summary: summary.cafe_id,
    "account": lambda summary: summary.account_id,
    "period": lambda summary: summary.period,
    "currency": lambda summary: summary.currency,
    "sessions": lambda summary: str(summary.session_count),
    "played": lambda summary: duration(summary.play_duration_sec),
    "billed": lambda summary: duration(summary.billed_sec),
    "amount": lambda summary: amount(summary.amount_micros),
}
