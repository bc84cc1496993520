"""Turns a JSON object into a declared Struct, and says which fields are wrong where that fails.

Each field's type ends with a `msgspec.Meta` whose `extra["expected"]` says in words what is expected of it.
"""

from functools import cache
from typing import Any, NamedTuple, TypeVar, get_args, get_origin

import msgspec

from playclock_http.refusal import Refusal, bad_request

StructT = TypeVar("StructT", bound=msgspec.Struct)


def convert(document: dict[str, object], declared: type[StructT], *, strict: bool = True) -> StructT:
    """Return the document as the declared Struct; fields that are not declared are ignored.

    Where it is not `strict`, numbers and truth values may be texts, as those of a form are.
    Raises Refusal (BAD_REQUEST), which names every wrong field and never echoes a value.
    """
    try:
        return msgspec.convert(document, declared, strict=strict)
    except msgspec.ValidationError as error:
        raise _explain(document, declared, error, strict=strict) from None


class _Field(NamedTuple):
    name: str
    kind: Any
    required: bool
    expected: str
    entry: type[msgspec.Struct] | None
    """Of what objects it is a list, if it is one."""


@cache
def _fields(declared: type[msgspec.Struct]) -> tuple[_Field, ...]:
    return tuple(
        _Field(field.encode_name, field.type, field.required, get_args(field.type)[-1].extra["expected"], _entry(field.type))
        for field in msgspec.structs.fields(declared)
    )


def _entry(declared: Any) -> type[msgspec.Struct] | None:  # noqa: ANN401 - a type
    kind = get_args(declared)[0]
    entry = get_args(kind)[0] if get_origin(kind) is list else None
    return entry if isinstance(entry, type) and issubclass(entry, msgspec.Struct) else None


def _explain(
    document: dict[str, object], declared: type[msgspec.Struct], error: msgspec.ValidationError, *, strict: bool
) -> Refusal:
    problems = [_problem(document, field, strict=strict) for field in _wrong(document, declared, strict=strict)]
    # Where every field fits its type, the Struct's own __post_init__ refused, with a sentence of that form.
    return bad_request("; ".join(problems) or str(error.__cause__))


def _wrong(document: dict[str, object], declared: type[msgspec.Struct], *, strict: bool) -> list[_Field]:
    return [field for field in _fields(declared) if not _fits(document, field, strict=strict)]


def _problem(document: dict[str, object], field: _Field, *, strict: bool) -> str:
    """Say what is wrong with a field: in a list of objects, with the first of them in which something is."""
    entries = document.get(field.name)
    if field.entry is not None and isinstance(entries, list):
        for index, entry in enumerate(entries):
            wrong = _wrong(entry, field.entry, strict=strict) if isinstance(entry, dict) else ()
            if wrong:
                return f"{field.name}[{index}].{wrong[0].name}: expected {wrong[0].expected}"
    return f"{field.name}: expected {field.expected}"


def _fits(document: dict[str, object], field: _Field, *, strict: bool) -> bool:
    if field.name not in document:
        return not field.required
    try:
        msgspec.convert(document[field.name], field.kind, strict=strict)
    except msgspec.ValidationError:
        return False
    return True
