"""Credentials, which operators call keys: what proves who calls, from its creation to its end.

A credential's life is decided by time whenever it is used; nothing has to run for it to end. One that was revoked or has
expired is remembered, so that a file that still names it does not bring it back.
"""

import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from playclock.errors import BadRequest, KeyInactive, TooManyKeys

ALIVE_MAX: Final = 5
"""How many credentials of one owner may be alive when one is created. A provisioning file may name more."""
SECRET_BYTES: Final = 32
LABEL_MAX: Final = 100
OVERLAP_MS: Final = 86_400_000
"""How long a credential goes on beside its successor, where nothing else is said."""
OVERLAP_MS_MAX: Final = 90 * 86_400_000
LIFE_MS_MAX: Final = 10 * 366 * 86_400_000
"""The longest life that can be asked for. One without an end is longer."""
REMEMBERED_MS: Final = 400 * 86_400_000
"""How long a generated credential is remembered after its end: a year and a month."""

PREFIXES: Final = {
    "game": "pck_",
    "service": "pct_",
    "launcher": "pcs_",
    "agent": "pcs_",
    "developer": "pcs_",
    "match_client": "whsec_",
}
"""How generated secrets begin, by the kind of their owner, so that scanners recognise what was leaked."""

_ID = re.compile(r"key_[0-9a-f]{16}", re.ASCII)

HASHED: Final = ("game", "service")
"""Owners whose secrets arrive with the call, so that a hash is enough to recognise them. The others sign."""


class Credential(msgspec.Struct, frozen=True, array_like=True, gc=False, kw_only=True):
    """One key of one owner. It has a digest or a secret, never both."""

    id: str
    """Says nothing of the secret, so it may be shown and logged."""
    owner: str
    """Whose it is, "KIND/ID": a game's, launcher's, agent's, developer's, match client's or service's."""
    created_ms: int
    digest: bytes = b""
    """SHA-256 of an API key or a bearer token."""
    secret: bytes = b""
    """What its owner signs with. In the store it is sealed, where there is a master key."""
    expires_ms: int | None = None
    revoked_ms: int | None = None
    label: str = ""
    is_provisioned: bool = False
    """Whether a provisioning file named it first: then it goes when the file names it no more."""
    request: bytes = b""
    """Says which request created it, so that a repeat creates no other."""
    sealed_by: str = ""
    """Id of the master key under which the secret lies in the store; empty where it lies there as it is."""

    def __repr__(self) -> str:
        return f"Credential(id={self.id!r}, owner={self.owner!r})"


class Named(msgspec.Struct, frozen=True):
    """A credential as a provisioning file names it: a digest, or a secret."""

    owner: str
    digest: bytes = b""
    secret: bytes = b""

    def __repr__(self) -> str:
        return f"Named(owner={self.owner!r})"

    def means(self, credential: Credential) -> bool:
        """Whether this is the credential."""
        return (self.owner, self.digest, self.secret) == (credential.owner, credential.digest, credential.secret)


class Reconciled(msgspec.Struct, frozen=True):
    """What a provisioning file changes among the credentials of those whom it describes."""

    created: Sequence[Credential]
    dropped: Sequence[Credential]
    """Provisioned ones that the file names no more."""
    inactive: Sequence[Credential]
    """Ones that the file names, and that stay revoked or expired."""


def credential_id_problem(text: str) -> str | None:
    """Check the spelling of a credential's id."""
    return None if _ID.fullmatch(text) else "expected key_ and 16 hex digits"


def is_alive(credential: Credential, now_ms: int) -> bool:
    """Whether the credential proves anything now. One that was revoked does not, whatever the time."""
    return credential.revoked_ms is None and (credential.expires_ms is None or now_ms < credential.expires_ms)


def newest_first(credentials: Iterable[Credential]) -> tuple[Credential, ...]:
    """Return the credentials in the order in which one is chosen to sign with."""
    return tuple(sorted(credentials, key=lambda credential: (-credential.created_ms, credential.id)))


def digest_of(secret: str) -> bytes:
    """Return what is kept of an API key or a bearer token. They are random, so a plain SHA-256 gives nothing away."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def make_secret(owner: str, random: bytes) -> str:
    """Return a new secret's text for an owner, from 32 random bytes."""
    kind = owner.partition("/")[0]
    encode = base64.b64encode if kind == "match_client" else base64.urlsafe_b64encode
    text = encode(random).decode()
    return PREFIXES[kind] + (text if kind == "match_client" else text.rstrip("="))


