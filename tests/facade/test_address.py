"""Whose address counts. It decides whether a PC stands in a cafe, so nothing is believed that a caller could have written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playclock_http.address import TrustedProxies

_PROXIES = ("10.0.0.0/8", "2001:db8:aa::/48", "127.0.0.1/32")


@pytest.mark.parametrize(
    ("peer", "forwarded", "caller"),
    [
        # No header: the socket.
        ("203.0.113.9", [], "203.0.113.9"),
        ("10.0.0.1", [], "10.0.0.1"),
        # A peer that is no proxy of ours is not believed.
        ("203.0.113.9", [b"192.0.2.1"], "203.0.113.9"),
        ("2001:db8:bb::1", [b"192.0.2.1"], "2001:db8:bb::1"),
        # One proxy, and what the caller had written before it.
        ("10.0.0.1", [b"192.0.2.1"], "192.0.2.1"),
        ("10.0.0.1", [b"198.51.100.1, 192.0.2.1"], "192.0.2.1"),
        ("10.0.0.1", [b"junk, 198.51.100.1:80,, 192.0.2.1"], "192.0.2.1"),
        # A chain of proxies.
        ("127.0.0.1", [b"192.0.2.1, 10.1.1.1, 10.2.2.2"], "192.0.2.1"),
        ("127.0.0.1", [b"192.0.2.9, 192.0.2.1, 10.1.1.1"], "192.0.2.1"),
        ("2001:db8:aa::1", [b"2001:db8:cc::5, 2001:db8:aa:1::2"], "2001:db8:cc::5"),
        # Nobody outside: the left-most proxy called for itself.
        ("10.0.0.1", [b"10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        # Repeated headers are one chain, in the order of their arrival.
        ("10.0.0.1", [b"192.0.2.1", b"10.0.0.2"], "192.0.2.1"),
        ("10.0.0.1", [b"192.0.2.9", b"192.0.2.1"], "192.0.2.1"),
        ("10.0.0.1", [b"192.0.2.1, 10.0.0.4", b"10.0.0.3,10.0.0.2"], "192.0.2.1"),
        # Blanks and tabs around a hop belong to the list.
        ("10.0.0.1", [b" \t192.0.2.1 \t"], "192.0.2.1"),
        # Junk ends the walk: the last good address counts.
        ("10.0.0.1", [b""], "10.0.0.1"),
        ("10.0.0.1", [b"192.0.2.1,"], "10.0.0.1"),
        ("10.0.0.1", [b"192.0.2.1, unknown"], "10.0.0.1"),
        ("10.0.0.1", [b"192.0.2.1:5000"], "10.0.0.1"),
        ("10.0.0.1", [b"[2001:db8::1]"], "10.0.0.1"),
        ("10.0.0.1", [b"[2001:db8::1]:443"], "10.0.0.1"),
        ("10.0.0.1", [b"fe80::1%eth0"], "10.0.0.1"),
        ("10.0.0.1", [b"192.0.2.1, 10.0.0.2%x"], "10.0.0.1"),
        ("10.0.0.1", [b"192.0.2.1, junk, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", [b"192.0.2.1", b"", b"10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", ["\uff11\uff19\uff12.0.2.1".encode()], "10.0.0.1"),
        ("10.0.0.1", [b"192.0.2.01"], "10.0.0.1"),
        ("10.0.0.1", [b"3221225985"], "10.0.0.1"),
        ("10.0.0.1", [b"0xC0.0.2.1"], "10.0.0.1"),
        ("10.0.0.1", [b"192.0.2.1/32"], "10.0.0.1"),
        ("10.0.0.1", [b"192.0.2.1\x00"], "10.0.0.1"),
        ("10.0.0.1", [b"for=192.0.2.1"], "10.0.0.1"),
        ("10.0.0.1", [b"1" * 60_000], "10.0.0.1"),
        # IPv4 written as IPv6 is IPv4, on the socket and in the chain.
        ("::ffff:203.0.113.9", [], "203.0.113.9"),
        ("::ffff:10.0.0.1", [b"::ffff:192.0.2.1"], "192.0.2.1"),
        ("10.0.0.1", [b"192.0.2.1, ::ffff:a00:2"], "192.0.2.1"),
        # One spelling.
        ("2001:DB8:AA::1", [b"2001:0DB8:00CC:0::5"], "2001:db8:cc::5"),
        ("fe80::1%eth0", [b"192.0.2.1"], "fe80::1"),
        # No peer: a Unix socket, or a test's name for itself.
        ("", [b"192.0.2.1"], ""),
        ("testclient", [b"192.0.2.1"], ""),
    ],
)
def test_the_first_hop_from_the_right_that_is_no_trusted_proxy_is_the_caller(
    peer: str, forwarded: list[bytes], caller: str
) -> None:
    assert TrustedProxies(_PROXIES).caller(peer, forwarded) == caller


def test_by_default_nobody_is_believed() -> None:
    assert TrustedProxies(()).caller("127.0.0.1", [b"192.0.2.1"]) == "127.0.0.1"


def test_looks_at_32_hops_and_no_further() -> None:
    proxies = TrustedProxies(["10.0.0.0/8"])
    chain = [f"10.0.0.{number}" for number in range(1, 33)]
    assert proxies.caller("10.0.0.99", [", ".join(["192.0.2.1", *chain[1:]]).encode()]) == "192.0.2.1"
    assert proxies.caller("10.0.0.99", [", ".join(["192.0.2.1", *chain]).encode()]) == "10.0.0.1"
    assert proxies.caller("10.0.0.99", [b"," * 60_000]) == "10.0.0.99"


def test_believes_a_network_that_is_written_in_ipv6_for_ipv4() -> None:
    assert TrustedProxies(["::ffff:10.0.0.0/104"]).caller("10.1.2.3", [b"192.0.2.1"]) == "192.0.2.1"


def test_believes_every_ipv6_network_that_is_asked_for() -> None:
    assert TrustedProxies(["::/0"]).caller("2001:db8::1", [b"192.0.2.1"]) == "192.0.2.1"
    assert TrustedProxies(["::/0"]).caller("10.1.2.3", [b"192.0.2.1"]) == "10.1.2.3"


@pytest.mark.parametrize("network", ["", "*", "proxy.example", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0-10.0.0.9"])
def test_a_network_that_is_none_is_refused_at_start_up(network: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        TrustedProxies([network])


_HEADERS = st.lists(st.binary(max_size=30) | st.ip_addresses().map(lambda address: str(address).encode()), max_size=5)


@given(st.ip_addresses().map(str), _HEADERS)
def test_without_proxies_no_header_changes_the_caller(peer: str, forwarded: list[bytes]) -> None:
    assert TrustedProxies(()).caller(peer, forwarded) == TrustedProxies(()).caller(peer, [])


@given(_HEADERS, st.binary(max_size=30), st.integers(0, 3))
def test_nothing_left_of_the_caller_s_own_address_changes_it(written: list[bytes], before: bytes, proxies: int) -> None:
    behind = b"".join(b", 10.0.0.%d" % number for number in range(proxies))
    forwarded = [*written, before + b",192.0.2.1" + behind]
    assert TrustedProxies(["10.0.0.0/8"]).caller("10.0.0.99", forwarded) == "192.0.2.1"


@given(_HEADERS)
def test_the_caller_is_an_address_whatever_the_chain_holds(forwarded: list[bytes]) -> None:
    caller = TrustedProxies(["0.0.0.0/0", "::/0"]).caller("10.0.0.1", forwarded)
    assert caller
    assert TrustedProxies(()).caller(caller, []) == caller
