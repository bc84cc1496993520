"""Clients that behave, beside those who do not: how long each of their calls takes, and whether all are answered."""

import http.client
import json
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Self

import grpc
from playclock.v1.session_service_pb2 import OpenSessionRequest
from playclock.v1.session_service_pb2_grpc import SessionServiceStub

from simulation.abuse.victim import GAME, GAME_KEY

PAUSE_SEC: Final = 0.01
VERIFY: Final = "/v1/game/session/verify"
UNKNOWN: Final = "a1b2c3d4-e5f6-4890-abcd-ef1234567890"
_BODY: Final = json.dumps({"ott": UNKNOWN, "provider_user_id": "1"})


class Latency(NamedTuple):
    """How long calls took, in seconds."""

    calls: int
    median: float
    p99: float
    longest: float

    def __str__(self) -> str:
        """Return it in milliseconds."""
        return (
            f"{self.calls} calls, p50 {self.median * 1e3:.1f} ms, p99 {self.p99 * 1e3:.1f} ms, max {self.longest * 1e3:.1f} ms"
        )


class Guest:
    """One client, which calls again and again on a connection of its own, with a short pause."""

    def __init__(self, call: Callable[[], None], close: Callable[[], None]) -> None:
        self._call, self._close = call, close
        self._took: list[float] = []
        self._failed: list[BaseException] = []
        self._over = threading.Event()
        self._called = threading.Condition()
        self._thread = threading.Thread(target=self._go_on)

    @classmethod
    def over_grpc(cls, address: str) -> Self:
        """Return one that redeems an OTT that is not known."""
        channel = grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])
        stub = SessionServiceStub(channel)
        request = OpenSessionRequest(ott=UNKNOWN, provider_user_id="1")

        def verify() -> None:
            assert not stub.OpenSession(request, metadata=GAME, timeout=10).game_session_id

        return cls(verify, channel.close)

    @classmethod
    def over_http(cls, address: str) -> Self:
        """Return one that redeems an OTT that is not known."""
        connection = http.client.HTTPConnection(address, timeout=10)

        def verify() -> None:
            connection.request("POST", VERIFY, _BODY, {"X-Api-Key": GAME_KEY})
            answer = connection.getresponse()
            assert (answer.status, b"OTT_EXPIRED" in answer.read()) == (200, True)

        return cls(verify, connection.close)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        """End."""
        self._over.set()
        self._thread.join()
        self._close()

    def more(self, count: int) -> Latency:
        """Wait until so many more calls were answered, and return how long they took. Raises what a call failed with."""
        self._took = []
        with self._called:
            assert self._called.wait_for(lambda: len(self._took) >= count or self._failed, timeout=60)
        return self.so_far()

    def so_far(self) -> Latency:
        """Return how long the calls took since `more` was asked for, or since the last time. Raises what one failed with."""
        took, self._took = self._took, []
        if self._failed:
            raise self._failed[0]
        return _latency(took)

    def _go_on(self) -> None:
        while not self._over.wait(PAUSE_SEC):
            began = time.monotonic()
            try:
                self._call()
            except BaseException as error:  # noqa: BLE001 - told by whoever asks
                self._failed.append(error)
                self._over.set()
            with self._called:
                self._took.append(time.monotonic() - began)
                self._called.notify_all()


def _latency(took: Sequence[float]) -> Latency:
    ordered = sorted(took)
    count = len(ordered)
    return Latency(count, ordered[count // 2], ordered[min(count - 1, count * 99 // 100)], ordered[-1])
