"""Reads the provisioning file: the games, cafes, launchers and callers that a server knows, and who pays.

Here the file is checked by itself. Whether what it refers to exists (a cafe's tariff, an agent's game) is for the engine to
say, because it may be in the store already; `ProvisioningFile.place` leads from the engine's answer back to the line.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from playclock.core.estate import DEADLINE_MS_MAX
from playclock.core.fields import (
    MICROS_MAX,
    NAME_MAX,
    certificate_name_problem,
    currency_problem,
    resource_id_problem,
    target_problem,
    text_problem,
    url_problem,
)
from playclock.core.ids import is_uuid
from playclock.core.launch_url import launch_url_problem
from playclock.core.tariff import (
    WINDOWS_MAX,
    from_time_problem,
    minimum_problem,
    time_zone_problem,
    until_time_problem,
)
from playclock.tomlfile import TomlFile
from playclock.tomllines import KeyPath
from playclock.tomltable import Table
from playclock.v1.provisioning_service_pb2 import (
    Agent,
    ChargeProvider,
    Developer,
    InternalService,
    Launcher,
    MatchClient,
    PriceWindow,
    ProvisionedAccount,
    ProvisionedCafe,
    ProvisionedGame,
    Provisioning,
    Tariff,
)

INT32_MAX: Final = 2**31 - 1

_FIELD = re.compile(
    r"(?:provisioning\.)?([a-z_]+)\[([0-9]+)\](?:\.windows\[([0-9]+)\])?(?:\.([a-z_]+)(?:\[([0-9]+)\])?)?", re.ASCII
)

_ROUNDINGS: Final = {"started_unit": Tariff.ROUNDING_STARTED_UNIT, "exact": Tariff.ROUNDING_EXACT}
_BILLS_ON_SILENCE: Final = {
    "last_heartbeat": Tariff.BILL_ON_SILENCE_LAST_HEARTBEAT,
    "one_interval": Tariff.BILL_ON_SILENCE_ONE_INTERVAL,
    "lease_end": Tariff.BILL_ON_SILENCE_LEASE_END,
}
_PUSH_RETRIES: Final = {"none": MatchClient.PUSH_RETRIES_NONE, "standard": MatchClient.PUSH_RETRIES_STANDARD}
_FAILURE_POLICIES: Final = {
    "deny": ProvisionedGame.PROVIDER_FAILURE_DENY,
    "allow": ProvisionedGame.PROVIDER_FAILURE_ALLOW,
    "allow_then_reconcile": ProvisionedGame.PROVIDER_FAILURE_ALLOW_THEN_RECONCILE,
}
_TABLES: Final = {
    "games": "game",
    "tariffs": "tariff",
    "accounts": "account",
    "cafes": "cafe",
    "launchers": "launcher",
    "agents": "agent",
    "developers": "developer",
    "match_clients": "match_client",
    "providers": "provider",
    "services": "service",
}
"""The file's table for each field of the message."""
_ROWS: Final = {*_TABLES.values(), "window"}
_KEYS: Final = {"windows": "window", "from_time": "from", "until_time": "until"}
"""The file's key for each field that is called something else there."""


class ProvisioningFile:
    """A provisioning file that was read, and the message that it stands for."""

    def __init__(self, message: Provisioning, file: TomlFile) -> None:
        self.message = message
        self._file = file

    def place(self, field: str, problem: str) -> str:
        """Return the problem with the file and line of what the engine named: "cafes[1].tariff" or "cafe/cafe-1".

        What is not of this file keeps its name: it lies in the store and does not fit together with the file.
        """
        path = self._path_of_field(field) or self._path_of_resource(field)
        if path is None:
            return f"{self._file.path}: {field}: {problem}"
        return self._file.at(path, f"{_label(path)}{problem}")

    def _path_of_field(self, field: str) -> KeyPath | None:
        match = _FIELD.fullmatch(field)
        if match is None or match[1] not in _TABLES:
            return None
        window = ("window", int(match[3])) if match[3] else ()
        key = (_KEYS.get(match[4], match[4]),) if match[4] else ()
        value = (int(match[5]),) if match[5] else ()
        return (_TABLES[match[1]], int(match[2]), *window, *key, *value)

    def _path_of_resource(self, name: str) -> KeyPath | None:
        kind, _, resource_id = name.partition("/")
        for field, table in _TABLES.items():
            for index, resource in enumerate(getattr(self.message, field)):
                known = resource.client_id if isinstance(resource, MatchClient) else str(resource.id)
                if (table, known) == (kind, resource_id):
                    return (table, index)
        return None


