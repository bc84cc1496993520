"""The reference partner as a process that a test can spoil and kill, and a world whose one cafe it pays for."""

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import pytest
from playclock.rpc.partner import connect
from playclock.stores.base import Store
from playclock.v1 import ChargeProvider, ProvisionedCafe, ProvisionedGame, Provisioning

if TYPE_CHECKING:
    from tests.conftest import World, WorldMaker

PROCESS: Final = Path(__file__).parent / "partner_process.py"
TOKEN: Final = "the-token-of-the-partner"
CREDIT_SEC: Final = 36_000


class Partner:
    """A partner's server in a process of its own. Its books lie in a file, so that it can be killed and started again."""

    AT: Final = "203.0.113.7"
    """An address in its cafe `seoul`, which it alone knows."""
    AT_POOR: Final = "192.0.2.9"
    """An address in its cafe with credit for 200 seconds."""
    AT_OURS: Final = "198.51.100.1"
    """An address in a cafe that our estate knows, and for which it pays."""

    def __init__(self, books: Path) -> None:
        self._books = books
        self._process: asyncio.subprocess.Process | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.target = f"127.0.0.1:{probe.getsockname()[1]}"

    async def start(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", str(PROCESS), "--listen", self.target, "--token", TOKEN),
            *("--books", str(self._books), "--cafe", f"seoul=203.0.113.0/24={CREDIT_SEC}", "--cafe", "poor=192.0.2.0/24=200"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "GRPC_VERBOSITY": "NONE"},
        )
        assert (await self._line()).startswith("ready ")
        return self

    async def kill(self) -> None:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    async def fault(self, **faults: str) -> None:
        """Spoil calls of these methods from now on, and no others."""
        await self._command({"fault": faults})

    async def top_up(self, cafe_id: str, ms: int) -> None:
        await self._command({"top_up": [cafe_id, ms]})

    async def charges(self) -> list[dict[str, Any]]:
        return list((await self._command({"show": True}))["charges"])

    async def calls(self) -> dict[str, int]:
        return dict((await self._command({"show": True}))["calls"])

    async def provision(
        self, world: "World", policy: str = "DENY", *, limit_sec: int = 0, reserve_sec: int = 0, token: str = TOKEN
    ) -> None:
        """Let a world know the partner, and what its game does when that does not answer."""
        game = ProvisionedGame(
            id=world.GAME_ID,
            number=123,
            name="Champagne Party",
            api_keys=[world.KEY],
            on_provider_failure=ProvisionedGame.ProviderFailure.Value(f"PROVIDER_FAILURE_{policy}"),
            provider_failure_limit_sec=limit_sec,
        )
        provider = ChargeProvider(
            id="partner-1",
            target=self.target,
            token=token,
            plaintext=True,
            verify_addresses=True,
            deadline_ms=400,
            reserve_sec=reserve_sec,
        )
        cafe = ProvisionedCafe(id="seoul", name="Seoul", networks=["198.51.100.0/24"], provider="partner-1")
        await world.provision(Provisioning(games=[game], providers=[provider], cafes=[cafe]))

    async def _command(self, command: dict[str, Any]) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        await self._process.stdin.drain()
        answer: dict[str, Any] = json.loads(await self._line())
        return answer

    async def _line(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        return (await asyncio.wait_for(self._process.stdout.readline(), 30)).decode()


@pytest.fixture(params=["sqlite", "redis"])
def store_kind(request: pytest.FixtureRequest) -> str:
    """Return the kinds that are worth the time here: where a commit takes its time, in one process's file and elsewhere."""
    return str(request.param)


@pytest.fixture
async def partner(tmp_path: Path) -> AsyncIterator[Partner]:
    partner = await Partner(tmp_path / "books.db").start()
    yield partner
    await partner.kill()


@pytest.fixture
async def there(partner: Partner, make_world: "WorldMaker", store: Store) -> "World":
    """Return a world that knows the partner. Its game denies what the partner does not say."""
    world = await make_world(store, connect=connect)
    await world.provision()
    await partner.provision(world)
    return world
