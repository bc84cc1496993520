"""Raises what `playclock.core.fields` finds."""

from playclock.errors import BadRequest


def check(**problems: str | None) -> None:
    """Raise BadRequest with the fields that have a problem."""
    found = {field: problem for field, problem in problems.items() if problem}
    if found:
        raise BadRequest(found)
