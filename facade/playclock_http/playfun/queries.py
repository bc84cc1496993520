"""Fields of the query, each with what is expected of it. What is not named is ignored."""

from collections.abc import Collection, Mapping

from playclock_http.refusal import bad_request

Query = Mapping[str, str]


def number(query: Query, name: str, default: int, *, low: int, high: int) -> int:
    """Return a whole number. Raises Refusal (BAD_REQUEST)."""
    text = query.get(name)
    if text is None:
        return default
    if text.isascii() and text.isdecimal() and len(text) <= len(str(high)) and low <= int(text) <= high:
        return int(text)
    raise bad_request(f"{name}: expected a whole number from {low} to {high}")


def flag(query: Query, name: str) -> bool:
    """Return whether a field is "true"; left out, it is "false". Raises Refusal (BAD_REQUEST)."""
    return choice(query, name, ("false", "true")) == "true"


def choice(query: Query, name: str, choices: Collection[str]) -> str:
    """Return one of the choices, the first where there is none. Raises Refusal (BAD_REQUEST)."""
    text = query.get(name)
    if text is None:
        return next(iter(choices))
    if text in choices:
        return text
    raise bad_request(f"{name}: expected {' or '.join(choices)}")


def text(query: Query, name: str, *, at_most: int, required: bool = False) -> str:
    """Return a text; one that is left out is empty. Raises Refusal (BAD_REQUEST)."""
    found = query.get(name, "")
    if len(found) > at_most or (required and not found):
        raise bad_request(f"{name}: expected {1 if required else 0} to {at_most} characters")
    return found
