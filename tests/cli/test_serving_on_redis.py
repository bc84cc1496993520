"""`playclock serve` over Redis: its address and password, its clock, and a rolling restart of two replicas under load."""

import http.client
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Self

import grpc
import pytest
from playclock.v1 import (
    AccountServiceStub,
    EndSessionRequest,
    HeartbeatRequest,
    IssueOttRequest,
    LaunchServiceStub,
    OpenSessionRequest,
    SessionServiceStub,
    StartLaunchRequest,
    TopUpAccountRequest,
)

from tests.redis_fixtures import RedisOfTests
from tests.redis_servers import free_ports
from tests.time_proxy import TimeProxy

if TYPE_CHECKING:
    from tests.cli.conftest import Process, Run, Start

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
ESTATE = ["--provision", str(EXAMPLES / "provisioning.toml"), "--config", str(EXAMPLES / "settings.toml")]
PORTS = ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"]
OPERATOR = (("authorization", "Bearer dev-operator-token"),)
GAME = (("x-api-key", "dev-game-key"),)
GAME_ID = "3f0e8a52-6c1b-4a53-9f0e-0d1f2a3b4c5d"
README_POLICY = (
    (Path(__file__).parent.parent.parent / "README.md")
    .read_text("utf-8")
    .split("\n## Several machines\n")[1]
    .split("```json\n")[1]
    .split("```")[0]
)


class Client:
    """A game server that speaks to any of several engines, as README says it should."""

    def __init__(self, *addresses: str) -> None:
        target = "ipv4:" + ",".join(addresses)
        options = (
            ("grpc.service_config", README_POLICY),
            ("grpc.max_reconnect_backoff_ms", 500),
            ("grpc.use_local_subchannel_pool", 1),
        )
        self.channel = grpc.insecure_channel(target, options=options)
        self.launches = LaunchServiceStub(self.channel)
        self.sessions = SessionServiceStub(self.channel)
        self.accounts = AccountServiceStub(self.channel)

    def top_up(self, account: str, amount_micros: int) -> None:
        top_up = TopUpAccountRequest(account_id=account, amount_micros=amount_micros, request_id=str(uuid.uuid4()))
        self.accounts.TopUpAccount(top_up, metadata=OPERATOR, timeout=10)

    def open(self, pc: str) -> str:
        request = StartLaunchRequest(pc_id=pc, external_ip="127.0.0.1")
        launch = self.launches.StartLaunch(request, metadata=OPERATOR, timeout=10)
        issue = IssueOttRequest(session_token=launch.session_token, game_id=GAME_ID)
        ott = self.launches.IssueOtt(issue, metadata=OPERATOR, timeout=10).ott
        verify = OpenSessionRequest(ott=ott, provider_user_id="1", request_id=str(uuid.uuid4()))
        opened = self.sessions.OpenSession(verify, metadata=GAME, timeout=10)
        assert opened.is_valid, opened
        return str(opened.game_session_id)

    def beat(self, session: str) -> None:
        beat = HeartbeatRequest(game_session_id=session, provider_user_id="1")
        self.sessions.Heartbeat(beat, metadata=GAME, timeout=10)

    def end(self, session: str) -> None:
        self.sessions.EndSession(EndSessionRequest(game_session_id=session), metadata=GAME, timeout=10)

    def play(self, pc: str) -> int:
        session = self.open(pc)
        self.beat(session)
        self.beat(session)
        self.end(session)
        return 6


def beat_by_rest(addresses: list[str], session: str) -> None:
    """Send a heartbeat to one engine after the other, again where there is no connection, or a 503."""
    body = json.dumps({"game_session_id": session, "provider_user_id": "1"})
    failures: list[object] = []
    for attempt in range(6):
        connection = http.client.HTTPConnection(addresses[attempt % len(addresses)], timeout=10)
        try:
            connection.request("PATCH", "/v1/game/session/heartbeat", body, {"X-Api-Key": "dev-game-key"})
            response = connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException) as error:
            failures.append(error)
        else:
            if response.status == 200:
                return
            failures.append(answer)
            if response.status != 503:
                break
        finally:
            connection.close()
        threading.Event().wait(0.05 * 2**attempt)
    raise AssertionError(failures)


