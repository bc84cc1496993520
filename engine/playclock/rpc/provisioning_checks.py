"""What is wrong with each field of a provisioning message, by itself. Whether it fits together is for the engine to say."""

from collections.abc import Iterator

from playclock.core.estate import DEADLINE_MS_MAX, parse_network
from playclock.core.fields import (
    MICROS_MAX,
    NAME_MAX,
    certificate_name_problem,
    currency_problem,
    resource_id_problem,
    target_problem,
    text_problem,
    token_problem,
    url_problem,
)
from playclock.core.ids import is_uuid
from playclock.core.launch_url import launch_url_problem
from playclock.core.signing.webhooks import webhook_key
from playclock.core.tariff import (
    WINDOWS_MAX,
    from_time_problem,
    minimum_problem,
    time_zone_problem,
    until_time_problem,
)
from playclock.rpc.access import why_not_for_services
from playclock.v1 import provisioning_service_pb2 as pb


def problems(provisioning: pb.Provisioning) -> Iterator[tuple[str, str]]:
    """Yield the path of each field that is wrong, and what is wrong with it."""
    for path, problem in _checks(provisioning):
        if problem:
            yield path, problem
    for name, ids in (
        ("games", [game.id for game in provisioning.games]),
        ("tariffs", [tariff.id for tariff in provisioning.tariffs]),
        ("accounts", [account.id for account in provisioning.accounts]),
        ("cafes", [cafe.id for cafe in provisioning.cafes]),
        ("providers", [provider.id for provider in provisioning.providers]),
        ("launchers", [launcher.id for launcher in provisioning.launchers]),
        ("agents", [str(agent.id) for agent in provisioning.agents]),
        ("developers", [developer.id for developer in provisioning.developers]),
        ("services", [service.id for service in provisioning.services]),
        ("match_clients", [client.client_id for client in provisioning.match_clients]),
    ):
        for twice in {each for each in ids if ids.count(each) > 1}:
            yield name, f"{twice} is described twice"


def _checks(provisioning: pb.Provisioning) -> Iterator[tuple[str, str | None]]:
    for index, game in enumerate(provisioning.games):
        at = f"games[{index}]"
        yield f"{at}.id", None if is_uuid(game.id) else "expected a lower-case UUID"
        yield f"{at}.number", None if game.number >= 0 else "must not be negative"
        yield f"{at}.name", text_problem(game.name, NAME_MAX)
        yield f"{at}.brand", text_problem(game.brand, NAME_MAX, required=False)
        for field in ("image_url", "play_url", "demo_url"):
            yield f"{at}.{field}", url_problem(getattr(game, field))
        for key in game.api_keys:
            yield f"{at}.api_keys", _secret_problem(key)
        yield (
            f"{at}.on_provider_failure",
            None if game.on_provider_failure in pb.ProvisionedGame.ProviderFailure.values() else "is not known",
        )
        yield f"{at}.provider_failure_limit_sec", None if game.provider_failure_limit_sec >= 0 else "must not be negative"
    for index, tariff in enumerate(provisioning.tariffs):
        yield from _tariff_checks(f"tariffs[{index}]", tariff)
    for index, account in enumerate(provisioning.accounts):
        at = f"accounts[{index}]"
        yield f"{at}.id", resource_id_problem(account.id)
        yield f"{at}.currency", currency_problem(account.currency)
        yield f"{at}.opening_balance_micros", _micros_problem(account.opening_balance_micros)
        yield f"{at}.debt_limit_micros", _micros_problem(account.debt_limit_micros)
    for index, cafe in enumerate(provisioning.cafes):
        at = f"cafes[{index}]"
        yield f"{at}.id", resource_id_problem(cafe.id)
        yield f"{at}.name", text_problem(cafe.name, NAME_MAX)
        for network in cafe.networks:
            yield f"{at}.networks", None if parse_network(network) else f"{network!r} is no network in CIDR notation"
    for index, launcher in enumerate(provisioning.launchers):
        yield f"launchers[{index}].id", resource_id_problem(launcher.id)
        yield f"launchers[{index}].secret", _secret_problem(launcher.secret)
    yield from _partner_checks(provisioning)
    yield from _service_checks(provisioning)


