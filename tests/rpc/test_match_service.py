"""MatchService as operators and match clients call it: a match from its making to the payout, its tokens, and who sees what."""

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import grpc
import pytest
from msgspec.structs import replace
from playclock.clock import ManualClock
from playclock.core.ids import make_uuid, match_key
from playclock.core.match_token import make_token
from playclock.rpc.inprocess import InProcessChannel
from playclock.stores.base import Record, Store
from playclock.v1 import (
    CancelMatchRequest,
    CreateMatchRequest,
    GetMatchRequest,
    InspectMatchTokenRequest,
    InspectMatchTokenResponse,
    IssueAccessTokenRequest,
    IssueMatchTokenRequest,
    IssueMatchTokenResponse,
    JoinMatchRequest,
    KeyServiceStub,
    LeaveMatchRequest,
    ListKeysRequest,
    Match,
    MatchClient,
    MatchPlayer,
    MatchServiceStub,
    MatchTerms,
    OpenIdServiceStub,
    ParticipantReport,
    PayoutRule,
    ProvisionedAccount,
    Provisioning,
    ReportResultRequest,
    ReportResultResponse,
    RevokeKeyRequest,
    RotateKeyRequest,
    StartMatchRequest,
    TeamReport,
    TeamResult,
)

from tests.conftest import FaultInjectingStore
from tests.rpc.conftest import Rpc

if TYPE_CHECKING:
    from tests.conftest import EngineMaker, World
    from tests.rpc.conftest import Metadata

CLIENT, SECOND, ELSEWHERE = "match-1", "match-2", "match-3"
SECRETS: Final = {
    CLIENT: "the-secret-of-the-match-client",
    SECOND: "the-secret-of-a-second-client",
    ELSEWHERE: "the-secret-of-another-game",
}
OPENING: Final = 1_000
UNKNOWN: Final = "600f369851f450dd3ecb0035"
NOT_FOUND: Final = (grpc.StatusCode.NOT_FOUND, "MATCH_NOT_FOUND")
NO_TOKEN: Final = (grpc.StatusCode.NOT_FOUND, "MATCH_TOKEN_NOT_FOUND")


def user(number: int) -> str:
    return make_uuid(number, bytes([number]) * 16)


class Desk:
    """Calls of operators and match clients, a line each."""

    def __init__(self, calls: Rpc) -> None:
        self.calls = calls
        self.stub = MatchServiceStub(calls.channel)
        self.by: Metadata = calls.OPERATOR

    async def by_client(self, client_id: str) -> "Metadata":
        """Return an access token's metadata."""
        basic = base64.b64encode(f"{client_id}:{SECRETS[client_id]}".encode()).decode()
        order = IssueAccessTokenRequest(grant_type="client_credentials")
        metadata = (("authorization", f"Basic {basic}"),)
        issued = await OpenIdServiceStub(self.calls.channel).IssueAccessToken(order, metadata=metadata)
        return self.calls.bearer(issued.access_token)

    async def create(self, request_id: str = "", **terms: Any) -> Match:  # noqa: ANN401 - any field
        fields = {"currency": "GCOIN", "entry_fee_micros": 100, "fee_basis_points": 1_000, "join_sec": 3_600, "play_sec": 600}
        made = MatchTerms(**{"client_id": CLIENT, "synchronous": True, **fields, **terms})
        return (await self.stub.CreateMatch(CreateMatchRequest(terms=made, request_id=request_id), metadata=self.by)).match

    async def join(self, match: Match, *numbers: int) -> Match:
        for number in numbers:
            request = JoinMatchRequest(match_id=match.match_id, user_id=user(number), account_id=f"p{number}")
            match = (await self.stub.JoinMatch(request, metadata=self.by)).match
        return match

    async def live(self, **terms: Any) -> Match:  # noqa: ANN401 - any field
        match = await self.join(await self.create(**terms), 0, 1)
        return (await self.stub.StartMatch(StartMatchRequest(match_id=match.match_id), metadata=self.by)).match

    async def issue(self, match: Match, number: int = 0) -> IssueMatchTokenResponse:
        request = IssueMatchTokenRequest(match_id=match.match_id, user_id=user(number))
        return await self.stub.IssueMatchToken(request, metadata=self.by)

    async def inspect(self, token: str, metadata: "Metadata") -> InspectMatchTokenResponse:
        return await self.stub.InspectMatchToken(InspectMatchTokenRequest(token=token), metadata=metadata)

    async def report(self, match: Match, metadata: "Metadata", *scores: int) -> ReportResultResponse:
        participants = [ParticipantReport(user_id=user(number), score=score) for number, score in enumerate(scores)]
        request = ReportResultRequest(match_id=match.match_id, participants=participants)
        return await self.stub.ReportResult(request, metadata=metadata)

    async def leave(self, match: Match, number: int) -> Match:
        request = LeaveMatchRequest(match_id=match.match_id, user_id=user(number))
        return (await self.stub.LeaveMatch(request, metadata=self.by)).match

    async def cancel(self, match: Match) -> Match:
        return (await self.stub.CancelMatch(CancelMatchRequest(match_id=match.match_id), metadata=self.by)).match

    async def failure(self, call: Any) -> tuple[grpc.StatusCode, str]:  # noqa: ANN401 - any call
        failed = await self.calls.failure(call)
        return (failed.code, failed.reason)


