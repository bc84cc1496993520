"""The settings: durations, whom to trust, and limits. A variable counts before the file, the file before the default.

What can be set is a field of `Timers`, `Security` or a part's rules, such as `LimitRules`: `ott_ttl_ms` is `ott_ttl` in the
file's `[timers]`, in seconds, and the variable `PLAYCLOCK_TIMERS_OTT_TTL`.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import limits
import msgspec

from playclock.core.delivery import DeliveryRules
from playclock.core.fields import certificate_name_problem, currency_problem
from playclock.core.kept_images import IMAGES_PER_DEVELOPER
from playclock.core.limits import CALLS_MAX, WINDOW_SEC_MAX, LimitRules, Quota
from playclock.core.links import DEMO_BALANCE_MAX, DEMO_BALANCE_MICROS, LinkRules
from playclock.core.match import MatchRules
from playclock.core.openid import OpenIdRules
from playclock.core.points import RETENTION_MIN_MS
from playclock.core.timers import Timers
from playclock.core.wallet import WalletRules
from playclock.openid_settings import KEYS as OPENID_KEYS
from playclock.openid_settings import openid_of_variables, read_openid
from playclock.tomlfile import ConfigurationError, TomlFile, did_you_mean
from playclock.tomltable import DURATION_BOUNDS, Printed, Table, is_token, network, to_milliseconds

TIMER_KEYS: Final = tuple(name.removesuffix("_ms") for name in Timers.__struct_fields__)
WALLET_KEYS: Final = tuple(name.removesuffix("_ms") for name in WalletRules.__struct_fields__)
DELIVERY_KEYS: Final = tuple(name.removesuffix("_ms") for name in DeliveryRules.__struct_fields__)
MATCH_KEYS: Final = tuple(name.removesuffix("_ms") for name in MatchRules.__struct_fields__)
SECURITY_KEYS: Final = (
    "trusted_proxies",
    "outgoing_networks",
    "operator_tokens",
    "operator_certificates",
    "connections_per_address",
)
NETWORK_KEYS: Final = ("trusted_proxies", "outgoing_networks")
CONNECTIONS_PER_ADDRESS: Final = 1_024
CONNECTIONS_MAX: Final = 65_536

MASTER_KEY: Final = "PLAYCLOCK_MASTER_KEY"
OLD_MASTER_KEYS: Final = "PLAYCLOCK_OLD_MASTER_KEYS"

_TIMERS = "PLAYCLOCK_TIMERS_"
_WALLET = "PLAYCLOCK_WALLET_"
_DELIVERIES = "PLAYCLOCK_DELIVERIES_"
_MATCHES = "PLAYCLOCK_MATCHES_"
_SECURITY = "PLAYCLOCK_SECURITY_"
_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)
LIMIT_KEYS: Final = tuple(LimitRules.__struct_fields__)
NO_LIMIT: Final = "none"
LIMIT_BOUNDS: Final = f'a limit such as "60/minute" or "100 per 5 minutes", of at most a day, or "{NO_LIMIT}"'
_LIMITS = "PLAYCLOCK_LIMITS_"
PLAYFUN_KEYS: Final = ("images_url", "images_per_developer")
IMAGES_MAX: Final = 1_000_000
"""The largest number of images that a developer may be let have."""
_PLAYFUN = "PLAYCLOCK_PLAYFUN_"
_IMAGES_URL = re.compile(r"(https?://[A-Za-z0-9.\[\]:-]{1,255})?(/[A-Za-z0-9._~%-]{1,255}){0,16}/?", re.ASCII)
LINK_KEYS: Final = ("demo_balance", "currencies")
MICROS: Final = 1_000_000
_DEMO_BALANCE: Final = DEMO_BALANCE_MICROS // MICROS
_LINKS = "PLAYCLOCK_LINKS_"
_OPENID = "PLAYCLOCK_OPENID_"
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?", re.ASCII)


class Security(msgspec.Struct, frozen=True, kw_only=True):
    """Whom the server believes."""

    trusted_proxies: tuple[str, ...] = ()
    """Networks whose X-Forwarded-For counts, in CIDR notation."""
    outgoing_networks: tuple[str, ...] = ()
    """Private networks that requests may go out to, and by http too, in CIDR notation. Public addresses need no entry."""
    operator_tokens: tuple[str, ...] = ()
    """Bearer tokens of operators."""
    operator_certificates: tuple[str, ...] = ()
    """Names in operators' client certificates: common names, DNS names or URIs."""
    connections_per_address: int = CONNECTIONS_PER_ADDRESS
    """How many HTTP connections an address may have to one process; trusted proxies may have any number."""

    master_key: str | Printed | None = None
    """The key under which secrets lie in the store, or the command that prints it."""
    old_master_keys: tuple[str | Printed, ...] = ()
    """Those under which secrets still lie."""

    def __repr__(self) -> str:
        networks = f"trusted_proxies={self.trusted_proxies!r}, outgoing_networks={self.outgoing_networks!r}"
        operators = (
            f"operator_tokens=<{len(self.operator_tokens)} secrets>, operator_certificates={self.operator_certificates!r}"
        )
        master_key = "<1 secret>" if self.master_key else None
        others = f"master_key={master_key}, connections_per_address={self.connections_per_address}"
        return f"Security({networks}, {operators}, {others})"


