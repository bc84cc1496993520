"""What can go wrong, one class per distinct thing that the caller must do.

An error carries its reason and data, never a status: `playclock.rpc.status` has the one table to gRPC, each dialect one to
its own codes. What a correct caller meets every day is no error but a value that the core returns.

    EngineError
    ├── BadRequest                 mend the request
    ├── Unauthenticated            mend the credentials
    │   ├── InvalidApiKey  InvalidSignature  InvalidPlayerToken  RequestExpired  RequestReplayed
    ├── PermissionDenied           ask somebody who may
    │   └── NotPcCafe  GameNotAvailable  OwnershipNotProven
    ├── NotFound                   stop asking for it
    │   ├── GameNotFound  LaunchNotFound  SessionNotFound  AccountNotFound  CafeNotFound  TransferNotFound  KeyNotFound
    │   ├── AgentNotFound  GameProviderNotFound  BetNotFound  RealmNotFound  ImageNotFound  MatchNotFound  PlayerNotFound
    │   ├── MatchTokenNotFound  DeliveryNotFound
    ├── WrongState                 stop: it is over
    │   ├── LaunchEnded  SessionEnded  SessionEnding  AlreadyEnded  AlreadyReversed  InsufficientCredit  TransferClosed
    │   ├── KeyInactive  NoWallet  AgentRefused  BetClosed  PointsExceeded  OutOfStep
    │   ├── WrongMatchState  MatchFull  TooFewPlayers  AlreadyJoined  MatchTokenExpired
    │   ├── WrongDeliveryState
    ├── GameChanged                read it again, and decide anew
    ├── RequestIdReused            use a new request id
    ├── TransferIdReused           use a new transfer id
    ├── TransactionIdReused        use a new transaction id
    ├── TooManyTransfers           post or void some first
    ├── TooManyKeys                revoke one first
    ├── TooManyImages              name fewer images in games
    ├── CursorExpired              list, then watch anew
    ├── RateLimited                call less often, and again after the time that it names
    ├── NoArchive                  ask a server that keeps one
    ├── InvalidImage               send another image
    ├── NoImages                   ask a server that keeps some
    └── TryAgain                   the same call, later
        ├── TooMuchContention  StoreAway  ArchiveAway  ImagesAway  AuthorityAway  AgentAway  BetPending  ShuttingDown
"""

from typing import ClassVar


class EngineError(Exception):
    """Something that the caller has to deal with. `metadata` goes to the caller, so it never holds a secret."""

    reason: ClassVar[str]

    def __init__(self, message: str, **metadata: object) -> None:
        super().__init__(message)
        self.message = message
        self.metadata = {name: str(value) for name, value in metadata.items() if value is not None}


class BadRequest(EngineError):
    """A field is missing, malformed or out of range. `violations` maps the field's path to what is wrong with it."""

    reason = "BAD_REQUEST"

    def __init__(self, violations: dict[str, str]) -> None:
        super().__init__("; ".join(f"{field}: {problem}" for field, problem in violations.items()))
        self.violations = violations


class Unauthenticated(EngineError):
    """The caller has not proved who it is."""


class InvalidApiKey(Unauthenticated):
    """No key or token, or one that is unknown or of an inactive game."""

    reason = "INVALID_API_KEY"


class InvalidSignature(Unauthenticated):
    """The signature is missing or wrong, or its launcher is unknown."""

    reason = "INVALID_SIGNATURE"


class InvalidPlayerToken(Unauthenticated):
    """A player's session token is missing, unknown, over or ended."""

    reason = "INVALID_PLAYER_TOKEN"


class RequestExpired(Unauthenticated):
    """The signed time is outside the window."""

    reason = "REQUEST_EXPIRED"


class RequestReplayed(Unauthenticated):
    """The nonce has been used before."""

    reason = "REQUEST_REPLAYED"


class PermissionDenied(EngineError):
    """The caller is known and may not do this."""

    reason = "PERMISSION_DENIED"


class NotPcCafe(PermissionDenied):
    """The caller's address belongs to no PC cafe."""

    reason = "NOT_PC_CAFE"


class GameNotAvailable(PermissionDenied):
    """The agent does not offer the game."""

    reason = "GAME_NOT_AVAILABLE"


