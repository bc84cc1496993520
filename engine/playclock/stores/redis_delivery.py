"""How what a store says reaches the servers that it is about: where they are by now, once, and with an answer in time."""

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import hiredis

from playclock.stores.base import Commit, Conflict, StoreUnavailable
from playclock.stores.redis_commits import Batch
from playclock.stores.redis_epochs import Epochs
from playclock.stores.redis_link import Link
from playclock.stores.redis_renewals import UNSENT, Outcome, Renewals
from playclock.stores.redis_scripts import SCRIPTS
from playclock.stores.redis_topology import Topology
from playclock.stores.redis_wire import Command, Reply

ATTEMPTS_MAX: Final = 5
"""How often a command is sent again, to another server or with its script, after one said that it did nothing."""
ASK_SEC: Final = 1.0
"""How long finding and asking the servers may take in all. Who waits longer has given up."""

ELSEWHERE: Final = frozenset({"MOVED", "ASK", "READONLY", "CLUSTERDOWN", "TRYAGAIN", "MASTERDOWN"})
"""What a server says that did nothing, because another one holds the partition now."""
MOVING: Final = frozenset({"ASK", "TRYAGAIN"})
"""What it says of keys in a slot that is moving: they are there already, or on both sides."""
NO_SCRIPT: Final = "NOSCRIPT"
PAUSE_SEC: Final = 0.02
"""How long is waited before the first repeat but one, and how much longer each time."""

_IN_SCRIPT: Final = re.compile(r"ERR Error running script .*?-([A-Z]+) ")
"""How Redis 6.2 wraps what a command within a script was told."""

