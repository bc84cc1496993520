"""ProvisioningService: messages to resources and back."""

from collections.abc import Iterator

from playclock.core import estate as core
from playclock.core.estate import Resource, hash_key, parse_network
from playclock.core.fields import MICROS_MAX, NAME_MAX, currency_problem, resource_id_problem, text_problem, url_problem
from playclock.core.ids import is_uuid
from playclock.core.tariff import (
    WINDOWS_MAX,
    BillOnSilence,
    PriceWindow,
    Rounding,
    Tariff,
    from_time_problem,
    minimum_problem,
    minute_of,
    time_of,
    time_zone_problem,
    until_time_problem,
)
from playclock.engine import Engine
from playclock.errors import BadRequest
from playclock.rpc.call import Call
from playclock.v1 import provisioning_service_pb2 as pb

_ROUNDINGS = {
    pb.Tariff.ROUNDING_UNSPECIFIED: Rounding.STARTED_UNIT,
    pb.Tariff.ROUNDING_STARTED_UNIT: Rounding.STARTED_UNIT,
    pb.Tariff.ROUNDING_EXACT: Rounding.EXACT,
}
_BILLS_ON_SILENCE = {
    pb.Tariff.BILL_ON_SILENCE_UNSPECIFIED: BillOnSilence.LAST_HEARTBEAT,
    pb.Tariff.BILL_ON_SILENCE_LAST_HEARTBEAT: BillOnSilence.LAST_HEARTBEAT,
    pb.Tariff.BILL_ON_SILENCE_ONE_INTERVAL: BillOnSilence.ONE_INTERVAL,
    pb.Tariff.BILL_ON_SILENCE_LEASE_END: BillOnSilence.LEASE_END,
}
_BILL_ON_SILENCE_MESSAGES = {bills: value for value, bills in _BILLS_ON_SILENCE.items()}

Problems = dict[str, str]


