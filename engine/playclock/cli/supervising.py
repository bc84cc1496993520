"""`serve --workers N`: starts processes that share the ports, starts them again when they die, and stops them together.

Each is the same program with the same options, which it gets by its environment: a store's password must not be in a list of
processes. This process serves nobody itself; it holds the ports, and one end of each worker's stdin, whose end stops a worker.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

import click
import msgspec

from playclock.cli.addresses import Address
from playclock.cli.failures import Failure, UsageFailure
from playclock.cli.stopping import Stopping, stoppable

COMMAND: Final = (sys.executable, "-m", "playclock", "serve")
STEADY_SEC: Final = 10.0
"""Who has lived so long did not die at once."""
PAUSE_SEC: Final = 0.1
"""How long it waits after one has died at once. Doubles each time."""
PAUSE_MAX_SEC: Final = 5.0
DEATHS_MAX: Final = 5
"""How often in a row a worker may die at once while no other serves."""
ARCHIVING_SEC: Final = 10.0
"""How long beyond its drain a worker may take to end."""
OURS: Final = ("PLAYCLOCK_PROVISION", "PLAYCLOCK_METRICS")
"""Variables that are this process's business and no worker's."""

_log = logging.getLogger(__name__)


class Orders(msgspec.Struct, frozen=True):
    """What workers are told: options as variables, and the file that the first one applies before anybody else serves."""

    options: Mapping[str, str]
    provision: Path | None

    def asked_in(self, folder: Path) -> Self:
        """Return the same orders for workers that are asked for their metrics in the folder."""
        return msgspec.structs.replace(self, options={**self.options, "PLAYCLOCK_WORKER_METRICS": str(folder)})

    def variables(self, number: int, *, begins: bool) -> dict[str, str]:
        """Return the environment of a worker. One that is started anew applies no file: that would undo changes."""
        ours = {name: value for name, value in os.environ.items() if name not in OURS}
        told = {**ours, **self.options, "PLAYCLOCK_WORKERS": "1", "PLAYCLOCK_WORKER": str(number)}
        if begins and number == 0 and self.provision is not None:
            told["PLAYCLOCK_PROVISION"] = str(self.provision)
        return told


async def supervise_until_stopped(size: int, orders: Orders, metrics: Address | None = None) -> None:
    """Let workers serve until a signal, and show their metrics in one view. Raises Failure where they cannot."""
    with stoppable() as stopping:
        async with contextlib.AsyncExitStack() as parts:
            if metrics is None:
                crew = Crew(size, orders)
            else:
                from playclock.cli.exposing import exposed, private_folder  # noqa: PLC0415 needs an extra
                from playclock.cli.workers_view import WorkersView  # noqa: PLC0415 the same

                folder = parts.enter_context(private_folder())
                crew = Crew(size, orders.asked_in(folder))
                await parts.enter_async_context(exposed(WorkersView(folder, lambda: crew.restarts).collect, metrics))
            await _supervise(crew, stopping)


async def _supervise(crew: "Crew", stopping: Stopping) -> None:
    try:
        ready = await crew.start()
        stopping.ready()
        click.echo(ready, nl=False)
        keeping = asyncio.create_task(crew.keep(), name="playclock workers")
        await stopping.wait(keeping)
        keeping.cancel()
        _log.info("draining")
        await stopping.drain(crew.drain)
        _log.info("stopped")
    finally:
        await crew.drain(0)


class Worker:
    """A process that serves."""

    def __init__(self, number: int, process: Process) -> None:
        self.number: Final = number
        self.process: Final = process
        self.is_ready = False
        self._began: Final = asyncio.get_running_loop().time()

    @classmethod
    async def start(cls, number: int, variables: Mapping[str, str]) -> Self:
        """Start a process."""
        # A group of its own, so that Ctrl-C reaches it through us alone: twice would mean to hurry.
        process = await asyncio.create_subprocess_exec(*COMMAND, env=variables, stdin=PIPE, stdout=PIPE, process_group=0)
        _log.info("worker starts", extra={"fields": {"worker": number, "pid": process.pid}})
        return cls(number, process)

    async def ready(self) -> str:
        """Return its ready line; an empty one if it ends without. It has said why."""
        assert self.process.stdout is not None
        line = (await self.process.stdout.readline()).decode()
        self.is_ready = bool(line)
        if line:
            _log.info("worker serves", extra={"fields": {"worker": self.number, "pid": self.process.pid}})
        return line

    async def ended(self) -> bool:
        """Wait for its end, and return whether it died at once."""
        if not self.is_ready:
            await self.ready()
        code = await self.process.wait()
        self.is_ready = False
        cause = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        fields = {"worker": self.number, "pid": self.process.pid, "cause": cause}
        _log.error("worker ended", extra={"fields": fields})
        return asyncio.get_running_loop().time() - self._began < STEADY_SEC


class Crew:
    """The workers. Each counts for itself what it does; `playclock.cli.workers_view` puts a view of all of them together."""

    def __init__(self, size: int, orders: Orders) -> None:
        self._orders: Final = orders
        self._size: Final = size
        self._workers: dict[int, Worker] = {}
        self.restarts: Final = dict.fromkeys(range(size), 0)
        """How often each worker was started anew."""

    async def start(self) -> str:
        """Start all, the first one before the others, and return its ready line when all serve. Raises Failure."""
        line = await self._begin(0)
        await asyncio.gather(*(self._begin(number) for number in range(1, self._size)))
        return line

    async def keep(self) -> None:
        """Start again whoever ends, until cancelled. Raises Failure when that is in vain."""
        keeping = [asyncio.create_task(self._keep(number)) for number in range(self._size)]
        try:
            await asyncio.gather(*keeping)
        finally:
            for task in keeping:
                task.cancel()

    async def drain(self, grace_sec: float) -> None:
        """Tell all to finish what is under way, and wait until they have ended; not for ever."""
        alive = [worker.process for worker in self._workers.values() if worker.process.returncode is None]
        for process in alive:
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(grace_sec + ARCHIVING_SEC):
                await asyncio.gather(*(process.wait() for process in alive))
        except TimeoutError:
            _log.error("workers did not end and are killed")
            for process in alive:
                if process.returncode is None:
                    process.kill()

    async def _begin(self, number: int) -> str:
        worker = await self._start(number, begins=True)
        line = await worker.ready()
        if not line:
            code = await worker.process.wait()
            raise (UsageFailure if code == UsageFailure.exit_code else Failure)(f"worker {number} ended before it served")
        return line

    async def _start(self, number: int, *, begins: bool) -> Worker:
        worker = await Worker.start(number, self._orders.variables(number, begins=begins))
        self._workers[number] = worker
        return worker

    async def _keep(self, number: int) -> None:
        deaths = 0
        while True:
            deaths = deaths + 1 if await self._workers[number].ended() else 0
            if deaths >= DEATHS_MAX and not any(worker.is_ready for worker in self._workers.values()):
                raise Failure(f"worker {number} ended {deaths} times right after its start, and no other serves: see the log")
            await asyncio.sleep(min(PAUSE_SEC * 2 ** (deaths - 1), PAUSE_MAX_SEC) if deaths else 0)
            await self._start(number, begins=False)
            self.restarts[number] += 1
