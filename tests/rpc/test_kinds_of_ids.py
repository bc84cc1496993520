"""Any id, sent to every endpoint as every kind of id: it never reaches another kind's record (failure mode 3).

Not at random but all of it: every text field of every request, with every id there is, in every spelling by which one kind's
could pass for another's. The store is listened to: an id of another kind has none of the world's records read or written.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import grpc
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from playclock.core import estate
from playclock.core.catalog_changes import REVISION_KEY
from playclock.core.ids import kind_of
from playclock.engine import Role
from playclock.rpc.access import ACCESS
from playclock.rpc.inprocess import InProcessChannel
from playclock.stores.base import Commit, Conflict, Record, Store
from playclock.v1 import (
    CreateMatchRequest,
    CreateTransferRequest,
    InternalService,
    MatchClient,
    MatchServiceStub,
    MatchTerms,
    Provisioning,
    StartLaunchRequest,
    TopUpAccountRequest,
)

from tests.conftest import FaultInjectingStore
from tests.leaks import NET
from tests.rpc.test_access import METHODS

if TYPE_CHECKING:
    from tests.conftest import World, WorldMaker
    from tests.rpc.conftest import Metadata, Rpc

NOT_ASKED: Final = {"ProvisioningService/ApplyProvisioning"}
"""It names what shall be there, each kind in a table of its own."""
READS_ALL: Final = {"MatchService/ListMatches", "SessionService/ListSessions"}
"""They look at all that there are, and only then whose they are."""
READS_THE_ESTATE: Final = {f"KeyService/{name}Key" for name in ("Create", "Expire", "Revoke", "Rotate")}
"""They decide on the whole of the estate as it lies in the store, whatever they are asked for."""

KINDS: Final = {
    "game_session_id": "session",
    "session_token": "launch",
    "ott": "ott",
    "account_id": "account",
    "game_id": "game",
    "cafe_id": "cafe",
    "server_id": "server",
    "request_id": "request",
    "match_id": "match",
}
"""What the fields' names say that they name."""


WORLD: Final = {
    "session",
    "launch",
    "ott",
    "seat",
    "server",
    "account",
    "topup",
    "transfer",
    "claim",
    "answer",
    "nonce",
    "match",
}


class ListeningStore(FaultInjectingStore):
    """A store that notes which keys are read and written."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.read: set[str] = set()
        self.written: set[str] = set()

    async def get(self, keys: Sequence[str]) -> list[Record | None]:
        self.read.update(keys)
        return await super().get(keys)

    async def commit(self, commits: Sequence[Commit]) -> list[Conflict | None]:
        self.written.update(put.key for commit in commits for put in commit.puts)
        return await super().commit(commits)


@pytest.fixture(autouse=True)
def _otts_are_echoed() -> Iterator[None]:
    """Let errors name the id that was asked for, which here is an OTT on purpose."""
    yield
    NET.otts.clear()


@pytest.fixture
def listening(store: Store) -> ListeningStore:
    return ListeningStore(store)


@pytest.fixture
async def world(listening: ListeningStore, make_world: "WorldMaker") -> "World":
    world = await make_world(listening)
    await world.provision()
    return world


@pytest.fixture
def engine(world: "World") -> Any:  # noqa: ANN401 - the engine that the channels of `rpc` are for
    return world.engine


async def one_of_each(world: "World", near: "Rpc") -> dict[str, str]:
    """Make one of each kind of thing, and return their ids."""
    await world.provision_poor(10_000_000)
    await world.provision(Provisioning(services=[InternalService(id="billing", tokens=["of-billing"])]))
    launch = await world.start()
    session = await world.join(launch)
    await world.engine.sessions.end_of_server(world.OPERATOR, world.GAME_ID, "server-1")
    await world.open("pc-2", server="server-1")
    ott = await world.ott(launch)
    signed = near.signed(signed_nonce="a-nonce")
    start = StartLaunchRequest(pc_id="pc-9", internal_ip="192.168.0.1", external_ip=world.PAYING)
    await near.launches.StartLaunch(start, metadata=signed)
    top_up = TopUpAccountRequest(account_id=world.POOR_ACCOUNT, amount_micros=1_000, request_id="a-request")
    booked = await near.accounts.TopUpAccount(top_up, metadata=near.OPERATOR)
    pending = CreateTransferRequest(
        account_id=world.POOR_ACCOUNT, transfer_id="a-transfer", amount_micros=1, timeout_sec=60, payout="somebody"
    )
    await near.accounts.CreateTransfer(pending, metadata=near.OPERATOR)
    await world.provision(
        Provisioning(match_clients=[MatchClient(client_id="m", client_secret="the-secret-of-m", game=world.GAME_ID)])
    )
    made = CreateMatchRequest(terms=MatchTerms(client_id="m", synchronous=True, join_sec=60, play_sec=60))
    match = (await MatchServiceStub(near.channel).CreateMatch(made, metadata=near.OPERATOR)).match
    return {
        "session": session,
        "launch": launch,
        "ott": ott,
        "account": world.POOR_ACCOUNT,
        "game": world.GAME_ID,
        "cafe": "cafe-2",
        "server": "server-1",
        "request": "a-request",
        "topup": booked.transfer_id,
        "transfer": "a-transfer",
        "match": match.match_id,
        "nonce": "a-nonce",
        "launcher": world.LAUNCHER_ID,
        "service": "billing",
        "seat": "pc-1",
        "player": world.PLAYER,
    }


def spellings(id_: str) -> Iterator[str]:
    """Yield an id as it is, and as another kind's of the same UUID."""
    bare = id_.removeprefix("gs_").removeprefix("ls_")
    yield from dict.fromkeys(
        (id_, bare, f"gs_{bare}", f"ls_{bare}", f"topup/{bare}", f"00:session:{bare}", f"{id_}\0", id_.upper())
    )


