"""How what a store says reaches the servers that it is about: where they are by now, once, and with an answer in time."""

import asyncio
import re
from collections.abc import Iterable, Sequence
from typing import Final, cast

import hiredis

from playclock.stores.base import Commit, Conflict, StoreUnavailable
from playclock.stores.redis_commits import Batch
from playclock.stores.redis_epochs import Epochs
from playclock.stores.redis_link import Link
from playclock.stores.redis_renewals import UNSENT, Outcome, Renewals
from playclock.stores.redis_scripts import SCRIPTS
from playclock.stores.redis_topology import Topology
from playclock.stores.redis_wire import Command, Reply

ATTEMPTS_MAX: Final = 3
"""How often a command is sent again, to another server or with its script, after one said that it did nothing."""
ASK_SEC: Final = 1.2
"""How long finding and asking the servers may take in all. Who waits longer has given up."""

ELSEWHERE: Final = frozenset({"MOVED", "ASK", "READONLY", "CLUSTERDOWN", "TRYAGAIN", "MASTERDOWN"})
"""What a server says that did nothing, because another one holds the partition now."""
NO_SCRIPT: Final = "NOSCRIPT"

_IN_SCRIPT: Final = re.compile(r"ERR Error running script .*?-([A-Z]+) ")
"""How Redis 6.2 wraps what a command within a script was told."""

Ask = tuple[int, Command | Batch]
"""A command, or commits that share one, and the partition that it is about."""


