"""Pictures of games: takes them in, a bounded number for each developer, and removes those that no game names any more.

What is known of them lies beside the catalogue; where they lie themselves is `playclock.engine.images`.
"""

from collections import deque
from collections.abc import AsyncIterator
from typing import Final

from playclock.core import kept_images as core
from playclock.core.ids import id_in, image_key, image_use_key
from playclock.core.kept_images import IMAGES_PER_DEVELOPER, ImageState, ImageUse, KeptImage
from playclock.engine.callers import Caller, Role
from playclock.engine.catalog import CatalogKeeper
from playclock.engine.context import Context
from playclock.engine.images import Images, StoredImage
from playclock.engine.records import IMAGE_USES, KEPT_IMAGES
from playclock.engine.turns import Decision
from playclock.engine.work import Work
from playclock.errors import ImagesAway, TooManyImages

REMOVED_MAX: Final = 100
"""How many images one tick removes."""


class KeptImages:
    """Takes images in, and removes them."""

    def __init__(
        self, context: Context, keeper: CatalogKeeper, images: Images, *, per_developer: int = IMAGES_PER_DEVELOPER
    ) -> None:
        self._context = context
        self._keeper = keeper
        self.images: Final = images
        """Where they lie."""
        self._per_developer = per_developer
        self._going: deque[str] = deque()

    async def put(self, caller: Caller, chunks: AsyncIterator[bytes], *, is_data_uri: bool) -> StoredImage:
        """Keep an image that arrives bit by bit, for a day at least, and as long as a game names it.

        Raises InvalidImage, BadRequest, NoImages, ImagesAway, TooManyImages, StoreAway, TooMuchContention.
        """
        developer_id = caller.id if caller.role is Role.DEVELOPER else ""

        async def note(name: str) -> None:
            # Before it is stored: nothing lies there that nobody knows of.
            await self._decide(lambda work: self._bring(work, name, developer_id))

        return await self.images.put(chunks, is_data_uri=is_data_uri, note=note)

    async def sweep(self, work: Work, key: str) -> str | None:
        """Look at an image, and return its name if it is to be removed."""
        known = await work.read(KEPT_IMAGES, key)
        if known is None:
            return None
        name = id_in(key)
        after = core.looked_at(known, is_named=self._context.catalog.names_image(name), now_ms=work.now_ms)
        self._write(work, key, after)
        return name if after.state is ImageState.GOING and after != known else None

    def going(self, names: list[str]) -> None:
        """Take note of images that are marked as to be removed."""
        self._going.extend(names)

    async def remove(self) -> None:
        """Remove images that are marked, a bounded number. Raises StoreAway, TooMuchContention."""
        if not self._going:
            return
        # Of what is named now: others may have registered a game meanwhile.
        await self._keeper.refresh()
        for _ in range(min(len(self._going), REMOVED_MAX)):
            await self._remove(self._going.popleft())

    async def _remove(self, name: str) -> None:
        key = image_key(name)
        ((_, found),) = await self._context.records.load([key], fresh=True)
        if found is None or not core.may_begin(known := KEPT_IMAGES.checked(found), self._context.clock.now_ms()):
            return
        is_named = self._context.catalog.names_image(name)
        if not is_named:
            try:
                await self.images.remove(name)
            except ImagesAway:
                return  # the mark ends, and the sweeper finds it again
        await self._decide(lambda work: self._finish(work, key, known, is_named=is_named))

    async def _finish(self, work: Work, key: str, marked: KeptImage, *, is_named: bool) -> None:
        use_at = image_use_key(marked.developer_id)
        await work.prefetch(key, use_at, fresh=True)
        if await work.read(KEPT_IMAGES, key) != marked:
            return
        if is_named:
            self._write(work, key, core.spared(marked, work.now_ms))
            return
        self._write(work, key, core.removed(marked, work.now_ms))
        use = await work.read(IMAGE_USES, use_at)
        if use is not None and marked.developer_id:
            work.write(use_at, ImageUse(max(0, use.number - 1)))

    async def _bring(self, work: Work, name: str, developer_id: str) -> None:
        key, use_at = image_key(name), image_use_key(developer_id)
        await work.prefetch(key, use_at, fresh=True)
        known = await work.read(KEPT_IMAGES, key)
        after = core.brought(known, developer_id, work.now_ms)
        if after is None:
            raise ImagesAway("the image is just being removed, since no game named it")
        if developer_id and (known is None or known.state is ImageState.GONE):
            use = await work.read(IMAGE_USES, use_at) or ImageUse(0)
            if use.number >= self._per_developer:
                sentence = (
                    f"you have {use.number} of {self._per_developer} images; those that no game names go after a day or two"
                )
                raise TooManyImages(sentence, images_max=self._per_developer)
            work.write(use_at, ImageUse(use.number + 1))
        self._write(work, key, after)

    def _write(self, work: Work, key: str, image: KeptImage) -> None:
        if image.state is ImageState.GONE:
            work.write(key, image, due_ms=None, retain_until_ms=work.now_ms)
        else:
            work.write(key, image, due_ms=image.until_ms)

    async def _decide(self, decision: Decision) -> None:
        await self._context.turns.decide(0, self._context.clock.now_ms(), decision)
