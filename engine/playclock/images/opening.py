"""Puts together what keeps images. Pillow is imported only here: it is an extra."""

from typing import TYPE_CHECKING

from playclock.blobs.base import BlobsError
from playclock.blobs.urls import open_blobs

if TYPE_CHECKING:
    from playclock.images.keeper import ImageKeeper


class ImagesNotInstalled(BlobsError):
    """The packages that images need are not there."""


async def open_images(address: str, *, url: str = "/images") -> "ImageKeeper":
    """Open what keeps images in the blob store at an address, and has them served below a URL.

    Raises BlobsError, with a sentence for the operator, if there can be none.
    """
    try:
        from playclock.images.keeper import ImageKeeper  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != "PIL":
            raise
        raise ImagesNotInstalled("images need packages that are not installed: pip install 'playclock[images]'") from error
    return ImageKeeper(await open_blobs(address), url=url)
