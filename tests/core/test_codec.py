"""Records to bytes and back: what was written reads, today and with fields added later, and nothing else does."""

from enum import IntEnum
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import fields, replace
from playclock.core import catalog, catalog_changes, chain, estate, kept_images, ownership, points, records, signing_keys
from playclock.core.charge import Account, Charge, Hold
from playclock.core.codec import FORMAT, Codec, UnknownFormat, encode
from playclock.core.credentials import Credential, Named
from playclock.core.grants import FailurePolicy, Grant
from playclock.core.identifiers import KnownPlayer
from playclock.core.launch import AgentLaunch, Launch, Seat
from playclock.core.ott import Ott, Refusal
from playclock.core.outage import Outage
from playclock.core.session import EndReason, Session, State
from playclock.core.tariff import BillOnSilence, PriceWindow, Rounding, Tariff
from playclock.core.transfers import TransferState, TwoPhase

REPEATABLE = settings(deadline=None, derandomize=True, max_examples=30)

MS = st.integers(0, 1 << 62)
TEXT = st.text(max_size=8)
SECRETS = st.lists(st.binary(max_size=8), max_size=2).map(tuple)


def nullable(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


WINDOWS = st.builds(PriceWindow, st.integers(0, 1_439), st.integers(0, 1_440), MS, st.lists(st.integers(1, 7)).map(tuple))
TARIFFS = st.builds(
    Tariff,
    id=TEXT,
    currency=TEXT,
    unit_ms=st.integers(1, 10**9),
    price_micros=MS,
    rounding=st.sampled_from(list(Rounding)),
    minimum_micros=MS,
    free_ms=MS,
    cap_micros=MS,
    reserve_ms=MS,
    time_zone=TEXT,
    windows=st.lists(WINDOWS, max_size=2).map(tuple),
    bill_on_silence=st.sampled_from(list(BillOnSilence)),
)
SIGNING_KEYS = st.builds(
    signing_keys.SigningKey,
    id=TEXT,
    private=st.binary(max_size=8),
    created_ms=MS,
    signs_from_ms=MS,
    ends_ms=nullable(MS),
)
ANCHORS = st.lists(st.tuples(MS, MS), max_size=3).map(tuple)
CHAINS = st.builds(chain.Chain, MS, TEXT, MS, MS, MS, MS, MS, MS, risk_pct=MS)
CHARGES = st.builds(Charge, TEXT, TARIFFS, MS, MS, sequence=MS, anchors=ANCHORS)
GRANTS = st.builds(
    Grant,
    provider_id=TEXT,
    charge_id=TEXT,
    cafe_id=TEXT,
    policy=st.sampled_from(list(FailurePolicy)),
    limit_ms=MS,
    granted_ms=MS,
    is_short=st.booleans(),
    ahead_ms=MS,
    unheard_ms=MS,
    closes=MS,
    amount_micros=MS,
    currency=TEXT,
)
OUTAGES = st.builds(Outage, MS, MS)
SESSIONS = st.builds(
    Session,
    id=TEXT,
    game_id=TEXT,
    provider_user_id=TEXT,
    launch_id=TEXT,
    cafe_id=TEXT,
    pc_id=TEXT,
    server_id=TEXT,
    state=st.sampled_from(list(State)),
    started_ms=MS,
    last_heartbeat_ms=MS,
    lease_until_ms=MS,
    launcher_until_ms=nullable(MS),
    paid_until_ms=nullable(MS),
    deadline_ms=MS,
    due_ms=MS,
    charge=nullable(CHARGES),
    exhausted_ms=nullable(MS),
    grace_used_ms=MS,
    billed_ms=MS,
    unbilled_ms=MS,
    outage_seen_ms=MS,
    ended_ms=nullable(MS),
    end_reason=nullable(st.sampled_from(list(EndReason))),
    client_play_duration_sec=nullable(st.integers(0, 1 << 31)),
    resumed_ms=MS,
    grant=nullable(GRANTS),
    attributes=st.binary(max_size=8),
)
AGENT_LAUNCHES = st.builds(
    AgentLaunch,
    agent_id=st.integers(1, 1 << 62),
    game_id=TEXT,
    player_id=TEXT,
    attributes=st.binary(max_size=8),
    number=MS,
    key_id=TEXT,
    expires_ms=MS,
)
CHANGES = st.builds(catalog_changes.Change, MS, st.lists(TEXT, max_size=3).map(tuple))
KINDS: dict[type[msgspec.Struct], st.SearchStrategy[Any]] = {
    Session: SESSIONS,
    Launch: st.builds(
        Launch,
        id=TEXT,
        launcher_id=TEXT,
        cafe_id=TEXT,
        account_id=nullable(TEXT),
        tariff_id=nullable(TEXT),
        pc_id=TEXT,
        internal_ip=TEXT,
        external_ip=TEXT,
        hardware=st.binary(max_size=8),
        started_ms=MS,
        lease_until_ms=MS,
        outage_seen_ms=MS,
        ended_ms=nullable(MS),
        end_reason=nullable(st.sampled_from(list(EndReason))),
        provider_id=nullable(TEXT),
        agent=nullable(AGENT_LAUNCHES),
    ),
    Seat: st.builds(Seat, TEXT, session_id=nullable(TEXT)),
    Ott: st.builds(Ott, TEXT, TEXT, nullable(TEXT), MS, refusals=st.integers(0, 5), session_id=nullable(TEXT), epoch=TEXT),
    Account: st.builds(
        Account,
        TEXT,
        TEXT,
        MS,
        MS,
        debt_limit_micros=MS,
        pending=st.lists(st.builds(Hold, TEXT, MS, MS), max_size=3).map(tuple),
        is_untouched=st.booleans(),
    ),
    TwoPhase: st.builds(
        TwoPhase,
        id=TEXT,
        account_id=TEXT,
        amount_micros=MS,
        target=TEXT,
        timeout_ms=MS,
        created_ms=MS,
        state=st.sampled_from(list(TransferState)),
        posted_micros=MS,
        closed_ms=nullable(MS),
        free_micros=MS,
    ),
    records.Nonce: st.builds(records.Nonce, MS),
    records.Claim: st.builds(records.Claim, st.binary(max_size=32)),
    records.Answer: st.builds(records.Answer, st.binary(max_size=32)),
    records.ServerSessions: st.builds(records.ServerSessions, st.lists(TEXT, max_size=3).map(tuple)),
    records.Silenced: st.builds(records.Silenced, MS),
    records.Pulse: st.builds(
        records.Pulse, MS, outages=st.lists(OUTAGES, max_size=3).map(tuple), offset_ms=st.integers(-(1 << 62), 1 << 62)
    ),
    records.Window: st.builds(records.Window, MS, MS),
    records.SessionEvent: st.builds(records.SessionEvent, st.sampled_from(list(records.Happening)), MS, SESSIONS),
    KnownPlayer: st.builds(KnownPlayer, TEXT, MS),
    points.PlayerPoints: st.builds(
        points.PlayerPoints,
        MS,
        days=st.lists(st.builds(points.Day, MS, MS, MS), max_size=3).map(tuple),
        changed_ms=MS,
        session_id=TEXT,
        session_until_ms=MS,
        session_points=MS,
    ),
    points.Leaders: st.builds(points.Leaders, st.lists(st.builds(points.Leader, TEXT, MS, MS), max_size=3).map(tuple)),
    points.PlayerSession: st.builds(points.PlayerSession, TEXT, TEXT, TEXT, TEXT, MS, MS, nullable(MS), CHAINS),
    kept_images.KeptImage: st.builds(
        kept_images.KeptImage, TEXT, st.sampled_from(kept_images.ImageState), MS, is_named=st.booleans()
    ),
    kept_images.ImageUse: st.builds(kept_images.ImageUse, MS),
    records.KeyUses: st.builds(records.KeyUses, st.dictionaries(TEXT, MS, max_size=3)),
    Credential: st.builds(
        Credential,
        id=TEXT,
        owner=TEXT,
        created_ms=MS,
        digest=st.binary(max_size=32),
        secret=st.binary(max_size=32),
        expires_ms=nullable(MS),
        revoked_ms=nullable(MS),
        label=TEXT,
        is_provisioned=st.booleans(),
        request=st.binary(max_size=32),
        sealed_by=TEXT,
    ),
    estate.Directory: st.builds(estate.Directory, st.lists(TEXT, max_size=3).map(tuple)),
    Tariff: TARIFFS,
    catalog.Game: st.builds(
        catalog.Game,
        id=TEXT,
        number=st.integers(0, 1 << 31),
        name=TEXT,
        brand=TEXT,
        image_url=TEXT,
        play_url=TEXT,
        demo_url=TEXT,
        api_key_hashes=st.lists(st.binary(min_size=32, max_size=32), max_size=2).map(tuple),
        failure_policy=st.sampled_from(list(FailurePolicy)),
        failure_limit_ms=MS,
        description=TEXT,
        cover_image_url=TEXT,
        platform=TEXT,
        owner_id=TEXT,
        creator_id=TEXT,
        is_hidden=st.booleans(),
        is_admin_hidden=st.booleans(),
        tokens=st.lists(st.builds(catalog.Token, id=TEXT, symbol=TEXT, name=TEXT, image_url=TEXT), max_size=2).map(tuple),
        is_html=st.booleans(),
        is_iframable=st.booleans(),
        has_sdk=st.booleans(),
        twitter=TEXT,
        discord=TEXT,
        telegram=TEXT,
        jwks_url=TEXT,
        rewards_split=st.lists(st.tuples(TEXT, st.integers(0, 10_000)), max_size=2).map(tuple),
        is_ownership_validated=st.booleans(),
        rewards_pool_usd=TEXT,
        rewards_allocated_usd=TEXT,
        daily_rewards_usd=TEXT,
        max_score_per_session=MS,
        max_sessions_per_day=MS,
        max_cumulative_points_per_day=MS,
        created_ms=MS,
        updated_ms=MS,
        deleted_ms=st.none() | MS,
        revision=MS,
    ),
    catalog_changes.Bucket: st.builds(catalog_changes.Bucket, st.lists(TEXT, max_size=3).map(tuple)),
    catalog_changes.Change: CHANGES,
    catalog_changes.Ring: st.builds(catalog_changes.Ring, MS, st.lists(CHANGES, max_size=3).map(tuple)),
    estate.AccountPlan: st.builds(estate.AccountPlan, id=TEXT, currency=TEXT, opening_balance_micros=MS, debt_limit_micros=MS),
    estate.Cafe: st.builds(
        estate.Cafe,
        id=TEXT,
        name=TEXT,
        networks=st.lists(TEXT, max_size=2).map(tuple),
        account_id=nullable(TEXT),
        tariff_id=nullable(TEXT),
        provider_id=nullable(TEXT),
    ),
    estate.Provider: st.builds(
        estate.Provider,
        id=TEXT,
        target=TEXT,
        token=st.binary(max_size=8),
        is_plaintext=st.booleans(),
        verifies_addresses=st.booleans(),
        deadline_ms=MS,
        reserve_ms=MS,
        sealed_by=TEXT,
    ),
    estate.Launcher: st.builds(estate.Launcher, id=TEXT, secrets=SECRETS),
    estate.Agent: st.builds(
        estate.Agent,
        id=st.integers(1, 1 << 31),
        name=TEXT,
        secrets=SECRETS,
        games=st.lists(st.integers(1, 1 << 31), max_size=2).map(tuple),
    ),
    ownership.OwnershipClaim: st.builds(ownership.OwnershipClaim, challenge=TEXT, expires_ms=MS),
    catalog.Token: st.builds(catalog.Token, id=TEXT, symbol=TEXT, name=TEXT, image_url=TEXT),
    estate.Developer: st.builds(estate.Developer, id=TEXT, secrets=SECRETS),
    estate.Service: st.builds(
        estate.Service,
        id=TEXT,
        token_hashes=SECRETS,
        certificates=st.lists(TEXT).map(tuple),
        allow=st.lists(TEXT).map(tuple),
    ),
    signing_keys.SigningKey: SIGNING_KEYS,
    signing_keys.KeyRing: st.builds(signing_keys.KeyRing, st.lists(SIGNING_KEYS, max_size=2).map(tuple)),
    signing_keys.SigningKeys: st.builds(signing_keys.SigningKeys, id=TEXT, secret=st.binary(max_size=8), sealed_by=TEXT),
    estate.MatchClient: st.builds(
        estate.MatchClient, id=TEXT, secrets=SECRETS, game_id=TEXT, match_info_url=TEXT, launch_url=TEXT
    ),
}
EVERY_KIND = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


@EVERY_KIND
@REPEATABLE
@given(st.data())
def test_what_was_written_reads_as_it_was(kind: type[msgspec.Struct], data: st.DataObject) -> None:
    record = data.draw(KINDS[kind])
    read = Codec(kind).decode(encode(record))
    assert read == record
    assert type(read) is kind


@EVERY_KIND
@REPEATABLE
@given(st.data())
def test_fields_at_the_end_that_an_older_version_did_not_write_have_their_defaults(
    kind: type[msgspec.Struct], data: st.DataObject
) -> None:
    record = data.draw(KINDS[kind])
    written = msgspec.msgpack.decode(encode(record)[1:])
    optional = [field for field in fields(kind) if not field.required]
    for count in range(len(optional) + 1):
        shorter = bytes([FORMAT]) + msgspec.msgpack.encode(written[: len(written) - count])
        missing = {field.name: field.default for field in optional[len(optional) - count :]}
        assert Codec(kind).decode(shorter) == replace(record, **missing)


@EVERY_KIND
@REPEATABLE
@given(st.data())
def test_a_record_that_lacks_a_required_field_is_refused(kind: type[msgspec.Struct], data: st.DataObject) -> None:
    written = msgspec.msgpack.decode(encode(data.draw(KINDS[kind]))[1:])
    required = sum(field.required for field in fields(kind))
    with pytest.raises(UnknownFormat, match=f"^no {kind.__name__}: "):
        Codec(kind).decode(bytes([FORMAT]) + msgspec.msgpack.encode(written[: required - 1]))


def test_fields_that_a_newer_version_added_are_passed_over() -> None:
    assert Codec(Seat).decode(bytes([FORMAT]) + msgspec.msgpack.encode(["ls_1", "gs_1", "new"])) == Seat("ls_1", "gs_1")


def test_a_record_is_a_format_number_and_an_array() -> None:
    assert FORMAT == 1
    assert encode(Seat("ls_1")) == b"\x01\x92\xa4ls_1\xc0"
    assert encode(Outage(1, 2)) == b"\x01\x92\x01\x02"


@pytest.mark.parametrize("number", [0, 2, 3, 127, 255])
def test_another_format_number_is_refused_by_its_name(number: int) -> None:
    data = bytes([number]) + encode(Seat("ls_1"))[1:]
    with pytest.raises(UnknownFormat, match=f"^a Seat of format {number}; this version reads 1$"):
        Codec(Seat).decode(data)


def test_nothing_is_no_record() -> None:
    with pytest.raises(UnknownFormat, match=r"^a Seat of format nothing; this version reads 1$"):
        Codec(Seat).decode(b"")


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"\xc1",
        b"\x92",
        b"\x90",
        b"\x80",
        b"\x92\xa1\xff\xc0",
        b"\x92\xa1\xed\xa0\x80\xc0",
        b"\x92\xa4ls_1\xc0\xc0",
        b"\x92\x01\xc0",
        b"\x92\xa4ls_1\x01",
        b"\xdd\xff\xff\xff\xff",
        b"\x92\xdb\xff\xff\xff\xff",
        b"\x91" * 100_000,
    ],
)
def test_garbage_is_refused(garbage: bytes) -> None:
    with pytest.raises(UnknownFormat):
        Codec(Seat).decode(bytes([FORMAT]) + garbage)


