"""ProvisioningService: messages to resources and back."""

from collections.abc import Iterable, Iterator
from typing import Final

from playclock.core import estate as core
from playclock.core.catalog import FAILURE_LIMIT_MS, Game
from playclock.core.estate import Resource, hash_key, parse_network
from playclock.core.gamelist import Query, Sort
from playclock.core.grants import FailurePolicy
from playclock.core.tariff import BillOnSilence, PriceWindow, Rounding, Tariff, minute_of, time_of
from playclock.engine import Engine
from playclock.errors import BadRequest
from playclock.rpc.call import Call
from playclock.rpc.fields import check
from playclock.rpc.game_pages import count_problem, page_token, place_in
from playclock.rpc.provisioning_checks import problems
from playclock.v1 import provisioning_service_pb2 as pb

GAMES_MAX: Final = 400
"""So many games fit into a message whatever they hold, with room for all else."""

_GAMES: Final = Query(sort=Sort.NUMBER, with_hidden=True)
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
FAILURE_POLICIES = {
    pb.ProvisionedGame.PROVIDER_FAILURE_UNSPECIFIED: FailurePolicy.DENY,
    pb.ProvisionedGame.PROVIDER_FAILURE_DENY: FailurePolicy.DENY,
    pb.ProvisionedGame.PROVIDER_FAILURE_ALLOW: FailurePolicy.ALLOW,
    pb.ProvisionedGame.PROVIDER_FAILURE_ALLOW_THEN_RECONCILE: FailurePolicy.ALLOW_THEN_RECONCILE,
}
_PUSH_RETRIES = {False: pb.MatchClient.PUSH_RETRIES_NONE, True: pb.MatchClient.PUSH_RETRIES_STANDARD}
FAILURE_POLICY_MESSAGES = {policy: value for value, policy in FAILURE_POLICIES.items()}