def estate(world: "World") -> Provisioning:
    clients = [
        (CLIENT, world.GAME_ID, "https://mycompany.com/mycoolgame?mode=1"),
        (SECOND, world.GAME_ID, "steam://run/480"),
        (ELSEWHERE, world.OTHER_GAME_ID, ""),
    ]
    return Provisioning(
        accounts=[ProvisionedAccount(id=f"p{number}", currency="GCOIN", opening_balance_micros=OPENING) for number in range(4)],
        match_clients=[
            MatchClient(client_id=id_, client_secret=SECRETS[id_], game=game, launch_url=url) for id_, game, url in clients
        ],
    )


@pytest.fixture(autouse=True)
async def _clients(world: "World") -> None:
    await world.provision(estate(world))


@pytest.fixture(params=["socket", "in process"])
def calls(request: pytest.FixtureRequest, rpc: Rpc, near: Rpc) -> Rpc:
    return rpc if request.param == "socket" else near


@pytest.fixture
def desk(near: Rpc) -> Desk:
    return Desk(near)


async def test_a_match_is_played_from_its_making_to_the_payout(calls: Rpc, world: "World", clock: ManualClock) -> None:
    desk = Desk(calls)
    client, now_ms = await desk.by_client(CLIENT), clock.now_ms()
    made = await desk.create(payout=PayoutRule(kind=PayoutRule.KIND_PERCENTAGES, weights=[7_000, 3_000]), players_max=3)
    assert (made.state, made.terms.game_id, made.terms.players_min) == (Match.STATE_CREATED, world.GAME_ID, 2)
    assert (made.create_time.ToMilliseconds(), made.join_expire_time.ToMilliseconds()) == (now_ms, now_ms + 3_600_000)
    assert not made.HasField("start_time")
    joined = await desk.join(made, 0, 1)
    assert [(player.user_id, player.team_id, player.account_id, player.state) for player in joined.players] == [
        (user(number), user(number), f"p{number}", MatchPlayer.STATE_JOINED) for number in (0, 1)
    ]
    live = (await desk.stub.StartMatch(StartMatchRequest(match_id=made.match_id), metadata=desk.by)).match
    assert (live.state, live.play_expire_time.ToMilliseconds()) == (Match.STATE_LIVE, now_ms + 600_000)
    seen = (await desk.stub.GetMatch(GetMatchRequest(match_id=made.match_id), metadata=client)).match
    for player in live.players:
        player.ClearField("account_id")
    assert seen == live
    teams = [
        TeamReport(team_id=user(0), score=300, ranking=2),
        TeamReport(team_id=user(1), score=-5, ranking=1),
    ]
    report = ReportResultRequest(match_id=made.match_id, teams=teams)
    told = await desk.stub.ReportResult(report, metadata=client)
    assert not told.contradicted
    assert (told.match.state, told.match.fee_micros) == (Match.STATE_FINISHED, 20)
    assert list(told.match.results) == [
        TeamResult(team_id=user(0), score=300, rank=2),
        TeamResult(team_id=user(1), score=-5, rank=1),
    ]
    assert [(p.payout_micros, p.state, p.account_id) for p in told.match.players] == [
        (54, MatchPlayer.STATE_SETTLED, ""),
        (126, MatchPlayer.STATE_SETTLED, ""),
    ]
    assert told.match.settle_time.ToMilliseconds() == now_ms
    teams[0].forfeit = True
    second = await desk.stub.ReportResult(ReportResultRequest(match_id=made.match_id, teams=teams), metadata=client)
    assert (second.contradicted, second.match.results) == (True, told.match.results)
    assert second.match.contradictions == 1
    balances = [(await world.engine.accounts.get(f"p{number}")).balance_micros for number in (0, 1)]
    assert balances == [OPENING - 100 + 54, OPENING - 100 + 126]


