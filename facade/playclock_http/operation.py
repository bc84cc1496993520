"""A call of a dialect as data: what goes in and what may come out. The OpenAPI document is made of these."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec


@dataclass(frozen=True, slots=True)
class Parameter:
    """A header or a field of the query. Its schema is a JSON Schema."""

    name: str
    place: str
    description: str
    schema: Mapping[str, Any]
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one HTTP status means, the bodies that it may have (Structs; none where it has no content), and examples by name.

    `links` are OpenAPI's, by name: which calls take what this answer hands out.
    """

    description: str
    bodies: Sequence[Any]
    examples: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path. `security` names the schemes that are needed together.

    `files` are the fields of the body that are files where it is a form; without any it is JSON alone.
    """

    method: str
    path: str
    name: str
    tag: str
    summary: str
    description: str
    body: type[msgspec.Struct] | None = None
    body_required: bool = True
    body_example: Mapping[str, Any] | None = None
    files: Sequence[str] = ()
    parameters: Sequence[Parameter] = ()
    security: Sequence[str] = ()
    answers: Mapping[int, Answer]
