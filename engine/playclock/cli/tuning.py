"""Settings of the process that make a server faster, and are safe to leave out (`--no-tuning`).

Measured on two cores with grpcio 1.85: together they take a heartbeat from 5,000 to 8,000 and more calls a second.
"""

import asyncio
import contextlib
import gc
import importlib.util
import os
import sys
from collections.abc import Callable, Coroutine
from typing import Final

FILES_MAX: Final = 65_536
"""Each connection is an open file, and many systems allow 1,024 unless one asks."""


def tune() -> None:
    """Set up the process. Of no use once grpc is imported: that is when it reads its settings."""
    os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_listener")
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # a container may forbid it
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def allow_connections() -> None:
    """Let the process open as many files as the system lets it."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 it exists on Unix only

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_MAX if hard == resource.RLIM_INFINITY else min(FILES_MAX, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def settle() -> None:
    """Keep the garbage collector from walking over what was loaded at the start, again and again."""
    gc.collect()
    gc.freeze()


def run(main: Callable[[], Coroutine[None, None, None]], *, tuned: bool) -> None:
    """Run a server's coroutine, on uvloop where it is installed and wanted."""
    new_loop = None
    if tuned and importlib.util.find_spec("uvloop") is not None:
        import uvloop  # noqa: PLC0415 an extra

        new_loop = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())