@EVERY_KIND
@REPEATABLE
@given(st.data())
def test_bytes_that_come_from_nowhere_read_as_a_record_or_are_refused(kind: type[msgspec.Struct], data: st.DataObject) -> None:
    whole = encode(data.draw(KINDS[kind]))
    cut = data.draw(st.integers(1, len(whole)))
    damaged = whole[:cut] + data.draw(st.binary(max_size=8)) + whole[cut + data.draw(st.integers(0, 8)) :]
    try:
        read = Codec(kind).decode(damaged)
    except UnknownFormat:
        return
    assert type(read) is kind


@pytest.mark.parametrize("amount", [1.5, float("nan"), float("inf"), True, "1", None])
def test_an_amount_is_an_integer(amount: object) -> None:
    with pytest.raises(UnknownFormat):
        Codec(Account).decode(bytes([FORMAT]) + msgspec.msgpack.encode(["cafe-1", "GCOIN", amount, 0]))


@pytest.mark.parametrize(
    ("kind", "field", "number"), [(Session, "state", 5), (Session, "state", 0), (Session, "end_reason", 9)]
)
def test_a_state_or_a_reason_that_is_not_known_is_refused(kind: type[Session], field: str, number: int) -> None:
    session = Session(
        id="gs_1",
        game_id="game",
        provider_user_id="player",
        launch_id="launch",
        cafe_id="cafe",
        pc_id="pc",
        server_id="",
        state=State.ACTIVE,
        started_ms=0,
        last_heartbeat_ms=0,
        lease_until_ms=0,
        launcher_until_ms=None,
        paid_until_ms=None,
        deadline_ms=0,
        due_ms=0,
        charge=None,
    )
    written = msgspec.msgpack.decode(encode(session)[1:])
    assert Codec(kind).decode(bytes([FORMAT]) + msgspec.msgpack.encode(written)) == session
    written[[each.name for each in fields(kind)].index(field)] = number
    with pytest.raises(UnknownFormat):
        Codec(kind).decode(bytes([FORMAT]) + msgspec.msgpack.encode(written))


