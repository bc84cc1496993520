"""Tells on which line of a TOML text each key stands, because tomllib does not."""

import re
import tomllib

KeyPath = tuple[str | int, ...]
"""Where a value lies: keys, and places within arrays from 0."""

_END_OF_STATEMENT = re.compile(r"""[\]}]|"{3}|'{3}""")


def locate(text: str) -> dict[KeyPath, int]:
    """Return the line, from 1, on which each table, key and inline key of a valid TOML text begins.

    Rather than write TOML's grammar a second time, this asks tomllib where each statement ends: one that spans lines is
    no TOML before its last line.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    places: dict[KeyPath, int] = {}
    last_rows: dict[KeyPath, int] = {}
    table: KeyPath = ()
    start = 0
    while start < len(lines):
        values, end = _statement(lines, start)
        if lines[start].lstrip(" \t").startswith("["):
            table = _open_table(values, last_rows)
            _place(places, table, start + 1)
        else:
            _place_values(places, table, values, start + 1)
        start = end
    return places


def _statement(lines: list[str], start: int) -> tuple[dict[str, object], int]:
    """Return what the statement that begins on a line says, and the line after it."""
    for end in range(start + 1, len(lines) + 1):
        if end > start + 1 and not _END_OF_STATEMENT.search(lines[end - 1]):
            continue  # nothing closes here: saves parsing a long array once per line
        try:
            return tomllib.loads("\n".join(lines[start:end])), end
        except tomllib.TOMLDecodeError:
            continue
    raise AssertionError("the text is valid TOML, so each of its statements is")


def _open_table(header: dict[str, object], last_rows: dict[KeyPath, int]) -> KeyPath:
    """Return the path of the table that a header opens; `last_rows` remembers where each array of tables stands."""
    path: KeyPath = ()
    value: object = header
    while isinstance(value, dict) and value:
        (key, value), *_ = value.items()
        path = (*path, key)
        if isinstance(value, list):
            last_rows[path] = last_rows.get(path, -1) + 1
        if path in last_rows:
            path = (*path, last_rows[path])
    return path


def _place(places: dict[KeyPath, int], path: KeyPath, line: int) -> None:
    for length in range(1, len(path) + 1):
        places.setdefault(path[:length], line)


def _place_values(places: dict[KeyPath, int], path: KeyPath, value: object, line: int) -> None:
    _place(places, path, line)
    if isinstance(value, dict):
        for key, inner in value.items():
            _place_values(places, (*path, key), inner, line)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _place_values(places, (*path, index), inner, line)
