"""Failure mode 28: nobody is called but who was checked, under the name that was asked for."""

import logging
from pathlib import Path

import pytest
from playclock.outgoing import (
    BadUrl,
    ConnectFailed,
    NoAddress,
    OutgoingClient,
    OutgoingError,
    RefusedAddress,
    Request,
)

from tests.outgoing.conftest import MakeClient, Receive
from tests.outgoing.receivers import HOST, INSIDE, OUTSIDE, Names, says


async def test_connects_to_the_checked_address_under_the_name_that_was_asked_for(
    make_client: MakeClient, receive: Receive
) -> None:
    receiver = receive()
    client = make_client()
    answer = await client.send(
        Request(url=f"https://HOOKS.example.com:{receiver.port}/in?x=1", headers={"X-Id": "7"}, body=b"hello")
    )
    assert (answer.status, answer.headers, answer.body) == (200, {"content-length": "2"}, b"ok")
    assert receiver.names == [HOST]
    head, _, body = receiver.requests[0].partition(b"\r\n\r\n")
    assert head.split(b"\r\n") == [
        b"POST /in?x=1 HTTP/1.1",
        f"host: {HOST}:{receiver.port}".encode(),
        b"user-agent: playclock",
        b"accept: */*",
        b"x-id: 7",
        b"accept-encoding: identity",
        b"connection: close",
        b"content-length: 5",
    ]
    assert body == b"hello"


async def test_a_name_that_is_bound_anew_is_looked_up_once_and_never_believed(
    make_client: MakeClient, receive: Receive
) -> None:
    inner = receive(address=INSIDE)
    receiver = receive(port=inner.port)
    names = Names(hooks_example_com=[[OUTSIDE], [INSIDE]])
    client = make_client(names)
    url = f"https://{HOST}:{receiver.port}/"
    assert (await client.send(Request(url=url))).status == 200
    assert (names.lookups, receiver.connections) == ([HOST], 1)
    with pytest.raises(RefusedAddress):
        await client.send(Request(url=url))
    assert (names.lookups, inner.connections) == ([HOST, HOST], 0)


@pytest.mark.parametrize("bad", [INSIDE, "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.2", "fe80::1%lo", "nonsense"])
async def test_one_bad_address_spoils_all(make_client: MakeClient, receive: Receive, bad: str) -> None:
    receiver = receive()
    client = make_client(Names(hooks_example_com=[[OUTSIDE, bad]]))
    with pytest.raises(RefusedAddress, match=f"^{HOST} has an address that may not be called$") as raised:
        await client.send(Request(url=f"https://{HOST}:{receiver.port}/"))
    assert (receiver.connections, raised.value.is_sent, raised.value.reason) == (0, False, "REFUSED_ADDRESS")


async def test_a_redirect_is_an_answer_and_is_not_followed(make_client: MakeClient, receive: Receive) -> None:
    inner = receive(address=INSIDE, tls=False)
    for location in ("http://169.254.169.254/latest/meta-data/", f"http://{INSIDE}:{inner.port}/", f"https://{HOST}/again"):
        receiver = receive(says(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()))
        names = Names(hooks_example_com=[[OUTSIDE]])
        answer = await make_client(names).send(Request(url=f"https://{HOST}:{receiver.port}/"))
        assert (answer.status, answer.headers["location"]) == (302, location)
        assert (names.lookups, receiver.connections, inner.connections) == ([HOST], 1, 0)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "[::1]", "[::ffff:127.0.0.2]", "[::ffff:7f00:2]", "[64:ff9b::7f00:2]", "169.254.169.254", "[fd00:ec2::254]"],
)
async def test_an_address_as_host_is_checked_too(make_client: MakeClient, host: str) -> None:
    names = Names()
    with pytest.raises(RefusedAddress):
        await make_client(names).send(Request(url=f"https://{host}:8443/"))
    assert names.lookups == []


@pytest.mark.parametrize(
    "host", ["2130706434", "0x7f000002", "0177.0.0.2", "127.2", "127.0.0.2.", "user@127.0.0.2", "127.0.0.2%00"]
)
async def test_an_address_in_disguise_is_none(make_client: MakeClient, receive: Receive, host: str) -> None:
    receiver = receive(names=(OUTSIDE,))
    names = Names()
    with pytest.raises(BadUrl):
        await make_client(names).send(Request(url=f"https://{host}:{receiver.port}/"))
    assert (names.lookups, receiver.connections) == ([], 0)


async def test_an_address_as_host_is_called_under_its_own_certificate(make_client: MakeClient, receive: Receive) -> None:
    receiver = receive(names=(OUTSIDE,))
    assert (await make_client().send(Request(method="GET", url=f"https://{OUTSIDE}:{receiver.port}"))).body == b"ok"
    assert receiver.names == [None]
    assert receiver.requests[0].startswith(b"GET / HTTP/1.1\r\nhost: 127.0.0.2:%d\r\n" % receiver.port)


