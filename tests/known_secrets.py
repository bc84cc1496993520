"""What must never be seen in a log, an error or a metric: every secret that the tests' own sources hold.

A secret is what is assigned to a name that says so. So a new one is known as soon as it is written down, unless it is shorter
than `SHORTEST`, has a space or is of the form of a public id: then it belongs into `MORE`.
"""

import re
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
SHORTEST: Final = 12
"""Shorter ones, such as "secret" and "wrong", are words that turn up by themselves."""

MORE: Final = frozenset({"hunter2"})
"""Secrets that the sources do not tell by their names."""

_ASSIGNED: Final = re.compile(
    r"""(?ix) \b\w*(?:api_?keys? | secrets? | tokens? | passwords? | (?-i:\bKEY) | (?-i:_KEY))["']?
        (?:\s*:\s*Final)? \s*[=:]\s* (?:\w+\()? \[? \s*
        (?P<first>"[^"\s{}]+") (?: \s*,\s* (?P<second>"[^"\s{}]+") )?""",
)
_PUBLIC: Final = re.compile(
    r"""(?x)
    (?:gs_|ls_)?[0-9a-f]{8}-[0-9a-f-]{27}   # ids of sessions, launches, games; an OTT is known when it is issued
    | [0-9a-f]{2}:.*                        # keys of records
    | [a-z_]+                               # names of fields and settings
    | X-.* | .*[/:.]\W.* | --.*""",
)


@cache
def known_secrets() -> frozenset[str]:
    """Return the secrets of the tests and of the examples."""
    sources = [path for folder in ("tests", "examples") for kind in ("*.py", "*.toml") for path in (ROOT / folder).rglob(kind)]
    found = {secret for path in sources for secret in secrets_in(path.read_text())}
    return MORE | found


def secrets_in(source: str) -> set[str]:
    """Return what a source assigns to names that tell a secret."""
    words = {word.strip('"') for match in _ASSIGNED.finditer(source) for word in match.group("first", "second") if word}
    return {word for word in words if len(word) >= SHORTEST and not _PUBLIC.fullmatch(word)}
