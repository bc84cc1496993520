"""Which archive an address names. SQLAlchemy is imported only when an archive is opened: it is an extra."""

from pathlib import PurePath
from typing import TYPE_CHECKING

from playclock.archive.errors import ArchiveNotInstalled
from playclock.stores.base import Store

if TYPE_CHECKING:
    from playclock.archive.archiving import ArchiveOfStore

IN_MEMORY = "sqlite://"


async def open_archive(url: str, store: Store, *, fills: bool = True) -> "ArchiveOfStore":
    """Open the archive at the address for what happens in the store, and make sure that it is this store's.

    `sqlite:///FILE` is for one machine, `sqlite://` (in memory) for tests, `postgresql://USER@HOST/NAME` for many processes.
    One that is away is waited for. Without `fills` another process has to fill it. Raises ArchiveError, with a sentence for
    the operator, if there can be none.
    """
    try:
        from playclock.archive.archiving import ArchiveOfStore  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] not in {"alembic", "sqlalchemy"}:
            raise
        raise ArchiveNotInstalled(
            "an archive needs packages that are not installed: pip install 'playclock[archive]'"
        ) from error
    return await ArchiveOfStore.open(url, store, fills=fills)


def archive_beside(store_url: str) -> str | None:
    """Return the address of the archive that belongs to a store where none is named: as lasting as the store, and beside it.

    None for a store that several machines may share: their archive has to be one that they share, too.
    """
    if store_url == "memory://":
        return IN_MEMORY
    scheme, _, path = store_url.partition(":///")
    if scheme != "sqlite":
        return None
    file = PurePath(path)
    return f"sqlite:///{file.with_name(f'{file.stem}-archive{file.suffix}')}"