def _label(path: KeyPath) -> str:
    """Return how reports name a place: "[[tariff]] #1: [[window]] #2: 'from': ", or "[[service]] #1: 'allow[0]': "."""
    rows = "".join(
        f"[[{name}]] #{int(index) + 1}: " if name in _ROWS else f"'{name}[{index}]': "
        for name, index in zip(path[::2], path[1::2], strict=False)
    )
    return f"{rows}'{path[-1]}': " if len(path) % 2 else rows


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
        providers=root.rows("provider", _provider),
        services=root.rows("service", _service),
    )
    root.finish()
    file.check()
    return ProvisioningFile(message, file)


def _game(row: Table) -> ProvisionedGame:
    on_provider_failure = row.text("on_provider_failure", _failure_policy_problem, default="")
    game = ProvisionedGame(
        id=row.text("id", _uuid_problem),
        number=row.integer("number", minimum=1, default=0),
        name=row.text("name", _name_problem),
        brand=row.text("brand", _name_problem, default=""),
        image_url=row.text("image_url", url_problem, default=""),
        play_url=row.text("play_url", url_problem, default=""),
        demo_url=row.text("demo_url", url_problem, default=""),
        api_keys=row.tokens("api_keys"),
        on_provider_failure=_FAILURE_POLICIES.get(on_provider_failure, ProvisionedGame.PROVIDER_FAILURE_UNSPECIFIED),
        provider_failure_limit_sec=row.integer("provider_failure_limit_sec", minimum=1, maximum=INT32_MAX, default=0),
    )
    row.once("id", "game", game.id)
    row.once("number", "game number", game.number)
    for index, api_key in enumerate(game.api_keys):
        row.once("api_keys", "API key", api_key, index=index)
    return game


def _tariff(row: Table) -> Tariff:
    rounding = row.text("rounding", _rounding_problem, default="started_unit")
    bill_on_silence = row.text("bill_on_silence", _bill_on_silence_problem, default="last_heartbeat")
    tariff = Tariff(
        id=row.text("id", resource_id_problem),
        currency=row.text("currency", currency_problem),
        unit_sec=row.integer("unit_sec", minimum=1, maximum=INT32_MAX),
        price_micros=row.integer("price_micros", minimum=0, maximum=MICROS_MAX),
        rounding=_ROUNDINGS.get(rounding, Tariff.ROUNDING_UNSPECIFIED),
        minimum_micros=row.integer("minimum_micros", minimum=0, maximum=MICROS_MAX, default=0),
        free_sec=row.integer("free_sec", minimum=0, maximum=INT32_MAX, default=0),
        cap_micros=row.integer("cap_micros", minimum=0, maximum=MICROS_MAX, default=0),
        reserve_sec=row.integer("reserve_sec", minimum=0, maximum=INT32_MAX, default=0),
        time_zone=row.text("time_zone", time_zone_problem, default=""),
        windows=row.rows("window", _window),
        bill_on_silence=_BILLS_ON_SILENCE.get(bill_on_silence, Tariff.BILL_ON_SILENCE_UNSPECIFIED),
    )
    row.once("id", "tariff", tariff.id)
    problem = minimum_problem(tariff.minimum_micros, tariff.cap_micros)
    if problem is not None:
        row.wrong("minimum_micros", problem)
    if len(tariff.windows) > WINDOWS_MAX:
        row.wrong("window", f"expected {WINDOWS_MAX} at most")
    return tariff


def _window(row: Table) -> PriceWindow:
    window = PriceWindow(
        from_time=row.text("from", from_time_problem),
        until_time=row.text("until", until_time_problem),
        price_micros=row.integer("price_micros", minimum=0, maximum=MICROS_MAX),
        weekdays=row.integers("weekdays", minimum=1, maximum=7),
    )
    if window.from_time and window.from_time == window.until_time:
        row.wrong("until", "is the same as 'from'")
    return window


def _account(row: Table) -> ProvisionedAccount:
    account = ProvisionedAccount(
        id=row.text("id", resource_id_problem),
        currency=row.text("currency", currency_problem),
        opening_balance_micros=row.integer("opening_balance_micros", minimum=0, maximum=MICROS_MAX, default=0),
        debt_limit_micros=row.integer("debt_limit_micros", minimum=0, maximum=MICROS_MAX, default=0),
    )
    row.once("id", "account", account.id)
    return account