class OwnershipNotProven(PermissionDenied):
    """The game's page does not say that the game is the claimer's."""

    reason = "OWNERSHIP_NOT_PROVEN"


class NotFound(EngineError):
    """There is no such thing, or it is somebody else's: the answer is the same."""


class GameNotFound(NotFound):
    """There is no such game."""

    reason = "GAME_NOT_FOUND"


class LaunchNotFound(NotFound):
    """There is no such launch of this launcher, or it fell silent."""

    reason = "LAUNCH_NOT_FOUND"


class SessionNotFound(NotFound):
    """There is no such session of this game and user, or it fell silent."""

    reason = "SESSION_NOT_FOUND"


class AccountNotFound(NotFound):
    """There is no such account."""

    reason = "ACCOUNT_NOT_FOUND"


class CafeNotFound(NotFound):
    """There is no such cafe."""

    reason = "CAFE_NOT_FOUND"


class TransferNotFound(NotFound):
    """There is no such transfer of the account, or it is none that can be taken back."""

    reason = "TRANSFER_NOT_FOUND"


class KeyNotFound(NotFound):
    """There is no such key."""

    reason = "KEY_NOT_FOUND"


class AgentNotFound(NotFound):
    """There is no such agent."""

    reason = "AGENT_NOT_FOUND"


class GameProviderNotFound(NotFound):
    """Nobody provides a demo of the game."""

    reason = "GAME_PROVIDER_NOT_FOUND"


class BetNotFound(NotFound):
    """There is no such bet of the session."""

    reason = "BET_NOT_FOUND"


class RealmNotFound(NotFound):
    """There is no such realm, or it has no clients."""

    reason = "REALM_NOT_FOUND"


class ImageNotFound(NotFound):
    """There is no such image."""

    reason = "IMAGE_NOT_FOUND"


class MatchNotFound(NotFound):
    """There is no such match, or it is of another client's game."""

    reason = "MATCH_NOT_FOUND"


class PlayerNotFound(NotFound):
    """There is no such player in the match."""

    reason = "PLAYER_NOT_FOUND"


class DeliveryNotFound(NotFound):
    """There is no such message to a game's server, or not any more."""

    reason = "DELIVERY_NOT_FOUND"


class MatchTokenNotFound(NotFound):
    """There is no such match token: it was made up, or is another client's game's, or its key has ended."""

    reason = "MATCH_TOKEN_NOT_FOUND"


class WrongState(EngineError):
    """It is over, or nearly."""


class LaunchEnded(WrongState):
    """The launch has ended."""

    reason = "LAUNCH_ENDED"


class SessionEnded(WrongState):
    """The session has ended and cannot be kept alive."""

    reason = "SESSION_ENDED"


class SessionEnding(WrongState):
    """The session is over for the player; the bill is still to be confirmed."""

    reason = "SESSION_ENDING"


class AlreadyEnded(WrongState):
    """The session had ended before. The metadata has the figures of its settlement."""

    reason = "ALREADY_ENDED"


class AlreadyReversed(WrongState):
    """The transfer has been taken back before."""

    reason = "ALREADY_REVERSED"


class InsufficientCredit(WrongState):
    """The account has less than that, or holds it for sessions that run and transfers that are pending."""

    reason = "INSUFFICIENT_CREDIT"


class TransferClosed(WrongState):
    """The transfer has been posted, or voided, or has expired. The metadata says which."""

    reason = "TRANSFER_CLOSED"


class GameChanged(EngineError):
    """The game is not at the revision any more that the caller knows. The metadata has its revision."""

    reason = "GAME_CHANGED"


class KeyInactive(WrongState):
    """The key has been revoked, or has expired. The metadata says which."""

    reason = "KEY_INACTIVE"


class NoWallet(WrongState):
    """The session is no agent's, or its agent keeps no money for it here: it has no callback URL, or no API token."""

    reason = "NO_WALLET"


class AgentRefused(WrongState):
    """The agent has refused what it was asked. The metadata has its own error."""

    reason = "AGENT_REFUSED"


class BetClosed(WrongState):
    """The bet cannot be taken back any more: its round was won since."""

    reason = "BET_CLOSED"


class PointsExceeded(WrongState):
    """A cap of the game on points or sessions would be exceeded. Nothing was saved. The metadata names cap and entry."""

    reason = "POINTS_EXCEEDED"


