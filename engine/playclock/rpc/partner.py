"""A partner's charge authority over gRPC: `playclock.provider.v1` as its client.

Within a call's deadline gRPC itself tries UNAVAILABLE again, as far as its retry budget goes (gRFC A6): a partner that is down
is not flooded by those who hope. Repeats are harmless, because all times are totals.
"""

import json
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import grpc
import grpc.aio
from google.protobuf.timestamp_pb2 import Timestamp

from playclock.core.estate import Provider
from playclock.core.fields import MICROS_MAX, NAME_MAX, currency_problem, resource_id_problem, text_problem
from playclock.engine.authority import Charged, Closed, PartnerCafe
from playclock.errors import AuthorityAway
from playclock.provider.v1.charge_provider_service_pb2 import (
    Charge,
    CloseChargeRequest,
    OpenChargeRequest,
    RenewChargeRequest,
    VerifyAddressRequest,
)
from playclock.provider.v1.charge_provider_service_pb2_grpc import ChargeProviderServiceStub
from playclock.rpc.messages import timestamp

GRANTED_MAX_MS: Final = 366 * 86_400_000
"""More than that is taken for that: no session lasts a year."""
MESSAGE_BYTES_MAX: Final = 64 << 10

_SERVICE_CONFIG: Final = {
    "methodConfig": [
        {
            "name": [{"service": "playclock.provider.v1.ChargeProviderService"}],
            "retryPolicy": {
                "maxAttempts": 3,
                "initialBackoff": "0.05s",
                "maxBackoff": "0.5s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
    "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
}
_OPTIONS: Final = (
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
    ("grpc.enable_retries", 1),
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    # A partner that comes back is noticed soon.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # Each partner its own connection: no other channel's state, nor its retry budget.
    ("grpc.use_local_subchannel_pool", 1),
)

_log = logging.getLogger(__name__)

T = TypeVar("T")


def connect(provider: Provider) -> "Partner":
    """Return a partner that will be connected to with the first call."""
    if provider.is_plaintext:
        channel = grpc.aio.insecure_channel(provider.target, options=_OPTIONS)
    else:
        channel = grpc.aio.secure_channel(provider.target, grpc.ssl_channel_credentials(), options=_OPTIONS)
    return Partner(provider, channel)


class Partner:
    """A `playclock.engine.authority.Authority` at the other end of a channel."""

    def __init__(self, provider: Provider, channel: grpc.aio.Channel) -> None:
        self._provider = provider
        self._channel = channel
        self._stub = ChargeProviderServiceStub(channel)
        self._metadata = (("authorization", f"Bearer {provider.token.decode()}"),)
        self._deadline_sec = provider.deadline_ms / 1000

    async def verify_address(self, address: str) -> PartnerCafe | None:
        """Ask whether an address belongs to a cafe. Raises AuthorityAway."""
        response = await self._call(self._stub.VerifyAddress, VerifyAddressRequest(address=address))
        if not response.is_pc_cafe:
            return None
        problem = resource_id_problem(response.cafe_id) or text_problem(response.cafe_name, NAME_MAX)
        if problem:
            raise self._faulty("VerifyAddress")
        return PartnerCafe(response.cafe_id, response.cafe_name)

    async def open(self, charged: Charged, *, wanted_ms: int) -> int:
        """Ask for the time of a session that is about to be opened. Raises AuthorityAway."""
        request = OpenChargeRequest(charge=_charge(charged), wanted_ms=wanted_ms)
        return self._granted("OpenCharge", (await self._call(self._stub.OpenCharge, request)).granted_ms)

    async def renew(self, charged: Charged, *, used_ms: int, wanted_ms: int) -> int:
        """Tell what was used and ask for more. Raises AuthorityAway."""
        request = RenewChargeRequest(charge=_charge(charged), used_ms=used_ms, wanted_ms=wanted_ms)
        return self._granted("RenewCharge", (await self._call(self._stub.RenewCharge, request)).granted_ms)

    async def close(self, charged: Charged, *, used_ms: int, ended_ms: int, end_reason: str) -> Closed:
        """Tell what was used in all. Raises AuthorityAway."""
        request = CloseChargeRequest(charge=_charge(charged), used_ms=used_ms, ended=timestamp(ended_ms), end_reason=end_reason)
        response = await self._call(self._stub.CloseCharge, request)
        is_told = not response.currency and not response.amount_micros
        if not 0 <= response.amount_micros <= MICROS_MAX or (not is_told and currency_problem(response.currency)):
            raise self._faulty("CloseCharge")
        return Closed(response.amount_micros, response.currency)

    async def shut(self) -> None:
        """Let go of the connection."""
        await self._channel.close()

    async def _call(self, method: Callable[..., Awaitable[T]], request: object) -> T:
        try:
            return await method(request, metadata=self._metadata, timeout=self._deadline_sec)
        except grpc.aio.AioRpcError as error:
            # What the partner wrote beside the code stays out: it is a stranger's text.
            raise self._away(error.code().name) from error

    def _granted(self, method: str, granted_ms: int) -> int:
        if granted_ms < 0:
            raise self._faulty(method)
        return min(granted_ms, GRANTED_MAX_MS)

    def _faulty(self, method: str) -> AuthorityAway:
        """Return the error for an answer that the protocol does not know. Believing it would bill somebody for it."""
        _log.error(
            "a provider's answer breaks the protocol", extra={"fields": {"provider": self._provider.id, "method": method}}
        )
        return self._away("a faulty answer")

    def _away(self, cause: str) -> AuthorityAway:
        return AuthorityAway(f"the provider does not answer: {cause}", provider_id=self._provider.id)


def _charge(charged: Charged) -> Charge:
    started: Timestamp | None = None if charged.started_ms is None else timestamp(charged.started_ms)
    return Charge(
        charge_id=charged.charge_id,
        cafe_id=charged.cafe_id,
        pc_id=charged.pc_id,
        game_id=charged.game_id,
        provider_user_id=charged.provider_user_id,
        game_session_id=charged.session_id,
        started=started,
    )
