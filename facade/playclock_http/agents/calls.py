"""The agent calls: links, demo links and the list of games, authenticated by a signature over the body."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Final, TypeVar

import grpc
import grpc.aio
from playclock.v1 import auth_service_pb2, game_link_service_pb2, game_link_service_pb2_grpc

from playclock_http import fields
from playclock_http.address import TrustedProxies
from playclock_http.agents.envelope import around, success
from playclock_http.agents.game_lists import GameLists, Listing
from playclock_http.agents.schemas import DemoLinkOrder, GameLinkOrder, Link, ListOrder
from playclock_http.callers import Callers
from playclock_http.endpoint import Reply
from playclock_http.incoming import Incoming
from playclock_http.negotiation import has_version, takes_gzip
from playclock_http.refusal import Refusal, bad_request
from playclock_http.upstream import Metadata, Upstream

MAX_BODY_BYTES: Final = 7 * 1024
"""How long a body may be. It travels to the engine as credentials, in metadata, which hold 8 KiB; the longest that a body with
every field at its limit is written in by common libraries is shorter."""

_SIGNATURE: Final = re.compile(rb"[0-9a-f]{64}")
_NOBODYS_SIGNATURE: Final = b"0" * 64
_CONTENT_TYPE: Final = re.compile(rb'application/json[ \t]*(?:;[ \t]*charset="?utf-8"?[ \t]*)?', re.IGNORECASE)

OrderT = TypeVar("OrderT", GameLinkOrder, DemoLinkOrder, ListOrder)


class AgentCalls:
    """The handlers of the agent calls."""

    def __init__(self, upstream: Upstream, proxies: TrustedProxies, now: Callable[[], datetime]) -> None:
        links = game_link_service_pb2_grpc.GameLinkServiceStub(upstream.channel)
        self._create_game_link = links.CreateGameLink
        self._create_demo_link = links.CreateDemoLink
        self._list_agent_games = links.ListAgentGames
        self._callers = Callers(upstream)
        self._deadline_sec = upstream.deadline_sec
        self._upstream = upstream
        self._proxies = proxies
        self._lists = GameLists()
        self._now = now

    async def game_link(self, incoming: Incoming) -> Reply:
        """Make a link that launches a game."""
        body, metadata = await self._receive(incoming, GameLinkOrder)
        answer = await self._create_game_link(
            game_link_service_pb2.CreateGameLinkRequest(
                agent_id=body.agent_id,
                game_number=body.game_id,
                player=_player(body),
                agent_session_id=body.agent_session_id,
            ),
            timeout=self._deadline_sec,
            metadata=metadata,
        )
        return success(self._now(), incoming.request_id, Link(answer.url))

    async def demo_link(self, incoming: Incoming) -> Reply:
        """Make a link that launches a game's demo."""
        body, metadata = await self._receive(incoming, DemoLinkOrder)
        answer = await self._create_demo_link(
            game_link_service_pb2.CreateDemoLinkRequest(agent_id=body.agent_id, game_number=body.game_id, player=_player(body)),
            timeout=self._deadline_sec,
            metadata=metadata,
        )
        return success(self._now(), incoming.request_id, Link(answer.url))

    async def games(self, incoming: Incoming) -> Reply:
        """List the agent's games, or say that the caller's version is still right (304)."""
        body, metadata = await self._receive(incoming, ListOrder)
        known = self._lists.newest(body.agent_id)
        answer = await self._list_agent_games(
            game_link_service_pb2.ListAgentGamesRequest(
                agent_id=body.agent_id, if_none_match="" if known is None else known.etag
            ),
            timeout=self._deadline_sec,
            metadata=metadata,
        )
        if known is None or not answer.not_modified:
            known = await self._lists.make(body.agent_id, answer)
        return self._listed(incoming, f"{body.agent_id}.{known.etag}", known)

    def _listed(self, incoming: Incoming, version: str, listing: Listing) -> Reply:
        # Weak: the same games, in an envelope that is another each time, and in any coding.
        etag = f'W/"{version}"'.encode()
        headers: tuple[tuple[bytes, bytes], ...] = ((b"etag", etag), (b"vary", b"accept-encoding"))
        cache_control = b"private, no-cache"
        if has_version(incoming.every(b"if-none-match"), etag):
            return Reply(304, b"", headers, cache_control)
        before, after = around(self._now(), incoming.request_id)
        if takes_gzip(incoming.every(b"accept-encoding")):
            return Reply(200, listing.gzipped(before, after), (*headers, (b"content-encoding", b"gzip")), cache_control)
        return Reply(200, b"".join((before, listing.content, after)), headers, cache_control)

    async def _receive(self, incoming: Incoming, declared: type[OrderT]) -> tuple[OrderT, Metadata]:
        """Return the body and the metadata by which the engine learns who signed it.

        Raises Refusal, and AioRpcError where something is wrong that counts before what is wrong with the body.
        """
        signatures = incoming.every(b"x-signature")
        if not any(signatures):
            message = "the header X-Signature is missing"
            raise Refusal("SIGNATURE_REQUIRED", message, status=grpc.StatusCode.UNAUTHENTICATED)
        raw = await incoming.body(at_most=MAX_BODY_BYTES)
        metadata = self._credentials(incoming, raw, signatures)
        try:
            _check_content_type(incoming)
            document = incoming.document(raw)
        except Refusal as refusal:
            raise await self._callers.may_hear(refusal, metadata) from None
        try:
            return fields.convert(document, declared), metadata
        except Refusal as refusal:
            raise await self._after_the_signature(refusal, metadata) from None

    async def _after_the_signature(self, refusal: Refusal, metadata: Metadata) -> Refusal:
        """Return the refusal of fields, unless the signature is no good. Raises AioRpcError.

        Where the engine cannot tell who signed, because of those very fields, the refusal names more of them than it would.
        """
        try:
            return await self._callers.may_hear(refusal, metadata)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.INVALID_ARGUMENT:
                return refusal
            raise

    def _credentials(self, incoming: Incoming, body: bytes, signatures: list[bytes]) -> Metadata:
        # What cannot be a signature is handed on as one that fits nothing: the engine says whether something else counts first.
        signature = signatures[0] if len(signatures) == 1 and _SIGNATURE.fullmatch(signatures[0]) else _NOBODYS_SIGNATURE
        signed = auth_service_pb2.SignedHttpRequest(
            scheme=auth_service_pb2.SIGNATURE_SCHEME_AGENT,
            http_method=incoming.method,
            headers=[auth_service_pb2.HttpHeader(name="X-Signature", value=signature.decode("ascii"))],
            body=body,
        )
        return (
            ("x-signed-request-bin", signed.SerializeToString()),
            ("x-request-id", incoming.request_id),
            *self._upstream.authorization,
            *self._upstream.handing_on(self._proxies.caller(incoming.peer, incoming.forwarded)),
        )


def _check_content_type(incoming: Incoming) -> None:
    if not _CONTENT_TYPE.fullmatch(incoming.header(b"content-type") or b""):
        raise bad_request("Content-Type: expected application/json")


def _player(body: GameLinkOrder | DemoLinkOrder) -> game_link_service_pb2.PlayerContext:
    return game_link_service_pb2.PlayerContext(
        player_id=body.player_id,
        player_username=body.player_username,
        language=body.language,
        currency=body.currency,
        home_url=body.home_url,
        ip=body.ip,
    )
