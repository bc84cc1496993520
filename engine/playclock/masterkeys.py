"""Where the master key comes from, under which secrets lie in the store: a variable, a file, a command, or beside the store.

It never lies in the store. What a source prints is shown in no message.
"""

import base64
import binascii
import os
import re
import secrets
import shlex
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from playclock.engine.sealing import MASTER_BYTES, Sealer
from playclock.tomlfile import ConfigurationError
from playclock.tomltable import Printed

COMMAND_SEC: Final = 10.0
"""How long a command may take that prints a key."""
TEXT_MAX: Final = 1_024
EXPECTED: Final = f"expected {MASTER_BYTES} random bytes in base64 or hex, such as `openssl rand -base64 32` prints"

_HEX: Final = re.compile(r"[0-9A-Fa-f]{64}", re.ASCII)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{43}=?", re.ASCII)

Source = str | Path | Printed
"""The key's text itself, the file that holds it, or the command that prints it."""


class MasterKeys(msgspec.Struct, frozen=True):
    """The key that seals, and those that were sealed with before. Without the first, a SQLite store gets one beside it."""

    current: bytes | None = None
    old: tuple[bytes, ...] = ()

    def __repr__(self) -> str:
        return f"MasterKeys(current={'given' if self.current else None}, old=<{len(self.old)} keys>)"


def read_keys(current: Source | None, old: Iterable[Source] = ()) -> MasterKeys:
    """Read the keys from their sources. Raises ConfigurationError."""
    keys = MasterKeys(
        None if current is None else _read("the master key", current),
        tuple(_read(f"old master key {number}", source) for number, source in enumerate(old, 1)),
    )
    if keys.old and keys.current is None:
        raise ConfigurationError(["old master keys are given, but no master key: what they sealed would be written unsealed"])
    return keys


def open_sealer(store_url: str, keys: MasterKeys | None = None) -> Sealer:
    """Return what seals secrets in the store at the address.

    Where no key is given, a SQLite store has one in a file beside it, `play.key` for `play.db`, which is made when it is not
    there; other stores have none, and their secrets lie there as they are. Raises ConfigurationError.
    """
    keys = keys or MasterKeys()
    if keys.current is not None:
        return Sealer(keys.current, keys.old)
    file = key_file_beside(store_url)
    return Sealer() if file is None else Sealer(_made(file))


def key_file_beside(store_url: str) -> Path | None:
    """Return where the key of a SQLite store lies that was given none; None for other stores."""
    scheme, _, path = store_url.partition(":///")
    if scheme != "sqlite":
        return None
    file = Path(path)
    return file.with_name(f"{file.name}.key" if file.suffix == ".key" else f"{file.stem}.key")


def _made(file: Path) -> bytes:
    """Return the key in the file, which is made first where there is none: whole or not at all, and once."""
    if not file.exists():
        fresh = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
        try:
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as written:
                written.write(base64.b64encode(secrets.token_bytes(MASTER_BYTES)) + b"\n")
                written.flush()
                os.fsync(written.fileno())
            try:
                os.link(fresh, file)
            except FileExistsError:
                pass  # another process was faster, and its key counts
            finally:
                fresh.unlink()
        except OSError as error:
            raise ConfigurationError([f"the master key beside the store, {file}, cannot be made: {error.strerror}"]) from None
    return _read("the master key", file)


def _read(name: str, source: Source) -> bytes:
    match source:
        case Path():
            try:
                text, where = source.read_bytes()[: TEXT_MAX + 1].decode("ascii", "replace"), f"{name} in {source}"
            except OSError as error:
                raise ConfigurationError([f"{name}: {source} cannot be read: {error.strerror}"]) from None
        case Printed():
            text, where = _printed(name, source.command), f"{name} that its command prints"
        case _:
            text, where = source, name
    key = _parsed(text.strip())
    if key is None:
        raise ConfigurationError([f"{where}: {EXPECTED}"])
    return key


def _printed(name: str, command: str) -> str:
    """Run a command, and return what it prints. Neither that nor what it complains of is ever shown: both may hold secrets."""
    try:
        done = subprocess.run(  # noqa: S603 - the operator's own command, split as a shell does and run by none
            shlex.split(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=COMMAND_SEC,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ConfigurationError([f"{name}: its command did not end within {COMMAND_SEC:g} s"]) from None
    except (OSError, ValueError, IndexError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no command line"
        raise ConfigurationError([f"{name}: its command cannot be run: {reason}"]) from None
    if done.returncode:
        raise ConfigurationError([f"{name}: its command ended with exit code {done.returncode}"])
    return done.stdout[: TEXT_MAX + 1].decode("ascii", "replace")


def _parsed(text: str) -> bytes | None:
    if _HEX.fullmatch(text):
        return bytes.fromhex(text)
    if not _BASE64.fullmatch(text):
        return None
    try:
        key = base64.b64decode(text.rstrip("=").translate(str.maketrans("-_", "+/")) + "=", validate=True)
    except binascii.Error:
        return None
    return key if len(key) == MASTER_BYTES else None
