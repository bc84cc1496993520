"""Sends games' servers what they have to be told of matches: signed, once, to where their clients are described to be."""

import logging
from collections.abc import Mapping
from typing import Final, Literal, Protocol

from playclock.core.codec import encode
from playclock.core.delivery import Delivery, DeliveryRules, Method, Tried, Verdict
from playclock.core.delivery_answers import GONE, read_answer
from playclock.core.estate import MatchClient
from playclock.core.ids import silenced_key
from playclock.core.records import Silenced
from playclock.core.signing import Scheme
from playclock.engine.callbacks import NotPosted, Posted
from playclock.engine.context import Context
from playclock.engine.openid import OpenId
from playclock.engine.records import SILENCED
from playclock.engine.signatures import Signatures
from playclock.errors import BadRequest
from playclock.stores.base import Commit, Put

NO_CLIENT: Final = "NO_CLIENT"
"""Why a message was not sent: the estate has no such client any more, or it has no URL."""
NO_KEY: Final = "NO_KEY"
"""Why a message was not sent: the client has no key to sign with."""
SILENCED_ERROR: Final = "SILENCED"
"""Why a message was not sent: its receiver has said that it wants nothing more."""
BUSY: Final = "BUSY"

_log = logging.getLogger(__name__)


class Send(Protocol):
    """Sends a body to a URL, once."""

    async def __call__(self, method: Literal["PUT", "DELETE"], url: str, headers: Mapping[str, str], body: bytes) -> Posted:
        """Return the answer, whatever its status. Raises NotPosted."""


class Sender:
    """Makes the tries."""

    def __init__(
        self, context: Context, openid: OpenId, signatures: Signatures, send: Send | None, rules: DeliveryRules
    ) -> None:
        self._context = context
        self._openid = openid
        self._signatures = signatures
        self._send = send
        self.rules: Final = rules

    @property
    def is_able(self) -> bool:
        """Whether this process can send anything."""
        return self._send is not None

    def client(self, client_id: str) -> MatchClient | None:
        """Return a match client of the estate."""
        return self._context.estate.match_clients.get(client_id)

    async def send(self, delivery: Delivery) -> Tried:
        """Send a message, and return what came of it. Raises StoreAway, and then nothing was sent."""
        client = self.client(delivery.client_id)
        if client is None or not client.match_info_url:
            return Tried(verdict=Verdict.GONE, error=NO_CLIENT, is_sent=False)
        key = silenced_key(client.id, client.match_info_url)
        ((version, silenced),) = await self._context.records.load([key], fresh=True)
        if silenced is not None and SILENCED.checked(silenced).since_ms:
            return Tried(verdict=Verdict.GONE, error=SILENCED_ERROR, is_sent=False)
        try:
            signed = self._signatures.sign(Scheme.STANDARD_WEBHOOKS, client.id, body=delivery.body, message_id=delivery.id)
        except BadRequest:
            return Tried(verdict=Verdict.FAILED, error=NO_KEY, is_sent=False)
        token = await self._openid.push_token(client.id)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}", **signed.headers}
        outcome = await self._sent(delivery, client.match_info_url, headers)
        if outcome.status == GONE and outcome.verdict is Verdict.GONE:
            # Before anything else is noted: whoever repeats this try after a crash finds it.
            await self._silence(key, version, client.id)
        return outcome

    async def _sent(self, delivery: Delivery, url: str, headers: Mapping[str, str]) -> Tried:
        assert self._send is not None
        try:
            method: Literal["PUT", "DELETE"] = "PUT" if delivery.method is Method.PUT else "DELETE"
            posted = await self._send(method, url, headers, delivery.body)
        except NotPosted as error:
            verdict = Verdict.BUSY if error.reason == BUSY else Verdict.FAILED
            return Tried(verdict=verdict, error=error.reason, is_sent=error.is_sent)
        return read_answer(delivery.method, posted.status, posted.headers, now_ms=self._context.clock.now_ms())

    async def _silence(self, key: str, version: int, client_id: str) -> None:
        put = Put(key=key, expect=version, data=encode(Silenced(self._context.clock.now_ms())))
        # Who meets a conflict was told the same by somebody else.
        await self._context.records.commit([Commit(partition=int(key[:2], 16), puts=(put,))])
        fields = {"client": client_id}
        _log.error("a game's server wants to hear of no match any more; its matches are aborted", extra={"fields": fields})