async def test_who_leaves_and_what_is_cancelled_costs_nothing(calls: Rpc, world: "World") -> None:
    desk = Desk(calls)
    made = await desk.create("once")
    assert (await desk.create("once")).match_id == made.match_id
    await desk.join(made, 0, 1)
    left = await desk.leave(made, 0)
    assert [player.user_id for player in left.players] == [user(1)]
    cancelled = await desk.cancel(made)
    assert cancelled.state == Match.STATE_CANCELLED
    assert await desk.cancel(made) == cancelled
    for number in (0, 1):
        account = await world.engine.accounts.get(f"p{number}")
        assert (account.balance_micros, account.held_micros) == (OPENING, 0)


async def test_each_refusal_says_what_it_is(desk: Desk) -> None:
    made = await desk.create(players_max=2, entry_fee_micros=OPENING)
    start, gone = StartMatchRequest(match_id=made.match_id), GetMatchRequest(match_id=UNKNOWN)
    precondition, missing = grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.NOT_FOUND
    assert await desk.failure(desk.stub.StartMatch(start, metadata=desk.by)) == (precondition, "TOO_FEW_PLAYERS")
    assert await desk.failure(desk.stub.GetMatch(gone, metadata=desk.by)) == NOT_FOUND
    assert await desk.failure(desk.leave(made, 0)) == (missing, "PLAYER_NOT_FOUND")
    nobody = JoinMatchRequest(match_id=(await desk.create()).match_id, user_id=user(0), account_id="nobody")
    assert await desk.failure(desk.stub.JoinMatch(nobody, metadata=desk.by)) == (missing, "ACCOUNT_NOT_FOUND")
    await desk.join(made, 1, 2)
    assert await desk.failure(desk.join(made, 3)) == (precondition, "MATCH_FULL")
    other_team = JoinMatchRequest(match_id=made.match_id, user_id=user(1), account_id="p1", team_id="other")
    assert await desk.failure(desk.stub.JoinMatch(other_team, metadata=desk.by)) == (precondition, "ALREADY_JOINED")
    assert await desk.failure(desk.join(await desk.create(), 1)) == (precondition, "INSUFFICIENT_CREDIT")
    assert await desk.failure(desk.report(made, desk.by, 1, 2)) == (precondition, "WRONG_MATCH_STATE")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("client_id", ""),
        ("client_id", "nobody"),
        ("game_id", "7d2f9b10-1111-4222-8333-944445555666"),
        ("currency", "gcoin"),
        ("currency", ""),
        ("entry_fee_micros", -1),
        ("entry_fee_micros", 1 << 62),
        ("fee_basis_points", 10_001),
        ("fee_basis_points", -1),
        ("payout.kind", PayoutRule(kind=9)),  # type: ignore[arg-type]
        ("payout", PayoutRule(weights=[1])),
        ("payout", PayoutRule(kind=PayoutRule.KIND_PERCENTAGES, weights=[1, 2])),
        ("payout", PayoutRule(kind=PayoutRule.KIND_PER_RANK, weights=[1] * 129)),
        ("players_min", 1),
        ("players_min", -1),
        ("players_max", 129),
        ("players_max", -1),
        ("submissions_total", 2),
        ("submissions_total", -1),
        ("join_sec", 0),
        ("join_sec", -1),
        ("join_sec", 30 * 86_400 + 1),
        ("play_sec", 0),
        ("play_sec", 30 * 86_400 + 1),
    ],
)
async def test_terms_that_are_wrong_are_named(desk: Desk, field: str, value: Any) -> None:  # noqa: ANN401 - of any type
    wrong = {field.partition(".")[0]: value}
    failed = await desk.calls.failure(desk.create(**({"players_min": 2} | wrong if field == "players_max" else wrong)))
    named = "terms.client_id" if field == "game_id" else f"terms.{field}"
    assert failed.code is grpc.StatusCode.INVALID_ARGUMENT
    assert named in failed.violations