_ASKING: Final[Command] = ("ASKING",)
NOWHERE: Final[Mapping[int, Link]] = {}

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
        self.sent_again = 0
        """How many commands were sent again, after a server said that it had done nothing."""

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
            # What was said of those that shared its script may hold for others: its own record may not have moved yet.
            is_new = answer is UNSENT or _word(answer) in MOVING
            replies = [None if is_new else answer]
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
        aside: dict[int, Link] = {}
        for attempt in range(ATTEMPTS_MAX):
            refused = {index: _word(replies[index]) for index in left if replies[index] is not None}
            words = set(refused.values())
            self.sent_again += len(refused)
            for word in words - ELSEWHERE - {NO_SCRIPT}:
                raise StoreUnavailable(f"Redis refuses: {word}")
            if words & ELSEWHERE - {"ASK"}:
                await asyncio.sleep(PAUSE_SEC * attempt)
                await self._topology.refresh()
            left = await self._apart(asks, left, replies, refused)
            taught = {index: link for index, link in aside.items() if refused.get(index) == NO_SCRIPT}
            aside = taught | {index: await self._named_by(replies[index]) for index in left if refused.get(index) == "ASK"}
            unknown = [index for index in left if refused.get(index) == NO_SCRIPT]
            await _teach({aside.get(index) or await self._epochs.link(asks[index][0]) for index in unknown})
            left = await self._send(asks, left, replies, replicas, aside)
            if not left:
                return
        raise StoreUnavailable(f"Redis refuses: {_word(replies[left[0]])}")

    async def _apart(
        self, asks: Sequence[Ask], left: Sequence[int], replies: list[Reply], refused: Mapping[int, str]
    ) -> list[int]:
        """Send renewals that share a script, which Redis takes only where all of their records lie on one side, one by one.

        Return what is still left.
        """
        still: list[int] = []
        for index in left:
            partition, said = asks[index]
            if not isinstance(said, Batch) or len(said.commits) == 1 or refused.get(index) not in MOVING:
                still.append(index)
                continue
            found = await self.ask(
                [(partition, Batch([commit], [0], is_renewal=True)) for commit in said.commits], is_commit=True
            )
            replies[index] = [part for number, reply in enumerate(found, start=1) if reply for part in (number, reply[1])]
        return still

    async def _named_by(self, error: Reply) -> Link:
        """Return a connection to the server of which another one says that it has the keys already. Raises StoreUnavailable."""
        host, _, port = str(error).rpartition(" ")[2].rpartition(":")
        if not host or not port.isdigit():
            raise StoreUnavailable("Redis does not say where it moves a slot")
        return await self._topology.link_to((host, int(port)))

    async def _send(
        self,
        asks: Sequence[Ask],
        waiting: Sequence[int],
        replies: list[Reply],
        replicas: int,
        aside: Mapping[int, Link] = NOWHERE,
    ) -> list[int]:
        """Send commands and take in their replies; return which of them Redis refused.

        Those `aside` go to a server that does not hold their slot yet, and answers only who says that this is known.
        """
        epochs = self._epochs
        usual = [index for index in waiting if index not in aside]
        while missing := {asks[index][0] for index in usual if epochs.ready(asks[index][0]) is None}:
            await asyncio.gather(*map(epochs.link, missing))
        groups: dict[tuple[Link, bool], list[int]] = {}
        for index in waiting:
            is_aside = index in aside
            link = aside[index] if is_aside else epochs.ready(asks[index][0])
            assert link is not None, "nothing was waited for since"
            said = asks[index][1]
            if not isinstance(said, Batch) or said.epoch in (None, link.epoch):
                groups.setdefault((link, is_aside), []).append(index)
            elif is_aside:
                raise StoreUnavailable("the partition moves to another server")
            else:
                replies[index] = None
        # Sent before the first answer is waited for.
        answers = [
            self._say([asks[index][1] for index in those], link, is_aside=is_aside)
            for (link, is_aside), those in groups.items()
        ]
        # Where replicas lacked something, a repeat may find it by reading alone, and be told that it is done.
        slow = [link for link in dict.fromkeys(link for link, _ in groups) if replicas or link.is_owed]
        answers += [asyncio.shield(link.acknowledged(self._replicas)) for link in slow]
        outcomes = [await answers[0]] if len(answers) == 1 else await _all(answers)
        for (_, is_aside), those, outcome in zip(groups, groups.values(), outcomes, strict=False):
            for index, reply in zip(those, outcome[1::2] if is_aside else outcome, strict=True):
                replies[index] = reply
        for link, (count,) in zip(slow, outcomes[len(groups) :], strict=True):
            written = [index for (each, _), those in groups.items() if each is link for index in those]
            is_done = any(not isinstance(replies[index], hiredis.ReplyError) for index in written)
            link.is_owed = not (isinstance(count, int) and count >= self._replicas)
            if is_done and link.is_owed:
                raise StoreUnavailable("too few replicas have it in time: whether it lasts is not known")
        return [index for index in waiting if isinstance(replies[index], hiredis.ReplyError)]

    def _say(self, sayings: Sequence[Command | Batch], link: Link, *, is_aside: bool) -> "asyncio.Future[list[Reply]]":
        """Send commands. Commits that take effect are kept, also if their caller does not wait any more.

        Nor is it waited for replicas: what others have seen and built on has to come back, or theirs could not either. Aside,
        there is the reply to another command before each reply.
        """
        commands = [said.command(link.mark) if isinstance(said, Batch) else said for said in sayings]
        if is_aside:
            commands = [part for command in commands for part in (_ASKING, command)]
        if not any(isinstance(said, Batch) for said in sayings):
            return link.ask(commands)
        journal = self._epochs.journal

        def heard(replies: list[Reply]) -> None:
            now = asyncio.get_running_loop().time()
            for said, reply in zip(sayings, replies[1::2] if is_aside else replies, strict=True):
                if isinstance(said, Batch):
                    journal.add(said.acknowledged(reply), now, link.mark)

        return link.ask(commands, heard)


async def _teach(links: Iterable[Link]) -> None:
    """Load scripts where a server does not know them: it is new, or has forgotten."""
    for link in links:
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
