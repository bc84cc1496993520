"""What is missing, malformed or out of range is refused with the name of the field, over a socket as in process."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import grpc
import pytest
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from playclock.v1 import (
    SIGNATURE_SCHEME_AGENT,
    SIGNATURE_SCHEME_LAUNCHER,
    SIGNATURE_SCHEME_STANDARD_WEBHOOKS,
    Agent,
    ApplyProvisioningRequest,
    BatchHeartbeatRequest,
    ChargeProvider,
    Developer,
    EndLaunchRequest,
    EndSessionRequest,
    EndSessionsOfServerRequest,
    GetSessionRequest,
    HeartbeatLaunchRequest,
    HeartbeatRequest,
    HttpHeader,
    IssueOttRequest,
    Launcher,
    ListSessionsRequest,
    MatchClient,
    OpenSessionRequest,
    PriceWindow,
    ProvisionedAccount,
    ProvisionedCafe,
    ProvisionedGame,
    Provisioning,
    SignedHttpRequest,
    SignRequestRequest,
    StartLaunchRequest,
    Tariff,
    TerminateSessionRequest,
    VerifyRequestRequest,
    WatchSessionsRequest,
)

if TYPE_CHECKING:
    from tests.rpc.conftest import Rpc

pytestmark = pytest.mark.usefixtures("world")

UUID = "ab3f0e8a-6c1b-4a53-9f0e-0d1f2a3b4c5d"
GAME_ID = "3f0e8a52-6c1b-4a53-9f0e-0d1f2a3b4c5d"
TOO_LONG = "x" * 129


def good_open(**changed: Any) -> OpenSessionRequest:  # noqa: ANN401 - any field
    return OpenSessionRequest(**{"ott": UUID, "provider_user_id": "player-1", **changed})


def good_start(**changed: Any) -> StartLaunchRequest:  # noqa: ANN401 - any field
    return StartLaunchRequest(**{"pc_id": "pc-1", "internal_ip": "192.168.0.1", "external_ip": "127.0.0.1", **changed})


def good_issue(**changed: Any) -> IssueOttRequest:  # noqa: ANN401 - any field
    return IssueOttRequest(**{"session_token": "ls_" + UUID, "game_id": GAME_ID, **changed})


def hardware(size: int) -> Struct:
    struct = Struct()
    struct.update({"cpu": "x" * size})
    return struct


BAD_IDS = ["", UUID, "GS_" + UUID, "ls_" + UUID, "gs_" + UUID.upper(), "gs_" + UUID + "\n"]
BAD_TOKENS = ["", UUID, "LS_" + UUID, "gs_" + UUID, "ls_" + UUID.upper(), "ls_" + UUID + " "]
BAD_UUIDS = ["", "x", UUID.upper(), "{" + UUID + "}", UUID.replace("-", ""), "urn:uuid:" + UUID, UUID + "\n"]
CONTROL = "a\x00b"

Case = tuple[str, Message, str]


def asked(**changed: Any) -> VerifyRequestRequest:  # noqa: ANN401 - any field
    good = {"scheme": SIGNATURE_SCHEME_AGENT, "headers": [HttpHeader(name="x-signature", value="0" * 64)], "body": b"{}"}
    return VerifyRequestRequest(request=SignedHttpRequest(**{**good, **changed}))


def ordered(**changed: Any) -> SignRequestRequest:  # noqa: ANN401 - any field
    good = {"scheme": SIGNATURE_SCHEME_LAUNCHER, "key_id": "launcher-1", "http_method": "POST", "http_path": "/"}
    return SignRequestRequest(**{**good, **changed})


CASES: list[Case] = [
    *(("auth.VerifyRequest", asked(scheme=scheme), "request.scheme") for scheme in (0, 5, 99)),
    ("auth.VerifyRequest", asked(key_id="x" * 257), "request.key_id"),
    ("auth.VerifyRequest", asked(scheme=SIGNATURE_SCHEME_STANDARD_WEBHOOKS), "request.key_id"),
    ("auth.VerifyRequest", asked(headers=[HttpHeader(name="x", value="y")] * 65), "request.headers"),
    ("auth.VerifyRequest", VerifyRequestRequest(mode=9), "mode"),  # type: ignore[arg-type]
    ("auth.VerifyRequest", asked(body=b"{"), "body"),
    ("auth.VerifyRequest", asked(body=b'{"agent_id":1,"agent_id":1}'), "body"),
    ("auth.VerifyRequest", asked(body=b'{"a":"' + b"x" * 16_384 + b'"}'), "body"),
    ("auth.VerifyRequest", asked(body=b'{"agent_id":"1"}'), "agent_id"),
    ("auth.VerifyRequest", asked(body=b'{"agent_id":1}'), "timestamp"),
    *(("auth.SignRequest", ordered(scheme=scheme), "scheme") for scheme in (0, 5)),
    *(("auth.SignRequest", ordered(key_id=key), "key_id") for key in ("", "nobody", "x" * 257)),
    *(("auth.SignRequest", ordered(http_path=path), "http_path") for path in ("", "a", "/a?b=c", "/\u00e9", "/a\nb")),
    *(("auth.SignRequest", ordered(http_method=method), "http_method") for method in ("", "P T", "\uff30OST")),
    *(("sessions.OpenSession", good_open(ott=ott), "ott") for ott in BAD_UUIDS),
    *(
        ("sessions.OpenSession", good_open(provider_user_id=user), "provider_user_id")
        for user in ("", TOO_LONG, CONTROL, "\x7f", "\x85")
    ),
    *(("sessions.OpenSession", good_open(request_id=id_), "request_id") for id_ in ("x" * 256, "r\u00e9", "tab\t", CONTROL)),
    *(("sessions.OpenSession", good_open(server_id=id_), "server_id") for id_ in (TOO_LONG, CONTROL)),
    *(
        ("sessions.Heartbeat", HeartbeatRequest(game_session_id=id_, provider_user_id="p"), "game_session_id")
        for id_ in BAD_IDS
    ),
    ("sessions.Heartbeat", HeartbeatRequest(game_session_id="gs_" + UUID), "provider_user_id"),
    ("sessions.BatchHeartbeat", BatchHeartbeatRequest(heartbeats=[HeartbeatRequest()] * 1_001), "heartbeats"),
    *(("sessions.EndSession", EndSessionRequest(game_session_id=id_), "game_session_id") for id_ in BAD_IDS),
    (
        "sessions.EndSession",
        EndSessionRequest(game_session_id="gs_" + UUID, play_duration_sec=-1),
        "play_duration_sec",
    ),
    *(
        ("sessions.EndSessionsOfServer", EndSessionsOfServerRequest(game_id=GAME_ID, server_id=id_), "server_id")
        for id_ in ("", TOO_LONG, CONTROL)
    ),
    ("sessions.EndSessionsOfServer", EndSessionsOfServerRequest(server_id="s"), "game_id"),
    *(("sessions.GetSession", GetSessionRequest(game_session_id=id_), "game_session_id") for id_ in BAD_IDS),
    *(("sessions.TerminateSession", TerminateSessionRequest(game_session_id=id_), "game_session_id") for id_ in BAD_IDS),
    ("sessions.ListSessions", ListSessionsRequest(page_size=-1), "page_size"),
    ("sessions.ListSessions", ListSessionsRequest(page_token="junk"), "page_token"),
    ("sessions.WatchSessions", WatchSessionsRequest(cursor="junk"), "cursor"),
    *(("launches.StartLaunch", good_start(pc_id=pc), "pc_id") for pc in ("", TOO_LONG, CONTROL)),
    *(
        ("launches.StartLaunch", good_start(**{field: address}), field)
        for field in ("internal_ip", "external_ip")
        for address in ("x", "127.0.0.1:80", "127.0.0", "1.2.3.4/8", "\uff11.2.3.4", " 1.2.3.4")
    ),
    ("launches.StartLaunch", good_start(hardware=hardware(16_384)), "hardware"),
    *(("launches.HeartbeatLaunch", HeartbeatLaunchRequest(session_token=id_), "session_token") for id_ in BAD_TOKENS),
    *(("launches.EndLaunch", EndLaunchRequest(session_token=id_), "session_token") for id_ in BAD_TOKENS),
    *(("launches.IssueOtt", good_issue(session_token=id_), "session_token") for id_ in BAD_TOKENS),
    *(("launches.IssueOtt", good_issue(game_id=id_), "game_id") for id_ in BAD_UUIDS),
    *(("launches.IssueOtt", good_issue(provider_user_id=user), "provider_user_id") for user in (TOO_LONG, CONTROL)),
]


def bad_provisioning() -> list[tuple[Provisioning, str]]:
    game: Callable[..., Provisioning] = lambda **changed: Provisioning(  # noqa: E731 - one line for each kind
        games=[ProvisionedGame(**{"id": UUID, "name": "G", "api_keys": ["k"], **changed})]
    )
    tariff: Callable[..., Provisioning] = lambda **changed: Provisioning(  # noqa: E731
        tariffs=[Tariff(**{"id": "t", "currency": "GCOIN", "unit_sec": 60, "price_micros": 1, **changed})]
    )
    window: Callable[..., PriceWindow] = lambda **changed: PriceWindow(  # noqa: E731
        **{"from_time": "22:00", "until_time": "06:00", "price_micros": 1, **changed}
    )
    account: Callable[..., Provisioning] = lambda **changed: Provisioning(  # noqa: E731
        accounts=[ProvisionedAccount(**{"id": "a", "currency": "GCOIN", **changed})]
    )
    cafe: Callable[..., Provisioning] = lambda **changed: Provisioning(  # noqa: E731
        cafes=[ProvisionedCafe(**{"id": "c", "name": "C", **changed})]
    )
    provider: Callable[..., Provisioning] = lambda **changed: Provisioning(  # noqa: E731
        providers=[ChargeProvider(**{"id": "p", "target": "127.0.0.1:1", "token": "t", **changed})]
    )
    return [
        *((game(id=id_), "games[0].id") for id_ in BAD_UUIDS),
        (game(number=-1), "games[0].number"),
        *((game(name=name), "games[0].name") for name in ("", "x" * 201, CONTROL)),
        (game(brand=CONTROL), "games[0].brand"),
        *(
            (game(**{f: url}), f"games[0].{f}")
            for f in ("image_url", "play_url", "demo_url")
            for url in ("ftp://x", "http://", "x" * 3_000)
        ),
        *((game(api_keys=[key]), "games[0].api_keys") for key in ("", "x" * 513)),
        *((tariff(id=id_), "tariffs[0].id") for id_ in ("", "-x", "x" * 65, "a b", "\u00e9")),
        *((tariff(currency=code), "tariffs[0].currency") for code in ("", "G", "gcoin", "1COIN", "X" * 17)),
        *((tariff(unit_sec=sec), "tariffs[0].unit_sec") for sec in (0, -60)),
        *((tariff(price_micros=price), "tariffs[0].price_micros") for price in (-1, (1 << 62) + 1)),
        (tariff(rounding=7), "tariffs[0].rounding"),
        (tariff(bill_on_silence=4), "tariffs[0].bill_on_silence"),
        *((tariff(minimum_micros=micros), "tariffs[0].minimum_micros") for micros in (-1, (1 << 62) + 1)),
        (tariff(minimum_micros=3, cap_micros=2), "tariffs[0].minimum_micros"),
        *((tariff(cap_micros=micros), "tariffs[0].cap_micros") for micros in (-1, (1 << 62) + 1)),
        (tariff(free_sec=-1), "tariffs[0].free_sec"),
        (tariff(reserve_sec=-1), "tariffs[0].reserve_sec"),
        *(
            (tariff(time_zone=name), "tariffs[0].time_zone")
            for name in ("Mars/Base", "Europe", "../etc/passwd", "\x00", "localtime")
        ),
        (tariff(windows=[window()] * 101), "tariffs[0].windows"),
        *(
            (tariff(windows=[window(from_time=time)]), "tariffs[0].windows[0].from_time")
            for time in ("", "24:00", "7:00", "12:60")
        ),
        *(
            (tariff(windows=[window(until_time=time)]), "tariffs[0].windows[0].until_time")
            for time in ("", "24:01", "x", "22:00")
        ),
        *(
            (tariff(windows=[window(price_micros=price)]), "tariffs[0].windows[0].price_micros")
            for price in (-1, (1 << 62) + 1)
        ),
        *((tariff(windows=[window(weekdays=[1, day])]), "tariffs[0].windows[0].weekdays") for day in (0, 8, -1)),
        (account(id=""), "accounts[0].id"),
        (account(currency="x"), "accounts[0].currency"),
        (account(opening_balance_micros=-1), "accounts[0].opening_balance_micros"),
        *((account(debt_limit_micros=micros), "accounts[0].debt_limit_micros") for micros in (-1, (1 << 62) + 1)),
        (cafe(id=""), "cafes[0].id"),
        (cafe(name=""), "cafes[0].name"),
        *((cafe(networks=[network]), "cafes[0].networks") for network in ("", "x", "10.0.0.1/8", "10.0.0.0/33")),
        (cafe(account="a", tariff="standard"), "cafe/c"),
        (cafe(account="cafe-1", tariff="t"), "cafe/c"),
        (cafe(provider="p"), "cafe/c"),
        (cafe(provider="p", account="cafe-1", tariff="standard"), "cafe/c"),
        (game(on_provider_failure=4), "games[0].on_provider_failure"),
        (game(provider_failure_limit_sec=-1), "games[0].provider_failure_limit_sec"),
        *((provider(id=id_), "providers[0].id") for id_ in ("", "a b")),
        *(
            (provider(target=target), "providers[0].target")
            for target in (
                "",
                "partner",
                "partner:",
                ":1",
                "p:0",
                "p:65536",
                "unix:/x",
                "p:1/x",
                "a b:1",
                "http://p:1",
                "[x]:1",
            )
        ),
        *((provider(token=token), "providers[0].token") for token in ("", "x" * 513)),
        *((provider(deadline_ms=ms), "providers[0].deadline_ms") for ms in (-1, 10_001)),
        (provider(reserve_sec=-1), "providers[0].reserve_sec"),
        (Provisioning(launchers=[Launcher(id="", secret="s")]), "launchers[0].id"),
        (Provisioning(launchers=[Launcher(id="l")]), "launchers[0].secret"),
        (Provisioning(agents=[Agent(name="A")]), "agents[0].id"),
        (Provisioning(agents=[Agent(id=1)]), "agents[0].name"),
        (Provisioning(agents=[Agent(id=1, name="A", callback_url="x")]), "agents[0].callback_url"),
        (Provisioning(developers=[Developer(id="d", secret="s")]), "developers[0].id"),
        (Provisioning(developers=[Developer(id=UUID)]), "developers[0].secret"),
        (Provisioning(match_clients=[MatchClient(client_secret="s", game=GAME_ID)]), "match_clients[0].client_id"),
        (Provisioning(match_clients=[MatchClient(client_id="m", game=GAME_ID)]), "match_clients[0].client_secret"),
        (
            Provisioning(match_clients=[MatchClient(client_id="m", client_secret="s", game=GAME_ID, match_info_url="x")]),
            "match_clients[0].match_info_url",
        ),
        (
            Provisioning(match_clients=[MatchClient(client_id="m", client_secret="s", game=GAME_ID, launch_url="x")]),
            "match_clients[0].launch_url",
        ),
        (
            Provisioning(
                match_clients=[MatchClient(client_id="m", client_secret="s", game=GAME_ID, push_retries=cast("Any", 3))]
            ),
            "match_clients[0].push_retries",
        ),
        (Provisioning(match_clients=[MatchClient(client_id="m", client_secret="s", game=UUID)]), "match_client/m"),
        (Provisioning(launchers=[Launcher(id="l", secret="s")] * 2), "launchers"),
    ]


CASES += [
    ("provisioning.ApplyProvisioning", ApplyProvisioningRequest(provisioning=provisioning), field)
    for provisioning, field in bad_provisioning()
]

ANYTHING_GOES = {
    "ApplyProvisioningRequest.validate_only": "both values are good",
    "ListSessionsRequest.game_id": "a filter: what matches nothing lists nothing",
    "ListSessionsRequest.cafe_id": "a filter: what matches nothing lists nothing",
    "WatchSessionsRequest.game_id": "a filter: what matches nothing tells nothing",
    "WatchSessionsRequest.game_session_id": "a filter: what matches nothing tells nothing",
    "ChargeProvider.plaintext": "both values are good",
    "ChargeProvider.verify_addresses": "both values are good",
    "VerifyRequestRequest.request": "the fields within are named",
    "SignRequestRequest.body": "an agent's has to be JSON, others' may be anything",
    "SignRequestRequest.message_id": "of one scheme only, and named there",
    "Agent.api_token": "absent or whatever the operator chose",
    "Agent.games": "numbers of games that may be described later",
}


@pytest.mark.parametrize("case", CASES, ids=[f"{call}-{field}-{number}" for number, (call, _, field) in enumerate(CASES)])
async def test_the_field_is_named(rpc: "Rpc", near: "Rpc", case: Case) -> None:
    call, message, field = case
    stub, _, method = call.partition(".")
    for there in (rpc, near):
        answer = getattr(getattr(there, stub), method)(message, metadata=there.OPERATOR)
        failed = await there.failure(anext(aiter(answer)) if method == "WatchSessions" else answer)
        assert (failed.code, failed.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "BAD_REQUEST")
        assert failed.violations == (field,)
        assert field in failed.sentence


async def test_all_fields_that_are_wrong_are_named_at_once(rpc: "Rpc") -> None:
    request = OpenSessionRequest(ott="", provider_user_id="", request_id="\t", server_id="\t")
    failed = await rpc.failure(rpc.sessions.OpenSession(request, metadata=rpc.GAME))
    assert failed.violations == ("ott", "provider_user_id", "request_id", "server_id")
    beat = await rpc.failure(rpc.sessions.Heartbeat(HeartbeatRequest(), metadata=rpc.GAME))
    assert beat.violations == ("game_session_id", "provider_user_id")


async def test_a_launcher_has_to_tell_the_address_of_the_pc(rpc: "Rpc") -> None:
    failed = await rpc.failure(rpc.launches.StartLaunch(good_start(internal_ip=""), metadata=rpc.signed()))
    assert failed.violations == ("internal_ip",)


PROVISIONED: dict[str, type[Message]] = {
    "games": ProvisionedGame,
    "tariffs": Tariff,
    "accounts": ProvisionedAccount,
    "cafes": ProvisionedCafe,
    "launchers": Launcher,
    "agents": Agent,
    "developers": Developer,
    "match_clients": MatchClient,
    "providers": ChargeProvider,
}


def test_every_field_of_every_request_has_a_bad_value_or_a_reason() -> None:
    kinds: set[type[Message]] = {type(message) for _, message, _ in CASES} | set(PROVISIONED.values())
    fields = {f"{kind.DESCRIPTOR.name}.{field.name}" for kind in kinds for field in kind.DESCRIPTOR.fields}
    # What refers to something is refused in the name of what refers.
    references = {"ProvisionedCafe.account", "ProvisionedCafe.tariff", "ProvisionedCafe.provider", "MatchClient.game"}
    tested = {*references, "ApplyProvisioningRequest.provisioning"}
    for _, message, path in CASES:
        place, _, field = path.partition("[0].")
        kind = PROVISIONED[place] if field else type(message)
        tested.add(f"{kind.DESCRIPTOR.name}.{field or path}")
    assert fields - tested == set(ANYTHING_GOES)
