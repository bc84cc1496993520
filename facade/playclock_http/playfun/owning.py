"""The games calls of owners: showing and hiding a game, and claiming one."""

from playclock.v1 import developer_game_service_pb2 as pb
from playclock.v1.developer_game_service_pb2_grpc import DeveloperGameServiceStub

from playclock_http.endpoint import Handler, Reply
from playclock_http.incoming import Incoming
from playclock_http.playfun import game_schemas as schemas
from playclock_http.playfun.door import Door
from playclock_http.playfun.envelope import success
from playclock_http.playfun.showing import iso_time, version_of
from playclock_http.upstream import Upstream


class Owning:
    """The handlers of the games calls of owners. They have no body; one that comes is thrown away."""

    def __init__(self, upstream: Upstream, door: Door) -> None:
        self._games = DeveloperGameServiceStub(upstream.channel)
        self._deadline_sec = upstream.deadline_sec
        self._door = door

    def handlers(self) -> dict[str, dict[str, Handler]]:
        """Return the handlers by path and method."""
        return {
            "/games/toggle-visibility/{id}": {"POST": self.toggle},
            "/games/claim-ownership/{id}": {"POST": self.claim},
            "/games/claim-ownership/{id}/challenge": {"POST": self.challenge},
        }

    async def toggle(self, incoming: Incoming) -> Reply:
        """Hide a game that is shown, and show one that is hidden, once for each signature."""
        metadata = await self._door.developer(incoming)
        answer = await self._games.ToggleVisibility(
            pb.ToggleVisibilityRequest(game_id=incoming.path_parameters["id"]), timeout=self._deadline_sec, metadata=metadata
        )
        game = schemas.Visibility(answer.game.id, answer.game.name, answer.game.hidden)
        told = schemas.VisibilityToggled(success=True, message="Game visibility toggled successfully", game=game)
        return success(told, [version_of(answer.game)])

    async def claim(self, incoming: Incoming) -> Reply:
        """Make whoever signed the owner of a game whose page names him."""
        metadata = await self._door.developer(incoming)
        answer = await self._games.ClaimOwnership(
            pb.ClaimOwnershipRequest(game_id=incoming.path_parameters["id"]), timeout=self._deadline_sec, metadata=metadata
        )
        game = schemas.Ownership(answer.game.id, answer.game.owner_id, answer.game.ownership_validated)
        told = schemas.OwnershipClaimed(success=True, message="Game ownership claimed successfully", game=game)
        return success(told, [version_of(answer.game)])

    async def challenge(self, incoming: Incoming) -> Reply:
        """Tell a value that proves a claim, instead of the API key."""
        metadata = await self._door.developer(incoming)
        answer = await self._games.BeginClaim(
            pb.BeginClaimRequest(game_id=incoming.path_parameters["id"]), timeout=self._deadline_sec, metadata=metadata
        )
        tag = f'<meta name="x-ogp-key" content="{answer.challenge}" />'
        return success(schemas.Challenge(answer.challenge, tag, iso_time(answer.expire_time)))