def _tariff_checks(at: str, tariff: pb.Tariff) -> Iterator[tuple[str, str | None]]:
    yield f"{at}.id", resource_id_problem(tariff.id)
    yield f"{at}.currency", currency_problem(tariff.currency)
    yield f"{at}.unit_sec", None if tariff.unit_sec > 0 else "must be positive"
    yield f"{at}.price_micros", _micros_problem(tariff.price_micros)
    yield f"{at}.rounding", None if tariff.rounding in pb.Tariff.Rounding.values() else "is not known"
    yield f"{at}.cap_micros", _micros_problem(tariff.cap_micros)
    yield (
        f"{at}.minimum_micros",
        _micros_problem(tariff.minimum_micros) or minimum_problem(tariff.minimum_micros, tariff.cap_micros),
    )
    for field in ("free_sec", "reserve_sec"):
        yield f"{at}.{field}", None if getattr(tariff, field) >= 0 else "must not be negative"
    yield f"{at}.bill_on_silence", None if tariff.bill_on_silence in pb.Tariff.BillOnSilence.values() else "is not known"
    yield f"{at}.time_zone", time_zone_problem(tariff.time_zone)
    yield f"{at}.windows", None if len(tariff.windows) <= WINDOWS_MAX else f"expected {WINDOWS_MAX} at most"
    for index, window in enumerate(tariff.windows):
        yield from _window_checks(f"{at}.windows[{index}]", window)


def _window_checks(at: str, window: pb.PriceWindow) -> Iterator[tuple[str, str | None]]:
    is_empty = window.from_time == window.until_time
    yield f"{at}.from_time", from_time_problem(window.from_time)
    yield f"{at}.until_time", until_time_problem(window.until_time) or ("is the same as from_time" if is_empty else None)
    yield f"{at}.price_micros", _micros_problem(window.price_micros)
    yield f"{at}.weekdays", None if all(1 <= day <= 7 for day in window.weekdays) else "expected 1 to 7"


def _partner_checks(provisioning: pb.Provisioning) -> Iterator[tuple[str, str | None]]:
    for index, provider in enumerate(provisioning.providers):
        at = f"providers[{index}]"
        yield f"{at}.id", resource_id_problem(provider.id)
        yield f"{at}.target", target_problem(provider.target)
        yield f"{at}.token", _secret_problem(provider.token)
        is_bounded = 0 <= provider.deadline_ms <= DEADLINE_MS_MAX
        yield f"{at}.deadline_ms", None if is_bounded else f"expected 1 to {DEADLINE_MS_MAX}"
        yield f"{at}.reserve_sec", None if provider.reserve_sec >= 0 else "must not be negative"
    for index, agent in enumerate(provisioning.agents):
        yield f"agents[{index}].id", None if agent.id > 0 else "must be positive"
        yield f"agents[{index}].name", text_problem(agent.name, NAME_MAX)
        yield f"agents[{index}].callback_url", url_problem(agent.callback_url)
    for index, developer in enumerate(provisioning.developers):
        yield f"developers[{index}].id", None if is_uuid(developer.id) else "expected a lower-case UUID"
        yield f"developers[{index}].secret", _secret_problem(developer.secret)
    for index, client in enumerate(provisioning.match_clients):
        at = f"match_clients[{index}]"
        yield f"{at}.client_id", resource_id_problem(client.client_id)
        yield f"{at}.client_secret", _secret_problem(client.client_secret) or _key_problem(client.client_secret)
        yield f"{at}.match_info_url", url_problem(client.match_info_url)
        yield f"{at}.launch_url", launch_url_problem(client.launch_url)
        yield f"{at}.push_retries", None if client.push_retries in pb.MatchClient.PushRetries.values() else "is not known"


def _service_checks(provisioning: pb.Provisioning) -> Iterator[tuple[str, str | None]]:
    for index, service in enumerate(provisioning.services):
        at = f"services[{index}]"
        yield f"{at}.id", resource_id_problem(service.id)
        for number, token in enumerate(service.tokens):
            yield f"{at}.tokens[{number}]", token_problem(token)
        for number, name in enumerate(service.certificates):
            yield f"{at}.certificates[{number}]", certificate_name_problem(name)
        for number, rpc in enumerate(service.allow):
            yield f"{at}.allow[{number}]", why_not_for_services(rpc)


def _key_problem(secret: str) -> str | None:
    """Check that messages can be signed with a secret."""
    try:
        webhook_key(secret.encode())
    except ValueError as error:
        return str(error)
    return None


def _secret_problem(secret: str) -> str | None:
    return None if 1 <= len(secret) <= 512 else "expected 1 to 512 characters"


def _micros_problem(micros: int) -> str | None:
    return None if 0 <= micros <= MICROS_MAX else f"expected 0 to {MICROS_MAX}"
