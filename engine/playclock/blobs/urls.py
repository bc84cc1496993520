"""Which blob store an address names. The library for S3 is imported only where it is asked for: it is an extra."""

from pathlib import Path, PurePath
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from playclock.blobs.base import Blobs, BlobsError
from playclock.blobs.folder import FolderBlobs
from playclock.blobs.memory import MemoryBlobs

IN_MEMORY: Final = "memory://"
_OPTIONS: Final = frozenset({"endpoint", "region"})


async def open_blobs(address: str) -> Blobs:
    """Open the blob store at an address: a folder, `memory://`, or `s3://BUCKET/PREFIX?endpoint=URL&region=NAME`.

    Raises BlobsError, with a sentence for the operator, if there can be none. A bucket is not asked before it is needed.
    """
    if address == IN_MEMORY:
        return MemoryBlobs()
    if not address.startswith("s3://"):
        if not address or "://" in address:
            raise BlobsError("blobs lie in a folder, in memory://, or at s3://BUCKET/PREFIX?endpoint=URL")
        return await FolderBlobs.open(Path(address))
    bucket, prefix, options = _parts(address)
    try:
        from playclock.blobs.s3 import S3Blobs  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != "obstore":
            raise
        raise BlobsError("blobs in S3 need a package that is not installed: pip install 'playclock[s3]'") from error
    return S3Blobs(bucket, prefix=prefix, **options)


def blobs_beside(store_url: str) -> str | None:
    """Return the address of the blobs that belong to a store where none is named: as lasting as the store, and beside it.

    None for a store that several machines may share: their blobs have to lie where all of them reach them, too.
    """
    if store_url == "memory://":
        return IN_MEMORY
    scheme, _, path = store_url.partition(":///")
    if scheme != "sqlite":
        return None
    file = PurePath(path)
    return str(file.with_name(f"{file.stem}-blobs"))


def _parts(address: str) -> tuple[str, str, dict[str, str]]:
    """Return bucket, prefix and options of an address of S3. Raises BlobsError; what it says repeats nothing of it."""
    try:
        parts = urlsplit(address)
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        endpoint = urlsplit(dict(pairs).get("endpoint", "https://s3"))
    except ValueError:
        raise BlobsError("the address of the blobs in S3 is malformed") from None
    options = dict(pairs)
    if "@" in parts.netloc or "@" in endpoint.netloc:
        raise BlobsError("the address of the blobs in S3 names no credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY do")
    if not parts.netloc or parts.fragment or len(options) != len(pairs) or not options.keys() <= _OPTIONS:
        raise BlobsError("blobs in S3 lie at s3://BUCKET/PREFIX, with endpoint=URL and region=NAME behind a ? where needed")
    if endpoint.scheme not in {"http", "https"} or not endpoint.netloc:
        raise BlobsError("the endpoint of the blobs in S3 is no URL such as https://s3.example.com")
    return parts.netloc, unquote(parts.path).strip("/"), options