class ProvisioningServicer:
    """Translates for operators."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def ApplyProvisioning(self, request: pb.ApplyProvisioningRequest, call: Call) -> pb.ApplyProvisioningResponse:  # noqa: ARG002
        """Create and update resources."""
        found = dict(_problems(request.provisioning))
        if found:
            raise BadRequest(found)
        changes = await self._engine.estate.apply(list(_resources(request.provisioning)), validate_only=request.validate_only)
        return pb.ApplyProvisioningResponse(revision=changes.revision, created=changes.created, updated=changes.updated)

    async def GetProvisioning(self, request: pb.GetProvisioningRequest, call: Call) -> pb.GetProvisioningResponse:  # noqa: ARG002
        """Show the estate without its secrets."""
        estate = self._engine.context.estate
        return pb.GetProvisioningResponse(provisioning=_message(estate), revision=estate.revision)


def _resources(provisioning: pb.Provisioning) -> Iterator[Resource]:
    for game in provisioning.games:
        yield core.Game(
            id=game.id,
            number=game.number,
            name=game.name,
            brand=game.brand,
            image_url=game.image_url,
            play_url=game.play_url,
            demo_url=game.demo_url,
            api_key_hashes=tuple(hash_key(key) for key in game.api_keys),
        )
    for tariff in provisioning.tariffs:
        yield Tariff(
            id=tariff.id,
            currency=tariff.currency,
            unit_ms=tariff.unit_sec * 1000,
            price_micros=tariff.price_micros,
            rounding=_ROUNDINGS[tariff.rounding],
            minimum_micros=tariff.minimum_micros,
            free_ms=tariff.free_sec * 1000,
            cap_micros=tariff.cap_micros,
            reserve_ms=tariff.reserve_sec * 1000,
            time_zone=tariff.time_zone,
            windows=tuple(_window(window) for window in tariff.windows),
            bill_on_silence=_BILLS_ON_SILENCE[tariff.bill_on_silence],
        )
    for account in provisioning.accounts:
        yield core.AccountPlan(id=account.id, currency=account.currency, opening_balance_micros=account.opening_balance_micros)
    for cafe in provisioning.cafes:
        yield core.Cafe(
            id=cafe.id,
            name=cafe.name,
            networks=tuple(str(parse_network(network)) for network in cafe.networks),
            account_id=cafe.account or None,
            tariff_id=cafe.tariff or None,
        )
    for launcher in provisioning.launchers:
        yield core.Launcher(id=launcher.id, secrets=(launcher.secret.encode(),))
    for agent in provisioning.agents:
        token = agent.api_token.encode() or None
        yield core.Agent(id=agent.id, name=agent.name, api_token=token, games=tuple(agent.games))
    for developer in provisioning.developers:
        yield core.Developer(id=developer.id, secret=developer.secret.encode())
    for client in provisioning.match_clients:
        yield core.MatchClient(
            id=client.client_id,
            secret=client.client_secret.encode(),
            game_id=client.game,
            match_info_url=client.match_info_url,
        )


def _window(window: pb.PriceWindow) -> PriceWindow:
    from_minute, until_minute = minute_of(window.from_time), minute_of(window.until_time)
    assert from_minute is not None
    assert until_minute is not None
    return PriceWindow(from_minute, until_minute, window.price_micros, tuple(window.weekdays))


def _problems(provisioning: pb.Provisioning) -> Iterator[tuple[str, str]]:
    """Yield the path of each field that is wrong, and what is wrong with it."""
    for path, problem in _checks(provisioning):
        if problem:
            yield path, problem
    for name, ids in (
        ("games", [game.id for game in provisioning.games]),
        ("tariffs", [tariff.id for tariff in provisioning.tariffs]),
        ("accounts", [account.id for account in provisioning.accounts]),
        ("cafes", [cafe.id for cafe in provisioning.cafes]),
        ("launchers", [launcher.id for launcher in provisioning.launchers]),
        ("agents", [str(agent.id) for agent in provisioning.agents]),
        ("developers", [developer.id for developer in provisioning.developers]),
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
    for index, tariff in enumerate(provisioning.tariffs):
        yield from _tariff_checks(f"tariffs[{index}]", tariff)
    for index, account in enumerate(provisioning.accounts):
        at = f"accounts[{index}]"
        yield f"{at}.id", resource_id_problem(account.id)
        yield f"{at}.currency", currency_problem(account.currency)
        yield f"{at}.opening_balance_micros", _micros_problem(account.opening_balance_micros)
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


def _tariff_checks(at: str, tariff: pb.Tariff) -> Iterator[tuple[str, str | None]]:
    yield f"{at}.id", resource_id_problem(tariff.id)
    yield f"{at}.currency", currency_problem(tariff.currency)
    yield f"{at}.unit_sec", None if tariff.unit_sec > 0 else "must be positive"
    yield f"{at}.price_micros", _micros_problem(tariff.price_micros)
    yield f"{at}.rounding", None if tariff.rounding in _ROUNDINGS else "is not known"
    yield f"{at}.cap_micros", _micros_problem(tariff.cap_micros)
    yield (
        f"{at}.minimum_micros",
        _micros_problem(tariff.minimum_micros) or minimum_problem(tariff.minimum_micros, tariff.cap_micros),
    )
    for field in ("free_sec", "reserve_sec"):
        yield f"{at}.{field}", None if getattr(tariff, field) >= 0 else "must not be negative"
    yield f"{at}.bill_on_silence", None if tariff.bill_on_silence in _BILLS_ON_SILENCE else "is not known"
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
    for index, agent in enumerate(provisioning.agents):
        yield f"agents[{index}].id", None if agent.id > 0 else "must be positive"
        yield f"agents[{index}].name", text_problem(agent.name, NAME_MAX)
    for index, developer in enumerate(provisioning.developers):
        yield f"developers[{index}].id", None if is_uuid(developer.id) else "expected a lower-case UUID"
        yield f"developers[{index}].secret", _secret_problem(developer.secret)
    for index, client in enumerate(provisioning.match_clients):
        at = f"match_clients[{index}]"
        yield f"{at}.client_id", resource_id_problem(client.client_id)
        yield f"{at}.client_secret", _secret_problem(client.client_secret)
        yield f"{at}.match_info_url", url_problem(client.match_info_url)


def _secret_problem(secret: str) -> str | None:
    return None if 1 <= len(secret) <= 512 else "expected 1 to 512 characters"


def _micros_problem(micros: int) -> str | None:
    return None if 0 <= micros <= MICROS_MAX else f"expected 0 to {MICROS_MAX}"


def _message(estate: core.Estate) -> pb.Provisioning:
    message = pb.Provisioning()
    for resource in estate.resources.values():
        match resource:
            case core.Game():
                message.games.add(
                    id=resource.id,
                    number=resource.number,
                    name=resource.name,
                    brand=resource.brand,
                    image_url=resource.image_url,
                    play_url=resource.play_url,
                    demo_url=resource.demo_url,
                )
            case Tariff():
                message.tariffs.add(
                    id=resource.id,
                    currency=resource.currency,
                    unit_sec=resource.unit_ms // 1000,
                    price_micros=resource.price_micros,
                    rounding=_rounding(resource.rounding),
                    minimum_micros=resource.minimum_micros,
                    free_sec=resource.free_ms // 1000,
                    cap_micros=resource.cap_micros,
                    reserve_sec=resource.reserve_ms // 1000,
                    time_zone=resource.time_zone,
                    windows=[_window_message(window) for window in resource.windows],
                    bill_on_silence=_BILL_ON_SILENCE_MESSAGES[resource.bill_on_silence],
                )
            case core.AccountPlan():
                message.accounts.add(
                    id=resource.id, currency=resource.currency, opening_balance_micros=resource.opening_balance_micros
                )
            case core.Cafe():
                message.cafes.add(
                    id=resource.id,
                    name=resource.name,
                    networks=resource.networks,
                    account=resource.account_id or "",
                    tariff=resource.tariff_id or "",
                )
            case core.Launcher():
                message.launchers.add(id=resource.id)
            case core.Agent():
                message.agents.add(id=resource.id, name=resource.name, games=resource.games)
            case core.Developer():
                message.developers.add(id=resource.id)
            case core.MatchClient():
                message.match_clients.add(client_id=resource.id, game=resource.game_id, match_info_url=resource.match_info_url)
    return message


def _window_message(window: PriceWindow) -> pb.PriceWindow:
    return pb.PriceWindow(
        from_time=time_of(window.from_minute),
        until_time=time_of(window.until_minute),
        price_micros=window.price_micros,
        weekdays=window.weekdays,
    )


def _rounding(rounding: Rounding) -> pb.Tariff.Rounding.ValueType:
    return pb.Tariff.ROUNDING_EXACT if rounding is Rounding.EXACT else pb.Tariff.ROUNDING_STARTED_UNIT
