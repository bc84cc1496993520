"""Which address counts, since it decides whether a cafe pays: the socket's, unless configured proxies say otherwise."""

import httpx
import pytest

from .callers import START, GameServer, LauncherPc
from .conftest import ServerMaker
from .envelope import data_of, refusal_of
from .estate import FREE, OUTSIDE, SEOUL
from .server import Server

CAFE = "203.0.113.7"
"""An address of cafe-1 from which nobody can call here."""
STRANGER = "192.0.2.9"
PROXY = OUTSIDE
SECOND_PROXY = "127.8.0.1"
BODY = b'{"pc_id":"PC-1","internal_ip":"192.168.0.17"}'

pytestmark = pytest.mark.parametrize("kind", ["memory"], indirect=True)
"""Which address counts is known before a store is asked."""


async def cafe_of(pc: LauncherPc, *forwarded: str) -> str:
    """Start a launch with X-Forwarded-For headers, in their order, and return its cafe; empty where it is in none."""
    headers = [*pc.signed("POST", START, BODY).items(), *(("X-Forwarded-For", value) for value in forwarded)]
    response = await pc.client.post(START, content=BODY, headers=httpx.Headers(headers, encoding="latin-1"))
    if response.status_code == 200:
        return str(data_of(response)["cafe"]["id"])
    assert refusal_of(response) == (403, "NOT_PC_CAFE")
    return ""


async def test_by_default_nobody_is_believed(server: Server) -> None:
    outside, inside = server.pc(OUTSIDE), server.pc(SEOUL)
    for claim in (CAFE, f"{CAFE}, {CAFE}", SEOUL, "127.0.0.1", FREE):
        assert not await cafe_of(outside, claim)
    assert not await cafe_of(outside, CAFE, CAFE)
    for claim in (STRANGER, FREE, "", "junk"):
        assert await cafe_of(inside, claim) == "cafe-1"


@pytest.mark.parametrize("header", ["Forwarded", "X-Real-IP", "X-Client-IP", "CF-Connecting-IP", "True-Client-IP", "Via"])
async def test_no_other_header_is_ever_believed(make_server: ServerMaker, header: str) -> None:
    server = await make_server(trusted_proxies=["127.0.0.0/8"])
    value = f"for={CAFE}" if header == "Forwarded" else CAFE
    assert refusal_of(await server.pc(OUTSIDE).start(**{header: value})) == (403, "NOT_PC_CAFE")


@pytest.mark.parametrize(
    ("forwarded", "cafe"),
    [
        ([CAFE], "cafe-1"),
        ([STRANGER], ""),
        (["198.51.100.1"], "cafe-free"),
        ([], ""),
        # The right-most hop that is no proxy counts, whatever stands left of it.
        ([f"{CAFE}, {STRANGER}"], ""),
        ([f"{STRANGER}, {CAFE}"], "cafe-1"),
        ([f"{STRANGER}, {CAFE}, {SECOND_PROXY}"], "cafe-1"),
        ([f"{CAFE}, {STRANGER}, {SECOND_PROXY}"], ""),
        ([f"{CAFE},{SECOND_PROXY},{SECOND_PROXY},{PROXY}"], "cafe-1"),
        # Headers that come several times are one list, in their order.
        ([CAFE, STRANGER], ""),
        ([STRANGER, CAFE], "cafe-1"),
        ([STRANGER, CAFE, SECOND_PROXY], "cafe-1"),
        # A hop that is no plain address ends the walk.
        (["junk"], ""),
        ([f"{CAFE}, junk"], ""),
        ([f"{CAFE},"], ""),
        ([f"{CAFE}:4711"], ""),
        ([f"[{CAFE}]"], ""),
        ([f"junk, {CAFE}"], "cafe-1"),
        ([f"{CAFE}, unknown, {SECOND_PROXY}"], ""),
        (["203.0.113.007"], ""),
        (["3405803783"], ""),
        (["0xcb007107"], ""),
        (["203.0.113.7\xa0"], ""),
        # IPv6, and IPv4 in IPv6 clothes.
        (["2001:db8:1::7"], "cafe-1"),
        (["2001:DB8:1:0:0:0:0:7"], "cafe-1"),
        (["2001:db8:2::7"], ""),
        (["::ffff:203.0.113.7"], "cafe-1"),
        (["::ffff:cb00:7107"], "cafe-1"),
        (["fe80::1%eth0"], ""),
        ([f"{STRANGER},  203.0.113.7\t,{SECOND_PROXY}"], "cafe-1"),
    ],
)
async def test_behind_proxies_the_rightmost_hop_that_is_none_of_them_counts(
    make_server: ServerMaker, forwarded: list[str], cafe: str
) -> None:
    server = await make_server(trusted_proxies=[f"{PROXY}/32", "127.8.0.0/16"])
    assert await cafe_of(server.pc(PROXY), *forwarded) == cafe


async def test_a_caller_that_is_no_proxy_is_not_believed_where_there_are_some(make_server: ServerMaker) -> None:
    server = await make_server(trusted_proxies=[f"{PROXY}/32"])
    assert not await cafe_of(server.pc("127.9.0.2"), CAFE)
    assert await cafe_of(server.pc(SEOUL), STRANGER) == "cafe-1"
    assert await cafe_of(server.pc(PROXY), CAFE) == "cafe-1"


async def test_where_every_hop_is_a_proxy_the_leftmost_one_counts(make_server: ServerMaker) -> None:
    server = await make_server(trusted_proxies=["127.0.0.0/8"])
    assert await cafe_of(server.pc(PROXY), f"{SEOUL}, {SECOND_PROXY}") == "cafe-1"
    assert not await cafe_of(server.pc(PROXY), f"{SECOND_PROXY}, {PROXY}")


async def test_a_chain_of_thousands_of_hops_is_walked_from_its_right_end(make_server: ServerMaker) -> None:
    server = await make_server(trusted_proxies=[f"{PROXY}/32"])
    assert await cafe_of(server.pc(PROXY), ", ".join([STRANGER] * 3000 + [CAFE])) == "cafe-1"
    assert not await cafe_of(server.pc(PROXY), ", ".join([CAFE] * 3000 + [STRANGER]))


async def test_game_servers_may_call_from_anywhere(server: Server) -> None:
    outside = GameServer(server.client(OUTSIDE))
    session = await outside.join(await server.pc().ott())
    assert data_of(await outside.heartbeat(session, X_Forwarded_For=STRANGER))["result"] == "OK"
