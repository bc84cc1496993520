"""What operators and internal services do in others' stead, or to the estate: told in the same commit as the change."""

from collections.abc import Sequence
from typing import Final

from playclock.core.outbox import Audit
from playclock.engine.callers import Caller, Role
from playclock.engine.context import Context
from playclock.engine.requests import name_of
from playclock.engine.work import Work

NAMED_MAX: Final = 20
"""How many names a detail lists; the others are counted."""

_AUDITED: Final = (Role.OPERATOR, Role.SERVICE)


def audit(context: Context, work: Work, caller: Caller, action: str, target: str, *, detail: str = "") -> None:
    """Tell what an operator or a service does. What others do for themselves is told by its own events alone.

    `detail` is bounded, and holds no secret.
    """
    if caller.role in _AUDITED:
        context.tell(work, Audit(work.now_ms, name_of(caller), action, target, detail, context.new_uuid(work.partition)))


def listed(verb: str, names: Sequence[str]) -> str:
    """Return "created game/a, cafe/b and 3 more", or nothing where there are no names."""
    if not names:
        return ""
    more = f" and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else ""
    return f"{verb} {', '.join(names[:NAMED_MAX])}{more}"
