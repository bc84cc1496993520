"""The bodies of the user calls. Requests are checked by these declarations, answers written and documented by them."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

_SECRET_MAX: Final = 1024
_END: Final = r"$(?!\n)"
"""The end alone: Python's `$` also matches before a final line feed."""


_Secret = Annotated[str, Meta(min_length=1, max_length=_SECRET_MAX)]


def _secret(description: str) -> Meta:
    expected = f"a string of 1 to {_SECRET_MAX} characters"
    return Meta(description=description, examples=["your-secret-key"], extra={"expected": expected})


class SignatureOrder(msgspec.Struct, frozen=True, rename="camel"):
    """What is to be signed, and with what. The secret is in `secretKey`, or in `apiSecret` where there is none."""

    method: Annotated[
        str,
        Meta(
            description="The request's method.",
            examples=["POST"],
            pattern=f"^[A-Za-z]{{1,16}}{_END}",
            extra={"expected": "an HTTP method: 1 to 16 letters"},
        ),
    ]
    path: Annotated[
        str,
        Meta(
            description="The request's path, without the query.",
            examples=["/games"],
            max_length=2048,
            pattern=rf"^/[\x21\x22\x24-\x3e\x40-\x7e]*{_END}",
            extra={"expected": "visible ASCII of at most 2048 characters, from '/' on, without query and fragment"},
        ),
    ]
    api_key: Annotated[
        str,
        Meta(
            description="The API key: the developer's id.",
            examples=["550e8400-e29b-41d4-a716-446655440000"],
            min_length=1,
            max_length=64,
            extra={"expected": "a string of 1 to 64 characters"},
        ),
    ]
    secret_key: Annotated[_Secret | None, _secret("The secret that belongs to the key.")] = None
    api_secret: Annotated[_Secret | None, _secret("Another name of secretKey.")] = None

    def __post_init__(self) -> None:
        """Check that there is a secret. Raises ValueError."""
        if self.secret_key is None and self.api_secret is None:
            raise ValueError("secretKey: is required")

    @property
    def secret(self) -> str:
        """The secret."""
        return self.secret_key or self.api_secret or ""


class Signed(msgspec.Struct, frozen=True):
    """A signature."""

    signature: Annotated[
        str,
        Meta(
            description="The value of the header Authorization.",
            examples=["HMAC-SHA256 apiKey=your-api-key signature=abc123... timestamp=1234567890"],
        ),
    ]


class SignatureAnswer(msgspec.Struct, frozen=True):
    """The signature that was asked for."""

    data: Signed


class User(msgspec.Struct, frozen=True):
    """A developer."""

    id: Annotated[str, Meta(description="The user's id.", examples=["550e8400-e29b-41d4-a716-446655440000"])]