class PlayFun(msgspec.Struct, frozen=True, kw_only=True):
    """What the play.fun dialect tells of itself."""

    images_url: str = "/images"
    """Below which address images are served: a URL, or a path of this server. Without a slash at its end."""
    images_per_developer: int = IMAGES_PER_DEVELOPER
    """How many images of a developer are kept at once."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All that the settings file and the variables say."""

    timers: Timers = Timers()
    security: Security = Security()
    limits: LimitRules = LimitRules()
    links: LinkRules = LinkRules()
    wallet: WalletRules = WalletRules()
    matches: MatchRules = MatchRules()
    deliveries: DeliveryRules = DeliveryRules()
    playfun: PlayFun = PlayFun()
    openid: OpenIdRules = OpenIdRules()


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Read the settings from a file, if there is one, and the variables. Raises ConfigurationError."""
    timers: dict[str, int] = {}
    security: dict[str, Any] = {}
    rules: dict[str, Quota | None] = {}
    links: dict[str, Any] = {}
    wallet: dict[str, int] = {}
    matches: dict[str, int] = {}
    deliveries: dict[str, int] = {}
    playfun: dict[str, Any] = {}
    openid: dict[str, Any] = {}
    file = None if path is None else TomlFile.read(path, environ)
    if file is not None:
        root = Table.root(file)
        timers = root.table("timers", _timers) or {}
        security = root.table("security", _security) or {}
        rules = root.table("limits", _rules) or {}
        links = root.table("links", _links) or {}
        wallet = root.table("wallet", _wallet) or {}
        matches = root.table("matches", _matches) or {}
        deliveries = root.table("deliveries", _deliveries) or {}
        playfun = root.table("playfun", _playfun) or {}
        openid = root.table("openid", read_openid) or {}
        root.finish()
        file.check()
    problems: list[str] = []
    timers |= _durations_of_variables(environ, _TIMERS, TIMER_KEYS, problems)
    wallet |= _durations_of_variables(environ, _WALLET, WALLET_KEYS, problems)
    matches |= _durations_of_variables(environ, _MATCHES, MATCH_KEYS, problems)
    deliveries |= _durations_of_variables(environ, _DELIVERIES, DELIVERY_KEYS, problems)
    security |= _security_of_variables(environ, problems) | _master_keys_of_variables(environ)
    rules |= _rules_of_variables(environ, problems)
    links |= _links_of_variables(environ, problems)
    playfun |= _playfun_of_variables(environ, problems)
    openid |= openid_of_variables(_variables(environ, _OPENID, OPENID_KEYS, problems), _OPENID, problems)
    if problems:
        raise ConfigurationError(problems)
    settings = Settings(
        timers=Timers(**{f"{key}_ms": value for key, value in timers.items()}),
        security=msgspec.convert(security, Security),
        limits=LimitRules(**rules),
        links=msgspec.convert(links, LinkRules),
        wallet=WalletRules(**{f"{key}_ms": value for key, value in wallet.items()}),
        matches=MatchRules(**{f"{key}_ms": value for key, value in matches.items()}),
        deliveries=DeliveryRules(**{f"{key}_ms": value for key, value in deliveries.items()}),
        playfun=msgspec.convert(playfun, PlayFun),
        openid=msgspec.convert(openid, OpenIdRules),
    )
    _check_lease(settings.timers, file)
    _check_points(settings.timers, file)
    return settings


def _timers(table: Table) -> dict[str, int]:
    return _durations(table, TIMER_KEYS)


def _wallet(table: Table) -> dict[str, int]:
    return _durations(table, WALLET_KEYS)


def _matches(table: Table) -> dict[str, int]:
    return _durations(table, MATCH_KEYS)


def _deliveries(table: Table) -> dict[str, int]:
    return _durations(table, DELIVERY_KEYS)


def _durations(table: Table, keys: tuple[str, ...]) -> dict[str, int]:
    durations = {key: table.milliseconds(key) for key in keys}
    return {key: value for key, value in durations.items() if value is not None}


def _security(table: Table) -> dict[str, Any]:
    return {
        **{key: table.networks(key, default=[]) for key in NETWORK_KEYS},
        "operator_tokens": table.tokens("operator_tokens"),
        "operator_certificates": table.texts("operator_certificates", certificate_name_problem),
        "connections_per_address": table.integer(
            "connections_per_address", minimum=1, maximum=CONNECTIONS_MAX, default=CONNECTIONS_PER_ADDRESS
        ),
        "master_key": table.source("master_key"),
        "old_master_keys": table.sources("old_master_keys"),
    }


def _rules(table: Table) -> dict[str, Quota | None]:
    return {key: _quota(table.text(key, _limit_problem)) for key in LIMIT_KEYS if key in table}


def _links(table: Table) -> dict[str, Any]:
    balance = table.integer("demo_balance", minimum=0, maximum=DEMO_BALANCE_MAX, default=_DEMO_BALANCE)
    return {"demo_balance_micros": balance * MICROS, "currencies": table.texts("currencies", currency_problem)}


def _links_of_variables(environ: Mapping[str, str], problems: list[str]) -> dict[str, Any]:
    given, rules = _variables(environ, _LINKS, LINK_KEYS, problems), dict[str, Any]()
    if (text := given.get("demo_balance")) is not None:
        if _NUMBER.fullmatch(text) and int(text) <= DEMO_BALANCE_MAX:
            rules["demo_balance_micros"] = int(text) * MICROS
        else:
            problems.append(f"{_LINKS}DEMO_BALANCE: expected 0 to {DEMO_BALANCE_MAX}, not {text!r}")
    if (text := given.get("currencies")) is not None:
        codes = [part.strip() for part in text.split(",") if part.strip()]
        wrong = [f"{code!r}: {problem}" for code in codes if (problem := currency_problem(code))]
        problems += [f"{_LINKS}CURRENCIES: {problem}" for problem in wrong]
        rules["currencies"] = codes
    return rules


def _playfun(table: Table) -> dict[str, Any]:
    rules: dict[str, Any] = {
        "images_per_developer": table.integer(
            "images_per_developer", minimum=0, maximum=IMAGES_MAX, default=IMAGES_PER_DEVELOPER
        )
    }
    if "images_url" in table:
        rules["images_url"] = table.text("images_url", _images_url_problem).rstrip("/")
    return rules


def _playfun_of_variables(environ: Mapping[str, str], problems: list[str]) -> dict[str, Any]:
    given, rules = _variables(environ, _PLAYFUN, PLAYFUN_KEYS, problems), dict[str, Any]()
    if (text := given.get("images_url")) is not None:
        rules["images_url"] = text.rstrip("/")
        problem = _images_url_problem(text)
        problems += [f"{_PLAYFUN}IMAGES_URL: {problem}"] if problem else []
    if (text := given.get("images_per_developer")) is not None:
        if _NUMBER.fullmatch(text) and int(text) <= IMAGES_MAX:
            rules["images_per_developer"] = int(text)
        else:
            problems.append(f"{_PLAYFUN}IMAGES_PER_DEVELOPER: expected 0 to {IMAGES_MAX}, not {text!r}")
    return rules


def _images_url_problem(text: str) -> str | None:
    return (
        None if _IMAGES_URL.fullmatch(text) else 'expected a URL such as "https://cdn.example.com/images", or a path "/images"'
    )


def _limit_problem(text: str) -> str | None:
    try:
        _quota(text)
    except ValueError:
        return f"expected {LIMIT_BOUNDS}, not {text!r}"
    return None


def _quota(text: str) -> Quota | None:
    """Return what a text says; None for no limit, and for an empty text, which is what is wrong. Raises ValueError."""
    if text in ("", "0", NO_LIMIT):
        return None
    if not text.isascii():
        raise ValueError("digits and letters of ASCII only")
    (item,) = limits.parse_many(text)
    quota = Quota(item.amount, item.get_expiry())
    if not 0 < quota.calls <= CALLS_MAX or not 0 < quota.window_sec <= WINDOW_SEC_MAX:
        raise ValueError("out of bounds")
    return quota


def _rules_of_variables(environ: Mapping[str, str], problems: list[str]) -> dict[str, Quota | None]:
    rules = {}
    for key, text in _variables(environ, _LIMITS, LIMIT_KEYS, problems).items():
        problem = _limit_problem(text)
        if problem is not None:
            problems.append(f"{_LIMITS}{key.upper()}: {problem}")
        else:
            rules[key] = _quota(text)
    return rules


def _durations_of_variables(
    environ: Mapping[str, str], prefix: str, keys: tuple[str, ...], problems: list[str]
) -> dict[str, int]:
    durations = {}
    for key, text in _variables(environ, prefix, keys, problems).items():
        milliseconds = to_milliseconds(float(text)) if _SECONDS.fullmatch(text) else None
        if milliseconds is None:
            problems.append(f"{prefix}{key.upper()}: expected {DURATION_BOUNDS}, not {text!r}")
        else:
            durations[key] = milliseconds
    return durations


def _security_of_variables(environ: Mapping[str, str], problems: list[str]) -> dict[str, Any]:
    given = _variables(environ, _SECURITY, SECURITY_KEYS, problems)
    connections = given.pop("connections_per_address", None)
    lists = {key: [part.strip() for part in text.split(",") if part.strip()] for key, text in given.items()}
    for key in NETWORK_KEYS:
        try:
            lists |= {key: list(map(network, lists[key]))} if key in lists else {}
        except ValueError as error:
            problems.append(f"{_SECURITY}{key.upper()}: {error}")
    if not all(map(is_token, lists.get("operator_tokens", []))):
        problems.append(
            f"{_SECURITY}OPERATOR_TOKENS: expected tokens of 1 to 255 visible ASCII characters, separated by commas"
        )
    wrong = filter(None, map(certificate_name_problem, lists.get("operator_certificates", [])))
    problems += [f"{_SECURITY}OPERATOR_CERTIFICATES: {problem}" for problem in wrong]
    if connections is None:
        return dict(lists)
    if _NUMBER.fullmatch(connections) and 1 <= int(connections) <= CONNECTIONS_MAX:
        return {**lists, "connections_per_address": int(connections)}
    problems.append(f"{_SECURITY}CONNECTIONS_PER_ADDRESS: expected 1 to {CONNECTIONS_MAX}, not {connections!r}")
    return dict(lists)


def _master_keys_of_variables(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the master keys that variables name. What they hold is read by `playclock.masterkeys`."""
    old = [part.strip() for part in environ.get(OLD_MASTER_KEYS, "").split(",") if part.strip()]
    given = {"master_key": environ.get(MASTER_KEY), "old_master_keys": old}
    return {key: value for key, value in given.items() if value}