def create(
    held: Sequence[Credential],
    owner: str,
    secret: str,
    *,
    credential_id: str,
    now_ms: int,
    life_ms: int | None,
    label: str,
    request: bytes = b"",
) -> Credential:
    """Return a new credential of an owner who holds these. Raises TooManyKeys, BadRequest."""
    _check_alive(held, now_ms)
    is_hashed = owner.partition("/")[0] in HASHED
    return Credential(
        id=credential_id,
        owner=owner,
        created_ms=now_ms,
        digest=digest_of(secret) if is_hashed else b"",
        secret=b"" if is_hashed else secret.encode(),
        expires_ms=_end(now_ms, life_ms, "expire_after_sec"),
        label=label,
        request=request,
    )


def overlapped(credential: Credential, *, now_ms: int, overlap_ms: int) -> Credential:
    """Return the credential as it is once it has a successor: it ends after the overlap, or when it would have anyway.

    Raises KeyInactive, BadRequest.
    """
    _check_life(credential, now_ms)
    if not 0 <= overlap_ms <= OVERLAP_MS_MAX:
        raise BadRequest({"overlap_sec": f"expected 0 to {OVERLAP_MS_MAX // 1000}"})
    end_ms = now_ms + overlap_ms
    return replace(credential, expires_ms=end_ms if credential.expires_ms is None else min(end_ms, credential.expires_ms))


def expiring(credential: Credential, *, now_ms: int, life_ms: int | None) -> Credential:
    """Return the credential with another end, or with none. One that has ended stays so. Raises KeyInactive, BadRequest."""
    _check_life(credential, now_ms)
    return replace(credential, expires_ms=_end(now_ms, life_ms, "after_sec"))


def revoked(credential: Credential, *, now_ms: int) -> Credential:
    """Return the credential ended at once and for good. One that was revoked before stays as it is."""
    return credential if credential.revoked_ms is not None else replace(credential, revoked_ms=now_ms)


def reconcile(
    held: Iterable[Credential], named: Sequence[Named], owners: Iterable[str], *, now_ms: int, new_id: Callable[[], str]
) -> Reconciled:
    """Return what has to change so that the described owners hold what a file names for them.

    What an operator has made is left alone, and so is what he has ended or given an end: the file neither takes away nor
    brings back.
    """
    described = set(owners)
    known = [credential for credential in held if credential.owner in described]
    created: list[Credential] = []
    meant: list[Credential] = []
    for each in dict.fromkeys((each.owner, each.digest, each.secret) for each in named):
        wanted = Named(*each)
        found = next((credential for credential in known if wanted.means(credential)), None)
        if found is not None:
            meant.append(found)
            continue
        owner, digest, secret = each
        created.append(
            Credential(id=new_id(), owner=owner, created_ms=now_ms, digest=digest, secret=secret, is_provisioned=True)
        )
    dropped = [
        credential
        for credential in known
        if credential.is_provisioned
        and credential.revoked_ms is None
        and credential.expires_ms is None
        and credential not in meant
    ]
    return Reconciled(created, dropped, [credential for credential in meant if not is_alive(credential, now_ms)])


def is_forgotten(credential: Credential, now_ms: int) -> bool:
    """Whether nobody has to remember an ended credential any more. Provisioned ones are: a file may still name them."""
    ends = [end_ms for end_ms in (credential.revoked_ms, credential.expires_ms) if end_ms is not None]
    return not credential.is_provisioned and bool(ends) and min(ends) + REMEMBERED_MS <= now_ms


def _check_alive(held: Sequence[Credential], now_ms: int) -> None:
    alive = sum(is_alive(credential, now_ms) for credential in held)
    if alive >= ALIVE_MAX:
        raise TooManyKeys(f"{alive} keys of this owner are alive, and {ALIVE_MAX} can be: revoke one first", alive=alive)


def _check_life(credential: Credential, now_ms: int) -> None:
    if not is_alive(credential, now_ms):
        state = "EXPIRED" if credential.revoked_ms is None else "REVOKED"
        raise KeyInactive(f"the key is {state.lower()} and stays so: create another", state=state)


def _end(now_ms: int, life_ms: int | None, field: str) -> int | None:
    if life_ms is None:
        return None
    if not 0 < life_ms <= LIFE_MS_MAX:
        raise BadRequest({field: f"expected 1 to {LIFE_MS_MAX // 1000}; to end a key at once, revoke it"})
    return now_ms + life_ms
