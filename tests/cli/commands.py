"""Commands in processes of their own that need not load what they run.

To load gRPC and all else takes a command most of a second, and the tests run hundreds. So one process loads it, and each
command is forked from that one: with its own folder, environment, standard streams and exit status.
"""

import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from tests.leaks import NET

_FORKING: Final = get_context("forkserver")
_FORKING.set_forkserver_preload(["tests.cli.loaded"])


def run_command(
    arguments: Sequence[str], *, folder: Path, environment: Mapping[str, str], stdin: str, deadline_sec: float
) -> "subprocess.CompletedProcess[str]":
    """Run `playclock` with the arguments, and return how it ended. Raises TimeoutExpired."""
    with tempfile.TemporaryDirectory() as streams:
        Path(streams, "stdin").write_text(stdin, "utf-8")
        process = _FORKING.Process(target=_be_playclock, args=(tuple(arguments), folder, dict(environment), Path(streams)))
        process.start()
        process.join(deadline_sec)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(["playclock", *arguments], deadline_sec)
        out, err = (Path(streams, name).read_text("utf-8") for name in ("stdout", "stderr"))
    NET.hear("stderr of a process", err)
    return subprocess.CompletedProcess(["playclock", *arguments], process.exitcode, out, err)


def _be_playclock(arguments: Sequence[str], folder: Path, environment: Mapping[str, str], streams: Path) -> None:
    """Become the command: what a shell would have done, and then what `python -m playclock` does."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        os.dup2(os.open(streams / name, os.O_RDWR | os.O_CREAT), number)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - to the end of the process
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    warnings.simplefilter("error")
    sys.argv = ["playclock", *arguments]
    from playclock.__main__ import main

    main()
