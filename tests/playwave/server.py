"""A PlayWave server under test: a real uvicorn and real sockets before an engine whose clock the test moves."""

import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from typing import Final

import grpc.aio
import httpx
import playclock_http
from playclock.cli.addresses import Address, bind
from playclock.cli.http_server import HttpServer
from playclock.clock import ManualClock
from playclock.core.charge import Account
from playclock.core.codec import Codec
from playclock.core.ids import account_key
from playclock.core.kept_images import IMAGES_PER_DEVELOPER
from playclock.core.limits import LimitRules
from playclock.core.openid import OpenIdRules
from playclock.core.timers import Timers
from playclock.engine import Engine
from playclock.engine.images import Images
from playclock.engine.ownership import ReadKeys
from playclock.rpc.inprocess import InProcessChannel
from playclock.stores.base import Store
from playclock.stores.urls import open_store
from playclock.v1.provisioning_service_pb2 import ApplyProvisioningRequest, Provisioning
from playclock.v1.provisioning_service_pb2_grpc import ProvisioningServiceStub
from playclock.v1.session_pb2 import Session
from playclock.v1.session_service_pb2 import GetSessionRequest
from playclock.v1.session_service_pb2_grpc import SessionServiceStub
from starlette.types import ASGIApp, Receive, Scope, Send

from .callers import GameServer, LauncherPc
from .estate import ACCOUNT, ESTATE, GAME_KEY, LAUNCHER, SECRET, SEOUL, prepaid_cafe

_ACCOUNTS: Final = Codec(Account)