@pytest.mark.parametrize("match_id", ["", "x", UNKNOWN.upper(), UNKNOWN[:-1], UNKNOWN + "0", UNKNOWN + "\n", "x" * 10_000])
async def test_what_is_no_matchs_id_is_refused_by_each_call(desk: Desk, match_id: str) -> None:
    stub, by = desk.stub, desk.by
    asked = (
        stub.GetMatch(GetMatchRequest(match_id=match_id), metadata=by),
        stub.StartMatch(StartMatchRequest(match_id=match_id), metadata=by),
        stub.CancelMatch(CancelMatchRequest(match_id=match_id), metadata=by),
        stub.LeaveMatch(LeaveMatchRequest(match_id=match_id, user_id=user(0)), metadata=by),
        stub.JoinMatch(JoinMatchRequest(match_id=match_id, user_id=user(0)), metadata=by),
        stub.IssueMatchToken(IssueMatchTokenRequest(match_id=match_id, user_id=user(0)), metadata=by),
        stub.ReportResult(ReportResultRequest(match_id=match_id), metadata=by),
    )
    for call in asked:
        failed = await desk.calls.failure(call)
        assert (failed.code, failed.violations) == (grpc.StatusCode.INVALID_ARGUMENT, ("match_id",))


async def test_other_fields_that_are_wrong_are_named(desk: Desk) -> None:
    match = await desk.live()
    id_, many = match.match_id, [ParticipantReport()] * 129
    cases: Sequence[tuple[Any, str]] = [
        (desk.create("\t"), "request_id"),
        (desk.stub.JoinMatch(JoinMatchRequest(match_id=id_, user_id="x"), metadata=desk.by), "user_id"),
        (desk.stub.JoinMatch(JoinMatchRequest(match_id=id_, user_id=user(3), team_id="\t"), metadata=desk.by), "team_id"),
        (desk.stub.IssueMatchToken(IssueMatchTokenRequest(match_id=id_, user_id="x"), metadata=desk.by), "user_id"),
        (desk.inspect("", desk.by), "token"),
        (desk.inspect("x" * 513, desk.by), "token"),
        (desk.stub.ReportResult(ReportResultRequest(match_id=id_, participants=many), metadata=desk.by), "participants"),
        (desk.stub.ReportResult(ReportResultRequest(match_id=id_, teams=[TeamReport()] * 129), metadata=desk.by), "teams"),
        (desk.report(match, desk.by, 1), "participants"),
        (desk.report(match, desk.by, 1, 2, 3), "participants"),
    ]
    for call, field in cases:
        failed = await desk.calls.failure(call)
        assert (failed.code, failed.violations) == (grpc.StatusCode.INVALID_ARGUMENT, (field,))
    new = await desk.create()
    request = JoinMatchRequest(match_id=new.match_id, user_id=user(3))
    assert (await desk.calls.failure(desk.stub.JoinMatch(request, metadata=desk.by))).violations == ("account_id",)


