"""Accept-Encoding and If-None-Match, as RFC 9110 has them."""

import pytest
from playclock_http.negotiation import has_version, takes_gzip


@pytest.mark.parametrize(
    ("values", "gzip"),
    [
        ([], False),
        ([b""], False),
        ([b"identity"], False),
        ([b"gzip"], True),
        ([b"x-gzip"], True),
        ([b"GZip;Q=1.0"], True),
        ([b"br, deflate"], False),
        ([b"deflate, gzip, br"], True),
        ([b"br", b"gzip;q=0.1"], True),
        ([b"gzip;q=0"], False),
        ([b"gzip;q=0.000"], False),
        ([b"*"], True),
        ([b"*;q=0"], False),
        ([b"gzip;q=0, *"], False),
        ([b"*;q=0, gzip;q=0.5"], True),
        ([b"identity;q=0"], False),
        ([b"identity;q=0, gzip"], True),
        ([b"identity, gzip;q=0.5"], False),
        ([b"identity;q=0.5, gzip;q=0.5"], True),
        ([b"identity;q=0.5, *;q=0.6"], True),
        ([b"gzip ; q=0.5 , br"], True),
        ([b"gzip;q=x"], False),
        ([b"gzip;q=-1"], False),
        ([b"gzipped"], False),
        ([b"gzip," + b"x," * 600], False),
    ],
)
def test_gzip_is_sent_to_whom_it_is_right_for(values: list[bytes], gzip: bool) -> None:
    assert takes_gzip(values) is gzip


@pytest.mark.parametrize(
    ("values", "same"),
    [
        ([], False),
        ([b"*"], True),
        ([b" * "], True),
        ([b'W/"a"'], True),
        ([b'"a"'], True),
        ([b'"b"', b'"a"'], True),
        ([b'"b,c", W/"a"'], True),
        ([b'"b"'], False),
        ([b"a"], False),
        ([b'"A"'], False),
        ([b'"aa"'], False),
        ([b'"x"a"x"'], False),
        ([b'"a"' + b" " * 1100], False),
    ],
)
def test_a_version_is_known_by_its_tag_weak_or_strong(values: list[bytes], same: bool) -> None:
    assert has_version(values, b'W/"a"') is same