class Front:
    """What the run's one uvicorn serves: the facades of the test that runs, in turn, as a load balancer would.

    Stopping a uvicorn for each test would take 100 ms.
    """

    def __init__(self) -> None:
        self.apps: list[ASGIApp] = []
        self._turns = itertools.count()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand over (the ASGI interface)."""
        assert self.apps, "no test runs"
        await self.apps[next(self._turns) % len(self.apps)](scope, receive, send)


@contextlib.asynccontextmanager
async def listening(app: ASGIApp) -> AsyncIterator[str]:
    """Serve an app on a free port of this machine, as the command line does, and yield its URL."""
    address = Address("127.0.0.1", 0)
    with bind(address) as listener:
        server = await HttpServer.start(app, listener, address)
        try:
            yield f"http://{server.address}"
        finally:
            await server.drain(0)


def client_at(url: str, address: str = SEOUL, *, connections: int = 100) -> httpx.AsyncClient:
    """Return an HTTP client that calls from the address."""
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    transport = httpx.AsyncHTTPTransport(local_address=address, limits=limits, verify=False)
    return httpx.AsyncClient(base_url=url, transport=transport, timeout=30)


class Server:
    """A store, an engine and a facade (or several of both), and those who call it."""

    def __init__(
        self,
        front: Front,
        url: str,
        store_url: str,
        *,
        replicas: int = 1,
        timers: Timers | None = None,
        trusted_proxies: Sequence[str] = (),
        wrap_store: Callable[[Store], Store] = lambda store: store,
        wrap_channel: Callable[[grpc.aio.Channel], grpc.aio.Channel] = lambda channel: channel,
        background: bool = False,
        images: Images | None = None,
        images_per_developer: int = IMAGES_PER_DEVELOPER,
        read_keys: ReadKeys | None = None,
        limits: LimitRules | None = None,
    ) -> None:
        self.clock = ManualClock()
        self.url = url
        self.front = front
        self._store_url = store_url
        self._replicas = replicas
        self._timers = timers
        self._trusted_proxies = trusted_proxies
        self._wrap_store = wrap_store
        self._wrap_channel = wrap_channel
        self._background = background
        self._images = images
        self._images_per_developer = images_per_developer
        self._read_keys = read_keys
        self._limits = limits
        self._in_memory: Store | None = None
        self._stack = contextlib.AsyncExitStack()
        self._clients: dict[str, httpx.AsyncClient] = {}
        self._numbers = itertools.count(1)
        self.engines: list[Engine] = []
        self.store: Store

    async def start(self) -> None:
        """Open the store and serve it."""
        self.store = self._wrap_store(await self._open_store())
        for _ in range(self._replicas):
            engine = Engine(
                self.store,
                clock=self.clock,
                timers=self._timers,
                background=self._background,
                images=self._images,
                images_per_developer=self._images_per_developer,
                read_keys=self._read_keys,
                limits=self._limits,
                openid=OpenIdRules(base_url=self.url),
            )
            self.engines.append(await self._stack.enter_async_context(engine))
            app = playclock_http.make_app(
                self._wrap_channel(InProcessChannel(engine)),
                trusted_proxies=self._trusted_proxies,
                now=lambda: datetime.fromtimestamp(self.clock.now_ms() / 1000, UTC),
            )
            self.front.apps.append(app)

    @property
    def engine(self) -> Engine:
        """The first replica's engine."""
        return self.engines[0]

    async def stop(self) -> None:
        """Let go of everything; what was in the store's file stays there, and what was in memory with this object."""
        self.front.apps.clear()
        self.engines.clear()
        await self._stack.aclose()

    async def restart(self) -> None:
        """Stop, and start again on the same data with nothing remembered besides."""
        await self.stop()
        await self.start()

    async def close(self) -> None:
        """Stop for good."""
        await self.stop()
        for client in self._clients.values():
            await client.aclose()

    async def _open_store(self) -> Store:
        if self._in_memory is not None:
            return self._in_memory
        store = await open_store(self._store_url)
        if self._store_url.startswith("memory:"):
            self._in_memory = store  # what is in memory is this object's: a second one would be empty
        else:
            self._stack.push_async_callback(store.close)
        return store

    def client(self, address: str = SEOUL) -> httpx.AsyncClient:
        """Return the client that calls from the address."""
        if address not in self._clients:
            self._clients[address] = client_at(self.url, address)
        return self._clients[address]

    def game(self, key: str = GAME_KEY) -> GameServer:
        """Return a game server with the key."""
        return GameServer(self.client(), key)

    def pc(self, address: str = SEOUL, *, pc_id: str = "", launcher_id: str = LAUNCHER, secret: str = SECRET) -> LauncherPc:
        """Return a launcher on a PC of its own, which calls from the address."""
        pc_id = pc_id or f"PC-{next(self._numbers)}"
        return LauncherPc(self.client(address), self.clock, pc_id, launcher_id=launcher_id, secret=secret)

    async def join(self, pc: LauncherPc | None = None, user: str = "261") -> str:
        """Let a player join from the PC, or from a new one, and return the session's id."""
        return await self.game().join(await (pc or self.pc()).ott(), user)

    @property
    def operator(self) -> InProcessChannel:
        """A channel whose calls are an operator's."""
        return InProcessChannel(self.engine, operator=True)

    async def provision(self, provisioning: Provisioning = ESTATE) -> None:
        """Apply an estate, and let every replica hear of it, as happens within a second."""
        await ProvisioningServiceStub(self.operator).ApplyProvisioning(ApplyProvisioningRequest(provisioning=provisioning))
        for engine in self.engines:
            await engine.estate.refresh()

    async def prepaid(self, coins: int) -> tuple[str, str]:
        """Make a cafe that has so many G-coins, and return its account's id and an address in it."""
        number = next(self._numbers)
        await self.provision(prepaid_cafe(number, coins))
        return f"prepaid-{number}", f"127.2.{number}.1"

    async def session(self, session_id: str) -> Session:
        """Return a session with its figures, as an operator sees it."""
        answer = await SessionServiceStub(self.operator).GetSession(GetSessionRequest(game_session_id=session_id))
        return answer.session

    async def account(self, account_id: str = ACCOUNT) -> Account:
        """Return an account as it lies in the store."""
        (record,) = await self.store.get([account_key(account_id)])
        assert record is not None
        return _ACCOUNTS.decode(record.data)
