"""How long a page of games takes among many: lists, filters and searches of an engine in this process, messages included."""

import asyncio
import gc
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import accumulate, cycle
from statistics import median, quantiles
from typing import Final, NamedTuple

from playclock.cli.tuning import settle
from playclock.core.catalog import Game
from playclock.core.catalog_index import Catalog
from playclock.core.estate import Agent
from playclock.core.ids import make_uuid
from playclock.engine import Engine
from playclock.rpc.inprocess import InProcessChannel
from playclock.v1.catalog_service_pb2 import ListGamesRequest
from playclock.v1.catalog_service_pb2_grpc import CatalogServiceStub
from playclock.v1.developer_game_service_pb2 import ListPublicGamesRequest
from playclock.v1.developer_game_service_pb2_grpc import DeveloperGameServiceStub

SIZES: Final = (1_000, 100_000)
GOAL_MS: Final = 20
PAGE: Final = 50
AGENT: Final = 7
DEVELOPER: Final = "550e8400-e29b-41d4-a716-446655440000"
_LETTERS: Final = "etaoinshrdlucmfwypvbgkqjxz"
_WORDS: Final = 30_000
"""How many words descriptions are made of: the first of them often, most of them hardly ever, as in a language."""

Ask = Callable[[], Awaitable[object]]


class Sample(NamedTuple):
    """One call."""

    ms: float
    cpu_ms: float
    """Processor time of the event loop's thread: it does not count what others do on the machine."""
    held_ms: float
    """How much of that there was between two turns of others, at worst."""


async def measure(rounds: int, sizes: Sequence[int] = SIZES) -> str:
    """Return a report. In each round every call is made once, so that searches which are kept have been given up in between."""
    heads = ("page of 50 games", "games", "p50 ms", "p99 ms", f"p99 CPU ms, goal <= {GOAL_MS}", "at once, p99 CPU ms", "")
    lines: list[tuple[str, ...]] = [heads]
    for size in sizes:
        found = await _measure(size, rounds)
        lines += [_cells(name, size, samples) for name, samples in found.items()]
        lines.append(_cells("all of these", size, [sample for samples in found.values() for sample in samples]))
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    return "\n".join("  ".join(_aligned(line, widths)).rstrip() for line in lines)


