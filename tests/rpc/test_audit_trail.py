"""The audit trail as operators ask for it: whole, page by page, of an actor, of a time; archived once."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from playclock.archive.archiving import ArchiveOfStore
from playclock.archive.urls import open_archive
from playclock.clock import ManualClock
from playclock.engine import Engine
from playclock.stores.base import Store
from playclock.v1 import (
    AuditEvent,
    AuditServiceStub,
    EndSessionRequest,
    InternalService,
    ListAuditEventsRequest,
    Provisioning,
    TerminateSessionRequest,
    TopUpAccountRequest,
)

if TYPE_CHECKING:
    from tests.conftest import EngineMaker, World
    from tests.rpc.conftest import Rpc


@pytest.fixture
async def archive(store: Store, tmp_path: Path) -> AsyncIterator[ArchiveOfStore]:
    async with await open_archive(f"sqlite:///{tmp_path}/archive.db", store) as archive:
        yield archive


@pytest.fixture
async def engine(make_engine: "EngineMaker", store: Store, archive: ArchiveOfStore) -> Engine:
    return await make_engine(store, archive=archive)


async def listed(rpc: "Rpc", **chosen: object) -> list[AuditEvent]:
    request = ListAuditEventsRequest(**chosen)  # type: ignore[arg-type]
    page = await AuditServiceStub(rpc.channel).ListAuditEvents(request, metadata=rpc.OPERATOR)
    assert not page.next_page_token
    return list(page.events)


@pytest.fixture
async def begun_ms(world: "World", rpc: "Rpc", clock: ManualClock) -> int:
    """Let an operator and a service do things, ten seconds apart, each twice; return when that began."""
    allow = ["SessionService/*", "AccountService/TopUpAccount"]
    await world.provision(Provisioning(services=[InternalService(id="billing", tokens=["of-billing"], allow=allow)]))
    first, second = await world.open("pc-1"), await world.open("pc-2")
    begun_ms = clock.now_ms()
    for _ in range(2):
        top_up = TopUpAccountRequest(account_id=world.ACCOUNT, amount_micros=1, request_id="r-1")
        await rpc.accounts.TopUpAccount(top_up, metadata=rpc.bearer("of-billing"))
    clock.advance(10)
    end = EndSessionRequest(game_session_id=first)
    await rpc.sessions.EndSession(end, metadata=rpc.bearer("of-billing"))
    await rpc.failure(rpc.sessions.EndSession(end, metadata=rpc.bearer("of-billing")))
    clock.advance(10)
    terminate = TerminateSessionRequest(game_session_id=second)
    await rpc.sessions.TerminateSession(terminate, metadata=rpc.OPERATOR)
    await rpc.failure(rpc.sessions.TerminateSession(terminate, metadata=rpc.OPERATOR))
    for _ in range(2):
        await world.engine.sweep()
    return begun_ms


@pytest.mark.usefixtures("begun_ms")
async def test_each_change_is_there_once_with_who_did_it(rpc: "Rpc") -> None:
    told = [(event.actor, event.action) for event in await listed(rpc)]
    assert sorted(told) == sorted(
        [
            *[("operator/", "ApplyProvisioning")] * 2,
            *[("operator/", action) for action in ("StartLaunch", "IssueOtt", "OpenSession")] * 2,
            ("operator/", "TerminateSession"),
            ("service/billing", "EndSession"),
            ("service/billing", "TopUpAccount"),
        ]
    )


async def test_an_actor_and_a_time_can_be_asked_for(world: "World", rpc: "Rpc", begun_ms: int) -> None:
    def at(seconds: int) -> Timestamp:
        return Timestamp(seconds=begun_ms // 1000 + seconds)

    of_billing = await listed(rpc, actor="service/billing")
    assert [(event.action, event.act_time) for event in of_billing] == [("TopUpAccount", at(0)), ("EndSession", at(10))]
    assert (of_billing[0].target, of_billing[0].detail[:13]) == (world.ACCOUNT, "topup/cafe-1/")
    assert await listed(rpc, actor="service/billing", acted_from=at(1)) == of_billing[1:]
    assert await listed(rpc, actor="service/billing", acted_until=at(10)) == of_billing[:1]
    assert [event.action for event in await listed(rpc, acted_from=at(20))] == ["TerminateSession"]
    assert await listed(rpc, actor="service/bill") == []


@pytest.mark.usefixtures("begun_ms")
async def test_pages_together_are_the_list(rpc: "Rpc") -> None:
    service, token = AuditServiceStub(rpc.channel), ""
    found: list[AuditEvent] = []
    for size in (4, 4, 3):
        request = ListAuditEventsRequest(page_size=4, page_token=token)
        page = await service.ListAuditEvents(request, metadata=rpc.OPERATOR)
        assert len(page.events) == size
        found += page.events
        token = page.next_page_token
    assert token == ""
    assert found == await listed(rpc)


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (ListAuditEventsRequest(page_token="nonsense"), "page_token"),
        (ListAuditEventsRequest(page_size=-1), "page_size"),
        (ListAuditEventsRequest(actor="a\0b"), "actor"),
    ],
)
async def test_what_cannot_be_asked_is_told(rpc: "Rpc", request_: ListAuditEventsRequest, field: str) -> None:
    failed = await rpc.failure(AuditServiceStub(rpc.channel).ListAuditEvents(request_, metadata=rpc.OPERATOR))
    assert (failed.code, failed.violations) == (grpc.StatusCode.INVALID_ARGUMENT, (field,))


async def test_what_is_done_twice_in_a_millisecond_is_there_twice(world: "World", rpc: "Rpc") -> None:
    launch = await world.start()
    for _ in range(2):
        await world.ott(launch)
        await world.start("pc-2")
    await world.engine.sweep()
    told = [event.action for event in await listed(rpc)]
    assert (told.count("IssueOtt"), told.count("StartLaunch")) == (2, 3)
