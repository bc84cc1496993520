"""A TOML file that people write: its contents, the line of each key, and what is wrong with it, told all at once.

`playclock.tomltable` reads its tables; what the keys mean is decided by `playclock.settings` and `playclock.provisioning`.
"""

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NoReturn

from playclock.tomllines import KeyPath, locate

_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


class ConfigurationError(Exception):
    """A file or a variable cannot be used as it is. `problems` has one line for each mistake, in the file's order."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class TomlFile:
    """A TOML file: its tables, the line of each key, and what was found wrong so far."""

    def __init__(self, path: Path, text: str, environ: Mapping[str, str]) -> None:
        """Parse the text. Raises ConfigurationError for what is no TOML."""
        self.path = path
        self.environ = environ
        self.used: dict[tuple[str, object], KeyPath] = {}
        self._text = text
        self._lines: dict[KeyPath, int] | None = None
        self._problems: list[tuple[int, str]] = []
        try:
            self.values: dict[str, object] = tomllib.loads(text)
        except ValueError as error:  # a TOMLDecodeError, or the plain one for an integer of thousands of digits
            self._refuse_syntax(str(error))

    @classmethod
    def read(cls, path: Path, environ: Mapping[str, str]) -> "TomlFile":
        """Read and parse a file. Raises ConfigurationError where it cannot be read or is no TOML."""
        try:
            text = path.read_bytes().decode("utf-8-sig")
        except OSError as error:
            raise ConfigurationError([f"{path}: cannot be read: {error.strerror}"]) from None
        except UnicodeDecodeError as error:
            raise ConfigurationError([f"{path}: is not UTF-8 text (byte {error.start + 1})"]) from None
        return cls(path, text, environ)

    def line(self, path: KeyPath) -> int:
        """Return the line, from 1, on which the value begins, or else what holds it."""
        if self._lines is None:
            self._lines = locate(self._text)
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)

    def at(self, path: KeyPath, sentence: str) -> str:
        """Return the sentence behind the file's name and the line."""
        return f"{self.path}:{self.line(path)}: {sentence}"

    def report(self, path: KeyPath, sentence: str) -> None:
        """Note a mistake. The reading goes on, so that all of them are found."""
        self._problems.append((self.line(path), self.at(path, sentence)))

    def check(self) -> None:
        """Raise ConfigurationError if mistakes were noted."""
        if self._problems:
            raise ConfigurationError(sentence for _, sentence in sorted(self._problems))

    def _refuse_syntax(self, message: str) -> NoReturn:
        place = _PLACE.search(message)
        line = "" if place is None else f":{place[1] or self._text.count(chr(10)) + 1}"
        raise ConfigurationError([f"{self.path}{line}: not valid TOML: {_PLACE.sub('', message)}"]) from None


def did_you_mean(key: str, known: Iterable[str]) -> str:
    """Return " (did you mean '…'?)" where a known key is close, else nothing."""
    close = difflib.get_close_matches(key, sorted(known), n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""
