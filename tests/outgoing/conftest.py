"""A certificate authority of the tests, receivers with its certificates, and clients that believe it."""

import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Protocol

import pytest
import trustme
from playclock.outgoing import Bounds, OutgoingClient, Resolve
from playclock.outgoing.connecting import system_trust

from tests.outgoing.receivers import HOST, OUTSIDE, Names, Receiver, Reply, answers, receiving, server_tls


class MakeClient(Protocol):
    def __call__(
        self, resolve: Resolve | None = None, *, networks: tuple[str, ...] = ..., bounds: Bounds | None = None
    ) -> OutgoingClient: ...


class Receive(Protocol):
    def __call__(
        self, reply: Reply = ..., *, names: tuple[str, ...] = ..., tls: bool = True, address: str = ..., port: int = 0
    ) -> Receiver: ...


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def receive(authority: trustme.CA) -> Iterator[Receive]:
    with ExitStack() as stack:

        def start(
            reply: Reply = answers,
            *,
            names: tuple[str, ...] = (HOST,),
            tls: bool = True,
            address: str = OUTSIDE,
            port: int = 0,
        ) -> Receiver:
            context = server_tls(authority, *names) if tls else None
            return stack.enter_context(receiving(reply, context, address, port))

        yield start


@pytest.fixture(scope="session")
def trust(authority: trustme.CA) -> ssl.SSLContext:
    trust = system_trust()
    authority.configure_trust(trust)
    return trust


@pytest.fixture
def make_client(trust: ssl.SSLContext) -> Iterator[MakeClient]:
    clients = []

    def make(
        resolve: Resolve | None = None,
        *,
        networks: tuple[str, ...] = (f"{OUTSIDE}/32",),
        bounds: Bounds | None = None,
    ) -> OutgoingClient:
        client = OutgoingClient(networks, bounds=bounds, resolve=resolve or Names(hooks_example_com=[[OUTSIDE]]), tls=trust)
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()
