"""`playclock serve --metrics`: what real servers show after a session's life, a clock that was set, and a worker's death."""

import http.client
import json
import os
import re
import signal
import stat
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest
from playclock.v1 import (
    EndSessionRequest,
    HeartbeatRequest,
    IssueOttRequest,
    LaunchServiceStub,
    OpenSessionRequest,
    SessionServiceStub,
    StartLaunchRequest,
    WatchSessionsRequest,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from tests.cli.test_workers import pids
from tests.redis_fixtures import RedisOfTests
from tests.time_proxy import TimeProxy

if TYPE_CHECKING:
    from tests.cli.conftest import Process, Run, Start

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
ESTATE = ["--provision", str(EXAMPLES / "provisioning.toml"), "--config", str(EXAMPLES / "settings.toml")]
SERVE = ["serve", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", *ESTATE]
OPERATIONS = (Path(__file__).parent.parent.parent / "docs" / "operations.md").read_text("utf-8")
OPERATOR = (("authorization", "Bearer dev-operator-token"),)
GAME = (("x-api-key", "dev-game-key"),)
GAME_ID = "3f0e8a52-6c1b-4a53-9f0e-0d1f2a3b4c5d"
PLAYER = "a-player-whom-no-label-names"
NOBODY = "gs_00000000-0000-4000-8000-000000000000"
SESSIONS = "playclock.v1.SessionService"
SECRETS = ["dev-operator-token", "dev-game-key", "dev-launcher-secret", PLAYER, NOBODY]

Labels = Mapping[str, str]


class Scrape:
    """What a scrape shows, parsed as Prometheus' own library does."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for metric in text_string_to_metric_families(text)
            for sample in metric.samples
        }
        told = OPERATIONS.split("\n## Metrics\n")[1].split("\n## ")[0]
        unknown = {name for name in re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE) if not re.search(rf"`{name}[`{{]", told)}
        assert unknown == set()

    def __call__(self, name: str, **labels: str) -> float | None:
        return self.samples.get((f"playclock_{name}", frozenset(labels.items())))

    def all(self, name: str, *labels: str) -> dict[tuple[str, ...], float]:
        """Return a metric's samples by the values of the labels."""
        found = [(dict(key), value) for (of, key), value in self.samples.items() if of == f"playclock_{name}"]
        return {tuple(key[label] for label in labels): value for key, value in found}


def address_of(process: "Process") -> str:
    """Return where a server shows its metrics, which it tells before it is ready."""
    for line in process.logged:
        if "metrics are shown" in line:
            return str(json.loads(line)["address"])
    process.wait_for_log("metrics are shown")
    return str(json.loads(process.logged[-1])["address"])


def scrape(address: str) -> Scrape:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        return Scrape(answer.read().decode())


def ask(address: str, method: str, path: str, **headers: str) -> tuple[int, str, str]:
    host, _, port = address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    found = (answer.status, answer.headers["Content-Type"], answer.read().decode())
    connection.close()
    return found


def wait(seconds: float) -> None:
    threading.Event().wait(seconds)


def play(address: str) -> list[str]:
    """Play a session to its end, with a stranger's heartbeat, and return what no metric may show."""
    with grpc.insecure_channel(address, options=(("grpc.use_local_subchannel_pool", 1),)) as channel:
        launches, sessions = LaunchServiceStub(channel), SessionServiceStub(channel)
        launch = launches.StartLaunch(StartLaunchRequest(pc_id="pc-1", external_ip="127.0.0.1"), metadata=OPERATOR, timeout=10)
        issue = IssueOttRequest(session_token=launch.session_token, game_id=GAME_ID)
        ott = launches.IssueOtt(issue, metadata=OPERATOR, timeout=10).ott
        opened = sessions.OpenSession(OpenSessionRequest(ott=ott, provider_user_id=PLAYER), metadata=GAME, timeout=10)
        session = opened.game_session_id
        for _ in range(2):
            beat = HeartbeatRequest(game_session_id=session, provider_user_id=PLAYER)
            sessions.Heartbeat(beat, metadata=GAME, timeout=10)
        with pytest.raises(grpc.RpcError):
            sessions.Heartbeat(HeartbeatRequest(game_session_id=NOBODY, provider_user_id=PLAYER), metadata=GAME, timeout=10)
        with pytest.raises(grpc.RpcError):
            sessions.Heartbeat(beat, metadata=(("x-api-key", "a-wrong-key"),), timeout=10)
        sessions.EndSession(EndSessionRequest(game_session_id=session), metadata=GAME, timeout=10)
    return [launch.session_token, ott, session, session.removeprefix("gs_"), "a-wrong-key"]


def beat_by_rest(address: str) -> None:
    """Send a heartbeat of no session through the REST facade."""
    body = json.dumps({"game_session_id": NOBODY, "provider_user_id": PLAYER}).encode()
    headers = {"X-Api-Key": "dev-game-key", "Content-Type": "application/json"}
    request = urllib.request.Request(f"http://{address}/v1/game/session/heartbeat", body, headers, method="PATCH")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    refused.value.close()


@pytest.fixture
def redis(redis_of_tests: RedisOfTests) -> Iterator[RedisOfTests]:
    redis_of_tests.empty()
    yield redis_of_tests
    redis_of_tests.empty()


@pytest.fixture(params=["memory", "sqlite", "redis"])
def store(request: pytest.FixtureRequest) -> str:
    urls = {"memory": "memory://", "sqlite": "sqlite:///play.db"}
    return urls.get(request.param) or str(request.getfixturevalue("redis").url)


def test_a_sessions_life_is_shown_with_exact_counts_and_without_secrets(start: "Start", store: str) -> None:
    process = start(*SERVE, "--metrics", "127.0.0.1:0", "--store", store)
    ready = process.ready()
    assert list(ready) == ["grpc", "http", "store"]
    address = address_of(process)
    before = scrape(address)
    secrets = play(ready["grpc"])
    beat_by_rest(ready["http"])
    shown = scrape(address)
    assert shown.all("rpcs_total", "service", "method", "code") == {
        ("playclock.v1.ProvisioningService", "ApplyProvisioning", "OK"): 1,
        ("playclock.v1.LaunchService", "StartLaunch", "OK"): 1,
        ("playclock.v1.LaunchService", "IssueOtt", "OK"): 1,
        (SESSIONS, "OpenSession", "OK"): 1,
        (SESSIONS, "Heartbeat", "OK"): 2,
        (SESSIONS, "Heartbeat", "NOT_FOUND"): 2,
        (SESSIONS, "Heartbeat", "UNAUTHENTICATED"): 1,
        (SESSIONS, "EndSession", "OK"): 1,
    }
    assert shown("rpc_duration_seconds_count", service=SESSIONS, method="Heartbeat") == 5
    assert shown.all("heartbeats_total", "result") == {("OK",): 2, ("SESSION_NOT_FOUND",): 2}
    assert shown.all("sessions_opened_total", "game") == {(GAME_ID,): 1}
    assert shown.all("sessions_ended_total", "game", "reason") == {(GAME_ID, "CLIENT_END"): 1}
    assert shown("store_unavailable_total") == 0
    assert shown("sweeper_lag_seconds") is not None
    skew_sec = shown("clock_wall_skew_seconds")
    assert skew_sec is not None
    assert abs(skew_sec) < 5
    work = {"memory": None, "sqlite": "sqlite_transactions_total", "redis": "redis_round_trips_total"}[store.partition(":")[0]]
    if work is not None:
        assert (shown(work) or 0) >= (before(work) or 0) + 5
    if store.startswith("redis"):
        assert (shown("redis_connections_total"), shown("redis_epochs_total")) == (1, 1)
        assert shown("redis_journal_put_back_total") == shown("redis_journal_given_up_total") == 0
    if store.startswith("sqlite"):
        deadline = time.monotonic() + 20
        while shown("archive_behind_events") != 0 or shown("archive_archived_total") == before("archive_archived_total"):
            assert time.monotonic() < deadline
            wait(0.05)
            shown = scrape(address)
    for secret in [*SECRETS, *secrets]:
        assert secret not in shown.text
    with grpc.insecure_channel(ready["grpc"]) as channel:
        watch = SessionServiceStub(channel).WatchSessions(WatchSessionsRequest(), metadata=OPERATOR)
        next(iter(watch))
        assert scrape(address)("watchers") == 1
        watch.cancel()
    process.process.terminate()
    assert process.end() == 0


def test_there_is_nothing_else_and_no_header_is_too_odd(start: "Start") -> None:
    process = start(*SERVE, "--metrics", "127.0.0.1:0", "--store", "memory://")
    process.ready()
    address = address_of(process)
    for method, path in [("GET", "/"), ("GET", "/metrics/"), ("GET", "/openapi.json"), ("POST", "/metrics"), ("PUT", "/x")]:
        assert ask(address, method, path)[0] == 404
    openmetrics = "application/openmetrics-text; version=1.0.0"
    status, kind, text = ask(address, "GET", "/metrics?name=x", Accept=f"{openmetrics},text/plain;q=0.5")
    assert (status, kind.split(";")[0]) == (200, "application/openmetrics-text")
    families: list[Metric] = list(parse_openmetrics(text))  # type: ignore[no-untyped-call]
    assert "playclock_rpcs" in [family.name for family in families]
    for accept in ("application/openmetrics-text; version=x", "text/plain; version=1..0", "\xff,;=", "a" * 4_000):
        status, kind, _ = ask(address, "GET", "/metrics", Accept=accept)
        assert (status, kind.split(";")[0]) == (200, "text/plain")
    assert not [line for line in process.logged if '"error"' in line]
    process.process.terminate()
    assert process.end() == 0
    assert '"error"' not in process.log_until_end()


def test_without_the_option_nothing_listens_and_where_others_can_reach_it_has_to_be_wanted(start: "Start", run: "Run") -> None:
    exposed = run(*SERVE, "--metrics", "0.0.0.0:0", "--store", "memory://")
    assert (exposed.returncode, exposed.stdout) == (2, "")
    assert "--metrics 0.0.0.0:0 can be reached from other machines" in exposed.stderr
    process = start(*SERVE, "--store", "memory://")
    ready = process.ready()
    taken = run(*SERVE, "--metrics", ready["http"], "--store", "memory://")
    assert (taken.returncode, taken.stdout) == (1, "")
    assert f"cannot listen on {ready['http']}: Address already in use" in taken.stderr
    process.process.terminate()
    assert process.end() == 0
    assert "metrics are shown" not in process.log_until_end()


def test_a_clock_that_is_set_is_shown(start: "Start", redis: RedisOfTests) -> None:
    with TimeProxy(redis.servers[0].port) as proxy:
        process = start(*SERVE, "--metrics", "127.0.0.1:0", "--store", proxy.url)
        process.ready()
        address = address_of(process)
        before = scrape(address)
        assert (before("clock_steps_total"), before("clock_offset_seconds")) == (0, 0)
        proxy.ahead_sec = 3_600
        process.wait_for_log("the store server's clock was set; our time goes on as before")
        shown = scrape(address)
        assert (shown("clock_steps_total"), shown("clock_catch_ups_total")) == (1, 0)
        offset_sec = shown("clock_offset_seconds")
        assert offset_sec is not None
        assert abs(offset_sec + 3_600) < 5
        process.process.kill()


def environment_of(pid: int) -> dict[str, str]:
    words = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return dict(word.decode().split("=", 1) for word in words if b"=" in word)


def test_workers_are_shown_in_one_view_also_while_one_hangs_or_is_dead(start: "Start") -> None:
    process = start(*SERVE, "--workers", "2", PLAYCLOCK_METRICS="127.0.0.1:0")
    ready = process.ready()
    address = address_of(process)
    for _ in range(8):  # on connections of their own, so that both workers have some
        play(ready["grpc"])
    shown = scrape(address)
    assert shown.all("worker_up", "worker") == {("0",): 1, ("1",): 1}
    assert shown.all("worker_restarts_total", "worker") == {("0",): 0, ("1",): 0}
    assert sum(shown.all("heartbeats_total", "worker", "result").values()) == 8 * 3
    assert sum(shown.all("sessions_opened_total", "worker", "game").values()) == 8
    assert sum(shown.all("sessions_ended_total", "worker", "game", "reason").values()) == 8
    assert [name for name, _ in shown.samples].count("process_resident_memory_bytes") == 2

    process.wait_for_log('"worker serves", "worker": 1')
    first, second = pids(process)[0], pids(process)[1]
    folder = Path(environment_of(first)["PLAYCLOCK_WORKER_METRICS"])
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert "PLAYCLOCK_METRICS" not in environment_of(first)
    os.kill(second, signal.SIGSTOP)
    began = time.monotonic()
    hanging = scrape(address)
    assert time.monotonic() - began < 5
    assert hanging.all("worker_up", "worker") == {("0",): 1, ("1",): 0}
    assert {worker for worker, _ in hanging.all("heartbeats_total", "worker", "result")} == {"0"}

    os.kill(second, signal.SIGKILL)
    process.wait_for_log('"worker ended"')
    assert scrape(address)("worker_up", worker="0") == 1
    process.wait_for_log('"worker serves", "worker": 1')
    again = scrape(address)
    assert again.all("worker_up", "worker") == {("0",): 1, ("1",): 1}
    assert again.all("worker_restarts_total", "worker") == {("0",): 0, ("1",): 1}
    assert again("heartbeats_total", worker="1", result="OK") == 0
    process.process.terminate()
    assert process.end() == 0
    assert not folder.exists()


def test_a_folder_whose_name_is_too_long_for_sockets_is_told_of(run: "Run", tmp_path: Path) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    result = run(*SERVE, "--workers", "2", "--metrics", "127.0.0.1:0", TMPDIR=str(long))
    assert (result.returncode, result.stdout) == (1, "")
    assert "its name is too long; set TMPDIR to a shorter one" in result.stderr
