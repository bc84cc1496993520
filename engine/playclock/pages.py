"""Reads games' pages: `playclock.engine.ownership.ReadKeys` by the guarded client and a parser of HTML."""

import asyncio
import re
from collections.abc import Iterable
from typing import Final

from selectolax.lexbor import LexborHTMLParser

from playclock.engine.ownership import PageUnread
from playclock.outgoing import Bounds, OutgoingClient, OutgoingError, Request

TAG: Final = "x-ogp-key"
TIMEOUT_MS: Final = 5_000
PAGE_BYTES_MAX: Final = 2 << 20
"""How long a page may be."""
HEAD_BYTES_MAX: Final = 64 << 10
TAGS_MAX: Final = 2_000
"""How much of a page is looked at: what HTML asks of a parser grows with the square of how deep tags are nested."""
PER_HOST: Final = 2
IN_ALL: Final = 16
"""How many pages are fetched at once."""

_OK: Final = 200
_TYPES: Final = ("text/html", "application/xhtml+xml")
_TAG = re.compile(rb"<[A-Za-z/!?]")


class PageReader:
    """Fetches pages, as they are at their address: no redirects. One for a process; `close` it at the end."""

    def __init__(self, networks: Iterable[str] = ()) -> None:
        """Take the private networks that games' pages may lie in. Raises ValueError."""
        bounds = Bounds(deadline_ms=TIMEOUT_MS, answer_bytes_max=PAGE_BYTES_MAX, per_host=PER_HOST, in_all=IN_ALL)
        self._client = OutgoingClient(networks, bounds=bounds)

    def close(self) -> None:
        """Let go of the resolver's threads."""
        self._client.close()

    async def __call__(self, url: str) -> frozenset[str]:
        """Return what the tags named x-ogp-key in a page's head hold. Raises PageUnread."""
        try:
            answer = await self._client.send(Request(url=url, method="GET", headers={"Accept": ", ".join(_TYPES)}))
        except OutgoingError as error:
            raise PageUnread(error.reason) from error
        if answer.status != _OK or answer.headers.get("content-type", "").partition(";")[0].strip().lower() not in _TYPES:
            raise PageUnread(f"status {answer.status}")
        return await asyncio.to_thread(keys_in, answer.body)


def keys_in(page: bytes) -> frozenset[str]:
    """Return what the tags named x-ogp-key in the head hold, as browsers see it: not in scripts, comments or templates."""
    head = LexborHTMLParser(_beginning(page)).head
    tags = [] if head is None else [node.attributes for node in head.iter() if node.tag == "meta"]
    return frozenset(
        content.strip() for tag in tags if (tag.get("name") or "").strip().lower() == TAG and (content := tag.get("content"))
    )


def _beginning(page: bytes) -> bytes:
    page = page[:HEAD_BYTES_MAX]
    for number, match in enumerate(_TAG.finditer(page)):
        if number == TAGS_MAX:
            return page[: match.start()]
    return page
