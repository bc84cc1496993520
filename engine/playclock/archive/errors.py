"""What keeps an archive from being used. Apart from the rest, so that it can be caught where SQLAlchemy is not installed."""


class ArchiveError(Exception):
    """The archive cannot be used as it is: a wrong address, a newer database, another store's."""


class ArchiveNotInstalled(ArchiveError):
    """The packages that the archive needs are not installed."""