async def test_a_client_of_another_game_learns_nothing_of_a_match(desk: Desk) -> None:
    match = await desk.live()
    token = (await desk.issue(match)).token
    second, elsewhere = await desk.by_client(SECOND), await desk.by_client(ELSEWHERE)
    assert (await desk.inspect(token, second)).match_id == match.match_id
    get = GetMatchRequest(match_id=match.match_id)
    assert await desk.failure(desk.stub.GetMatch(get, metadata=elsewhere)) == NOT_FOUND
    assert await desk.failure(desk.report(match, elsewhere, 1, 2)) == NOT_FOUND
    there = await desk.calls.failure(desk.inspect(token, elsewhere))
    made_up = await desk.calls.failure(desk.inspect("match_x", elsewhere))
    assert there == made_up
    assert (there.code, there.reason) == NO_TOKEN
    denied = await desk.calls.failure(desk.stub.CancelMatch(CancelMatchRequest(match_id=match.match_id), metadata=second))
    assert denied.reason == "PERMISSION_DENIED"


class TestATokens:
    async def test_launch_urls_are_the_clients(self, calls: Rpc, clock: ManualClock) -> None:
        desk = Desk(calls)
        issued = await desk.issue(await desk.live())
        assert issued.launch_url == f"https://mycompany.com/mycoolgame?mode=1&token={issued.token}"
        assert issued.expire_time.ToMilliseconds() == clock.now_ms() + 86_400_000
        steam = await desk.issue(await desk.join(await desk.create(client_id=SECOND), 2), 2)
        assert steam.launch_url == f"steam://run/480//-token {steam.token}"
        bare = await desk.issue(await desk.join(await desk.create(client_id=ELSEWHERE), 2), 2)
        assert (bare.token[:6], bare.launch_url) == ("match_", "")

    async def test_answers_say_whether_the_player_may_play(self, calls: Rpc) -> None:
        desk = Desk(calls)
        client, kind = await desk.by_client(CLIENT), InspectMatchTokenResponse
        match = await desk.join(await desk.create(), 0, 1)
        token = (await desk.issue(match, 1)).token
        told = await desk.inspect(token, client)
        assert (told.match_id, told.user_id, told.match_status) == (match.match_id, user(1), kind.STATUS_CREATED)
        await desk.stub.StartMatch(StartMatchRequest(match_id=match.match_id), metadata=desk.by)
        told = await desk.inspect(token, client)
        assert (told.match_status, told.submissions_total, told.submissions_left) == (kind.STATUS_LIVE, 1, 1)
        await desk.report(match, client, 1, 2)
        told = await desk.inspect(token, client)
        assert (told.match_status, told.submissions_left) == (kind.STATUS_FINISHED, 0)
        assert await desk.failure(desk.issue(match, 1)) == (grpc.StatusCode.FAILED_PRECONDITION, "WRONG_MATCH_STATE")

    async def test_submissions_of_tournaments_are_counted_while_it_is_pending(self, desk: Desk) -> None:
        client = await desk.by_client(CLIENT)
        match = await desk.join(await desk.create(synchronous=False, tournament=True, submissions_total=3), 0)
        token = (await desk.issue(match)).token
        await desk.report(match, client, 5)
        told = await desk.inspect(token, client)
        assert told.match_status == InspectMatchTokenResponse.STATUS_PENDING
        assert (told.submissions_total, told.submissions_left) == (3, 2)

    async def test_end_with_their_time(self, desk: Desk, clock: ManualClock) -> None:
        match = await desk.join(await desk.create(join_sec=7 * 86_400), 0)
        token = (await desk.issue(match)).token
        clock.advance(86_399.999)
        assert (await desk.inspect(token, desk.by)).user_id == user(0)
        clock.advance(0.001)
        assert await desk.failure(desk.inspect(token, desk.by)) == (
            grpc.StatusCode.FAILED_PRECONDITION,
            "MATCH_TOKEN_EXPIRED",
        )
        assert await desk.failure(desk.inspect(token, await desk.by_client(ELSEWHERE))) == NO_TOKEN

    async def test_end_when_the_player_leaves_and_do_not_come_back_with_him(self, desk: Desk) -> None:
        match = await desk.join(await desk.create(), 0)
        token = (await desk.issue(match)).token
        await desk.leave(match, 0)
        gone = (grpc.StatusCode.NOT_FOUND, "PLAYER_NOT_FOUND")
        assert await desk.failure(desk.inspect(token, desk.by)) == gone
        assert await desk.failure(desk.issue(match)) == gone
        await desk.join(match, 0)
        assert await desk.failure(desk.inspect(token, desk.by)) == gone

    async def test_go_on_while_their_clients_key_is_rotated_and_end_with_it(self, desk: Desk, clock: ManualClock) -> None:
        match = await desk.join(await desk.create(join_sec=7 * 86_400), 0)
        old, keys = (await desk.issue(match)).token, KeyServiceStub(desk.calls.channel)
        clock.advance(1)
        (key,) = (await keys.ListKeys(ListKeysRequest(owner=f"match_client/{CLIENT}"), metadata=desk.by)).keys
        await keys.RotateKey(RotateKeyRequest(key_id=key.id, overlap_sec=3_600), metadata=desk.by)
        clock.advance(3_599)
        new = (await desk.issue(match)).token
        assert [(await desk.inspect(token, desk.by)).user_id for token in (old, new)] == [user(0)] * 2
        clock.advance(1)
        assert await desk.failure(desk.inspect(old, desk.by)) == NO_TOKEN
        assert (await desk.inspect(new, desk.by)).user_id == user(0)
        for each in (await keys.ListKeys(ListKeysRequest(owner=f"match_client/{CLIENT}"), metadata=desk.by)).keys:
            await keys.RevokeKey(RevokeKeyRequest(key_id=each.id), metadata=desk.by)
        assert await desk.failure(desk.inspect(new, desk.by)) == NO_TOKEN
        assert (await desk.calls.failure(desk.issue(match))).violations == ("match_id",)

    @pytest.mark.parametrize("owner", [f"match_client/{SECOND}", f"match_client/{ELSEWHERE}", "launcher/launcher-1"])
    async def test_signed_by_anybody_but_the_matchs_client_are_none(self, desk: Desk, world: "World", owner: str) -> None:
        match = await world.engine.matches.get(world.OPERATOR, (await desk.live()).match_id)
        key, client = world.engine.context.estate.held_by(owner), world.engine.context.estate.held_by(f"match_client/{CLIENT}")
        assert key is not None
        assert client is not None
        expires_ms = world.engine.clock.now_ms() + 1_000
        for forged in (key[0], replace(key[0], id=client[0].id)):
            token = make_token(forged, match, match.seats[0], expires_ms=expires_ms)
            for metadata in (desk.by, await desk.by_client(CLIENT)):
                assert await desk.failure(desk.inspect(token, metadata)) == NO_TOKEN
            # Who has signed it is told of its match what is told of one that never was.
            is_own = forged is key[0] and owner.endswith(ELSEWHERE)
            told = await desk.failure(desk.inspect(token, await desk.by_client(ELSEWHERE)))
            assert told == (NOT_FOUND if is_own else NO_TOKEN)
        genuine = make_token(client[0], match, match.seats[0], expires_ms=expires_ms)
        assert (await desk.inspect(genuine, desk.by)).user_id == user(0)

    async def test_cost_one_reading_of_the_store_and_none_where_they_are_made_up(
        self, desk: Desk, make_engine: "EngineMaker", store: Store
    ) -> None:
        class Counting(FaultInjectingStore):
            def __init__(self, store: Store) -> None:
                super().__init__(store)
                self.read: list[str] = []

            async def get(self, keys: Sequence[str]) -> list[Record | None]:
                self.read.append("/".join(keys))
                return await super().get(keys)

        match = await desk.live()
        token = (await desk.issue(match)).token
        counting = Counting(store)
        engine = await make_engine(counting)
        there = Desk(Rpc(InProcessChannel(engine), engine))
        client = await there.by_client(CLIENT)
        counting.read.clear()
        assert (await there.inspect(token, client)).match_id == match.match_id
        assert counting.read == [match_key(match.match_id)]
        flipped = token[:-5] + ("A" if token[-5] != "A" else "B") + token[-4:]
        assert await there.failure(there.inspect(flipped, client)) == NO_TOKEN
        assert len(counting.read) == 1
