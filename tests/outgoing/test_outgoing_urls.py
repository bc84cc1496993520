"""Which URLs are read, and as what. Everything else is refused before anybody is asked anything."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playclock.outgoing import BadUrl, parse


@pytest.mark.parametrize(
    ("url", "host", "port", "authority", "path"),
    [
        ("https://example.com", "example.com", 443, "example.com", "/"),
        ("https://example.com:443/", "example.com", 443, "example.com", "/"),
        ("HTTPS://EXAMPLE.Com:8443/A/b", "example.com", 8443, "example.com:8443", "/A/b"),
        ("https://example.com?a=1&b=%20", "example.com", 443, "example.com", "/?a=1&b=%20"),
        ("https://example.com/a//b/../c?x=/?&y=:@", "example.com", 443, "example.com", "/a//b/../c?x=/?&y=:@"),
        ("https://example.com/@me:x", "example.com", 443, "example.com", "/@me:x"),
        ("https://xn--bcher-kva.example/", "xn--bcher-kva.example", 443, "xn--bcher-kva.example", "/"),
        ("https://redis", "redis", 443, "redis", "/"),
        ("https://3com.com", "3com.com", 443, "3com.com", "/"),
        ("https://1.2.3.4.example", "1.2.3.4.example", 443, "1.2.3.4.example", "/"),
        ("https://0x7f.example", "0x7f.example", 443, "0x7f.example", "/"),
        ("https://93.184.216.34:1024", "93.184.216.34", 1024, "93.184.216.34:1024", "/"),
        ("https://[2606:4700:0:0::1111]:65535/", "2606:4700::1111", 65535, "[2606:4700::1111]:65535", "/"),
        ("https://[2606:4700::ABCD]", "2606:4700::abcd", 443, "[2606:4700::abcd]", "/"),
        ("https://[::ffff:127.0.0.1]", "::ffff:7f00:1", 443, "[::ffff:7f00:1]", "/"),
        ("http://example.com", "example.com", 80, "example.com", "/"),
        ("http://example.com:8080", "example.com", 8080, "example.com:8080", "/"),
        (f"https://{'a' * 63}.example", f"{'a' * 63}.example", 443, f"{'a' * 63}.example", "/"),
        (f"https://example.com/{'a' * 2028}", "example.com", 443, "example.com", f"/{'a' * 2028}"),
    ],
)
def test_reads(url: str, host: str, port: int, authority: str, path: str) -> None:
    target = parse(url)
    assert (target.host, target.port, target.authority, target.path) == (host, port, authority, path)
    assert target.is_tls == url.lower().startswith("https")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "//example.com/",
        "https:/example.com",
        "https:example.com",
        "https://",
        "https:///path",
        "https://:443/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "unix://socket",
        # User, password, fragment, and what some readers take for their ends.
        "https://user@example.com/",
        "https://user:pass@example.com/",
        "https://example.com@127.0.0.1/",
        "https://example.com:443@127.0.0.1/",
        "https://example.com/#fragment",
        "https://example.com#@127.0.0.1/",
        "https://example.com\\@127.0.0.1/",
        "https://127.0.0.1\\.example.com/",
        "https://example.com/\\",
        # Spaces, controls, and what is not ASCII.
        " https://example.com/",
        "https://example.com/ ",
        "https://example.com/\n",
        "https://example.com\n",
        "https://exam ple.com/",
        "https://exam\tple.com/",
        "https://example.com/a b",
        "https://example.com/\r\nHost: inner",
        "https://example.com/\x00",
        "https://example.com/\u00e9",
        "https://b\u00fccher.example/",
        "https://example\u3002com/",
        "https://\u2460\u2461\u2466.0.0.1/",
        "https://\uff11\uff12\uff17.0.0.1/",
        "https://127.0.0.\u0661/",
        "https://example.com:\uff18443/",
        "https://example.com/%",
        "https://example.com/%2",
        "https://example.com/%zz",
        "https://example.com/<>",
        'https://example.com/"',
        "https://%65xample.com/",
        "https://127.0.0.1%00.example.com/",
        # Names that are none.
        "https://example.com./",
        "https://.example.com/",
        "https://example..com/",
        "https://-example.com/",
        "https://example-.com/",
        "https://under_score.example/",
        "https://*.example.com/",
        "https://./",
        f"https://{'a' * 64}.example/",
        f"https://{'a.' * 126}ab/",
        # Addresses in other spellings.
        "https://2130706433/",
        "https://017700000001/",
        "https://0x7f000001/",
        "https://0X7F000001/",
        "https://0x/",
        "https://127.1/",
        "https://127.0.1/",
        "https://0177.0.0.1/",
        "https://0x7f.0.0.1/",
        "https://0x7f.0x0.0x0.0x1/",
        "https://127.0.0.0x1/",
        "https://127.000.000.001/",
        "https://127.0.0.01/",
        "https://256.0.0.1/",
        "https://1.2.3.4.5/",
        "https://1.2.3/",
        "https://127.0.0.1./",
        "https://example.1/",
        "https://0/",
        "https://[127.0.0.1]/",
        "https://[::1/",
        "https://::1/",
        "https://2606:4700::1111/",
        "https://[::1]x/",
        "https://[::1%25lo]/",
        "https://[fe80::1%lo]/",
        "https://[v1.a]/",
        "https://[]/",
        "https://[:::1]/",
        "https://[[::1]]/",
        "https://[::00001]/",
        "https://[::127.0.0.01]/",
        # Ports.
        "https://example.com:/",
        "https://example.com:0/",
        "https://example.com:22/",
        "https://example.com:25/",
        "https://example.com:80/",
        "http://example.com:443/",
        "https://example.com:1023/",
        "https://example.com:65536/",
        "https://example.com:99999/",
        "https://example.com:100000/",
        "https://example.com:-1/",
        "https://example.com:+443/",
        "https://example.com:443:443/",
        f"https://example.com/{'a' * 2029}",
        f"https://{'a.' * 100_000}com/",
    ],
)
def test_refuses(url: str) -> None:
    with pytest.raises(BadUrl) as raised:
        parse(url)
    assert raised.value.reason == "BAD_URL"
    assert not raised.value.is_sent


def test_a_long_url_with_a_fault_at_its_end_takes_no_longer() -> None:
    for url in (f"https://example.com/{'a' * 2000} ", f"https://example.com/?{'a?%41' * 400} ", f"https://{'a.' * 1000}/"):
        began_sec = time.perf_counter()
        with pytest.raises(BadUrl):
            parse(url)
        assert time.perf_counter() - began_sec < 1


def test_what_may_be_secret_is_not_shown() -> None:
    assert repr(parse("https://example.com:8443/s3cret?s3cret")) == "Target(https://example.com:8443)"
    with pytest.raises(BadUrl) as raised:
        parse("https://user:s3cret@example.com/s3cret?s3cret#s3cret")
    assert "s3cret" not in str(raised.value)


@given(
    st.text(st.characters(max_codepoint=0x17F), max_size=40),
    st.sampled_from(["", "https://", "https://a.example", "http://[::1]"]),
)
def test_whatever_is_read_can_be_said_in_a_request(text: str, start: str) -> None:
    try:
        target = parse(start + text)
    except BadUrl:
        return
    said = target.host + target.path
    assert said.isascii()
    assert said.isprintable()
    assert not set(said) & set(' \\#"<>@') or "@" in target.path
    assert target.path.startswith("/")
    assert parse(f"http{'s' * target.is_tls}://{target.authority}{target.path}") == target
