"""The play.fun dialect as data, for its OpenAPI document: every call, what it takes and everything that it may answer."""

from typing import Final

from playclock_http.operation import Answer, Operation, Parameter
from playclock_http.playfun import user_schemas
from playclock_http.playfun.answers import SIGNED, answers
from playclock_http.playfun.envelope import PlayfunError
from playclock_http.playfun.game_operations import OPERATIONS as GAME_OPERATIONS
from playclock_http.playfun.ids import UUID
from playclock_http.playfun.owning_operations import OPERATIONS as OWNING_OPERATIONS
from playclock_http.playfun.playing_operations import OPERATIONS as PLAYING_OPERATIONS
from playclock_http.playfun.point_operations import OPERATIONS as POINT_OPERATIONS
from playclock_http.playfun.registering_operations import OPERATIONS as REGISTERING_OPERATIONS

SCHEMES: Final = {
    "DeveloperSignature": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "HMAC-SHA256 apiKey=…, signature=…, timestamp=… with commas or spaces between. The signature is the "
        "lower-case hex of HMAC-SHA256(secret key, METHOD\\nPATH\\nTIMESTAMP), method and path in lower case, the path without "
        "the query, the timestamp in Unix milliseconds or seconds.",
    },
    "PlayerToken": {
        "type": "http",
        "scheme": "bearer",
        "description": "A player's session token, player_…, of a session that goes on.",
    },
}
USER_OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/user/hmac-signature",
        name="signRequest",
        tag="User",
        summary="Generate an HMAC signature",
        description="For clients that cannot sign. Better sign locally: the secret then stays where it is, "
        "and a call is one request.",
        body=user_schemas.SignatureOrder,
        body_example={
            "secretKey": "your-secret-key",
            "method": "POST",
            "path": "/games",
            "apiKey": "550e8400-e29b-41d4-a716-446655440000",
        },
        answers=answers(
            user_schemas.SignatureAnswer,
            {"data": {"signature": "HMAC-SHA256 apiKey=your-api-key signature=abc123... timestamp=1234567890"}},
            body=True,
        ),
    ),
    Operation(
        method="GET",
        path="/user/me",
        name="getMe",
        tag="User",
        summary="Get the caller",
        description="Who signed this request.",
        security=SIGNED,
        answers=answers(user_schemas.User, {"id": "550e8400-e29b-41d4-a716-446655440000"}),
    ),
    Operation(
        method="GET",
        path="/user/{id}",
        name="getUser",
        tag="User",
        summary="Get a user by the id, as the server SDK asks",
        description="Who signed this request; of others nothing is told.",
        parameters=(Parameter("id", "path", "Id of the user.", {"type": "string", "pattern": UUID}, required=True),),
        security=SIGNED,
        answers={
            **answers(user_schemas.User, {"id": "550e8400-e29b-41d4-a716-446655440000"}),
            404: Answer(description="It is not the caller.", bodies=(PlayfunError,)),
        },
    ),
)

OPERATIONS: Final = (
    *(*USER_OPERATIONS, *GAME_OPERATIONS, *REGISTERING_OPERATIONS, *OWNING_OPERATIONS),
    *(*POINT_OPERATIONS, *PLAYING_OPERATIONS),
)
