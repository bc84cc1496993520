"""What fields from outside may hold."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playclock.core import fields
from playclock.core.fields import currency_problem, request_id_problem, resource_id_problem, text_problem, url_problem

REPEATABLE = settings(deadline=None, derandomize=True)


def text_of_5(text: str) -> str | None:
    return text_problem(text, 5)


def optional_text_of_5(text: str) -> str | None:
    return text_problem(text, 5, required=False)


FIVE = "expected 1 to 5 characters, none of them a control character"
REQUEST_ID = "expected 1 to 255 printable ASCII characters"
RESOURCE_ID = "expected 1 to 64 of A-Z a-z 0-9 . _ - with a letter or digit first"
CURRENCY = "expected 2 to 16 of A-Z 0-9 _ with a letter first"
URL = "expected an http or https URL of at most 2048 characters"


@pytest.mark.parametrize(
    ("problem", "texts"),
    [
        (text_of_5, ["a", "abcde", " ", "a b", "\u00a0", "김철수", "\U0001f600" * 5, "'; --", "\uff11"]),
        (optional_text_of_5, ["", "a", "abcde"]),
        (request_id_problem, ["", "a", " ", "a b", " ~", "x" * 255, "9f1c2b7e-4f0e-4a53-9f0e-0d1f2a3b4c5d"]),
        (resource_id_problem, ["a", "A", "0", "cafe-1", "a.b_c-d", "a" * 64]),
        (currency_problem, ["KRW", "GCOIN", "AB", "A1", "A_", "A" * 16]),
        (url_problem, ["", "http://a", "https://a", "https://example.com/a?b=%20#c", "https://" + "a" * 2_040]),
    ],
)
def test_what_may_be_there_passes(problem: Callable[[str], str | None], texts: list[str]) -> None:
    assert {text: problem(text) for text in texts} == dict.fromkeys(texts)


@pytest.mark.parametrize(
    ("problem", "sentence", "texts"),
    [
        (text_of_5, "is required", [""]),
        (text_of_5, FIVE, ["abcdef", "a" * 10_000, "\0", "a\n", "\t", "\x1f", "\x7f", "\x80", "\x9f", "ab\rcd"]),
        (optional_text_of_5, FIVE, ["abcdef", "\n"]),
        (request_id_problem, REQUEST_ID, ["x" * 256, "\t", "a\n", "\n", "é", "\uff11", "\x7f", "\0", "\ud800"]),
        (
            resource_id_problem,
            RESOURCE_ID,
            ["", "a" * 65, "-a", ".a", "_a", "a b", "a/b", "a:b", "é", "a\n", "\uff11", "\u0661"],
        ),
        (currency_problem, CURRENCY, ["", "A", "A" * 17, "1A", "_A", "krw", "KRw", "K-W", "KRW\n", "KR\uff37", "\u20a9\u20a9"]),
        (
            url_problem,
            URL,
            [
                "a",
                "http://",
                "https://",
                "ftp://a",
                "//a",
                "javascript:alert(1)",
                "HTTP://a",
                " http://a",
                "http://a b",
                "http://a\n",
                "http://é",
                "https://" + "a" * 2_041,
            ],
        ),
    ],
)
def test_what_may_not_is_told_in_a_sentence(problem: Callable[[str], str | None], sentence: str, texts: list[str]) -> None:
    assert {text: problem(text) for text in texts} == dict.fromkeys(texts, sentence)


@REPEATABLE
@given(st.text(max_size=8), st.integers(1, 8))
def test_a_text_passes_if_it_is_short_enough_and_shows(text: str, length_max: int) -> None:
    is_fine = 1 <= len(text) <= length_max and not any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in text)
    assert (text_problem(text, length_max) is None) is is_fine


UPPER, LOWER, DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz", "0123456789"
NEARLY = st.text(st.sampled_from("AZaz09._- \n/\x7f\uff11\u0661\u212a\u017f") | st.characters(), max_size=18)


@settings(REPEATABLE, max_examples=300)
@given(NEARLY)
def test_an_identifier_passes_if_all_its_characters_are_named_ones(text: str) -> None:
    is_currency = 2 <= len(text) <= 16 and text[0] in UPPER and set(text) <= {*UPPER, *DIGITS, "_"}
    assert (currency_problem(text) is None) is is_currency
    is_resource = text != "" and text[0] in UPPER + LOWER + DIGITS and set(text) <= {*UPPER, *LOWER, *DIGITS, *"._-"}
    assert (resource_id_problem(text) is None) is is_resource
    is_printable = all(32 <= ord(letter) <= 126 for letter in text)
    assert (request_id_problem(text) is None) is is_printable


def test_the_bounds_are_the_documented_ones() -> None:
    bounds = {name: bound for name, bound in vars(fields).items() if name.endswith("_MAX")}
    assert bounds == {
        "USER_ID_MAX": 128,
        "PC_ID_MAX": 128,
        "SERVER_ID_MAX": 128,
        "REQUEST_ID_MAX": 255,
        "HARDWARE_BYTES_MAX": 16_384,
        "NAME_MAX": 200,
        "URL_MAX": 2_048,
        "CERTIFICATE_NAME_MAX": 255,
        "SECONDS_MAX": 2_147_483_647,
        "MICROS_MAX": 4_611_686_018_427_387_904,
    }
