"""What a forked process does to be a command. It imports next to nothing: each of those processes would load it anew."""

import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path


def be_playclock_in(arguments: Sequence[str], folder: Path, environment: Mapping[str, str], streams: Path) -> None:
    """Be the command, with the standard streams in a folder's files."""
    opened = [os.open(streams / name, os.O_RDWR | os.O_CREAT) for name in ("stdin", "stdout", "stderr")]
    _be_playclock(arguments, folder, environment, opened)


def be_playclock_on(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], out: Connection, err: Connection
) -> None:
    """Be the command, with nothing to read and pipes to write to."""
    _be_playclock(arguments, folder, environment, [os.open(os.devnull, os.O_RDONLY), out.fileno(), err.fileno()])


def _be_playclock(arguments: Sequence[str], folder: Path, environment: Mapping[str, str], streams: Sequence[int]) -> None:
    """Become the command: what a shell would have done, and then what `python -m playclock` does."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - to the end of the process
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    warnings.simplefilter("error")
    sys.argv = ["playclock", *arguments]
    from playclock.__main__ import main

    main()
