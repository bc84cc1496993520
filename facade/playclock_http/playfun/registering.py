"""The games calls that write: a game registered, and a game changed, with their pictures."""

import re
from collections.abc import Iterator
from typing import Final

from playclock.v1 import catalog_service_pb2, image_service_pb2
from playclock.v1 import developer_game_service_pb2 as pb
from playclock.v1.developer_game_service_pb2_grpc import DeveloperGameServiceStub
from playclock.v1.image_service_pb2_grpc import ImageServiceStub

from playclock_http.endpoint import Handler, Reply
from playclock_http.incoming import Incoming
from playclock_http.playfun.door import Door
from playclock_http.playfun.envelope import success
from playclock_http.playfun.game_fields import fields_of
from playclock_http.playfun.game_forms import UPLOAD_SEC, GameForms, Picture, Said
from playclock_http.playfun.registration_schemas import GameToRegister, GameUpdate
from playclock_http.playfun.showing import own_game, version_of
from playclock_http.refusal import bad_request
from playclock_http.upstream import Metadata, Upstream

_PIECE_BYTES: Final = 256 * 1024
_VERSION: Final = re.compile(rb'"([1-9][0-9]{0,17})"')


class Registering:
    """The handlers of the games calls that write.

    Who signed is asked before a body is read: the signature does not cover it. Pictures are kept first, under the hash of what
    they are, so a game that is refused afterwards leaves nothing half made; and a picture that comes again is the same one.
    """

    def __init__(self, upstream: Upstream, door: Door) -> None:
        self._games = DeveloperGameServiceStub(upstream.channel)
        self._images = ImageServiceStub(upstream.channel)
        self._deadline_sec = upstream.deadline_sec
        self._door = door
        self._forms = GameForms()

    def handlers(self) -> dict[str, dict[str, Handler]]:
        """Return the handlers by path and method."""
        return {
            "/games": {"POST": self.register},
            "/games/update/{id}": {"POST": self.update},
            "/games/{id}": {"POST": self.update},
        }

    async def register(self, incoming: Incoming) -> Reply:
        """Register a game, once for each signature."""
        metadata, developer_id = await self._door.proven(incoming)
        fields = await self._kept(await self._forms.read(incoming, developer_id, GameToRegister), metadata)
        answer = await self._games.RegisterGame(
            pb.RegisterGameRequest(fields=fields), timeout=self._deadline_sec, metadata=metadata
        )
        return _shown(answer.game)

    async def update(self, incoming: Incoming) -> Reply:
        """Change a game, once for each signature; with If-Match, only as long as it is as the caller knows it."""
        metadata, developer_id = await self._door.proven(incoming)
        revision = _revision(incoming)
        fields = await self._kept(await self._forms.read(incoming, developer_id, GameUpdate), metadata)
        answer = await self._games.UpdateRegisteredGame(
            pb.UpdateRegisteredGameRequest(game_id=incoming.path_parameters["id"], fields=fields, revision=revision),
            timeout=self._deadline_sec,
            metadata=metadata,
        )
        return _shown(answer.game)

    async def _kept(self, said: Said, metadata: Metadata) -> pb.GameFields:
        """Return the fields of a game whose pictures are kept. Raises AioRpcError (INVALID_IMAGE and others)."""
        fields = fields_of(said.game)
        if said.image is not None:
            fields.image_url = await self._put(said.image, metadata)
        if said.cover is not None:
            fields.cover_image_url = await self._put(said.cover, metadata)
        return fields

    async def _put(self, picture: Picture, metadata: Metadata) -> str:
        answer = await self._images.PutImage(_pieces(picture), timeout=max(UPLOAD_SEC, self._deadline_sec), metadata=metadata)
        url: str = answer.image.url
        return url


def _pieces(picture: Picture) -> Iterator[image_service_pb2.PutImageRequest]:
    is_data_uri = picture.is_data_uri
    encoding = image_service_pb2.IMAGE_ENCODING_DATA_URI if is_data_uri else image_service_pb2.IMAGE_ENCODING_UNSPECIFIED
    for start in range(0, len(picture.data), _PIECE_BYTES):
        yield image_service_pb2.PutImageRequest(chunk=picture.data[start : start + _PIECE_BYTES], encoding=encoding)


def _revision(incoming: Incoming) -> int:
    """Return the revision that If-Match names; 0 for any. Raises Refusal (BAD_REQUEST)."""
    named = incoming.header(b"if-match")
    if named is None or named.strip(b" \t") == b"*":
        return 0
    version = _VERSION.fullmatch(named.strip(b" \t"))
    if version is None:
        raise bad_request("If-Match: expected one ETag, as an answer has told it, or *")
    return int(version[1])


def _shown(game: catalog_service_pb2.Game) -> Reply:
    return success(own_game(game, with_tokens=False), [version_of(game)])
