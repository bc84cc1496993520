"""Secrets as they lie in the store: encrypted under a master key, which never lies there.

AES-256-GCM (NIST SP 800-38D) with a random nonce of 96 bits. What a secret belongs to is authenticated with it, so that one
that was moved to another record is refused. Above this border secrets are plain, below it they are bytes.
"""

import hashlib
import secrets
from collections.abc import Sequence
from typing import Final, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec.structs import replace

from playclock.core.credentials import Credential
from playclock.core.estate import Provider, Resource, resource_key
from playclock.core.signing_keys import SigningKeys
from playclock.stores.base import StoreError

MASTER_BYTES: Final = 32
_NONCE_BYTES: Final = 12

Secretive = Credential | Provider | SigningKeys
R = TypeVar("R", bound=Resource)


class SealError(StoreError):
    """A secret in the store cannot be read with the master keys that were given."""


class Sealer:
    """Seals secrets under the master key, and opens what was sealed under it or under an old one."""

    def __init__(self, master: bytes | None = None, old: Sequence[bytes] = ()) -> None:
        """Take master keys of 32 bytes; without one, secrets are written as they are. Raises ValueError."""
        keys = [*([] if master is None else [master]), *old]
        if any(len(key) != MASTER_BYTES for key in keys):
            raise ValueError(f"a master key has {MASTER_BYTES} bytes")
        self._ciphers: Final = {_name_of(key): AESGCM(key) for key in keys}
        self.master_id: Final = "" if master is None else _name_of(master)
        """Which master key seals; empty for none. It says nothing of the key."""

    def marked(self, resource: R) -> R:
        """Return the resource as it will be after it was sealed: with the master key's id, its secret still plain."""
        return replace(resource, sealed_by=self.master_id) if _is_secretive(resource) else resource

    def is_current(self, resource: Resource) -> bool:
        """Whether the store has the resource's secret under the current master key, or there is no secret or no such key."""
        return not self.master_id or not _is_secretive(resource) or _sealed_by(resource) == self.master_id

    def sealed(self, resource: Resource) -> Resource:
        """Return a marked resource as it lies in the store."""
        if not _is_secretive(resource) or not _sealed_by(resource):
            return resource
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + self._ciphers[_sealed_by(resource)].encrypt(nonce, _plain(resource), _about(resource))
        return _with(resource, sealed)

    def opened(self, resource: Resource) -> Resource:
        """Return the resource with its secret plain. Raises SealError."""
        if not _is_secretive(resource) or not _sealed_by(resource):
            return resource
        cipher = self._ciphers.get(_sealed_by(resource))
        if cipher is None:
            raise SealError(
                f"the store's secrets are sealed under the master key {_sealed_by(resource)}, which was not given"
                f"{f' ({self.master_id} was)' if self.master_id else ''}: name it as the master key, or as an old one"
            )
        sealed = _plain(resource)
        try:
            return _with(resource, cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _about(resource)))
        except (InvalidTag, ValueError) as error:
            raise SealError(
                f"the secret in {resource_key(resource)} was changed after it was sealed: restore the record"
            ) from error


def _name_of(master: bytes) -> str:
    return hashlib.sha256(b"playclock master key\0" + master).hexdigest()[:16]


def _is_secretive(resource: Resource) -> bool:
    return isinstance(resource, Provider | SigningKeys) or (isinstance(resource, Credential) and not resource.digest)


def _sealed_by(resource: Resource) -> str:
    return resource.sealed_by if isinstance(resource, Secretive) else ""


def _plain(resource: Resource) -> bytes:
    assert isinstance(resource, Secretive)
    return resource.token if isinstance(resource, Provider) else resource.secret


def _with(resource: Resource, secret: bytes) -> Resource:
    return replace(resource, token=secret) if isinstance(resource, Provider) else replace(resource, secret=secret)


def _about(resource: Resource) -> bytes:
    """Return what is authenticated with a secret: where it lies, and whose it is."""
    owner = resource.owner if isinstance(resource, Credential) else ""
    return f"{resource_key(resource)}\0{resource.id}\0{owner}".encode()
