"""Which stores are archived in which databases."""

import pytest

on_each_pair = pytest.mark.parametrize(
    ("store_kind", "kind"),
    [
        ("memory", "sqlite in memory"),
        ("sqlite", "sqlite"),
        ("sqlite", "postgresql"),
        ("redis", "postgresql"),
        ("cluster", "sqlite"),
    ],
    indirect=True,
)
"""Each store, and each database, but not each with each: neither sees more of the other than events."""
