"""The servers that do nothing: gRPC and REST with playclock's messages and settings, and no engine behind them.

They parse what playclock parses and answer what it answers, so what remains between the two is the engine. A process of its
own, which prints the line that `playclock serve` prints.
"""

import asyncio
import signal
from typing import Final

from playclock.cli.addresses import Address, bind
from playclock.cli.tuning import allow_connections, run, settle, tune

_LOCAL: Final = Address("127.0.0.1", 0)


def main() -> None:
    allow_connections()
    tune()
    run(_serve, tuned=True)


async def _serve() -> None:
    # Only now: grpc reads its settings when it is imported.
    from playclock.cli.http_server import HttpServer  # noqa: PLC0415

    from bench.bare_grpc import start_grpc  # noqa: PLC0415
    from bench.bare_http import app  # noqa: PLC0415

    server, port = await start_grpc(_LOCAL.host)
    http = await HttpServer.start(app, bind(_LOCAL), _LOCAL)
    settle()
    print(f"ready grpc={Address(_LOCAL.host, port)} http={http.address} store=none", flush=True)
    await _until_terminated()
    await asyncio.gather(server.stop(1), http.drain(1))


async def _until_terminated() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()


if __name__ == "__main__":
    main()