def test_a_record_of_the_kind_that_was_asked_for_passes() -> None:
    seat = Seat("ls_1")
    assert Codec(Seat).checked(seat) is seat


@pytest.mark.parametrize("other", [Outage(1, 2), None, "ls_1", ("ls_1", None)])
def test_a_record_of_another_kind_is_a_fault_of_ours(other: object) -> None:
    with pytest.raises(TypeError, match=f"^expected a Seat, not a {type(other).__name__}$"):
        Codec(Seat).checked(other)


NUMBERS: dict[type[IntEnum], str] = {
    State: "ACTIVE EXHAUSTED ENDING ENDED",
    EndReason: "CLIENT_END HEARTBEAT_TIMEOUT LAUNCHER_TIMEOUT CHARGE_EXHAUSTED REPLACED TERMINATED SERVER_RESTART MAX_DURATION",
    FailurePolicy: "DENY ALLOW ALLOW_THEN_RECONCILE",
    Rounding: "STARTED_UNIT EXACT",
    TransferState: "PENDING POSTED VOIDED EXPIRED REFUSED",
    BillOnSilence: "LAST_HEARTBEAT ONE_INTERVAL LEASE_END",
    records.Happening: "OPENED EXHAUSTED ENDED RESUMED LOW_CREDIT ENDING",
    kept_images.ImageState: "KEPT GOING GONE",
    Refusal: "EXPIRED ALREADY_USED GAME_MISMATCH NOT_CHARGEABLE USER_MISMATCH",
}


@pytest.mark.parametrize("kind", NUMBERS, ids=lambda kind: kind.__name__)
def test_the_numbers_in_records_stay_what_they_are(kind: type[IntEnum]) -> None:
    assert [(member.value, member.name) for member in kind] == list(enumerate(NUMBERS[kind].split(), start=1))


def test_every_record_that_is_kept_was_tried() -> None:
    kept = {
        kind
        for module in (records, estate, catalog, catalog_changes, ownership, signing_keys, kept_images)
        for kind in vars(module).values()
        if isinstance(kind, type)
    }
    records_of_ours = {kind for kind in kept if issubclass(kind, msgspec.Struct)} - {
        msgspec.Struct,
        Outage,
        Named,
        catalog_changes.Edit,
    }
    assert records_of_ours <= set(KINDS)
