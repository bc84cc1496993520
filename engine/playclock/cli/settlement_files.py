"""Settlements as files have them: the fields that are hashed, as CSV for spreadsheets and as JSON lines for auditors."""

import csv
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from playclock.cli.failures import Failure
from playclock.core import settlement as core
from playclock.v1.settlement_service_pb2 import Settlement

COLUMNS: Final = tuple(field.name for field in msgspec.structs.fields(core.Settlement))


def fields_of(message: Settlement) -> dict[str, Any]:
    """Return the fields of a settlement as they are hashed, and the hash."""
    return msgspec.structs.asdict(_record(message))


def write_csv(columns: Sequence[str], rows: Iterable[Sequence[object]], *, header: bool = True) -> None:
    """Print rows as CSV. What strangers wrote in them is no formula to a spreadsheet."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    if header:
        writer.writerow(columns)
    writer.writerows([_unformulated(value) for value in row] for row in rows)


def write_jsonl(message: Settlement) -> None:
    """Print a settlement on a line of its own, as `read_jsonl` reads it."""
    click.echo(json.dumps(fields_of(message)))


def read_jsonl(file: Path) -> Iterator[core.Settlement]:
    """Yield the settlements of a file. Raises Failure for a file that cannot be read, or a line that is none."""
    decoder = msgspec.json.Decoder(core.Settlement)
    try:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                yield _decoded(decoder, line, f"{file}:{number}")
    except OSError as error:
        raise Failure(f"{file}: cannot be read: {error.strerror}") from None


def _decoded(decoder: msgspec.json.Decoder[core.Settlement], line: bytes, place: str) -> core.Settlement:
    try:
        return decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Failure(f"{place}: no settlement: {error}") from None


def _record(message: Settlement) -> core.Settlement:
    fields = {name: getattr(message, name) for name in COLUMNS if not name.endswith("_ms")}
    if not message.HasField("client_play_duration_sec"):
        fields["client_play_duration_sec"] = None
    return core.Settlement(**fields, started_ms=message.started.ToMilliseconds(), ended_ms=message.ended.ToMilliseconds())


def _unformulated(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