def _variables(environ: Mapping[str, str], prefix: str, keys: tuple[str, ...], problems: list[str]) -> dict[str, str]:
    """Return the values of the variables with the prefix, by key. An empty one counts as absent."""
    variables = {f"{prefix}{key.upper()}": key for key in keys}
    given = {name: text for name, text in environ.items() if name.startswith(prefix) and text}
    problems += [f"unknown setting {name}{did_you_mean(name, variables)}" for name in sorted(given.keys() - variables)]
    return {variables[name]: text for name, text in given.items() if name in variables}


def _check_lease(timers: Timers, file: TomlFile | None) -> None:
    if timers.session_ttl_ms >= timers.heartbeat_interval_ms:
        return
    sentence = (
        f"session_ttl ({timers.session_ttl_ms / 1000:g} s) must not be shorter than heartbeat_interval "
        f"({timers.heartbeat_interval_ms / 1000:g} s): every session would end between two heartbeats"
    )
    raise ConfigurationError([sentence if file is None else file.at(("timers", "session_ttl"), f"[timers]: {sentence}")])


def _check_points(timers: Timers, file: TomlFile | None) -> None:
    if timers.points_retention_ms >= RETENTION_MIN_MS:
        return
    sentence = (
        f"points_retention ({timers.points_retention_ms / 1000:.12g} s) must not be shorter than "
        f"{RETENTION_MIN_MS // 1000} s: a streak is of 30 days"
    )
    raise ConfigurationError([sentence if file is None else file.at(("timers", "points_retention"), f"[timers]: {sentence}")])