async def test_http_is_for_networks_of_the_settings(make_client: MakeClient, receive: Receive) -> None:
    receiver = receive(tls=False)
    assert (await make_client().send(Request(url=f"http://{HOST}:{receiver.port}/"))).body == b"ok"
    public = make_client(Names(hooks_example_com=[["8.8.8.8"]]))
    with pytest.raises(RefusedAddress, match="may not be called by http"):
        await public.send(Request(url=f"http://{HOST}/"))


async def test_without_networks_nothing_on_this_machine_is_called(receive: Receive) -> None:
    """By the system's own resolver."""
    receiver = receive(address=INSIDE, tls=False)
    client = OutgoingClient()
    for scheme in ("https", "http"):
        with pytest.raises(RefusedAddress):
            await client.send(Request(url=f"{scheme}://localhost:{receiver.port}/"))
    client.close()
    assert receiver.connections == 0


async def test_the_systems_resolver_finds_a_name_of_an_allowed_network(receive: Receive) -> None:
    receiver = receive(address=INSIDE, tls=False)
    client = OutgoingClient(["127.0.0.0/8", "::1/128"])
    assert (await client.send(Request(url=f"http://localhost:{receiver.port}/"))).body == b"ok"
    client.close()


async def test_the_environment_names_no_proxy_and_no_password(
    make_client: MakeClient, receive: Receive, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    proxy = receive(address=INSIDE, tls=False)
    receiver = receive(tls=False)
    (tmp_path / ".netrc").write_text(f"machine {HOST} login me password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, f"http://{INSIDE}:{proxy.port}")
    await make_client().send(Request(url=f"http://{HOST}:{receiver.port}/"))
    assert proxy.connections == 0
    assert b"authorization" not in receiver.requests[0].lower()


async def test_cookies_are_not_kept(make_client: MakeClient, receive: Receive) -> None:
    receiver = receive(says(b"HTTP/1.1 204 No Content\r\nSet-Cookie: a=b\r\n\r\n"))
    client = make_client()
    for _ in range(2):
        await client.send(Request(url=f"https://{HOST}:{receiver.port}/"))
    assert b"cookie" not in receiver.requests[1].lower()


async def test_the_next_address_is_tried_where_one_does_not_accept(make_client: MakeClient, receive: Receive) -> None:
    receiver = receive()
    client = make_client(Names(hooks_example_com=[["127.0.0.3", OUTSIDE]]), networks=("127.0.0.2/31",))
    assert (await client.send(Request(url=f"https://{HOST}:{receiver.port}/"))).status == 200


async def test_three_addresses_are_tried(make_client: MakeClient, receive: Receive) -> None:
    receiver = receive()
    names = Names(hooks_example_com=[["127.0.0.3", "127.0.0.4", "127.0.0.5", OUTSIDE]])
    with pytest.raises(ConnectFailed) as raised:
        await make_client(names, networks=("127.0.0.0/29",)).send(Request(url=f"https://{HOST}:{receiver.port}/"))
    assert [text.split(":")[0] for text in raised.value.detail.split("; ")] == ["127.0.0.3", "127.0.0.4", "127.0.0.5"]
    assert receiver.connections == 0


async def test_nobody_accepts(make_client: MakeClient, receive: Receive) -> None:
    receiver = receive()
    client = make_client(Names(hooks_example_com=[["127.0.0.3"]]), networks=("127.0.0.2/31",))
    with pytest.raises(ConnectFailed, match=f"^{HOST} does not accept connections on port {receiver.port}$") as raised:
        await client.send(Request(url=f"https://{HOST}:{receiver.port}/"))
    assert (raised.value.is_sent, raised.value.status) == (False, None)


@pytest.mark.parametrize("names", [Names(), Names(hooks_example_com=[[]])])
async def test_a_name_without_addresses(make_client: MakeClient, names: Names) -> None:
    with pytest.raises(NoAddress, match=f"^{HOST} has no address$"):
        await make_client(names).send(Request(url=f"https://{HOST}/"))


async def test_operators_see_addresses_in_the_log_and_nobody_sees_secrets(
    make_client: MakeClient, receive: Receive, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    receiver = receive(says(b"HTTP/1.1 200 OK\r\nX-Secret: s3cret\r\nContent-Length: 9\r\n\r\ns3cret"))
    request = Request(url=f"https://{HOST}:{receiver.port}/s3cret?s3cret", headers={"X-Key": "s3cret"}, body=b"s3cret")
    failures = [
        await _failure(make_client(names), request)
        for names in (Names(), Names(hooks_example_com=[["10.1.2.3"]]), Names(hooks_example_com=[[OUTSIDE]]))
    ]
    assert [failure.split(":")[0] for failure in failures] == ["NoAddress", "RefusedAddress", "BadResponse"]
    assert "10.1.2.3" not in "".join(failures)
    assert "s3cret" not in "".join(failures) + caplog.text + repr(request)
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING", "INFO"]
    assert f"outgoing request to {HOST}:{receiver.port}: REFUSED_ADDRESS" in caplog.text
    assert "10.1.2.3" in caplog.text


async def _failure(client: OutgoingClient, request: Request) -> str:
    with pytest.raises(OutgoingError) as raised:
        await client.send(request)
    return f"{type(raised.value).__name__}: {raised.value}"
