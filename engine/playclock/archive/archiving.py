"""An archive together with what fills it: what an engine is given, and what its owner opens and closes."""

import asyncio
import logging
from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self

from playclock.archive.archive import Archive
from playclock.archive.database import Database
from playclock.archive.projector import Projector, cause_of
from playclock.errors import ArchiveAway
from playclock.stores.base import Store

_log = logging.getLogger(__name__)


class ArchiveOfStore:
    """The archive of what happens in a store. A `playclock.engine.history.FilledArchive`."""

    def __init__(self, database: Database, store: Store, *, fills: bool = True) -> None:
        self.history: Final = Archive(database)
        """What is archived."""
        self.projector: Final = Projector(store, database)
        self._database: Final = database
        self._fills: Final = fills

    @classmethod
    async def open(cls, url: str, store: Store, *, fills: bool = True) -> Self:
        """Open the database at the address. Raises ArchiveError, StoreAway; one that is away is waited for.

        One that does not fill it leaves that to another process, and only shows what is there.
        """
        archive = cls(Database(url), store, fills=fills)
        try:
            await archive.projector.check()
        except ArchiveAway as error:
            _log.warning("the archive is away", extra={"fields": {"cause": cause_of(error)}})
        except BaseException:
            await archive.close()
            raise
        return archive

    async def __aenter__(self) -> Self:
        """Return the archive."""
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the archive."""
        await self.close()

    def positions(self) -> Mapping[int, int]:
        """Return how far each partition has been archived, at least."""
        return self.projector.positions

    def counts(self) -> Mapping[str, int]:
        """Return what this process has counted of its archiving; nothing where it leaves that to another one."""
        projector = self.projector
        if not self._fills:
            return {}
        counts = {
            "archived": projector.archived,
            "failures": projector.failures,
            "lost": projector.lost,
            "contradictions": projector.contradictions,
        }
        return counts if projector.behind is None else {**counts, "behind": projector.behind}

    def wake(self) -> None:
        """Tell that there may be something new."""
        self.projector.wake()

    async def project(self) -> int:
        """Archive everything that there is, and return how many events that were.

        Raises ArchiveAway, StoreAway, ArchiveError, UnknownFormat.
        """
        archived = 0
        while more := await self.projector.project():
            archived += more
        return archived

    async def run(self) -> None:
        """Archive what there is and what comes, until cancelled."""
        if not self._fills:
            await asyncio.Event().wait()
        await self.projector.run()

    async def finish(self, within_sec: float) -> None:
        """Archive what there is, as far as that can be done at once."""
        if self._fills:
            await self.projector.finish(within_sec)

    async def close(self) -> None:
        """Finish what is under way and let go of the database."""
        await self._database.close()
