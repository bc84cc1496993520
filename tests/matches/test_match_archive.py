"""What an archive has of matches: the entries of all their money, and none of what is told of them besides."""

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from playclock.archive.archiving import ArchiveOfStore

from tests.matches.conftest import CLIENT, Arena, scores

if TYPE_CHECKING:
    from playclock.stores.base import Store

    from tests.conftest import EngineMaker


@pytest.mark.parametrize("store_kind", ["memory"], indirect=True)
async def test_the_archive_has_each_leg_of_a_matchs_money(make_engine: "EngineMaker", store: "Store") -> None:
    async with await ArchiveOfStore.open("sqlite://", store) as archive:
        arena = Arena(await make_engine(store, archive=archive))
        await arena.provision()
        match = await arena.live()
        await arena.matches.report(CLIENT, match.id, scores(1, 2))
        await arena.engine.sweep()
        sums = Counter[str]()
        for account_id in ("p0", "p1", f"escrow/{match.id}"):
            entries, _ = await archive.history.entries(account_id, page_token="", limit=100)
            for entry in entries:
                sums[entry.ledger_account] += entry.amount_micros
        assert sums[f"escrow/{match.id}"] == 0
        assert (sums["wallet/p0"], sums["wallet/p1"]) == (900, 1_080)
        assert sums[f"revenue/{match.terms.game_id}"] == 20
