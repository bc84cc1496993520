"""Bodies of games that are wrong, endless, or a stranger's: clear refusals, nothing half made, and nothing read in vain."""

import asyncio
import contextlib
import gzip
from collections.abc import AsyncIterator
from typing import Any, Final

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playclock_http.playfun.game_forms import FORM_BYTES_MAX, JSON_BYTES_MAX

from .callers import Developer, bad_request, refused
from .studio import BOUNDARY, GAME, PNG, Field, Studio, content_type, data_uri, form

NOT_A_FORM: Final = "Invalid request parameters: body: not multipart/form-data"
TEXTS: Final[list[Field]] = [(name, text, None) for name, text in GAME.items()]


class Raw:
    """A connection whose client sends what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def begin(self, length: int | None, authorization: str, *further: str, path: str = "/games") -> None:
        """Send a request's head."""
        lines = [f"POST {path} HTTP/1.1", "Host: x", f"Authorization: {authorization}", *further]
        if length is not None:
            lines.append(f"Content-Length: {length}")
        lines.append(f"Content-Type: multipart/form-data; boundary={BOUNDARY}")
        await self.send("\r\n".join([*lines, "", ""]).encode())

    async def send(self, data: bytes) -> None:
        """Send a piece."""
        self._writer.write(data)
        await self._writer.drain()

    async def status(self) -> int:
        """Return the status of the next answer, and read its head."""
        async with asyncio.timeout(20):
            head = await self._reader.readuntil(b"\r\n\r\n")
        return int(head.split(b" ")[1])


