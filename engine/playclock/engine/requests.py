"""Request ids: the same caller with the same id and contents gets the first answer again.

Two records. The claim says with which contents the caller used the id and lies where the id's hash puts it, so that a repeat
with other contents is noticed wherever those would have led. The answer is written in the same commit as what the request
did, so that there is never one without the other.
"""

import hashlib
from collections.abc import Sequence

from playclock.core.codec import encode
from playclock.core.ids import claim_key
from playclock.core.records import Claim
from playclock.engine.callers import Caller
from playclock.engine.context import Context
from playclock.errors import RequestIdReused
from playclock.stores.base import ABSENT, Commit, Put


def name_of(caller: Caller) -> str:
    """Return what tells callers apart: one caller's request ids are nobody else's."""
    return f"{caller.role.value}/{caller.id}"


async def claim(
    context: Context, caller: Caller, request_id: str, contents: Sequence[str], *, retain_ms: int | None = None
) -> None:
    """Claim a request id for these contents; a repeat with the same contents is as good as the first.

    The claim is kept for as long as the answer is: for `retain_ms`, or as long as ended sessions are remembered.

    Raises RequestIdReused where the caller used it with others, StoreAway.
    """
    digest = hashlib.sha256("".join(f"{len(part)}:{part}" for part in contents).encode("utf-8", "surrogatepass")).digest()
    key = claim_key(name_of(caller), request_id)
    retain_ms = context.timers.tombstone_retention_ms if retain_ms is None else retain_ms
    retain_until_ms = context.clock.now_ms() + retain_ms
    put = Put(key=key, expect=ABSENT, data=encode(Claim(digest)), retain_until_ms=retain_until_ms)
    (conflict,) = await context.records.commit([Commit(partition=int(key[:2], 16), puts=(put,))])
    if conflict is None:
        return
    cached = context.records.cached(key)
    if cached is None or cached[1] != Claim(digest):
        raise RequestIdReused("the request id was used before with other contents")
