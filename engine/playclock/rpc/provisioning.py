"""ProvisioningService: messages to resources and back."""

from collections.abc import Iterator

from playclock.core import estate as core
from playclock.core.estate import Resource, hash_key, parse_network
from playclock.core.fields import MICROS_MAX, NAME_MAX, currency_problem, resource_id_problem, text_problem, url_problem
from playclock.core.ids import is_uuid
from playclock.core.tariff import Rounding, Tariff
from playclock.engine import Engine
from playclock.errors import BadRequest
from playclock.rpc.call import Call
from playclock.v1 import provisioning_service_pb2 as pb

_ROUNDINGS = {
    pb.Tariff.ROUNDING_UNSPECIFIED: Rounding.STARTED_UNIT,
    pb.Tariff.ROUNDING_STARTED_UNIT: Rounding.STARTED_UNIT,
    pb.Tariff.ROUNDING_EXACT: Rounding.EXACT,
}

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
        rounding = _ROUNDINGS[tariff.rounding]
        yield Tariff(tariff.id, tariff.currency, tariff.unit_sec * 1000, tariff.price_micros, rounding)
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
        at = f"tariffs[{index}]"
        yield f"{at}.id", resource_id_problem(tariff.id)
        yield f"{at}.currency", currency_problem(tariff.currency)
        yield f"{at}.unit_sec", None if tariff.unit_sec > 0 else "must be positive"
        yield f"{at}.price_micros", _micros_problem(tariff.price_micros)
        yield f"{at}.rounding", None if tariff.rounding in _ROUNDINGS else "is not known"
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


def _rounding(rounding: Rounding) -> pb.Tariff.Rounding.ValueType:
    return pb.Tariff.ROUNDING_EXACT if rounding is Rounding.EXACT else pb.Tariff.ROUNDING_STARTED_UNIT