async def _measure(size: int, rounds: int) -> dict[str, list[Sample]]:
    chance = random.Random(size)
    words = ["".join(chance.choices(_LETTERS, k=chance.randint(2, 10))) for _ in range(_WORDS)]
    games = list(_games(size, words, chance))
    async with Engine(background=False) as engine:
        await engine.estate.apply([Agent(id=AGENT, name="Agent", secrets=(), games=tuple(range(1, size * 9 // 10)))])
        engine.context.catalog = Catalog(games)
        shapes = _shapes(InProcessChannel(engine, operator=True), games, words, chance)
        found: dict[str, list[Sample]] = {name: [] for name in shapes}
        settle()
        for _ in range(rounds):
            for name, ask in shapes.items():
                found[name].append(await _timed(ask))
    gc.unfreeze()
    return found


def _games(size: int, words: Sequence[str], chance: random.Random) -> Iterator[Game]:
    weights = list(accumulate(1 / rank for rank in range(1, len(words) + 1)))
    for number in range(1, size + 1):
        yield Game(
            id=make_uuid(number % 256, chance.randbytes(16)),
            number=number,
            name=f"{chance.choice(words).title()} {number}",
            description="A game of " + " ".join(chance.choices(words, cum_weights=weights, k=18)),
            brand="Brand",
            image_url="https://images.example.com/game.png",
            play_url="https://play.example.com/game",
            demo_url="",
            owner_id=DEVELOPER if number % 3 == 0 else "",
            is_hidden=number % 10 == 0,
            rewards_pool_usd=str(chance.randint(0, 1_000)),
            created_ms=chance.randint(1, 1 << 40),
            revision=1,
        )


def _shapes(channel: InProcessChannel, games: Sequence[Game], words: Sequence[str], chance: random.Random) -> dict[str, Ask]:
    listed, public = CatalogServiceStub(channel).ListGames, DeveloperGameServiceStub(channel).ListPublicGames
    shapes: dict[str, Ask] = {}

    def add(name: str, requests: Sequence[ListGamesRequest | ListPublicGamesRequest]) -> None:
        turns = cycle(requests)

        async def ask() -> object:
            request = next(turns)
            return await (listed(request) if isinstance(request, ListGamesRequest) else public(request))

        shapes[name] = ask

    for label, value in ListGamesRequest.SortBy.items()[1:]:
        add(f"first, {label.lower()}", [ListGamesRequest(page_size=PAGE, sort_by=value)])
    for label, order in ListPublicGamesRequest.GameOrder.items()[1:]:
        add(f"first, {label.lower()}", [ListPublicGamesRequest(limit=PAGE, sort_by=order)])
    deep = len(games) * 4 // 5
    add("at a deep offset", [ListGamesRequest(page_size=PAGE, offset=deep)])
    add("an agent's", [ListGamesRequest(page_size=PAGE, agent_id=AGENT)])
    add("an agent's, at a deep offset", [ListGamesRequest(page_size=PAGE, agent_id=AGENT, offset=len(games) // 3)])
    add("a developer's", [ListGamesRequest(page_size=PAGE, owner_id=DEVELOPER, include_hidden=True)])
    for name, texts in _texts(words, chance).items():
        add(f"search: {name}", [ListPublicGamesRequest(limit=PAGE, query=text) for text in texts])
    add(
        "search, deep offset",
        [ListPublicGamesRequest(limit=PAGE, query=text, offset=deep // 2) for text in ("gam", "ame", "of", "f")],
    )
    return shapes


def _texts(words: Sequence[str], chance: random.Random) -> dict[str, list[str]]:
    rare = chance.sample(words[_WORDS // 3 :], 200)
    return {
        "a rare word": rare,
        "a part of a word": [word[:3] for word in rare],
        "a word that all have": ["game", "GAME", "gam", "ame", "Game", "am", "ga", "gAme"],
        "one letter": list(_LETTERS + "0123456789"),
        "two letters": [a + b for a in _LETTERS[:12] for b in _LETTERS[:12]],
        "two common words": [f"{a} {b}" for a in words[:12] for b in words[:12]],
        "a phrase that all have": ["game of", "a game", "a game of", " game ", "me of", "e of", "a ga", "ame o"],
        "nothing": [word + "qqq" for word in rare],
        "100 characters": [" ".join(chance.sample(rare, 20))[:100] for _ in range(50)],
        "Unicode": ["Straße", "İstanbul", "東京", "é", "ß", "\U0001f600", "Ω", "ﬁ", "\u00a0"],
        "symbols": ["%", "_", "a%", "%a%", "\\", "*", "[a-z]", ".*", "'", '"'],
    }


async def _timed(ask: Ask) -> Sample:
    held, is_over = 0.0, False

    async def others() -> None:
        nonlocal held
        while not is_over:
            began = time.thread_time()
            await asyncio.sleep(0)
            held = max(held, time.thread_time() - began)

    waiting = asyncio.create_task(others())
    await asyncio.sleep(0)
    began, cpu_began = time.perf_counter(), time.thread_time()
    await ask()
    seconds, cpu_seconds = time.perf_counter() - began, time.thread_time() - cpu_began
    is_over = True
    await waiting
    return Sample(seconds * 1e3, cpu_seconds * 1e3, held * 1e3)


def _cells(name: str, size: int, samples: Sequence[Sample]) -> tuple[str, ...]:
    p99 = _p99([sample.cpu_ms for sample in samples])
    return (
        name,
        f"{size:,}",
        f"{median(sample.ms for sample in samples):.2f}",
        f"{_p99([sample.ms for sample in samples]):.2f}",
        f"{p99:.2f}",
        f"{_p99([sample.held_ms for sample in samples]):.2f}",
        "" if p99 <= GOAL_MS else "above the goal",
    )


def _p99(values: Sequence[float]) -> float:
    return quantiles(values, n=100, method="inclusive")[-1]


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    for column, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        yield cell.ljust(width) if column in (0, len(cells) - 1) else cell.rjust(width)
