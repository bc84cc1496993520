"""What has been told of operators' and services' doings."""

from typing import TYPE_CHECKING

from playclock.core.outbox import Audit, decode

if TYPE_CHECKING:
    from tests.conftest import World

Told = tuple[str, str, str]


async def trail(world: "World", actor: str = "") -> list[Told]:
    """Return what is in the outbox of an actor's doings since the world was made: action, target, detail."""
    store = world.engine.store
    events = [decode(event.data) for event in await store.events(dict.fromkeys(await store.heads(), 0), 100_000)]
    audits = [each for each in events if isinstance(each, Audit) and each.target != "revision/1"]
    assert all(each.at_ms == world.engine.clock.now_ms() for each in audits)
    return [(each.action, each.target, each.detail) for each in audits if actor in ("", each.actor)]
