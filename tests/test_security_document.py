"""docs/security.md names tests that show what it says: they are there."""

import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parent.parent
NAMED: Final = re.compile(r"`((?:tests|scripts)/[\w/.]+)(?:::(\w+))?`")


def named(document: str) -> list[tuple[str, str]]:
    """Return what a document names: files, and tests in them."""
    return [(match[1], match[2] or "") for match in NAMED.finditer(document)]


@pytest.mark.parametrize(("path", "test"), sorted(set(named((ROOT / "docs" / "security.md").read_text()))))
def test_what_the_document_names_is_there(path: str, test: str) -> None:
    source = (ROOT / path).read_text()
    assert not test or re.search(rf"def {test}\(", source)


def test_names_are_found_in_a_document() -> None:
    assert named("Shown by `tests/a/test_b.py::test_c`, `scripts/d` and tests.") == [
        ("tests/a/test_b.py", "test_c"),
        ("scripts/d", ""),
    ]


def test_every_row_of_the_failure_modes_is_in_the_table() -> None:
    rows = re.findall(r"^\| (\d+) \|", (ROOT / "docs" / "security.md").read_text(), re.MULTILINE)
    assert rows == ["3", "4", *(str(number) for number in range(23, 35))]
