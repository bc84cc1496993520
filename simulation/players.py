"""What operators, launchers and game servers do, a method each. What they are told is checked against a stranger's view."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import grpc
import grpc.aio
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from playclock.core.ids import account_key, session_key
from playclock.engine.records import ACCOUNTS, SESSIONS
from playclock.v1 import (
    ApplyProvisioningRequest,
    BatchHeartbeatRequest,
    CreateTransferRequest,
    CreateTransferResponse,
    EndLaunchRequest,
    EndSessionRequest,
    EndSessionsOfServerRequest,
    GetSessionRequest,
    GetTransferRequest,
    HeartbeatLaunchRequest,
    HeartbeatRequest,
    HeartbeatResponse,
    IssueOttRequest,
    OpenSessionRequest,
    PostTransferRequest,
    ReverseTopUpRequest,
    Session,
    StartLaunchRequest,
    TerminateSessionRequest,
    TopUpAccountRequest,
    TopUpAccountResponse,
    Transfer,
    VoidTransferRequest,
)
from playclock.v1 import session_pb2 as pb

from simulation.books import Books
from simulation.estate import ACCOUNTS_OF, GAMES, SERVERS, address_in, estate_with
from simulation.place import Place, Replica

REFUSED: Final = frozenset(
    {
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.INVALID_ARGUMENT,
    }
)
"""How a call may be refused. Whatever else it meets is a fault."""
_SILENT: Final = frozenset({pb.END_REASON_HEARTBEAT_TIMEOUT, pb.END_REASON_LAUNCHER_TIMEOUT})


@dataclass(frozen=True)
class Refusal:
    """Why a call was refused."""

    code: grpc.StatusCode
    reason: str
    metadata: dict[str, str]


@dataclass(frozen=True)
class TopUp:
    """A top-up that was made, and what was answered."""

    request: TopUpAccountRequest
    answer: TopUpAccountResponse


@dataclass(frozen=True)
class SetAside:
    """A transfer that was asked for, what was answered, and when."""

    request: CreateTransferRequest
    answer: CreateTransferResponse | Refusal
    at_ms: int


class Players:
    """All who call. They remember what they were told, whether or not it still holds."""

    def __init__(self, place: Place, books: Books) -> None:
        self.place = place
        self.books = books
        self.launches: list[str] = []
        self.otts: list[OpenSessionRequest] = []
        self.sessions: list[HeartbeatRequest] = []
        self.top_ups: list[TopUp] = []
        self.transfers: dict[tuple[str, str], SetAside] = {}
        self._told_ended: dict[str, Session] = {}
        self._looked = 0

    async def provision(self, replica: Replica, tariffs: Sequence[Any], limit_micros: int = 0) -> None:
        """Describe the estate, anew with other prices and limits too."""
        provisioning = estate_with(tariffs, limit_micros)
        await replica.provisioning.ApplyProvisioning(ApplyProvisioningRequest(provisioning=provisioning))

    async def start(self, replica: Replica, cafe: int, pc: int) -> str:
        """Start a launch on a PC."""
        request = StartLaunchRequest(pc_id=f"pc-{pc}", external_ip=address_in(cafe))
        started = await replica.launches.StartLaunch(request)
        self.launches.append(started.session_token)
        return str(started.session_token)

    async def issue(self, replica: Replica, launch: str, number: int) -> OpenSessionRequest | None:
        """Ask for an OTT, and prepare to redeem it."""
        game_id = GAMES[number % len(GAMES)]
        issued = await _ask(replica.launches.IssueOtt(IssueOttRequest(session_token=launch, game_id=game_id)))
        if isinstance(issued, Refusal):
            return None
        request = OpenSessionRequest(
            ott=issued.ott,
            provider_user_id=f"player-{number}",
            request_id=f"join-{len(self.otts)}" if number % 2 else "",
            server_id=SERVERS[number % len(SERVERS)],
        )
        self.otts.append(request)
        return request

    async def open(self, replica: Replica, request: OpenSessionRequest) -> None:
        """Redeem an OTT, perhaps not for the first time."""
        answer = await _ask(replica.sessions.OpenSession(request))
        assert not isinstance(answer, Refusal), answer
        known = {session.game_session_id for session in self.sessions}
        if not answer.is_valid or answer.game_session_id in known:
            assert not answer.is_valid or request.request_id, "an OTT was redeemed twice"
            return
        self.sessions.append(
            HeartbeatRequest(game_session_id=answer.game_session_id, provider_user_id=request.provider_user_id)
        )
        self.books.heard(answer.game_session_id, self.place.now_ms)

    async def hear_launcher(self, replica: Replica, launch: str) -> None:
        """Send a launcher's heartbeat."""
        await _ask(replica.launches.HeartbeatLaunch(HeartbeatLaunchRequest(session_token=launch)))

    async def end_launch(self, replica: Replica, launch: str) -> None:
        """End a launch."""
        await _ask(replica.launches.EndLaunch(EndLaunchRequest(session_token=launch)))

    async def beat(self, replica: Replica, request: HeartbeatRequest) -> None:
        """Send a heartbeat, and check that the answer is the one that a stranger would give."""
        seen = await self.seen(request.game_session_id)
        answer = await _ask(replica.sessions.Heartbeat(request))
        self._hear(request, seen, answer)
        if isinstance(answer, HeartbeatResponse) and answer.result != HeartbeatResponse.RESULT_SESSION_REPLACED:
            after = await self.seen(request.game_session_id)
            assert after is not None
            exhausted = answer.result == HeartbeatResponse.RESULT_CHARGE_EXHAUSTED
            assert after.state == (Session.STATE_EXHAUSTED if exhausted else Session.STATE_ACTIVE)
            assert after.play_duration_sec == answer.play_duration_sec

    async def beat_many(self, replica: Replica, requests: Sequence[HeartbeatRequest]) -> None:
        """Send many heartbeats in one call, of one session perhaps several."""
        seen = {each.game_session_id: await self.seen(each.game_session_id) for each in requests}
        answer = await replica.sessions.BatchHeartbeat(BatchHeartbeatRequest(heartbeats=requests))
        for request, result in zip(requests, answer.results, strict=True):
            code = next((each for each in grpc.StatusCode if each.value[0] == result.error.code), None)
            assert code in REFUSED or result.HasField("response")
            beat = result.response if code is None or result.HasField("response") else Refusal(code, "", {})
            self._hear(request, seen[request.game_session_id], beat)

    async def end(self, replica: Replica, session_id: str, counted_sec: int | None) -> None:
        """End a session, perhaps not for the first time: then the figures that count come along."""
        seen = await self.seen(session_id)
        answer = await _ask(
            replica.sessions.EndSession(EndSessionRequest(game_session_id=session_id, play_duration_sec=counted_sec))
        )
        if not isinstance(answer, Refusal):
            assert seen is not None
            assert not seen.end_reason
            assert answer.session.end_reason == pb.END_REASON_CLIENT_END
        elif answer.reason == "ALREADY_ENDED":
            assert seen is not None
            for name in ("play_duration_sec", "billed_sec", "grace_sec", "amount_micros"):
                assert answer.metadata[name] == str(getattr(seen, name))
        else:
            assert answer.code is grpc.StatusCode.NOT_FOUND
            assert seen is None or seen.end_reason in _SILENT

    async def terminate(self, replica: Replica, session_id: str) -> None:
        """End a session as an operator."""
        await _ask(replica.sessions.TerminateSession(TerminateSessionRequest(game_session_id=session_id)))

    async def restart_server(self, replica: Replica, number: int) -> None:
        """End what a game server had opened."""
        game_id, server_id = GAMES[number % len(GAMES)], SERVERS[number % len(SERVERS)] or SERVERS[-1]
        await replica.sessions.EndSessionsOfServer(EndSessionsOfServerRequest(server_id=server_id, game_id=game_id))

    async def top_up(self, replica: Replica, account: int, amount_micros: int) -> None:
        """Credit an account."""
        request = TopUpAccountRequest(
            account_id=ACCOUNTS_OF[account], amount_micros=amount_micros, request_id=f"top-up-{len(self.top_ups)}"
        )
        answer = await replica.accounts.TopUpAccount(request)
        self.top_ups.append(TopUp(request, answer))

    async def top_up_again(self, replica: Replica, booked: TopUp, more_micros: int) -> None:
        """Repeat a top-up, or use its request id for another amount."""
        again = TopUpAccountRequest()
        again.CopyFrom(booked.request)
        again.amount_micros += more_micros
        answer = await _ask(replica.accounts.TopUpAccount(again))
        if more_micros:
            assert isinstance(answer, Refusal)
            assert answer.reason == "REQUEST_ID_REUSED"
        else:
            assert answer == booked.answer

    async def reverse(self, replica: Replica, booked: TopUp) -> None:
        """Take a top-up back, if that can be."""
        request = ReverseTopUpRequest(account_id=booked.request.account_id, transfer_id=booked.answer.transfer_id)
        await _ask(replica.accounts.ReverseTopUp(request))

    async def set_aside(self, replica: Replica, account: int, number: int, amount_micros: int, timeout_sec: int) -> None:
        """Create a transfer, perhaps not for the first time."""
        request = CreateTransferRequest(
            account_id=ACCOUNTS_OF[account],
            transfer_id=f"transfer-{number}",
            amount_micros=amount_micros,
            timeout_sec=timeout_sec,
            payout="vendor",
        )
        answer, now_ms = await _ask(replica.accounts.CreateTransfer(request)), self.place.now_ms
        key = (request.account_id, request.transfer_id)
        first = self.transfers.get(key)
        is_kept = first is not None and (
            not isinstance(first.answer, Refusal) or now_ms < first.at_ms + self.place.timers.tombstone_retention_ms
        )
        if first is None or not is_kept:
            assert not isinstance(answer, Refusal) or answer.reason == "INSUFFICIENT_CREDIT"
            self.transfers[key] = SetAside(request, answer, now_ms)
        elif first.request == request:
            assert answer == first.answer
        else:
            assert isinstance(answer, Refusal)
            assert answer.reason == "TRANSFER_ID_REUSED"

    async def decide(
        self, replica: Replica, account_id: str, transfer_id: str, amount_micros: int | None, *, is_void: bool
    ) -> None:
        """Post or void a transfer, in time or not, and check that a stranger sees the same."""
        before = await self.transfer_seen(account_id, transfer_id)
        if is_void:
            void = VoidTransferRequest(account_id=account_id, transfer_id=transfer_id)
            answer = await _ask(replica.accounts.VoidTransfer(void))
        else:
            post = PostTransferRequest(account_id=account_id, transfer_id=transfer_id, amount_micros=amount_micros)
            answer = await _ask(replica.accounts.PostTransfer(post))
        after = await self.transfer_seen(account_id, transfer_id)
        if before is None or before.state != Transfer.STATE_PENDING:
            assert after == before
            assert isinstance(answer, Refusal) or answer.transfer == before
        elif isinstance(answer, Refusal):
            assert answer.reason == "BAD_REQUEST"
            assert after == before
        else:
            assert answer.transfer == after
            assert self.place.now_ms < before.expire_time.ToMilliseconds()

    async def transfer_seen(self, account_id: str, transfer_id: str) -> Transfer | None:
        """Return the transfer as a replica sees it that remembers nothing, and as all others do."""
        request, found = GetTransferRequest(account_id=account_id, transfer_id=transfer_id), []
        for replica in (await self.place.stranger(), *self.place.replicas):
            answer = await _ask(replica.accounts.GetTransfer(request))
            found.append(None if isinstance(answer, Refusal) else answer.transfer)
        assert all(each == found[0] for each in found)
        return found[0]

    async def seen(self, session_id: str) -> Session | None:
        """Return the session as a replica sees it that remembers nothing, and as all others do."""
        found: list[Session | None] = []
        for replica in (await self.place.stranger(), *self.place.replicas):
            answer = await _ask(replica.sessions.GetSession(GetSessionRequest(game_session_id=session_id)))
            found.append(None if isinstance(answer, Refusal) else answer.session)
        assert all(each == found[0] for each in found)
        seen = found[0]
        assert seen is None or seen.grace_sec * 1_000 <= self.place.timers.grace_ms
        if seen is not None and seen.end_reason:
            assert self._told_ended.setdefault(session_id, seen) == seen, "an end is final"
        elif seen is not None:
            assert session_id not in self._told_ended, "who had ended lives again"
        return seen

    async def check(self) -> None:
        """Check all that must hold."""
        place, books = self.place, self.books
        while events := await place.store.events({n: books.positions.get(n, 0) for n in range(256)}, 1_000):
            books.read(events)
        keys = [*map(account_key, ACCOUNTS_OF), *map(session_key, books.last)]
        records = await place.store.get(keys)
        accounts = [ACCOUNTS.decode(record.data) for record in records[: len(ACCOUNTS_OF)] if record]
        assert len(accounts) == len(ACCOUNTS_OF)
        sessions = [SESSIONS.decode(record.data) for record in records[len(ACCOUNTS_OF) :] if record]
        books.check(accounts, sessions, await place.outages(), place.now_ms)
        if self.sessions:
            self._looked = (self._looked + 1) % len(self.sessions)
            await self.seen(self.sessions[self._looked].game_session_id)

    async def close(self) -> None:
        """Let all time pass, and check what is left then."""
        for _ in range(2):
            await self.place.live(3_600_000)
            while await self.place.replicas[0].engine.sweep():
                pass
        await self.check()
        self.books.close([ACCOUNTS.decode(r.data) for r in await self.place.store.get([*map(account_key, ACCOUNTS_OF)]) if r])

    def _hear(self, request: HeartbeatRequest, seen: Session | None, answer: Message | Refusal) -> None:
        if isinstance(answer, HeartbeatResponse):
            assert seen is not None, "a stranger knows nothing of it"
            if answer.result == HeartbeatResponse.RESULT_SESSION_REPLACED:
                assert seen.end_reason == pb.END_REASON_REPLACED
                return
            assert not seen.end_reason
            # A lease that was renewed after an outage costs no more than what was held: credit may run out with the heartbeat.
            is_ok, was_out = answer.result == HeartbeatResponse.RESULT_OK, seen.state == Session.STATE_EXHAUSTED
            assert is_ok or was_out or self.books.outages
            self.books.heard(request.game_session_id, self.place.now_ms)
        else:
            assert isinstance(answer, Refusal)
            assert seen is None or (seen.end_reason and seen.end_reason != pb.END_REASON_REPLACED)
            if answer.code is grpc.StatusCode.NOT_FOUND:
                assert seen is None or seen.end_reason in _SILENT


async def _ask(call: Any) -> Any:  # noqa: ANN401 - whatever the method answers
    """Return what is answered, or why it was refused."""
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        if error.code() not in REFUSED:
            raise
        trailing = dict(error.trailing_metadata() or ())
        status = Status.FromString(trailing["grpc-status-details-bin"])
        info = ErrorInfo.FromString(status.details[0].value)
        return Refusal(error.code(), info.reason, dict(info.metadata))
