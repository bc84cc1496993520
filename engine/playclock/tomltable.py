"""Reads the tables of a `TomlFile`, key by key and type by type. Values are shown in reports, secrets never."""

import ipaddress
import re
from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from playclock.tomlfile import TomlFile, did_you_mean
from playclock.tomllines import KeyPath

Row = TypeVar("Row")

INT64_MAX: Final = 2**63 - 1
SECRET_LENGTH_MAX: Final = 512
SECONDS_MAX: Final = 366 * 86_400
"""The longest duration that is believed. What is longer is a slip of units."""
DURATION_BOUNDS: Final = f"a number of seconds from 0.001 to {SECONDS_MAX}"

_TOKEN = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)
_KINDS: Final = {bool: "a boolean", int: "an integer", float: "a number", str: "a string", list: "an array", dict: "a table"}


class Printed(msgspec.Struct, frozen=True):
    """A secret that a command prints. Nobody has run it yet."""

    command: str


class Table:
    """One table of a file. Its reader asks for each key that it knows; the keys left over are unknown.

    What is found wrong is noted, and a stand-in returned, which `TomlFile.check` keeps from being used.
    """

    def __init__(self, file: TomlFile, values: dict[str, object], path: KeyPath, label: str) -> None:
        self.file = file
        self._values = values
        self._path = path
        self._label = label
        self._known: set[str] = set()

    @classmethod
    def root(cls, file: TomlFile) -> "Table":
        """Return the table that holds all others."""
        return cls(file, file.values, (), "")

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def wrong(self, key: str, problem: str, *, index: int | None = None) -> None:
        """Note what is wrong with a key, or with one value of its array."""
        place: KeyPath = (key,) if index is None else (key, index)
        named = f"'{key}'" if index is None else f"'{key}[{index}]'"
        self.file.report((*self._path, *place), f"{self._label}{named}: {problem}")

    def once(self, key: str, kind: str, value: object, *, index: int | None = None) -> None:
        """Note a mistake if the file has the same value for the same kind of thing before. It may be a secret."""
        path: KeyPath = (*self._path, key) if index is None else (*self._path, key, index)
        first = self.file.used.setdefault((kind, value), path)
        if value and first != path:
            self.wrong(key, f"repeats the {kind} of line {self.file.line(first)}", index=index)

    def rows(self, key: str, read: Callable[["Table"], Row]) -> list[Row]:
        """Read each table of an array of tables; none where it is absent."""
        values = self._take(key, [])
        if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
            self.wrong(key, f"expected tables: write [[{key}]] above each")
            return []
        return [self._read(read, value, (key, index), f"[[{key}]] #{index + 1}: ") for index, value in enumerate(values)]

    def table(self, key: str, read: Callable[["Table"], Row]) -> Row | None:
        """Read a table; None where it is absent."""
        value = self._take(key, None)
        if isinstance(value, dict):
            return self._read(read, value, (key,), f"[{key}]: ")
        if value is not None:
            self.wrong(key, f"expected a table: write [{key}] above its keys")
        return None

    def finish(self) -> None:
        """Note the keys that nobody asked for."""
        for key in self._values.keys() - self._known:
            problem = f"{self._label}unknown {self._named(key)}{did_you_mean(key, self._known)}"
            self.file.report((*self._path, key), problem)

    def text(self, key: str, problem_of: Callable[[str], str | None], *, default: str | None = None) -> str:
        """Read a string; `problem_of` says what is wrong with it. Without a default it is required."""
        value = self._take(key, default)
        if not isinstance(value, str):
            self._wrong_type(key, "a string", value)
            return ""
        problem = ("is empty: leave the key out instead" if not value else problem_of(value)) if key in self else None
        if problem is not None:
            self.wrong(key, problem)
        return "" if problem else value

    def integer(self, key: str, *, minimum: int, maximum: int = INT64_MAX, default: int | None = None) -> int:
        """Read an integer within bounds. Without a default it is required."""
        value = self._take(key, default)
        if not isinstance(value, int) or isinstance(value, bool):
            self._wrong_type(key, "an integer", value)
        elif key in self and not minimum <= value <= maximum:
            self.wrong(key, f"expected {minimum} to {maximum}, not {value}")
        else:
            return value
        return minimum

    def flag(self, key: str) -> bool:
        """Return a boolean; false where the key is absent."""
        value = self._take(key, False)
        if isinstance(value, bool):
            return value
        self._wrong_type(key, "true or false", value)
        return False

    def milliseconds(self, key: str) -> int | None:
        """Read a duration in seconds, fractions allowed, as milliseconds; None where it is absent."""
        value = self._take(key, None)
        if value is None:
            return None
        if not isinstance(value, int | float) or isinstance(value, bool):
            self._wrong_type(key, "a number of seconds", value)
        elif (milliseconds := to_milliseconds(value)) is None:
            self.wrong(key, f"expected {DURATION_BOUNDS}, not {value}")
        else:
            return milliseconds
        return None

    def items(self, key: str, kind: type[Row], *, default: list[Row] | None = None) -> list[tuple[int, Row]]:
        """Read an array whose values are all of one type, each with its place. Without a default it is required."""
        values = self._take(key, default)
        if not isinstance(values, list):
            self._wrong_type(key, "an array", values)
            return []
        for index, value in enumerate(values):
            if type(value) is not kind:
                self.wrong(key, f"expected {_KINDS[kind]}, not {_kind(value)}", index=index)
        return [(index, value) for index, value in enumerate(values) if type(value) is kind]

    def integers(self, key: str, *, minimum: int, maximum: int = INT64_MAX) -> list[int]:
        """Read an array of integers within bounds; none where it is absent."""
        values = self.items(key, int, default=[])
        for index, value in values:
            if not minimum <= value <= maximum:
                self.wrong(key, f"expected {minimum} to {maximum}, not {value}", index=index)
        return [value for _, value in values if minimum <= value <= maximum]

    def texts(self, key: str, problem_of: Callable[[str], str | None]) -> list[str]:
        """Read an array of strings; `problem_of` says what is wrong with one. None where it is absent."""
        values = self.items(key, str, default=[])
        for index, value in values:
            problem = problem_of(value)
            if problem is not None:
                self.wrong(key, problem, index=index)
        return [value for _, value in values]

    def secret(self, key: str, *, default: str | None = None) -> str:
        """Read a secret: a string, `{ env = "NAME" }` or `{ file = "PATH" }`. Without a default it is required."""
        value = self._take(key, default)
        return self._secret(key, value) if key in self or default is None else default

    def source(self, key: str) -> str | Printed | None:
        """Read a secret as `secret` does, or `{ command = "…" }`, which prints it; None where it is absent."""
        value = self._take(key, None)
        return None if value is None else self._source(key, value)

    def sources(self, key: str) -> list[str | Printed]:
        """Read an array of secrets, each as `source` does. None where it is absent."""
        values = self._take(key, [])
        if not isinstance(values, list):
            self._wrong_type(key, "an array", values)
            return []
        return [self._source(key, value, index=index) for index, value in enumerate(values)]

    def tokens(self, key: str) -> list[str]:
        """Read an array of secrets that travel in headers: visible ASCII characters. None where it is absent."""
        values = self._take(key, [])
        if not isinstance(values, list):
            self._wrong_type(key, "an array", values)
            return []
        secrets = [self._secret(key, value, index=index) for index, value in enumerate(values)]
        for index, secret in enumerate(secrets):
            if secret and not is_token(secret):
                self.wrong(key, "expected 1 to 255 visible ASCII characters", index=index)
        return secrets

    def networks(self, key: str, *, default: list[str] | None = None) -> list[str]:
        """Read an array of networks in CIDR notation, each once and in its shortest spelling."""
        networks: dict[str, None] = {}
        for index, text in self.items(key, str, default=default):
            try:
                networks[network(text)] = None
            except ValueError as error:
                self.wrong(key, str(error), index=index)
        return list(networks)

    def _read(self, read: Callable[["Table"], Row], values: dict[str, object], place: KeyPath, label: str) -> Row:
        table = Table(self.file, values, (*self._path, *place), label)
        row = read(table)
        table.finish()
        return row

    def _take(self, key: str, default: object) -> object:
        self._known.add(key)
        return self._values.get(key, default)

    def _wrong_type(self, key: str, wanted: str, value: object, *, index: int | None = None) -> None:
        if value is None:
            self.file.report(self._path, f"{self._label}'{key}' is missing")
        else:
            self.wrong(key, f"expected {wanted}, not {_kind(value)}", index=index)

    def _named(self, key: str) -> str:
        match self._values[key]:
            case [{}, *_]:
                return f"table [[{key}]]"
            case {}:
                return f"table [{key}]"
        return f"key '{key}'"

    def _source(self, key: str, value: object, *, index: int | None = None) -> str | Printed:
        match value:
            case {"command": str(command), **others} if command and not others:
                return Printed(command)
        return self._secret(key, value, index=index)

    def _secret(self, key: str, value: object, *, index: int | None = None) -> str:
        problem, secret = None, ""
        match value:
            case str():
                secret = value
            case {"env": str(name), **others} if not others:
                secret, problem = self._secret_of_variable(name)
            case {"file": str(name), **others} if not others:
                secret, problem = self._secret_of_file(name)
            case _:
                self._wrong_type(key, 'a string, { env = "NAME" } or { file = "PATH" }', value, index=index)
                return ""
        if problem is None and not 0 < len(secret) <= SECRET_LENGTH_MAX:
            problem = f"expected 1 to {SECRET_LENGTH_MAX} characters"
        if problem is not None:
            self.wrong(key, problem, index=index)
        return secret

    def _secret_of_variable(self, name: str) -> tuple[str, str | None]:
        """Return the secret, and what is wrong with it."""
        secret = self.file.environ.get(name)
        if secret is None:
            return "", f"names the environment variable {name}, which is not set"
        if not _is_text(secret):
            return "", f"names the environment variable {name}, which is not UTF-8 text"
        return secret, None

    def _secret_of_file(self, name: str) -> tuple[str, str | None]:
        """Return the secret, and what is wrong with it. The file lies relative to this one."""
        try:
            text = (self.file.path.parent / name).read_bytes().decode()
        except OSError as error:
            return "", f"names the file '{name}', which cannot be read: {error.strerror}"
        except ValueError:  # no UTF-8, or a name that no file can have
            return "", f"names the file '{name}', which is not UTF-8 text"
        return text.removesuffix("\n").removesuffix("\r"), None


def to_milliseconds(seconds: float) -> int | None:
    """Return the duration rounded to milliseconds; None where it is no duration that makes sense."""
    return round(seconds * 1000) or None if 0 < seconds <= SECONDS_MAX else None


def network(text: str) -> str:
    """Return a network in the shortest spelling of its CIDR notation. Raises ValueError with a sentence."""
    try:
        meant = ipaddress.ip_network(text, strict=False)
    except ValueError:
        meant = None
    if meant is None or "%" in text:
        raise ValueError(f"expected a network in CIDR notation, not {text!r}")
    if ipaddress.ip_interface(text).ip != meant.network_address:
        raise ValueError(f"{text!r} has host bits set (did you mean '{meant}'?)")
    return str(meant)


def is_token(secret: str) -> bool:
    """Say whether a secret can travel in an HTTP header and in gRPC metadata."""
    return _TOKEN.fullmatch(secret) is not None


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _kind(value: object) -> str:
    return _KINDS.get(type(value), "a date or time")