def _cafe(row: Table) -> ProvisionedCafe:
    account = row.text("account", resource_id_problem, default="")
    tariff = row.text("tariff", resource_id_problem, default="")
    cafe = ProvisionedCafe(
        id=row.text("id", resource_id_problem),
        name=row.text("name", _name_problem),
        networks=row.networks("networks"),
        account=account,
        # Where the account is left out nobody is billed, so the price beside it means nothing.
        tariff=tariff if account else "",
        provider=row.text("provider", resource_id_problem, default=""),
    )
    row.once("id", "cafe", cafe.id)
    for network in cafe.networks:
        row.once("networks", "network", network)
    if "account" in row and "tariff" not in row:
        row.wrong("account", "needs a 'tariff' beside it: without a price nothing can be billed")
    if "account" in row and cafe.provider:
        row.wrong("provider", "pays instead of an account: leave one of the two out")
    return cafe


def _provider(row: Table) -> ChargeProvider:
    provider = ChargeProvider(
        id=row.text("id", resource_id_problem),
        target=row.text("target", target_problem),
        token=row.secret("token"),
        plaintext=row.flag("plaintext"),
        verify_addresses=row.flag("verify_addresses"),
        deadline_ms=row.integer("deadline_ms", minimum=1, maximum=DEADLINE_MS_MAX, default=0),
        reserve_sec=row.integer("reserve_sec", minimum=0, maximum=INT32_MAX, default=0),
    )
    row.once("id", "provider", provider.id)
    return provider


def _launcher(row: Table) -> Launcher:
    launcher = Launcher(id=row.text("id", resource_id_problem), secret=row.secret("secret"))
    row.once("id", "launcher", launcher.id)
    return launcher


def _agent(row: Table) -> Agent:
    agent = Agent(
        id=row.integer("id", minimum=1),
        name=row.text("name", _name_problem),
        api_token=row.secret("api_token", default=""),
        games=row.integers("games", minimum=1),
        callback_url=row.text("callback_url", url_problem, default=""),
    )
    row.once("id", "agent", agent.id)
    row.once("api_token", "API token", agent.api_token)
    return agent


def _developer(row: Table) -> Developer:
    developer = Developer(id=row.text("id", _uuid_problem), secret=row.secret("secret"))
    row.once("id", "developer", developer.id)
    return developer


def _match_client(row: Table) -> MatchClient:
    client = MatchClient(
        client_id=row.text("client_id", resource_id_problem),
        client_secret=row.secret("client_secret"),
        game=row.text("game", _uuid_problem),
        match_info_url=row.text("match_info_url", url_problem, default=""),
        launch_url=row.text("launch_url", launch_url_problem, default=""),
        push_retries=_PUSH_RETRIES.get(
            row.text("push_retries", _push_retries_problem, default=""), MatchClient.PUSH_RETRIES_UNSPECIFIED
        ),
    )
    row.once("client_id", "match client", client.client_id)
    return client


def _service(row: Table) -> InternalService:
    service = InternalService(
        id=row.text("id", resource_id_problem),
        tokens=row.tokens("tokens"),
        certificates=row.texts("certificates", certificate_name_problem),
        allow=[name for _, name in row.items("allow", str)],
    )
    row.once("id", "service", service.id)
    for key, kind, values in (
        ("tokens", "service's token", service.tokens),
        ("certificates", "certificate", service.certificates),
    ):
        for index, value in enumerate(values):
            row.once(key, kind, value, index=index)
    return service


def _name_problem(text: str) -> str | None:
    return text_problem(text, NAME_MAX)


def _uuid_problem(text: str) -> str | None:
    return None if is_uuid(text) else f"expected a UUID in lower case, not {text!r}"


def _rounding_problem(text: str) -> str | None:
    return None if text in _ROUNDINGS else f'expected "started_unit" or "exact", not {text!r}'


def _bill_on_silence_problem(text: str) -> str | None:
    return None if text in _BILLS_ON_SILENCE else f'expected "last_heartbeat", "one_interval" or "lease_end", not {text!r}'


def _push_retries_problem(text: str) -> str | None:
    return None if text in _PUSH_RETRIES else f'expected "none" or "standard", not {text!r}'


def _failure_policy_problem(text: str) -> str | None:
    return None if text in _FAILURE_POLICIES else f'expected "deny", "allow" or "allow_then_reconcile", not {text!r}'
