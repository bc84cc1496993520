"""Matches as an operator makes them by gRPC and a game's client plays them over HTTP, a line each."""

from collections.abc import Sequence
from typing import Any, Final

import httpx
from playclock.core.ids import make_uuid
from playclock.v1 import (
    CancelMatchRequest,
    CreateMatchRequest,
    GetMatchRequest,
    IssueMatchTokenRequest,
    JoinMatchRequest,
    LeaveMatchRequest,
    Match,
    MatchClient,
    MatchServiceStub,
    MatchTerms,
    ProvisionedAccount,
    Provisioning,
    StartMatchRequest,
)

from tests.matches.conftest import ledger
from tests.playwave.estate import GAME, RIVAL
from tests.playwave.server import Server

ROOTS: Final = ("/api/game/v1", "/api/games/v1")
CLIENT: Final = "arena"
CLIENT_SECRET: Final = "the-secret-of-the-arena"
ELSEWHERE: Final = "elsewhere"
ELSEWHERE_SECRET: Final = "the-secret-of-elsewhere"
SECRETS: Final = {CLIENT: CLIENT_SECRET, ELSEWHERE: ELSEWHERE_SECRET}
OPENING: Final = 1_000
PLAYERS: Final = 4
UNKNOWN: Final = "600f369851f450dd3ecb0035"

ESTATE: Final = Provisioning(
    accounts=[
        ProvisionedAccount(id=f"p{number}", currency="GCOIN", opening_balance_micros=OPENING) for number in range(PLAYERS)
    ],
    match_clients=[
        # Without a match_info_url: such a match is live as soon as all is in escrow.
        MatchClient(client_id=CLIENT, client_secret=CLIENT_SECRET, game=GAME, launch_url="https://mycompany.com/mycoolgame"),
        MatchClient(client_id=ELSEWHERE, client_secret=ELSEWHERE_SECRET, game=RIVAL),
    ],
)


def user(number: int) -> str:
    return make_uuid(number, bytes([number]) * 16)


def participants(*scores: int) -> list[dict[str, Any]]:
    return [{"id": user(number), "score": score} for number, score in enumerate(scores)]


def teams(*reached: tuple[int, int]) -> list[dict[str, Any]]:
    """Return teams of one player each, by score and ranking."""
    return [{"id": user(number), "score": score, "ranking": ranking} for number, (score, ranking) in enumerate(reached)]


def result(match: Match, *reached: tuple[int, int]) -> dict[str, Any]:
    """Return a synchronous game's report."""
    return {
        "match_id": match.match_id,
        "participants": participants(*(score for score, _ in reached)),
        "teams": teams(*reached),
    }


def error_of(response: httpx.Response) -> tuple[int, str]:
    """Return what an error is, after a look at what all of them have."""
    body = response.json()
    assert set(body) == {"error", "error_description"}, body
    assert body["error_description"]
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["content-type"] == "application/json"
    assert ("www-authenticate" in response.headers) == (response.status_code in (401, 403))
    return response.status_code, body["error"]


class Arena:
    """Whoever makes matches, and the client of their game."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.stub = MatchServiceStub(server.operator)
        self._tokens: dict[str, tuple[int, str]] = {}

    async def token(self, client_id: str = CLIENT) -> str:
        """Return an access token, the last one again as long as it is good for a minute more."""
        now_ms = self.server.clock.now_ms()
        until_ms, token = self._tokens.get(client_id, (0, ""))
        if until_ms - now_ms < 60_000:
            form = {"client_id": client_id, "client_secret": SECRETS[client_id], "grant_type": "client_credentials"}
            answer = (await self.server.client().post("/auth/realms/letsbet/protocol/openid-connect/token", data=form)).json()
            token = answer["access_token"]
            self._tokens[client_id] = (now_ms + answer["expires_in"] * 1000, token)
        return token

    async def post(
        self,
        call: str,
        body: object,
        *,
        root: str = ROOTS[0],
        client_id: str = CLIENT,
        authorization: str | None = None,
        **headers: str,
    ) -> httpx.Response:
        """Make a call; bytes go as they are. Keyword arguments are further headers, with _ for -."""
        shown = f"Bearer {await self.token(client_id)}" if authorization is None else authorization
        named = {"Authorization": shown} | {name.replace("_", "-"): value for name, value in headers.items()}
        sent: dict[str, Any] = {"content": body} if isinstance(body, bytes) else {"json": body}
        return await self.server.client().post(f"{root}/{call}", headers=named, **sent)

    async def finish(self, body: object, **how: str) -> httpx.Response:
        return await self.post("finish", body, **how)

    async def token_info(self, token: str, **how: str) -> httpx.Response:
        return await self.post("token-info", {"token": token}, **how)

    async def create(self, **terms: Any) -> Match:  # noqa: ANN401 - any field
        fields = {"currency": "GCOIN", "entry_fee_micros": 100, "fee_basis_points": 1_000, "join_sec": 3_600, "play_sec": 600}
        made = MatchTerms(**{"client_id": CLIENT, "synchronous": True, "players_max": PLAYERS, **fields, **terms})
        return (await self.stub.CreateMatch(CreateMatchRequest(terms=made))).match

    async def join(self, match: Match, *numbers: int, team_ids: Sequence[str] = ("", "", "", "")) -> Match:
        for number in numbers:
            request = JoinMatchRequest(
                match_id=match.match_id, user_id=user(number), account_id=f"p{number}", team_id=team_ids[number]
            )
            match = (await self.stub.JoinMatch(request)).match
        return match

    async def live(self, players: int = 2, **terms: Any) -> Match:  # noqa: ANN401 - any field
        match = await self.join(await self.create(**terms), *range(players))
        return (await self.stub.StartMatch(StartMatchRequest(match_id=match.match_id))).match

    async def leave(self, match: Match, number: int) -> None:
        await self.stub.LeaveMatch(LeaveMatchRequest(match_id=match.match_id, user_id=user(number)))

    async def cancel(self, match: Match) -> None:
        await self.stub.CancelMatch(CancelMatchRequest(match_id=match.match_id))

    async def get(self, match: Match) -> Match:
        return (await self.stub.GetMatch(GetMatchRequest(match_id=match.match_id))).match

    async def issue(self, match: Match, number: int = 0) -> str:
        request = IssueMatchTokenRequest(match_id=match.match_id, user_id=user(number))
        return (await self.stub.IssueMatchToken(request)).token

    async def balances(self, *matches: Match, kept: int) -> list[int]:
        """Return what the players have, after a look: nothing is in escrow, and the fee is all that nobody has."""
        sums = await ledger(self.server.store)
        assert [sums[f"escrow/{match.match_id}"] for match in matches] == [0] * len(matches)
        assert sums[f"revenue/{GAME}"] == kept
        accounts = [await self.server.account(f"p{number}") for number in range(PLAYERS)]
        assert [account.held_micros for account in accounts] == [0] * PLAYERS
        assert sum(account.balance_micros for account in accounts) + kept == PLAYERS * OPENING
        return [account.balance_micros for account in accounts]
