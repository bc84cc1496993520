import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playclock.tomllines import KeyPath, locate

HARD = '''\
# a comment with [[brackets]] and "quotes"
top = 1

[[cafe]]   # the first
id = "a"
networks = [
  "10.0.0.0/8",     # ] in a comment
  "]",
  "192.0.2.0/24",
]
text = """
[[cafe]]
id = "not a key"
"""

  [[ cafe ]]
id = \'\'\'
networks = [
\'\'\'
[cafe.owner]
name = "b"
"quoted.key" = 5

[[cafe.pc]]
n = 1
[[cafe.pc]]
n = 2
secret = { env = "X" }

[[cafe]]
[[cafe.pc]]
n = 3
dotted.key = { a = [{ b = 1 }] }
[plain]
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 2),
        (("cafe",), 4),
        (("cafe", 0), 4),
        (("cafe", 0, "id"), 5),
        (("cafe", 0, "networks"), 6),
        (("cafe", 0, "networks", 2), 6),
        (("cafe", 0, "text"), 11),
        (("cafe", 1), 16),
        (("cafe", 1, "id"), 17),
        (("cafe", 1, "owner"), 20),
        (("cafe", 1, "owner", "name"), 21),
        (("cafe", 1, "owner", "quoted.key"), 22),
        (("cafe", 1, "pc", 0), 24),
        (("cafe", 1, "pc", 1, "n"), 27),
        (("cafe", 1, "pc", 1, "secret", "env"), 28),
        (("cafe", 2), 30),
        (("cafe", 2, "pc", 0, "n"), 32),
        (("cafe", 2, "pc", 0, "dotted", "key", "a", 0, "b"), 33),
        (("plain",), 34),
    ],
)
def test_every_key_is_on_its_line(path: KeyPath, line: int) -> None:
    assert locate(HARD)[path] == line


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_line_ends_of_both_kinds_count_once(newline: str) -> None:
    text = newline.join(["a = 1", 'b = """', "", '"""', "", "c = 3", ""])
    assert locate(text) == {("a",): 1, ("b",): 2, ("c",): 6}


def test_other_separators_are_no_line_ends() -> None:
    assert locate('a = "\u2028\x85"\nb = 1')[("b",)] == 2


def test_an_array_of_thousands_of_lines_is_located_at_once() -> None:
    text = "a = [\n" + "  1,\n" * 5_000 + "]\nb = 1\n"
    assert locate(text)[("b",)] == 5_003


KEYS = st.sampled_from(["a", "b", "c", '"d.e"', "'f g'"])
VALUES = st.sampled_from(["1", '"]"', '"""\n[[x]]\ny = 1\n"""', "[\n 1,\n 2]", "{ i = [{ j = 1 }] }", "'''\n}\n'''"])
BODIES = st.dictionaries(KEYS, VALUES, max_size=4)
HEADERS = st.sampled_from(["[[t]]", "[[ t ]]", "[[u]] # ]", "[[t.v]]"])


@given(st.lists(st.tuples(HEADERS, BODIES), max_size=6), st.lists(st.sampled_from(["", "# [[t]]", "  "]), max_size=3))
def test_what_stands_on_a_located_line_is_the_key(tables: list[tuple[str, dict[str, str]]], blank: list[str]) -> None:
    lines = list(blank)
    wanted: list[tuple[str, int]] = []
    for header, body in [("[[t]]", {}), *tables]:
        lines += [header, *blank]
        for key, value in body.items():
            wanted.append((key.strip("\"'"), len(lines) + 1))
            lines += f"{key} = {value}".split("\n")
    text = "\n".join(lines)
    tomllib.loads(text)
    places = locate(text)
    found = [(path[-1], line) for path, line in places.items() if path[-1:] not in {(), ("t",), ("u",), ("v",)}]
    assert [(key, line) for key, line in found if isinstance(key, str) and key not in {"i", "j"}] == wanted