@contextlib.asynccontextmanager
async def connected(studio: Studio) -> AsyncIterator[Raw]:
    """Connect to the server."""
    url = httpx.URL(studio.server.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    try:
        yield Raw(reader, writer)
    finally:
        writer.close()


class TestWhoIsNotKnown:
    async def test_a_stranger_is_refused_before_anything_of_the_body_is_there(self, memory_studio: Studio) -> None:
        developer = memory_studio.developer
        wrong = Developer(developer.server, developer.id, "a-secret-that-is-wrong")
        for authorization in (
            wrong.authorization("POST", "/games"),
            developer.authorization("POST", "/games/me"),
            "HMAC-SHA256 nothing",
        ):
            async with connected(memory_studio) as raw:
                await raw.begin(30_000_000, authorization)
                assert await raw.status() == 401

    async def test_only_a_known_developer_is_told_to_go_on(self, memory_studio: Studio) -> None:
        body = form([*TEXTS, ("image", PNG, "image.png")])
        async with connected(memory_studio) as raw:
            await raw.begin(len(body), "HMAC-SHA256 nothing", "Expect: 100-continue")
            assert await raw.status() == 401
        async with connected(memory_studio) as raw:
            await raw.begin(len(body), memory_studio.developer.authorization("POST", "/games"), "Expect: 100-continue")
            assert await raw.status() == 100
            await raw.send(body)
            assert await raw.status() == 200


class TestForms:
    @pytest.mark.parametrize(
        ("body", "message"),
        [
            (b"", f"{NOT_A_FORM}: the last boundary is missing"),
            (b"hello", f"{NOT_A_FORM}: a boundary or a part's header is malformed, or too long"),
            (form(TEXTS)[:-3], f"{NOT_A_FORM}: the last boundary is missing"),
            (form(TEXTS)[:100], f"{NOT_A_FORM}: the last boundary is missing"),
            (form(TEXTS, "another"), f"{NOT_A_FORM}: a boundary or a part's header is malformed, or too long"),
            (form([("a", "b", None)] * 65), f"{NOT_A_FORM}: more than 64 parts"),
            (form([*TEXTS, ("image", PNG, "a"), ("image", PNG, "b")]), "Invalid request parameters: image: appears twice"),
            (form([*TEXTS, ("name", "Other", None)]), "Invalid request parameters: name: appears twice"),
            (form([("name", b"\xff", None)]), "Invalid request parameters: name: expected UTF-8"),
        ],
        ids=["empty", "text", "cut", "half", "boundary", "parts", "files", "fields", "encoding"],
    )
    async def test_a_form_that_is_wrong(self, memory_studio: Studio, body: bytes, message: str) -> None:
        before = await memory_studio.mine()
        assert refused(await memory_studio.send(body)) == bad_request(message)
        assert await memory_studio.mine() == before

    @pytest.mark.parametrize("file_name", ["../../etc/passwd", "C:\\\\image.png", "image.png.exe", "x" * 1500, "%00", "b.svg"])
    async def test_what_a_file_is_called_counts_for_nothing(self, memory_studio: Studio, file_name: str) -> None:
        answer = await memory_studio.register(("image", PNG, file_name), image=None)
        assert answer.json()["imageUrl"] == (await memory_studio.registered())["imageUrl"]

    async def test_a_text_may_come_as_a_file(self, memory_studio: Studio) -> None:
        """As a script's Blob does."""
        made = await memory_studio.registered(("orgRewardsSplit", "{}", "blob"), ("telegram", "@mygame", "blob"))
        assert made["telegram"] == "@mygame"

    async def test_a_content_coding_is_refused(self, memory_studio: Studio) -> None:
        headers = content_type() | {"content-encoding": "gzip"}
        answer = await memory_studio.developer.send("POST", "/games", content=gzip.compress(form(TEXTS)), headers=headers)
        assert refused(answer) == bad_request("Invalid request parameters: Content-Encoding: not accepted on a request")

    @given(body=st.one_of(st.binary(max_size=200), st.builds(lambda *parts: b"".join(parts), st.binary(max_size=20))))
    @settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    async def test_random_bodies_are_refused(self, memory_studio: Studio, body: bytes) -> None:
        assert refused(await memory_studio.send(body))["statusCode"] == 400
        assert refused(await memory_studio.developer.send("POST", "/games", content=body))["statusCode"] == 400

    @given(
        fields=st.lists(
            st.tuples(
                st.sampled_from([*GAME, "isHTMLGame", "maxScorePerSession", "hidden", "orgRewardsSplit", "image", 'x\\"y']),
                st.one_of(st.binary(max_size=30), st.text(max_size=30), st.sampled_from(["null", "true", "0", "{}"])),
                st.one_of(st.none(), st.text("abc./\\", max_size=10)),
            ),
            max_size=12,
        )
    )
    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    async def test_random_forms_are_answered(self, memory_studio: Studio, fields: list[Field]) -> None:
        """They have no picture, so none is a game."""
        assert refused(await memory_studio.send(form(fields)))["statusCode"] == 400


class TestLargeBodies:
    async def test_a_form_that_says_to_be_too_long_is_refused_unread(self, memory_studio: Studio) -> None:
        async with connected(memory_studio) as raw:
            await raw.begin(FORM_BYTES_MAX + 1, memory_studio.developer.authorization("POST", "/games"))
            assert await raw.status() == 400

    async def test_whoever_sends_it_all_the_same_hears_why(self, memory_studio: Studio) -> None:
        too_long = form([*TEXTS, ("image", bytes(FORM_BYTES_MAX), "image.png")])
        told = refused(await memory_studio.send(too_long))
        assert told == bad_request(f"Invalid request parameters: body: longer than {FORM_BYTES_MAX} bytes")
        twice = form([("image", PNG, "a.png"), ("image", bytes(8 * 1024 * 1024), "b.png")])
        assert refused(await memory_studio.send(twice)) == bad_request("Invalid request parameters: image: appears twice")

    async def test_a_form_without_an_end_is_read_to_the_limit(self, memory_studio: Studio) -> None:
        head = form([("image", b"", "image.png")]).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        sent, piece = 0, bytes(1024 * 1024)
        async with connected(memory_studio) as raw:
            await raw.begin(None, memory_studio.developer.authorization("POST", "/games"), "Transfer-Encoding: chunked")
            await raw.send(b"%x\r\n%b\r\n" % (len(head), head))
            answered = asyncio.create_task(raw.status())
            with contextlib.suppress(ConnectionError):  # whoever goes on after the answer
                while not answered.done() and sent < 4 * FORM_BYTES_MAX:
                    await raw.send(b"%x\r\n%b\r\n" % (len(piece), piece))
                    sent += len(piece)
            assert await answered == 400
        assert FORM_BYTES_MAX <= sent < 4 * FORM_BYTES_MAX

    async def test_who_breaks_off_leaves_nothing(self, memory_studio: Studio) -> None:
        before = await memory_studio.mine()
        body = form([*TEXTS, ("image", PNG, "image.png")])
        async with connected(memory_studio) as raw:
            await raw.begin(len(body) + 100_000, memory_studio.developer.authorization("POST", "/games"))
            await raw.send(body)
        assert await memory_studio.mine() == before
        await memory_studio.registered()

    async def test_whose_bodies_do_not_come_keeps_no_others_out(self, memory_studio: Studio) -> None:
        body = form([*TEXTS, ("image", PNG, "image.png"), ("unknown", bytes(100_000), "x")])
        developer, rival = memory_studio.developer, memory_studio.rival
        async with connected(memory_studio) as first, connected(memory_studio) as second, connected(memory_studio) as third:
            for raw in (first, second, third):
                await raw.begin(len(body), developer.authorization("POST", "/games"), "Expect: 100-continue")
                assert await raw.status() == 100  # its place is taken
            fourth = asyncio.create_task(memory_studio.send(body))
            of_another = await rival.send("POST", "/games", content=body, headers=content_type())
            assert of_another.status_code == 200
            assert (await memory_studio.register()).status_code == 200  # a small one needs no place
            assert not fourth.done()
            await first.send(body)
            assert await first.status() == 200
            assert (await fourth).status_code == 200
            for raw in (second, third):
                await raw.send(body)
                assert await raw.status() == 200


class TestJson:
    @pytest.mark.parametrize(
        ("body", "problem"),
        [
            (b"", "body: not JSON at character 0"),
            (b"[]", "body: expected a JSON object"),
            (b'{"name":"a","name":"b"}', "body: a key appears twice"),
            (b'{"name":' + b"[" * 50, "body: nested deeper than 16 levels"),
            (b'{"x":[' + b"0," * 40_000 + b"0]}", "body: more values than a game has"),
        ],
    )
    async def test_what_is_no_game(self, memory_studio: Studio, body: bytes, problem: str) -> None:
        answer = await memory_studio.developer.send("POST", "/games", content=body)
        assert refused(answer) == bad_request(f"Invalid request parameters: {problem}")

    async def test_a_body_that_is_too_long(self, memory_studio: Studio) -> None:
        async with connected(memory_studio) as raw:
            authorization = memory_studio.developer.authorization("POST", "/games")
            lines = ["POST /games HTTP/1.1", "Host: x", f"Content-Length: {JSON_BYTES_MAX + 1}"]
            await raw.send("\r\n".join([*lines, f"Authorization: {authorization}", "", ""]).encode())
            assert await raw.status() == 400

    async def test_types_are_what_they_are(self, memory_studio: Studio) -> None:
        said: dict[str, Any] = GAME | {"base64Image": data_uri(PNG), "hidden": "true", "maxScorePerSession": "10"}
        answer = await memory_studio.developer.send("POST", "/games", json=said)
        assert refused(answer) == bad_request(
            "Invalid request parameters: maxScorePerSession: expected a whole number from 0 to 9007199254740992, or null; "
            "hidden: expected true or false"
        )
