"""Reads the provisioning file: the games, cafes, launchers and callers that a server knows, and who pays.

Here the file is checked by itself. Whether what it refers to exists (a cafe's tariff, an agent's game) is for the engine to
say, because it may be in the store already; `ProvisioningFile.place` leads from the engine's answer back to the line.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from playclock.tomlfile import TomlFile
from playclock.tomltable import INT64_MAX, Table
from playclock.v1.provisioning_service_pb2 import (
    Agent,
    Developer,
    Launcher,
    MatchClient,
    ProvisionedAccount,
    ProvisionedCafe,
    ProvisionedGame,
    Provisioning,
    Tariff,
)

INT32_MAX: Final = 2**31 - 1
ID_LENGTH_MAX: Final = 128

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+", re.ASCII)
_HTTP_URL = re.compile(r"https?://[^\s/?#]+\S*", re.ASCII)
_FIELD = re.compile(r"(?:provisioning\.)?([a-z_]+)\[([0-9]+)\](?:\.([a-z_]+))?(?:\[([0-9]+)\])?", re.ASCII)

_ROUNDINGS: Final = {"started_unit": Tariff.ROUNDING_STARTED_UNIT, "exact": Tariff.ROUNDING_EXACT}
_TABLES: Final = {
    "games": "game",
    "tariffs": "tariff",
    "accounts": "account",
    "cafes": "cafe",
    "launchers": "launcher",
    "agents": "agent",
    "developers": "developer",
    "match_clients": "match_client",
}
"""The file's table for each field of the message."""


class ProvisioningFile:
    """A provisioning file that was read, and the message that it stands for."""

    def __init__(self, message: Provisioning, file: TomlFile) -> None:
        self.message = message
        self._file = file

    def place(self, field: str, problem: str) -> str:
        """Return the problem with the file, line and key of a message's field such as "cafes[1].tariff".

        A field that is not of this file keeps its name.
        """
        parts = _FIELD.fullmatch(field)
        if parts is None or parts[1] not in _TABLES:
            return f"{self._file.path}: {field}: {problem}"
        table, index, key = _TABLES[parts[1]], int(parts[2]), parts[3]
        path = (table, index, *((key,) if key else ()), *((int(parts[4]),) if parts[4] else ()))
        named = f"'{key}': " if key else ""
        return self._file.at(path, f"[[{table}]] #{index + 1}: {named}{problem}")


def load(path: Path, environ: Mapping[str, str]) -> ProvisioningFile:
    """Read a provisioning file. Raises ConfigurationError with every mistake in it."""
    file = TomlFile.read(path, environ)
    root = Table.root(file)
    message = Provisioning(
        games=root.rows("game", _game),
        tariffs=root.rows("tariff", _tariff),
        accounts=root.rows("account", _account),
        cafes=root.rows("cafe", _cafe),
        launchers=root.rows("launcher", _launcher),
        agents=root.rows("agent", _agent),
        developers=root.rows("developer", _developer),
        match_clients=root.rows("match_client", _match_client),
    )
    root.finish()
    file.check()
    return ProvisioningFile(message, file)


def _game(row: Table) -> ProvisionedGame:
    game = ProvisionedGame(
        id=_uuid(row, "id"),
        number=row.integer("number", minimum=1, default=0),
        name=row.text("name"),
        brand=row.text("brand", default=""),
        image_url=_url(row, "image_url"),
        play_url=_url(row, "play_url"),
        demo_url=_url(row, "demo_url"),
        api_keys=row.tokens("api_keys"),
    )
    row.once("id", "game", game.id)
    row.once("number", "game number", game.number)
    for index, api_key in enumerate(game.api_keys):
        row.once("api_keys", "API key", api_key, index=index)
    return game


def _tariff(row: Table) -> Tariff:
    rounding = row.text("rounding", default="started_unit")
    if rounding and rounding not in _ROUNDINGS:
        row.wrong("rounding", f'must be "started_unit" or "exact", not "{rounding}"')
    return Tariff(
        id=_id(row, "id", "tariff"),
        currency=_id(row, "currency"),
        unit_sec=row.integer("unit_sec", minimum=1, maximum=INT32_MAX),
        price_micros=row.integer("price_micros", minimum=0),
        rounding=_ROUNDINGS.get(rounding, Tariff.ROUNDING_UNSPECIFIED),
    )


def _account(row: Table) -> ProvisionedAccount:
    return ProvisionedAccount(
        id=_id(row, "id", "account"),
        currency=_id(row, "currency"),
        opening_balance_micros=row.integer("opening_balance_micros", minimum=0, default=0),
    )


def _cafe(row: Table) -> ProvisionedCafe:
    cafe = ProvisionedCafe(
        id=_id(row, "id", "cafe"),
        name=row.text("name"),
        networks=row.networks("networks"),
        account=_id(row, "account") if "account" in row else "",
        tariff=_id(row, "tariff") if "tariff" in row else "",
    )
    if "account" in row and "tariff" not in row:
        row.wrong("account", "needs a 'tariff' beside it: without a price nothing can be billed")
    for network in cafe.networks:
        row.once("networks", "network", network)
    return cafe


def _launcher(row: Table) -> Launcher:
    return Launcher(id=_id(row, "id", "launcher"), secret=row.secret("secret"))


def _agent(row: Table) -> Agent:
    agent = Agent(
        id=row.integer("id", minimum=1),
        name=row.text("name"),
        api_token=row.secret("api_token", default=""),
        games=_numbers(row, "games"),
    )
    row.once("id", "agent", agent.id)
    row.once("api_token", "API token", agent.api_token)
    return agent


def _developer(row: Table) -> Developer:
    developer = Developer(id=_uuid(row, "id"), secret=row.secret("secret"))
    row.once("id", "developer", developer.id)
    return developer


def _match_client(row: Table) -> MatchClient:
    url = row.text("match_info_url", default="")
    if url and not _HTTP_URL.fullmatch(url):
        row.wrong("match_info_url", f"must be an http or https URL, not {url!r}")
    return MatchClient(
        client_id=_id(row, "client_id", "match client"),
        client_secret=row.secret("client_secret"),
        game=_uuid(row, "game"),
        match_info_url=url,
    )


def _id(row: Table, key: str, kind: str = "") -> str:
    """Read an id, or the name of a currency. With a kind, no two tables of that kind may share it."""
    value = row.text(key, length_max=ID_LENGTH_MAX)
    if kind:
        row.once(key, kind, value)
    return value


def _uuid(row: Table, key: str) -> str:
    value = row.text(key)
    if value and not _UUID.fullmatch(value):
        row.wrong(key, f"must be a UUID in lower case, like 3f0e8a52-6c1b-4a53-9f0e-0d1f2a3b4c5d, not {value!r}")
    return value


def _url(row: Table, key: str) -> str:
    """Read a URL of any scheme: a game may be started by a launcher's own. Empty where it is absent."""
    value = row.text(key, default="")
    if value and not _URL.fullmatch(value):
        row.wrong(key, f"must be a URL, not {value!r}")
    return value


def _numbers(row: Table, key: str) -> list[int]:
    """Read an array of games' numbers; none where it is absent."""
    numbers = row.items(key, int, default=[])
    for index, number in numbers:
        if not 1 <= number <= INT64_MAX:
            row.wrong(key, f"must be the number of a game, not {number}", index=index)
    return [number for _, number in numbers if 1 <= number <= INT64_MAX]