class Delivery:
    """Sends commands, and returns what the servers say."""

    def __init__(self, topology: Topology, epochs: Epochs, *, replicas: int) -> None:
        """Deliver where the topology leads; so many replicas must have a commit before it is answered."""
        self._topology = topology
        self._epochs = epochs
        self._replicas = replicas
        self._renewals: dict[Link, Renewals] = {}

    async def renew(self, commit: Commit) -> Outcome:
        """Carry out a commit that only renews a record; return None, or what is there instead. Raises StoreUnavailable."""
        deadline = asyncio.get_running_loop().time() + ASK_SEC
        batch = Batch([commit], [0], is_renewal=True)
        asks = [(commit.partition, batch)]
        link = self._epochs.ready(commit.partition)
        if link is None or self._replicas or link.is_owed:
            replies = await self.ask(asks, is_commit=True)
        else:
            answer = await (self._renewals.get(link) or self._renewals_on(link)).add(commit)
            if answer is None or isinstance(answer, Conflict):
                return answer
            replies = [None if answer is UNSENT else answer]
            await self._go_on(asks, [0], replies, 0, deadline)
        return next((conflict for _, conflict in batch.refused(replies[0])), None)

    async def ask(self, asks: Sequence[Ask], *, is_commit: bool = False) -> list[Reply]:
        """Send each command to the server that holds its partition, and return the replies in order. Raises StoreUnavailable.

        A command is sent again only where the server says that it has done nothing. The reply to a commit of another epoch is
        None.
        """
        replies: list[Reply] = [None] * len(asks)
        left: Sequence[int] = range(len(asks))
        replicas = self._replicas if is_commit else 0
        deadline = asyncio.get_running_loop().time() + ASK_SEC
        # Where connections stand, answers come, or the connections go, in time. Only the rest needs a limit of its own.
        if all(self._epochs.ready(partition) is not None for partition, _ in asks):
            left = await self._send(asks, left, replies, replicas)
        if left:
            await self._go_on(asks, left, replies, replicas, deadline)
        return replies

    async def _go_on(
        self, asks: Sequence[Ask], left: Sequence[int], replies: list[Reply], replicas: int, deadline: float
    ) -> None:
        """Send what has not been sent yet, or was refused, in time."""
        try:
            async with asyncio.timeout_at(deadline):
                await self._insist(asks, left, replies, replicas)
        except TimeoutError as error:
            raise StoreUnavailable("Redis does not answer in time") from error

    def _renewals_on(self, link: Link) -> Renewals:
        """Return what gathers renewals for a connection that has none yet, and forget those of lost ones."""
        self._renewals = {each: renewals for each, renewals in self._renewals.items() if each.is_open}
        self._renewals[link] = Renewals(link, self._epochs.journal, are_slots_apart=self._topology.are_slots_apart)
        return self._renewals[link]

    async def _insist(self, asks: Sequence[Ask], left: Sequence[int], replies: list[Reply], replicas: int) -> None:
        """Send what is left where it belongs by now."""
        for attempt in range(ATTEMPTS_MAX):
            refused = {index: _word(replies[index]) for index in left if replies[index] is not None}
            words = set(refused.values())
            for word in words - ELSEWHERE - {NO_SCRIPT}:
                raise StoreUnavailable(f"Redis refuses: {word}")
            if words & ELSEWHERE:
                await asyncio.sleep(0.05 * attempt)
                await self._topology.refresh()
            if NO_SCRIPT in words:
                await self._teach(asks[index] for index in refused)
            left = await self._send(asks, left, replies, replicas)
            if not left:
                return
        raise StoreUnavailable(f"Redis refuses: {_word(replies[left[0]])}")

    async def _send(self, asks: Sequence[Ask], waiting: Sequence[int], replies: list[Reply], replicas: int) -> list[int]:
        """Send commands and take in their replies; return which of them Redis refused."""
        epochs = self._epochs
        while missing := {asks[index][0] for index in waiting if epochs.ready(asks[index][0]) is None}:
            await asyncio.gather(*map(epochs.link, missing))
        groups: dict[Link, list[int]] = {}
        for index in waiting:
            link = epochs.ready(asks[index][0])
            assert link is not None, "nothing was waited for since"
            said = asks[index][1]
            if isinstance(said, Batch) and said.epoch not in (None, link.epoch):
                replies[index] = None
            else:
                groups.setdefault(link, []).append(index)
        # Sent before the first answer is waited for.
        answers = [self._say([asks[index][1] for index in those], link) for link, those in groups.items()]
        # Where replicas lacked something, a repeat may find it by reading alone, and be told that it is done.
        slow = [link for link in groups if replicas or link.is_owed]
        answers += [asyncio.shield(link.acknowledged(self._replicas)) for link in slow]
        outcomes = [await answers[0]] if len(answers) == 1 else await _all(answers)
        for those, outcome in zip(groups.values(), outcomes, strict=False):
            for index, reply in zip(those, outcome, strict=True):
                replies[index] = reply
        for link, (count,) in zip(slow, outcomes[len(groups) :], strict=True):
            is_done = any(not isinstance(replies[index], hiredis.ReplyError) for index in groups[link])
            link.is_owed = not (isinstance(count, int) and count >= self._replicas)
            if is_done and link.is_owed:
                raise StoreUnavailable("too few replicas have it in time: whether it lasts is not known")
        return [index for index in waiting if isinstance(replies[index], hiredis.ReplyError)]

    def _say(self, sayings: Sequence[Command | Batch], link: Link) -> "asyncio.Future[list[Reply]]":
        """Send commands. Commits that take effect are kept, also if their caller does not wait any more.

        Nor is it waited for replicas: what others have seen and built on has to come back, or theirs could not either.
        """
        if not any(isinstance(said, Batch) for said in sayings):
            return link.ask(cast("Sequence[Command]", sayings))

        journal = self._epochs.journal

        def heard(replies: list[Reply]) -> None:
            now = asyncio.get_running_loop().time()
            for said, reply in zip(sayings, replies, strict=True):
                if isinstance(said, Batch):
                    journal.add(said.acknowledged(reply), now, link.mark)

        return link.ask([said.command(link.mark) if isinstance(said, Batch) else said for said in sayings], heard)

    async def _teach(self, asks: Iterable[Ask]) -> None:
        """Load scripts where a server does not know them: it is new, or has forgotten."""
        for partition in {partition for partition, _ in asks}:
            link = await self._epochs.link(partition)
            await link.ask([("SCRIPT", "LOAD", script) for script in SCRIPTS])


async def _all(answers: "Sequence[asyncio.Future[list[Reply]]]") -> list[list[Reply]]:
    """Return what all hold, or raise what the first of them failed with, once all are there."""
    found: list[list[Reply]] = []
    for outcome in await asyncio.gather(*answers, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome
        found.append(outcome)
    return found


def _word(error: Reply) -> str:
    """Return the word that says what kind of error it is."""
    text = str(error)
    found = _IN_SCRIPT.match(text)
    return text.partition(" ")[0] if found is None else found[1]
