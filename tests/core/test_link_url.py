"""The URLs of links: what is added is there once and exactly, and whatever was there before stays as it was."""

from urllib.parse import parse_qsl, quote, urlsplit

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playclock.core.link_url import http_url_problem, with_query

REPEATABLE = settings(deadline=None, derandomize=True)

ADDED = {"token": "abc123", "gameId": "123", "playerId": "player_123"}
TAIL = "token=abc123&gameId=123&playerId=player_123"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        # The document's own examples.
        ("https://game.example.com/play", f"https://game.example.com/play?{TAIL}"),
        ("https://game.example.com/demo", f"https://game.example.com/demo?{TAIL}"),
        # A query stays, as it is spelled.
        ("https://g.example/play?lang=en", f"https://g.example/play?lang=en&{TAIL}"),
        ("https://g.example/?a=1&a=2&flag&b=%20+%2B", f"https://g.example/?a=1&a=2&flag&b=%20+%2B&{TAIL}"),
        ("https://g.example/?a=1&&b", f"https://g.example/?a=1&&b&{TAIL}"),
        ("https://g.example/?", f"https://g.example/?{TAIL}"),
        ("https://g.example/?a=what?", f"https://g.example/?a=what?&{TAIL}"),
        ("https://g.example", f"https://g.example?{TAIL}"),
        ("https://g.example:8443", f"https://g.example:8443?{TAIL}"),
        # Equal names are replaced, however they are spelled, and others are not.
        ("https://g.example/?token=old&x=1&token=older", f"https://g.example/?x=1&{TAIL}"),
        ("https://g.example/?%74oken=old&game%49d=7&playerId", f"https://g.example/?{TAIL}"),
        ("https://g.example/?Token=1&tokens=2&gameid=3", f"https://g.example/?Token=1&tokens=2&gameid=3&{TAIL}"),
        # The fragment stays behind the query, and what looks like a query in it is none.
        ("https://g.example/play#lobby", f"https://g.example/play?{TAIL}#lobby"),
        ("https://g.example/#/play?token=mine", f"https://g.example/?{TAIL}#/play?token=mine"),
        ("https://g.example/?a=1#f#g", f"https://g.example/?a=1&{TAIL}#f#g"),
        ("https://g.example/play#", f"https://g.example/play?{TAIL}#"),
        # Names and escapes.
        ("https://игра.example/play", f"https://xn--80afo7a.example/play?{TAIL}"),
        ("https://bücher.example:8443/ä?ö=ü#ß", f"https://xn--bcher-kva.example:8443/%C3%A4?%C3%B6=%C3%BC&{TAIL}#%C3%9F"),
        ("https://g.example/a%20b/%E4%BD%A0", f"https://g.example/a%20b/%E4%BD%A0?{TAIL}"),
        ("https://[2001:db8::1]:8443/play", f"https://[2001:db8::1]:8443/play?{TAIL}"),
        ("https://[2001:db8::1]/ä", f"https://[2001:db8::1]/%C3%A4?{TAIL}"),
    ],
)
def test_composition(url: str, expected: str) -> None:
    assert with_query(url, ADDED) == expected


@pytest.mark.parametrize(
    ("value", "spelled"),
    [("a b", "a%20b"), ("a&b=c", "a%26b%3Dc"), ("a+b", "a%2Bb"), ("a#b?/c", "a%23b%3F%2Fc"), ("é", "%C3%A9"), ("%", "%25")],
)
def test_values_are_escaped_so_that_everybody_reads_them_alike(value: str, spelled: str) -> None:
    assert with_query("https://g.example/", {"playerId": value}) == f"https://g.example/?playerId={spelled}"


NAMES = st.sampled_from(["a", "b", "token", "Token", "gameId", "tokén", "a b", ""]) | st.text(max_size=6)
PAIRS = st.lists(st.tuples(NAMES, st.text(max_size=8)), max_size=5)


def escaped(text: str, safe: str) -> str:
    return quote(text.encode("utf-8", "replace"), safe=safe)


@REPEATABLE
@given(
    path=st.text(max_size=8), pairs=PAIRS, fragment=st.none() | st.text(max_size=8), player_id=st.text(min_size=1, max_size=20)
)
def test_whatever_the_url_and_the_player_are(
    path: str, pairs: list[tuple[str, str]], fragment: str | None, player_id: str
) -> None:
    spelled = "&".join(f"{escaped(name, '')}={escaped(value, '')}" for name, value in pairs)
    tail = "" if fragment is None else f"#{escaped(fragment, '/?&=')}"
    url = f"https://g.example/{escaped(path, '/')}" + (f"?{spelled}" if pairs else "") + tail
    player_id = player_id.encode("utf-8", "replace").decode()
    added = {"token": "t-1", "gameId": "123", "playerId": player_id}
    made = with_query(url, added)
    before, after = urlsplit(url), urlsplit(made)
    assert (after.scheme, after.netloc, after.path, after.fragment) == (
        before.scheme,
        before.netloc,
        before.path,
        before.fragment,
    )
    stayed = [pair for pair in parse_qsl(before.query, keep_blank_values=True) if pair[0] not in added]
    assert parse_qsl(after.query, keep_blank_values=True) == [*stayed, *added.items()]
    # Another reader of URLs reads the same.
    assert dict(httpx.URL(made).params)["playerId"] == player_id
    assert with_query(made, added) == made


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "http://example.com/",
        "HTTPS://EXAMPLE.COM/lobby",
        "https://example.com:8443/lobby?a=b&c#d",
        "https://example.com?lobby",
        "https://192.168.1.1/",
        "https://[2001:db8::1]/",
        "https://игра.example/лобби",
        "http://localhost:3000",
        "https://example.com/" + "a" * 2_028,
    ],
)
def test_players_may_be_led_to(url: str) -> None:
    assert http_url_problem(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "example.com",
        "//example.com",
        "/lobby",
        "ftp://example.com",
        "javascript:alert(1)",
        "https:example.com",
        "https://",
        "https:///lobby",
        "https://:443/",
        "https://user@example.com/",
        "https://user:password@example.com/",
        "https://example.com:port/",
        "https://example.com:65536/",
        "https://example.com:0/",
        "https://example.com/a b",
        "https://example.com/\n",
        "\thttps://example.com/",
        "https://example.com\\@evil.example/",
        'https://example.com/"onclick="x',
        "https://example.com/<script>",
        "https://example.com/\u202eevil\x00",
        "https://[2001:db8::1/",
        "https://example.com/" + "a" * 2_029,
    ],
)
def test_players_may_not_be_led_to(url: str) -> None:
    problem = http_url_problem(url)
    assert problem == "expected an http or https URL of at most 2048 characters, without user and password"


def test_where_to_lead_players_is_required() -> None:
    assert http_url_problem("") == "is required"
