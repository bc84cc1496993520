"""Asks agents' servers: signed, under a breaker, a bounded number at once, and left alone for as long as they ask to be."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Final, Protocol

import msgspec

from playclock.core import breaker as breakers
from playclock.core.breaker import Breaker
from playclock.core.callbacks import Heard, Kind, Word, read_answer
from playclock.core.estate import Agent
from playclock.core.signing import Scheme
from playclock.engine.context import Context
from playclock.engine.signatures import Signatures
from playclock.errors import AgentAway, NoWallet

CALLS_MAX: Final = 64
"""How many requests to one agent are under way at once."""
ANSWERED: Final = "answered"
REFUSED: Final = "refused"
FAILED: Final = "failed"
SKIPPED: Final = "skipped"
"""How a request is counted that was not made, because the agent has not answered of late, or asked to be left alone."""

_OUTCOMES: Final = {Word.YES: ANSWERED, Word.NO: REFUSED, Word.DOUBT: FAILED}
_log = logging.getLogger(__name__)


class Posted(msgspec.Struct, frozen=True):
    """What a server has answered."""

    status: int
    headers: Mapping[str, str]
    """By name in lower case."""
    body: bytes

    def __repr__(self) -> str:
        return f"Posted(status={self.status}, body=<{len(self.body)} bytes>)"


class NotPosted(Exception):
    """There is no answer."""

    def __init__(self, reason: str, *, is_sent: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_sent = is_sent
        """Whether the server may have seen any of the request, and may have done what it asks for."""


class Post(Protocol):
    """Sends a body to a URL, once."""

    async def __call__(self, url: str, headers: Mapping[str, str], body: bytes) -> Posted:
        """Return the answer, whatever its status. Raises NotPosted."""


class _Line:
    """An agent's server, as it can be reached."""

    def __init__(self) -> None:
        self.breaker = Breaker()
        self.quiet_until_ms = 0
        """Until when the agent has asked to be left alone."""
        self.calls = asyncio.Semaphore(CALLS_MAX)


class Callbacks:
    """Asks the agents of the estate."""

    def __init__(self, context: Context, signatures: Signatures, post: Post | None) -> None:
        self._context = context
        self._signatures = signatures
        self._post = post
        self._lines: dict[int, _Line] = {}

    @property
    def circuits(self) -> dict[str, bool]:
        """Whether the circuit to each agent that has been called is open, by the agent's id."""
        return {str(agent_id): breakers.is_open(line.breaker) for agent_id, line in self._lines.copy().items()}

    def check(self, agent_id: int) -> None:
        """Raise NoWallet for an agent that has none here, and AgentAway for one that is left alone now."""
        agent = self._context.estate.agents.get(agent_id)
        if agent is None or not agent.callback_url or not self._is_signed_for(agent):
            raise NoWallet("the agent keeps no money for its players here", agent_id=agent_id)
        wait_ms = self._wait_ms(self._line(agent_id))
        if self._post is None or wait_ms > 0:
            raise AgentAway(
                "the agent has not answered of late", agent_id=agent_id, retry_after_ms=max(wait_ms, AgentAway.retry_after_ms)
            )

    async def ask(self, agent_id: int, kind: Kind, body: bytes, *, by_ms: int) -> Heard:
        """Ask an agent, and return what came: its answer, or that nobody knows. Nothing is sent after `by_ms`.

        Raises AgentAway where nothing was sent for certain, NoWallet for an agent that cannot be asked.
        """
        line = self._line(agent_id)
        async with line.calls:
            try:
                self._check_time(agent_id, by_ms)
                self.check(agent_id)
            except (AgentAway, NoWallet):
                self._count(agent_id, kind, SKIPPED)
                raise
            line.breaker = breakers.admit(line.breaker, self._now_ms()) or line.breaker
            heard = await self._send(agent_id, line, kind, body)
        self._count(agent_id, kind, _OUTCOMES[heard.word])
        if heard.retry_after_ms:
            line.quiet_until_ms = self._now_ms() + heard.retry_after_ms
        if heard.is_down:
            self._failed(agent_id, line, heard.error)
        else:
            self._note(agent_id, line, Breaker(), "")
        return heard

    async def _send(self, agent_id: int, line: _Line, kind: Kind, body: bytes) -> Heard:
        assert self._post is not None
        signed = self._signatures.sign(Scheme.AGENT, str(agent_id), body=body)
        headers = {"Content-Type": "application/json", **signed.headers}
        try:
            posted = await self._post(self._context.estate.agents[agent_id].callback_url, headers, signed.body)
        except NotPosted as error:
            if error.is_sent:
                return Heard(Word.DOUBT, error=error.reason, is_down=True)
            self._count(agent_id, kind, FAILED)
            self._failed(agent_id, line, error.reason)
            raise AgentAway("the agent's server cannot be reached", agent_id=agent_id) from None
        return read_answer(posted.status, dict(posted.headers), posted.body)

    def _check_time(self, agent_id: int, by_ms: int) -> None:
        if self._now_ms() >= by_ms:
            raise AgentAway("it took too long until the agent could be asked", agent_id=agent_id)

    def _is_signed_for(self, agent: Agent) -> bool:
        return bool(self._context.estate.signing_as(Agent, str(agent.id), self._now_ms()))

    def _wait_ms(self, line: _Line) -> int:
        """Return how long the agent is to be left alone."""
        now_ms = self._now_ms()
        open_ms = 0 if breakers.admit(line.breaker, now_ms) is not None else line.breaker.open_until_ms - now_ms
        return max(open_ms, line.quiet_until_ms - now_ms)

    def _failed(self, agent_id: int, line: _Line, cause: str) -> None:
        self._note(agent_id, line, breakers.fail(line.breaker, self._now_ms()), cause)

    def _note(self, agent_id: int, line: _Line, after: Breaker, cause: str) -> None:
        before, line.breaker = line.breaker, after
        if breakers.is_open(after) and not breakers.is_open(before):
            _log.error(
                "an agent does not answer; its players cannot bet", extra={"fields": {"agent": agent_id, "cause": cause}}
            )
        elif breakers.is_open(before) and not breakers.is_open(after):
            _log.info("an agent answers again", extra={"fields": {"agent": agent_id}})

    def _count(self, agent_id: int, kind: Kind, outcome: str) -> None:
        calls, key = self._context.counts.agent_calls, (str(agent_id), kind.value, outcome)
        calls[key] = calls.get(key, 0) + 1

    def _line(self, agent_id: int) -> _Line:
        return self._lines.setdefault(agent_id, _Line())

    def _now_ms(self) -> int:
        return self._context.clock.now_ms()