def text_fields(kind: Descriptor, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of each text field of a message, however deep."""
    for field in kind.fields:
        if field.type == FieldDescriptor.TYPE_STRING or is_map(field):
            yield (*path, field.name)
        elif field.message_type is not None and field.message_type.file.package.startswith("playclock"):
            yield from text_fields(field.message_type, (*path, field.name))


def is_map(field: FieldDescriptor) -> bool:
    """Whether a field is a map; all of ours have text as keys."""
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def set_field(message: Any, path: tuple[str, ...], value: str) -> None:  # noqa: ANN401 - any request
    """Set a field, the first of each list on the way, and of a map a key."""
    for name in path[:-1]:
        inner = getattr(message, name)
        message = inner.add() if hasattr(inner, "add") else inner
    last = getattr(message, path[-1])
    if isinstance(last, str):
        setattr(message, path[-1], value)
    elif is_map(message.DESCRIPTOR.fields_by_name[path[-1]]):
        last[value] = 1
    else:
        last.append(value)


FILL: Final = {
    "provider_user_id": "somebody",
    "pc_id": "somewhere",
    "external_ip": "10.0.0.1",
    "internal_ip": "10.0.0.1",
    "amount_micros": 1,
    "timeout_sec": 60,
    "duration_sec": 60,
    "account_id": "nobody",
    "transfer_id": "nothing",
    "request_id": "never",
    "game_session_id": "gs_550e8400-e29b-41d4-a716-446655440000",
    "session_token": "ls_550e8400-e29b-41d4-a716-446655440000",
    "ott": "550e8400-e29b-41d4-a716-446655440000",
    "game_id": "550e8400-e29b-41d4-a716-446655440000",
    "cafe_id": "nowhere",
    "match_id": "600f369851f450dd3ecb0035",
    "user_id": "0376d27d-4b0e-4286-9dd9-f9f7528689bb",
    "server_id": "no-server",
}
"""Well-formed values that name nothing, so that a call gets as far as it can by the one id that is sent."""


def requests(method: MethodDescriptor, ids: dict[str, str], *, spell_out: bool) -> Iterator[tuple[str, Message]]:
    """Yield the method's requests, each with one id of a kind that its field does not name, and what that was.

    Who may not call it at all need not be heard out: an id as it is will do.
    """
    name = f"{method.containing_service.name}/{method.name}"
    kind_of_transfer = "topup" if name == "AccountService/ReverseTopUp" else "transfer"
    for path in text_fields(method.input_type):
        meant = {**KINDS, "transfer_id": kind_of_transfer}.get(path[-1], "")
        for kind, id_ in ids.items():
            if kind == meant:
                continue
            for spelled in spellings(id_) if spell_out else (id_,):
                request = message_factory.GetMessageClass(method.input_type)()
                for field in method.input_type.fields:
                    if field.name in FILL and (field.containing_oneof is None or field.name == "game_id"):
                        setattr(request, field.name, FILL[field.name])
                set_field(request, path, spelled)
                yield f"{name}: {kind} {spelled!r} as {'.'.join(path)}", request


@pytest.mark.parametrize("name", sorted(set(METHODS) - NOT_ASKED))
@pytest.mark.parametrize("caller", ["operator", "game"])
async def test_no_id_reaches_another_kinds_record(
    world: "World", near: "Rpc", listening: ListeningStore, *, name: str, caller: str
) -> None:
    ids = await one_of_each(world, near)
    known = (listening.read | listening.written) - {"00:directory:estate", REVISION_KEY}
    known = {key for key, record in zip(known, await listening.store.get(list(known)), strict=True) if record is not None}
    assert {kind_of(key) for key in known} >= WORLD
    before = await listening.store.get(sorted(known))
    metadata: Metadata = near.OPERATOR if caller == "operator" else near.GAME
    may_call = (Role.OPERATOR if caller == "operator" else Role.GAME) in ACCESS[name]
    for what, request in requests(METHODS[name], ids, spell_out=may_call):
        listening.read.clear()
        listening.written.clear()
        code = await outcome(near, METHODS[name], request, metadata)
        assert code not in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN), what
        assert may_call or code is grpc.StatusCode.PERMISSION_DENIED, what
        assert not listening.written & known, what
        looked_at = listening.read & known
        if name in READS_THE_ESTATE:
            looked_at = {key for key in looked_at if kind_of(key) not in estate.KINDS}
        assert name in READS_ALL or not looked_at, what
    assert await listening.store.get(sorted(known)) == before


async def outcome(near: "Rpc", method: MethodDescriptor, request: Message, metadata: "Metadata") -> grpc.StatusCode | None:
    """Return how a call failed, if it did."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    channel: Any = near.channel
    assert isinstance(channel, InProcessChannel)
    try:
        if method.server_streaming:
            stream = channel.unary_stream(path)(request, metadata=metadata)
            await stream.read()
            await stream.aclose()
        else:
            await channel.unary_unary(path)(request, metadata=metadata)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return None
