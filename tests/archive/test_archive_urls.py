"""Which archive belongs to a store where none is named."""

import pytest
from playclock.archive.urls import archive_beside


@pytest.mark.parametrize("store", ["redis://:secret@127.0.0.1:6379/0", "redis+sentinel://a:1,b:2/x", "redis+cluster://a:1"])
def test_a_store_that_machines_share_has_none_beside_it(store: str) -> None:
    assert archive_beside(store) is None


@pytest.mark.parametrize(
    ("store", "archive"),
    [
        ("memory://", "sqlite://"),
        ("sqlite:///playclock.db", "sqlite:///playclock-archive.db"),
        ("sqlite:///data/cafes", "sqlite:///data/cafes-archive"),
        ("sqlite:////var/lib/play.v2.sqlite", "sqlite:////var/lib/play.v2-archive.sqlite"),
        ("sqlite:///50%/a@b:c.db", "sqlite:///50%/a@b:c-archive.db"),
    ],
)
def test_it_lies_beside_the_store(store: str, archive: str) -> None:
    assert archive_beside(store) == archive