class Load:
    """Clients that go on until it is over; none may fail."""

    def __init__(self, *jobs: Callable[[], int]) -> None:
        self.calls = 0
        self._failed: list[BaseException] = []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._go_on, args=(job,)) for job in jobs]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        assert self._failed == []

    def more(self, calls: int) -> None:
        """Return when so many more calls were answered, or one has failed."""
        goal = self.calls + calls
        while self.calls < goal and not self._failed:
            self._over.wait(0.02)

    def _go_on(self, job: Callable[[], int]) -> None:
        try:
            while not self._over.is_set():
                self.calls += job()
        except BaseException as error:  # noqa: BLE001 - told by the main thread
            self._failed.append(error)


@pytest.fixture
def redis(redis_of_tests: RedisOfTests) -> Iterator[RedisOfTests]:
    redis_of_tests.empty()
    yield redis_of_tests
    redis_of_tests.empty()


def stop(process: "Process") -> str:
    process.process.terminate()
    assert process.end() == 0
    return process.log_until_end()


def test_a_server_on_redis_keeps_its_password_to_itself(start: "Start", run: "Run", redis: RedisOfTests) -> None:
    (server,) = redis.servers
    server.say("ACL", "SETUSER", "play", "on", ">hunter2", "~*", "&*", "+@all")
    url = f"redis://play:hunter2@127.0.0.1:{server.port}/0"
    applied = run("apply", ESTATE[1], "--store", url)
    assert (applied.returncode, applied.stderr) == (0, "")
    process = start("serve", *PORTS, *ESTATE, "--store", url)
    ready = process.ready()
    assert ready["store"] == f"redis://***@127.0.0.1:{server.port}/0"
    walked = run("demo", "--url", f"http://{ready['http']}")
    assert (walked.returncode, walked.stderr) == (0, "")
    log = stop(process)
    assert "hunter2" not in log
    assert "no archive is kept" in log
    wrong = run("serve", *PORTS, "--store", url.replace("hunter2", "hunter3"))
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert f"Redis at 127.0.0.1:{server.port} refuses us: WRONGPASS" in wrong.stderr
    assert "hunter3" not in wrong.stderr


def test_a_redis_that_is_not_there_is_told_in_a_sentence(run: "Run") -> None:
    (port,) = free_ports(1)
    result = run("serve", *PORTS, "--store", f"redis://:hunter2@127.0.0.1:{port}/0", PLAYCLOCK_LOG_LEVEL="error")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == f"Error: Redis at 127.0.0.1:{port} cannot be reached\n"


def test_two_workers_play_on_while_the_servers_clock_is_set(start: "Start", redis: RedisOfTests) -> None:
    with TimeProxy(redis.servers[0].port) as proxy:
        process = start("serve", *PORTS, *ESTATE, "--store", proxy.url, "--workers", "2")
        client = Client(process.ready()["grpc"])
        session, began = client.open("pc-1"), time.monotonic()
        for hours in (1, -1):
            proxy.ahead_sec = 3_600 * hours
            process.wait_for_log("the store server's clock was set; our time goes on as before")
            client.beat(session)
        request = EndSessionRequest(game_session_id=session)
        ended = client.sessions.EndSession(request, metadata=GAME, timeout=10).session
        assert abs(ended.billed_sec - (time.monotonic() - began)) < 2
        client.channel.close()
        log = stop(process)
        assert log.count("our time goes on as before") == 2
        assert "fell behind" not in log


def test_a_rolling_restart_of_two_replicas_under_load_fails_no_call(start: "Start", redis: RedisOfTests) -> None:
    common = ["serve", *ESTATE, "--store", redis.url]
    replicas = [start(*common, *PORTS) for _ in range(2)]
    found = [replica.ready() for replica in replicas]
    clients = [Client(*(ready["grpc"] for ready in found)) for _ in range(2)]
    # Each session costs a started minute, and how many are played while processes start depends on the machine.
    clients[0].top_up("cafe-1", 10**15)
    lasting = clients[0].open("pc-of-rest")
    addresses = [ready["http"] for ready in found]

    def rest() -> int:
        addresses.reverse()
        beat_by_rest(list(addresses), lasting)
        return 1

    with Load(lambda: clients[0].play("pc-1"), lambda: clients[1].play("pc-2"), rest) as load:
        for number, ready in enumerate(found):
            load.more(60)
            stop(replicas[number])
            load.more(60)
            replicas[number] = start(*common, "--grpc", ready["grpc"], "--http", ready["http"])
            assert replicas[number].ready()["grpc"] == ready["grpc"]
        load.more(60)
    for client in clients:
        client.channel.close()
    for replica in replicas:
        stop(replica)