class ProvisioningServicer:
    """Translates for operators."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def ApplyProvisioning(self, request: pb.ApplyProvisioningRequest, call: Call) -> pb.ApplyProvisioningResponse:
        """Create and update resources."""
        found = dict(problems(request.provisioning))
        if found:
            raise BadRequest(found)
        changes = await self._engine.estate.apply(
            list(_resources(request.provisioning)), validate_only=request.validate_only, caller=call.caller
        )
        inactive = [f"{credential.owner}: {credential.id}" for credential in changes.inactive]
        return pb.ApplyProvisioningResponse(
            revision=changes.revision, created=changes.created, updated=changes.updated, inactive_keys=inactive
        )

    async def GetProvisioning(self, request: pb.GetProvisioningRequest, call: Call) -> pb.GetProvisioningResponse:  # noqa: ARG002
        """Show the estate without its secrets."""
        check(page_size=count_problem(request.page_size))
        estate, after = self._engine.context.estate, place_in(request.page_token, _GAMES)
        limit = min(request.page_size or GAMES_MAX, GAMES_MAX)
        page = self._engine.context.catalog.page(_GAMES, limit=limit, after=after)
        resources = estate.resources.values() if after is None else ()
        return pb.GetProvisioningResponse(
            provisioning=_message(page.games, resources),
            revision=estate.revision,
            next_page_token=page_token(_GAMES, page.last),
        )


def _resources(provisioning: pb.Provisioning) -> Iterator[Resource]:
    for game in provisioning.games:
        yield Game(
            id=game.id,
            number=game.number,
            name=game.name,
            brand=game.brand,
            image_url=game.image_url,
            play_url=game.play_url,
            demo_url=game.demo_url,
            api_key_hashes=tuple(hash_key(key) for key in game.api_keys),
            failure_policy=FAILURE_POLICIES[game.on_provider_failure],
            failure_limit_ms=game.provider_failure_limit_sec * 1000 or FAILURE_LIMIT_MS,
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
        yield core.AccountPlan(
            id=account.id,
            currency=account.currency,
            opening_balance_micros=account.opening_balance_micros,
            debt_limit_micros=account.debt_limit_micros,
        )
    for cafe in provisioning.cafes:
        yield core.Cafe(
            id=cafe.id,
            name=cafe.name,
            networks=tuple(str(parse_network(network)) for network in cafe.networks),
            account_id=cafe.account or None,
            tariff_id=cafe.tariff or None,
            provider_id=cafe.provider or None,
        )
    for provider in provisioning.providers:
        yield core.Provider(
            id=provider.id,
            target=provider.target,
            token=provider.token.encode(),
            is_plaintext=provider.plaintext,
            verifies_addresses=provider.verify_addresses,
            deadline_ms=provider.deadline_ms or core.DEADLINE_MS,
            reserve_ms=provider.reserve_sec * 1000,
        )
    yield from _callers(provisioning)


def _callers(provisioning: pb.Provisioning) -> Iterator[Resource]:
    for launcher in provisioning.launchers:
        yield core.Launcher(id=launcher.id, secrets=(launcher.secret.encode(),))
    for agent in provisioning.agents:
        tokens = (agent.api_token.encode(),) if agent.api_token else ()
        yield core.Agent(
            id=agent.id, name=agent.name, secrets=tokens, games=tuple(agent.games), callback_url=agent.callback_url
        )
    for developer in provisioning.developers:
        yield core.Developer(id=developer.id, secrets=(developer.secret.encode(),))
    for client in provisioning.match_clients:
        yield core.MatchClient(
            id=client.client_id,
            secrets=(client.client_secret.encode(),),
            game_id=client.game,
            match_info_url=client.match_info_url,
            launch_url=client.launch_url,
            retries_pushes=client.push_retries == pb.MatchClient.PUSH_RETRIES_STANDARD,
        )
    for service in provisioning.services:
        yield core.Service(
            id=service.id,
            token_hashes=tuple(hash_key(token) for token in service.tokens),
            certificates=tuple(service.certificates),
            allow=tuple(service.allow),
        )


def _window(window: pb.PriceWindow) -> PriceWindow:
    from_minute, until_minute = minute_of(window.from_time), minute_of(window.until_time)
    assert from_minute is not None
    assert until_minute is not None
    return PriceWindow(from_minute, until_minute, window.price_micros, tuple(window.weekdays))


def _message(games: Iterable[Game], resources: Iterable[Resource]) -> pb.Provisioning:
    message = pb.Provisioning()
    for game in games:
        message.games.add(
            id=game.id,
            number=game.number,
            name=game.name,
            brand=game.brand,
            image_url=game.image_url,
            play_url=game.play_url,
            demo_url=game.demo_url,
            on_provider_failure=FAILURE_POLICY_MESSAGES[game.failure_policy],
            provider_failure_limit_sec=game.failure_limit_ms // 1000,
        )
    for resource in resources:
        match resource:
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
                    id=resource.id,
                    currency=resource.currency,
                    opening_balance_micros=resource.opening_balance_micros,
                    debt_limit_micros=resource.debt_limit_micros,
                )
            case core.Cafe():
                message.cafes.add(
                    id=resource.id,
                    name=resource.name,
                    networks=resource.networks,
                    account=resource.account_id or "",
                    tariff=resource.tariff_id or "",
                    provider=resource.provider_id or "",
                )
            case core.Provider():
                message.providers.add(
                    id=resource.id,
                    target=resource.target,
                    plaintext=resource.is_plaintext,
                    verify_addresses=resource.verifies_addresses,
                    deadline_ms=resource.deadline_ms,
                    reserve_sec=resource.reserve_ms // 1000,
                )
            case _:
                _show_caller(message, resource)
    return message


def _show_caller(message: pb.Provisioning, resource: Resource) -> None:
    match resource:
        case core.Launcher():
            message.launchers.add(id=resource.id)
        case core.Agent():
            message.agents.add(id=resource.id, name=resource.name, games=resource.games, callback_url=resource.callback_url)
        case core.Developer():
            message.developers.add(id=resource.id)
        case core.Service():
            message.services.add(id=resource.id, certificates=resource.certificates, allow=resource.allow)
        case core.MatchClient():
            message.match_clients.add(
                client_id=resource.id,
                game=resource.game_id,
                match_info_url=resource.match_info_url,
                launch_url=resource.launch_url,
                push_retries=_PUSH_RETRIES[resource.retries_pushes],
            )


def _window_message(window: PriceWindow) -> pb.PriceWindow:
    return pb.PriceWindow(
        from_time=time_of(window.from_minute),
        until_time=time_of(window.until_minute),
        price_micros=window.price_micros,
        weekdays=window.weekdays,
    )


def _rounding(rounding: Rounding) -> pb.Tariff.Rounding.ValueType:
    return pb.Tariff.ROUNDING_EXACT if rounding is Rounding.EXACT else pb.Tariff.ROUNDING_STARTED_UNIT
