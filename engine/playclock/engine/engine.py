"""The engine as its users hold it: put together, started and stopped."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Final, Self

from playclock.clock import Clock, ManualClock, SystemClock
from playclock.core.delivery import DeliveryRules
from playclock.core.kept_images import IMAGES_PER_DEVELOPER
from playclock.core.limits import LimitRules
from playclock.core.links import LinkRules
from playclock.core.match import MatchRules
from playclock.core.openid import OpenIdRules
from playclock.core.timers import Timers
from playclock.core.wallet import WalletRules
from playclock.engine.accounts import Accounts
from playclock.engine.authority import Connect
from playclock.engine.bets import Bets
from playclock.engine.callbacks import Callbacks, Post
from playclock.engine.callers import Callers
from playclock.engine.catalog import CatalogKeeper
from playclock.engine.closer import Closer
from playclock.engine.context import Context
from playclock.engine.developer_games import DeveloperGames
from playclock.engine.estate import EstateKeeper
from playclock.engine.feed import Feed
from playclock.engine.games import Games
from playclock.engine.heartbeats import Heartbeats
from playclock.engine.history import FilledArchive, History, NoHistory
from playclock.engine.images import Images, NoImages
from playclock.engine.kept_images import KeptImages
from playclock.engine.keys import Keys
from playclock.engine.keyuses import KeyUses
from playclock.engine.launches import Launches
from playclock.engine.limits import SHARE_SEC
from playclock.engine.links import Links
from playclock.engine.listing import Listing
from playclock.engine.matches import Matches
from playclock.engine.matches.sending import Send, Sender
from playclock.engine.openid import OpenId
from playclock.engine.ownership import Ownership, ReadKeys
from playclock.engine.partners import Partners
from playclock.engine.player_sessions import PlayerSessions
from playclock.engine.players import Players
from playclock.engine.points import Points
from playclock.engine.pulse import BEAT_MS, PulseKeeper
from playclock.engine.records import Records
from playclock.engine.sealing import Sealer, SealError
from playclock.engine.sessions import Sessions
from playclock.engine.signatures import Signatures
from playclock.engine.sweeper import Sweeper
from playclock.engine.transfers import Transfers
from playclock.engine.wallet import Wallet
from playclock.errors import EngineError
from playclock.stores.base import Store, StoreUnavailable, TellsTime
from playclock.stores.memory import MemoryStore

SWEEP_SEC: Final = 1.0
REFRESH_SEC: Final = 0.5
"""How often the estate's and the catalogue's revisions are looked at: a change is in force everywhere within a second."""
USES_SEC: Final = 60.0
"""How often it is looked whether keys were used that the store does not know to be in use."""
FINISH_SEC: Final = 5.0
"""How long archiving the rest may hold up an engine that stops."""

_log = logging.getLogger(__name__)


class Engine:
    """A session engine over a store.

        async with Engine() as engine:
            ...

    With a `ManualClock` it does nothing by itself: time moves, and sweeps happen, only when the test says so. The engine
    does not close a store that it was given.
    """

    def __init__(
        self,
        store: Store | None = None,
        *,
        clock: Clock | None = None,
        timers: Timers | None = None,
        operator_tokens: Sequence[str] = (),
        operator_certificates: Sequence[str] = (),
        background: bool | None = None,
        archive: FilledArchive | None = None,
        connect: Connect | None = None,
        limits: LimitRules | None = None,
        links: LinkRules | None = None,
        shares_limits: bool | None = None,
        sealer: Sealer | None = None,
        wallet: WalletRules | None = None,
        post: Post | None = None,
        read_keys: ReadKeys | None = None,
        openid: OpenIdRules | None = None,
        images: Images | None = None,
        images_per_developer: int = IMAGES_PER_DEVELOPER,
        matches: MatchRules | None = None,
        send: Send | None = None,
        deliveries: DeliveryRules | None = None,
    ) -> None:
        """Put an engine together; `background` False leaves out sweeps, pulse, estate polling and archiving.

        With an `archive` of its store, the engine has settlements to show; without one it says NoArchive. `connect` reaches
        the partners of the estate. `limits`, and the rules of `links` and `openid`, are the default ones unless given. What was
        counted of limits is shared with other processes if `shares_limits`; left out, where the store lies on a server that
        many can share. `sealer` encrypts secrets in the store; without one they lie there as they are. `wallet` is how long
        its agents have; `post` takes callbacks to them: without it nobody can bet. `images` keeps pictures of games; without it
        there are none; of each developer it keeps as many as `images_per_developer` says. `read_keys` reads games' pages:
        without it nobody can prove to own a game. `matches` is how long matches may take. `send` takes to games' servers what
        they are told of matches: without it they are not told; `deliveries` is how long that may take.
        """
        self.clock = clock or SystemClock()
        self.timers = timers or Timers()
        self.store = store or MemoryStore()
        self.context = context = Context(
            clock=self.clock,
            timers=self.timers,
            records=Records(self.store),
            limits=limits or LimitRules(),
            shares_limits=isinstance(self.store, TellsTime) if shares_limits is None else shares_limits,
        )
        self.counts: Final = context.counts
        """What has been counted since the start. `playclock.metrics` shows it to Prometheus."""
        self.limits: Final = context.limits
        self.feed = Feed(context)
        context.turns.listeners.append(self.feed.wake)
        self.accounts = Accounts(context)
        self.transfers = Transfers(context)
        self.history: History = NoHistory() if archive is None else archive.history
        """What is archived: settlements and entries."""
        self.archive: Final = archive
        if archive is not None:
            context.archived = archive.positions
            context.turns.listeners.append(archive.wake)
        self.callers = Callers(context, operator_tokens=operator_tokens, operator_certificates=operator_certificates)
        self.signatures = Signatures(context)
        self.catalog = CatalogKeeper(context)
        self.estate = EstateKeeper(context, self.catalog, sealer or Sealer())
        self.keys = Keys(context, self.estate)
        self.games = Games(context, self.catalog, self.estate)
        self.key_uses = KeyUses(context)
        self.openid = OpenId(context, self.estate, openid or OpenIdRules())
        self.partners = Partners(context, connect)
        self.launches = Launches(context, self.partners)
        self.links = Links(context, links or LinkRules())
        self.sessions = Sessions(context, self.partners)
        self.heartbeats = Heartbeats(context, self.partners)
        self.listing = Listing(context)
        bets = Bets(context, wallet := wallet or WalletRules())
        self.callbacks = Callbacks(context, self.signatures, post)
        self.wallet = Wallet(context, wallet, bets, self.callbacks)
        self.players = Players(context)
        self.developer_games = DeveloperGames(
            context, self.catalog, self.games, self.players, Ownership(context, self.catalog, read_keys)
        )
        self.points = Points(context, self.players)
        self.player_sessions = PlayerSessions(context, self.players)
        self.matches = Matches(
            context,
            self.transfers,
            matches or MatchRules(),
            Sender(context, self.openid, self.signatures, send, deliveries or DeliveryRules()),
        )
        self.kept_images = KeptImages(context, self.catalog, images or NoImages(), per_developer=images_per_developer)
        self.sweeper = Sweeper(
            context,
            self.launches,
            self.transfers,
            bets=bets,
            player_sessions=self.player_sessions,
            matches=self.matches,
            kept_images=self.kept_images,
        )
        self.closer = Closer(context, self.partners)
        self.draining = False
        """Whether health checks should send new callers elsewhere."""
        self.store_answers = True
        """Whether the store answered when it was last asked."""
        self._pulse = PulseKeeper(context)
        self._background = not isinstance(self.clock, ManualClock) if background is None else background
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Read the estate and the catalogue, note an outage that ends now, and begin to sweep. Raises SealError, StoreAway."""
        await self.estate.open()
        if self._background:
            await self._pulse.beat()
            jobs: dict[str, tuple[float, Callable[[], Awaitable[object]]]] = {
                "pulse": (BEAT_MS / 1000, self._pulse.beat),
                "sweeper": (SWEEP_SEC, self.sweep),
                "closer": (SWEEP_SEC, self.closer.close),
                "rollbacks": (SWEEP_SEC, self.wallet.rollbacks.begin),
                "matches": (SWEEP_SEC, self.matches.settling.begin),
                "estate": (REFRESH_SEC, self.estate.refresh),
                "limits": (SHARE_SEC, self.limits.share),
                "images": (SWEEP_SEC, self.kept_images.remove),
                "uses": (USES_SEC, self.key_uses.write),
            }
            self.counts.failed_jobs.update(dict.fromkeys(jobs, 0))
            self._tasks = [
                asyncio.create_task(self._every(period_sec, job, name), name=f"playclock {name}")
                for name, (period_sec, job) in jobs.items()
            ]
            if self.archive is not None:
                self._tasks.append(asyncio.create_task(self.archive.run(), name="playclock archive"))
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop what runs in the background, and archive what there is."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._tasks = []
        self._pulse.close()
        if self._background and self.archive is not None:
            await self.archive.finish(FINISH_SEC)
        await self.wallet.close()
        await self.matches.pushing.close()
        await self.matches.settling.close()
        await self.partners.close()

    @property
    def images(self) -> Images:
        """Where pictures of games lie."""
        return self.kept_images.images

    def is_late(self) -> bool:
        """Whether this process may have been stopped, so that `catch_up` has to run before any call is answered."""
        return self._pulse.is_late(self.clock.now_ms())

    async def catch_up(self) -> None:
        """Find out whether the service was away while this process was stopped, and make it good. Raises StoreAway."""
        await self._pulse.catch_up()

    def drain(self) -> None:
        """Send new callers elsewhere, and end the watches: they would hold up a server that stops."""
        self.draining = True
        self.feed.close()

    async def sweep(self) -> int:
        """Do the bookkeeping that is due, and return how many records it concerned.

        Where nothing runs in the background, this archives what has happened, too. Raises StoreAway, ArchiveAway.
        """
        await self.catch_up()
        swept = await self.sweeper.sweep()
        if not self._background:
            await self.closer.close()
            await self.wallet.rollbacks.begin()
            await self.wallet.rollbacks.finish()
            await self.matches.settling.begin()
            await self.matches.settling.finish()
            await self.matches.pushing.finish()
            await self.kept_images.remove()
            await self.key_uses.write()
            if self.archive is not None:
                await self.archive.project()
        return swept

    async def ping(self) -> bool:
        """Ask the store whether it is there, and remember the answer in `store_answers`."""
        try:
            await self.store.ping()
        except StoreUnavailable:
            self.context.records.away()
            self.store_answers = False
        else:
            self.store_answers = True
        return self.store_answers

    async def _every(self, period_sec: float, job: Callable[[], Awaitable[object]], name: str) -> None:
        failed = self.counts.failed_jobs
        while True:
            await asyncio.sleep(period_sec)
            try:
                await job()
            except EngineError as error:
                failed[name] += 1
                _log.warning("background job failed", extra={"fields": {"job": name, "reason": error.reason}})
            except SealError as error:
                failed[name] += 1
                _log.error("background job failed", extra={"fields": {"job": name, "cause": str(error)}})
            except Exception:  # noqa: BLE001 - see below
                # The outermost boundary of a background job: whatever it met, the next tick has to come.
                failed[name] += 1
                _log.exception("background job failed", extra={"fields": {"job": name}})
