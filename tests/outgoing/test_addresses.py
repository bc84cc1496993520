"""The guard's table against another one, written out from IANA's registries as first and last addresses."""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playclock.outgoing import BadUrl, NoAddress, RefusedAddress, parse
from playclock.outgoing.addresses import Guard

NOT_PUBLIC_V4 = [
    ("0.0.0.0", "0.255.255.255"),
    ("10.0.0.0", "10.255.255.255"),
    ("100.64.0.0", "100.127.255.255"),
    ("127.0.0.0", "127.255.255.255"),
    ("168.63.129.16", "168.63.129.16"),
    ("169.254.0.0", "169.254.255.255"),
    ("172.16.0.0", "172.31.255.255"),
    ("192.0.0.0", "192.0.0.255"),
    ("192.0.2.0", "192.0.2.255"),
    ("192.88.99.0", "192.88.99.255"),
    ("192.168.0.0", "192.168.255.255"),
    ("198.18.0.0", "198.19.255.255"),
    ("198.51.100.0", "198.51.100.255"),
    ("203.0.113.0", "203.0.113.255"),
    ("224.0.0.0", "255.255.255.255"),
]
NOT_PUBLIC_V6 = [
    ("::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("4000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
]
"""Loopback, mapped and NAT64 addresses lie in the first row; unique local, link-local and multicast ones in the last."""


def packed(text: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


def is_public(raw: bytes) -> bool:
    """Say what the table here says. Addresses compare as their bytes do."""
    table = NOT_PUBLIC_V4 if len(raw) == 4 else NOT_PUBLIC_V6
    return not any(packed(first) <= raw <= packed(last) for first, last in table)


def may_call(guard: Guard, host: str) -> bool:
    """Say whether the guard lets a name with such an address be called."""
    try:
        guard.check(parse("https://example.com/"), [host])
    except RefusedAddress:
        return False
    return True


EDGES = [int.from_bytes(packed(edge)) + step for row in (*NOT_PUBLIC_V4, *NOT_PUBLIC_V6) for edge in row for step in (-1, 0, 1)]
V4 = st.integers(0, 2**32 - 1) | st.sampled_from([edge for edge in EDGES if 0 <= edge < 2**32])
V6 = (
    st.integers(0, 2**128 - 1)
    | st.integers(0x2000 << 112, (0x4000 << 112) - 1)
    | st.sampled_from([edge for edge in EDGES if 2**32 <= edge < 2**128])
)
PREFIXES = ["::ffff:0:0", "64:ff9b::", "::", "::ffff:0:0:0", "64:ff9b:1::"]


def spellings_of_v6(number: int) -> list[str]:
    address = IPv6Address(number)
    last = IPv4Address(number & 0xFFFF_FFFF)
    return [str(address), address.exploded, str(address).upper(), ":".join(address.exploded.split(":")[:6]) + f":{last}"]


@given(V4)
def test_agrees_with_the_table_on_ipv4(number: int) -> None:
    address = str(IPv4Address(number))
    assert may_call(Guard(), address) == is_public(number.to_bytes(4))
    assert parse(f"https://{address}/").address == address
    for other in (str(number), hex(number), f"0{number:o}", ".".join(f"{octet:#x}" for octet in number.to_bytes(4))):
        with pytest.raises(BadUrl):
            parse(f"https://{other}/")


@given(V6)
def test_agrees_with_the_table_on_ipv6_in_any_spelling(number: int) -> None:
    for spelling in spellings_of_v6(number):
        assert may_call(Guard(), spelling) == is_public(number.to_bytes(16))
        address = parse(f"https://[{spelling}]/").address
        assert address == str(IPv6Address(number))
        assert may_call(Guard(["0.0.0.0/0"]), address) == is_public(number.to_bytes(16))


@given(V4, st.sampled_from(PREFIXES))
def test_no_ipv4_address_is_called_inside_an_ipv6_one(number: int, prefix: str) -> None:
    inside = int(IPv6Address(prefix)) | number
    assert not may_call(Guard(["0.0.0.0/0"]), str(IPv6Address(inside)))
    assert not may_call(Guard(["0.0.0.0/0"]), str(IPv6Address(0x2002 << 112 | number << 80)))
    # A mapped one not even where somebody allows all there is.
    assert not may_call(Guard(["::/0"]), f"::ffff:{IPv4Address(number)}")


@given(V4 | V6)
def test_what_the_standard_library_calls_private_is_not_public(number: int) -> None:
    address = ip_address(number)
    if not address.is_global or address.is_multicast:
        assert not may_call(Guard(), str(address))


@pytest.mark.parametrize(
    ("network", "inside", "outside"),
    [
        ("10.1.0.0/16", "10.1.255.255", "10.2.0.0"),
        ("127.0.0.1/32", "127.0.0.1", "127.0.0.2"),
        ("fd00:1::/32", "fd00:1:ffff::1", "fd00:2::"),
        ("::1/128", "::1", "::2"),
        ("64:ff9b::/96", "64:ff9b::8.8.8.8", "64:ff9b:1::8.8.8.8"),
    ],
)
def test_networks_of_the_settings_are_called(network: str, inside: str, outside: str) -> None:
    assert may_call(Guard([network]), inside)
    assert not may_call(Guard([network]), outside)
    assert not may_call(Guard(), inside)


@pytest.mark.parametrize("answer", ["", "example.com", "127.0.0.1/32", "2606:4700::1%eth0", "0127.0.0.1", "1"])
def test_what_is_no_address_is_refused(answer: str) -> None:
    assert not may_call(Guard(["0.0.0.0/0"]), answer)


def test_each_address_is_called_once_in_the_order_of_the_answer() -> None:
    answers = ["2606:4700::1111", "1.1.1.1", "2606:4700:0::1111", "1.0.0.1", "1.1.1.1"]
    assert Guard().check(parse("https://example.com/"), answers) == ["2606:4700::1111", "1.1.1.1", "1.0.0.1"]
    with pytest.raises(NoAddress):
        Guard().check(parse("https://example.com/"), [])


def test_who_chose_the_name_does_not_hear_what_the_operator_does() -> None:
    with pytest.raises(RefusedAddress) as raised:
        Guard().check(parse("https://example.com/"), ["1.1.1.1", "10.0.0.1", "::1"])
    assert str(raised.value) == "example.com has an address that may not be called"
    assert raised.value.detail == "not a public address, and in none of outgoing_networks: 10.0.0.1, ::1"
