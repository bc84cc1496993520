"""How results are shown: tables and colours for people at a terminal, tab-separated lines and JSON for programs."""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import click
from google.protobuf.timestamp_pb2 import Timestamp
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from playclock.log import visible


def at_terminal() -> bool:
    """Say whether a person watches stdout."""
    return sys.stdout.isatty()


def print_json(data: object) -> None:
    """Print JSON in ASCII, so that nothing in it can command a terminal: indented for people, on one line for programs."""
    click.echo(json.dumps(data, indent=2 if at_terminal() else None))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under their columns. What strangers wrote in them cannot command the terminal."""
    safe = [[visible(cell) for cell in row] for row in rows]
    if not at_terminal():
        for row in (columns, *safe):
            click.echo("\t".join(row))
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")  # half an id is none
    for row in safe:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


def duration(seconds: int) -> str:
    """Return h:mm:ss for people, plain seconds for programs."""
    if not at_terminal():
        return str(seconds)
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def moment(timestamp: Timestamp) -> str:
    """Return local time for people, ISO 8601 in UTC for programs; nothing for a time that is absent."""
    if not timestamp.seconds:
        return ""
    time = datetime.fromtimestamp(timestamp.seconds, UTC)
    return time.astimezone().strftime("%Y-%m-%d %H:%M:%S") if at_terminal() else time.isoformat().replace("+00:00", "Z")


def amount(micros: int) -> str:
    """Return millionths as a decimal number with as many places as it needs, two at least."""
    sign, micros = ("-", -micros) if micros < 0 else ("", micros)
    whole, fraction = divmod(micros, 1_000_000)
    return f"{sign}{whole}.{f'{fraction:06}'.rstrip('0'):0<2}"
