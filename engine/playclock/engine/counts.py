"""What an engine counts as it goes: plain integers where things happen, which whoever wants them reads.

They begin at 0 with the process and only grow. Nothing here knows of any system that collects them.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Final, Protocol, runtime_checkable

from playclock.core.match_news import MatchHappening, MatchNews
from playclock.core.outbox import OutboxEvent
from playclock.core.records import Happening, SessionEvent

BOUNDS_NS: Final = tuple(
    micros * 1_000
    for micros in (100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000)
)
"""The upper bounds of the buckets into which durations of calls are counted. Whoever waits for a store that is away, or for a
partner, is answered within the last one."""


@runtime_checkable
class Counting(Protocol):
    """What a store, or an archive, can do besides: tell what it has counted."""

    def counts(self) -> Mapping[str, int]:
        """Return each count by its name. May be called from any thread."""


class Calls:
    """The calls of one RPC: with which status they ended, and how many took how long."""

    __slots__ = ("buckets", "codes", "sum_ns")

    def __init__(self) -> None:
        self.codes: Final = {"OK": 0}
        """How many ended with each gRPC status, by its name."""
        self.buckets: Final = [0] * (len(BOUNDS_NS) + 1)
        """How many took at most each of `BOUNDS_NS`, and longer than the bound before; the last ones took longer than all."""
        self.sum_ns = 0

    def end(self, code: str, duration_ns: int | None) -> None:
        """Count a call that has ended; the duration is left out for a stream, which lasts as long as its caller likes."""
        codes = self.codes
        codes[code] = codes.get(code, 0) + 1
        if duration_ns is not None:
            self.buckets[bisect_left(BOUNDS_NS, duration_ns)] += 1
            self.sum_ns += duration_ns


class Counts:
    """What the parts of one engine have counted."""

    def __init__(self) -> None:
        self.calls: Final[dict[str, Calls]] = {}
        """By the RPC's full name, such as /playclock.v1.SessionService/Heartbeat. In process and over sockets alike."""
        self.heartbeats: Final = {"OK": 0}
        """How many heartbeats were answered with each result, or reason of an error, by its name."""
        self.opened: Final[dict[str, int]] = {}
        """How many sessions were opened, by the game's id."""
        self.ended: Final[dict[tuple[str, str], int]] = {}
        """How many sessions ended, by the game's id and the name of the reason. Where a partner pays, before it confirms."""
        self.provider_calls: Final[dict[tuple[str, str, str], int]] = {}
        """How often partners were called, by the provider's id, the call and its outcome."""
        self.agent_calls: Final[dict[tuple[str, str, str], int]] = {}
        """How often agents were called about money, by the agent's id, the kind and its outcome."""
        self.rate_limited: Final[dict[str, int]] = {}
        """How many calls were refused by each limit, by its name."""
        self.matches: Final[dict[str, int]] = {}
        """How many matches came to each state, by its name."""
        self.aborted_matches: Final[dict[str, int]] = {}
        """How many matches were aborted, by the name of the reason."""
        self.contradicted_results = 0
        """How many results of matches said something else than the one that counts."""
        self.deliveries: Final[dict[tuple[str, str], int]] = {}
        """Tries to tell games' servers of matches, by method and outcome. What is given up is counted once more, as dead."""
        self.points_saved = 0
        """How many entries of points were saved."""
        self.points_exceeded: Final[dict[str, int]] = {}
        """How often points or sessions were refused, by the name of the cap."""
        self.player_sessions = 0
        """How many session tokens were issued to players."""
        self.failed_jobs: Final[dict[str, int]] = {}
        """How often each background job failed, by its name. The next time comes all the same."""

    def calls_of(self, method: str) -> Calls:
        """Return what is counted of an RPC. All who serve it share that."""
        return self.calls.setdefault(method, Calls())

    def beat(self, result: str, number: int = 1) -> None:
        """Count heartbeats that were answered."""
        self.heartbeats[result] = self.heartbeats.get(result, 0) + number

    def deliver(self, method: str, outcome: str) -> None:
        """Count what came of a message to a game's server."""
        self.deliveries[method, outcome] = self.deliveries.get((method, outcome), 0) + 1

    def exceed(self, cap: str) -> None:
        """Count what a cap on points or sessions has refused."""
        self.points_exceeded[cap] = self.points_exceeded.get(cap, 0) + 1

    def take(self, events: Sequence[OutboxEvent]) -> None:
        """Count what has been committed."""
        for event in events:
            if isinstance(event, SessionEvent):
                self._take(event)
            elif isinstance(event, MatchNews):
                self._take_news(event)

    def _take(self, event: SessionEvent) -> None:
        session = event.session
        if event.happening is Happening.OPENED:
            self.opened[session.game_id] = self.opened.get(session.game_id, 0) + 1
        elif _ends(event) and session.end_reason is not None:
            ended = (session.game_id, session.end_reason.name)
            self.ended[ended] = self.ended.get(ended, 0) + 1

    def _take_news(self, news: MatchNews) -> None:
        if news.happening in _PASSING:
            return
        self.matches[news.happening.name] = self.matches.get(news.happening.name, 0) + 1
        if news.happening is MatchHappening.ABORTED and news.match.abort_reason is not None:
            reason = news.match.abort_reason.name
            self.aborted_matches[reason] = self.aborted_matches.get(reason, 0) + 1


_PASSING: Final = (MatchHappening.JOINED, MatchHappening.LEFT)
"""What happens to a match and leaves it in its state."""


def _ends(event: SessionEvent) -> bool:
    """Whether it is a session's end itself, and not a partner's confirmation of it."""
    return event.happening is (Happening.ENDED if event.session.grant is None else Happening.ENDING)