class WrongMatchState(WrongState):
    """The match is not where it would have to be for that. The metadata says where it is."""

    reason = "WRONG_MATCH_STATE"


class MatchFull(WrongState):
    """The match has as many players as it can have."""

    reason = "MATCH_FULL"


class TooFewPlayers(WrongState):
    """The match has too few players, or teams, to be started."""

    reason = "TOO_FEW_PLAYERS"


class AlreadyJoined(WrongState):
    """The user is in the match with another team or account, or is leaving it."""

    reason = "ALREADY_JOINED"


class WrongDeliveryState(WrongState):
    """The message to a game's server is not where it would have to be for that."""

    reason = "WRONG_DELIVERY_STATE"


class MatchTokenExpired(WrongState):
    """The match token's time is over."""

    reason = "MATCH_TOKEN_EXPIRED"


class NoArchive(EngineError):
    """This server keeps no archive."""

    reason = "NO_ARCHIVE"


class InvalidImage(EngineError):
    """The image cannot be kept. The message is for whoever has chosen it; the metadata names the problem."""

    reason = "INVALID_IMAGE"


class NoImages(EngineError):
    """This server keeps no images."""

    reason = "NO_IMAGES"


class RequestIdReused(EngineError):
    """The request id was used before with other contents."""

    reason = "REQUEST_ID_REUSED"


class TransferIdReused(EngineError):
    """The transfer id was used before with other contents."""

    reason = "TRANSFER_ID_REUSED"


class TransactionIdReused(EngineError):
    """The transaction id was used before, in this session, with other contents."""

    reason = "TRANSACTION_ID_REUSED"


class TooManyTransfers(EngineError):
    """As many transfers of the account are pending as can be."""

    reason = "TOO_MANY_TRANSFERS"


class RateLimited(EngineError):
    """The caller has no more of a limit left, until `retry_after_ms` from now. The metadata says of which."""

    reason = "RATE_LIMITED"

    def __init__(self, *, limit: str, quota: int, window_sec: int, retry_after_ms: int) -> None:
        super().__init__("too many requests, try again later", limit=limit, quota=quota, window_sec=window_sec)
        self.limit = limit
        self.retry_after_ms = retry_after_ms


class TooManyKeys(EngineError):
    """As many keys of the owner are alive as can be."""

    reason = "TOO_MANY_KEYS"


class OutOfStep(WrongState):
    """The report of a player's client is not the one after the last; the metadata has the last one's number."""

    reason = "OUT_OF_STEP"


class TooManyImages(EngineError):
    """As many images of the developer are kept as can be."""

    reason = "TOO_MANY_IMAGES"


class CursorExpired(EngineError):
    """Events after the cursor are no longer kept."""

    reason = "CURSOR_EXPIRED"


class TryAgain(EngineError):
    """Nothing is wrong with the call. The same call may succeed later."""

    retry_after_ms: int = 1_000


class TooMuchContention(TryAgain):
    """Others changed the same record again and again. Nothing was done."""

    reason = "TOO_MUCH_CONTENTION"
    retry_after_ms = 50


class StoreAway(TryAgain):
    """The store cannot be reached. Whether the call took effect is not known."""

    reason = "STORE_UNAVAILABLE"


class ArchiveAway(TryAgain):
    """The archive's database cannot be reached."""

    reason = "ARCHIVE_UNAVAILABLE"


class ImagesAway(TryAgain):
    """The place where images lie cannot be reached, or too many are on their way."""

    reason = "IMAGES_UNAVAILABLE"


class AuthorityAway(TryAgain):
    """The partner that pays does not answer, and the game's policy is to wait for it."""

    reason = "PROVIDER_UNAVAILABLE"


class AgentAway(TryAgain):
    """The agent's server does not answer. Nothing was done, and nothing was noted."""

    reason = "AGENT_UNAVAILABLE"

    def __init__(self, message: str, *, retry_after_ms: int = TryAgain.retry_after_ms, **metadata: object) -> None:
        super().__init__(message, **metadata)
        self.retry_after_ms = retry_after_ms


class BetPending(TryAgain):
    """The agent has not answered yet. What becomes of the bet, the same call will say."""

    reason = "BET_PENDING"


class ShuttingDown(TryAgain):
    """The server is stopping and ends its streams. Go on with the last cursor."""

    reason = "SHUTTING_DOWN"
