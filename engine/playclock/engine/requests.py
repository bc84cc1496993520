"""Request ids: the same caller with the same id and contents gets the first answer again.

Two records. The claim says with which contents the caller used the id and lies where the id's hash puts it, so that a repeat
with other contents is noticed wherever those would have led. The answer is written in the same commit as what the request
did, so that there is never one without the other.
"""

import hashlib
from collections.abc import Sequence

from msgspec.structs import replace

from playclock.core.codec import encode
from playclock.core.ids import claim_key
from playclock.core.records import Claim
from playclock.engine.callers import Caller
from playclock.engine.context import Context
from playclock.engine.records import CLAIMS
from playclock.errors import RequestIdReused
from playclock.stores.base import ABSENT, Commit, Put


def name_of(caller: Caller) -> str:
    """Return what tells callers apart: one caller's request ids are nobody else's."""
    return f"{caller.role.value}/{caller.id}"


async def claim(
    context: Context,
    caller: Caller,
    request_id: str,
    contents: Sequence[str],
    *,
    retain_ms: int | None = None,
    renew_ms: int = 0,
) -> None:
    """Claim a request id for these contents; a repeat with the same contents is as good as the first.

    The claim is kept for as long as the answer is: for `retain_ms`, or as long as ended sessions are remembered. A repeat that
    finds less than `renew_ms` of it left lets it begin anew.

    Raises RequestIdReused where the caller used it with others, StoreAway.
    """
    digest = hashlib.sha256("".join(f"{len(part)}:{part}" for part in contents).encode("utf-8", "surrogatepass")).digest()
    key, now_ms = claim_key(name_of(caller), request_id), context.clock.now_ms()
    until_ms = now_ms + (context.timers.tombstone_retention_ms if retain_ms is None else retain_ms)
    put = Put(key=key, expect=ABSENT, data=encode(Claim(digest, until_ms)), retain_until_ms=until_ms)
    if await _is_put(context, put):
        return
    version, there = _claimed(context, key)
    if renew_ms and now_ms >= there.until_ms:
        there = replace(there, contents_sha256=digest)  # over, and only not collected yet
    _check(there, digest)
    # Where somebody else is faster, the claim is as new as it has to be; but it may be for other contents.
    if renew_ms and there.until_ms < now_ms + renew_ms and not await _is_put(context, replace(put, expect=version)):
        _check(_claimed(context, key)[1], digest)


def _claimed(context: Context, key: str) -> tuple[int, Claim]:
    """Return the claim that a commit has just met."""
    version, there = context.records.cached(key) or (ABSENT, Claim(b""))
    return version, CLAIMS.checked(there)


def _check(there: Claim, digest: bytes) -> None:
    if there.contents_sha256 != digest:
        raise RequestIdReused("the request id was used before with other contents")


async def _is_put(context: Context, put: Put) -> bool:
    (conflict,) = await context.records.commit([Commit(partition=int(put.key[:2], 16), puts=(put,))])
    return conflict is None
