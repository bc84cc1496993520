"""The net of tests/leaks.py catches: each kind of leak makes the test fail that leaks, in a worker of xdist as well."""

import subprocess
import sys
from pathlib import Path

from tests.known_secrets import known_secrets, secrets_in
from tests.leaks import Net

ROOT = Path(__file__).parent.parent

LEAKS = """
import logging, subprocess, sys
import grpc, grpc.aio, httpx
from tests.conftest import World
from playclock.engine import Engine
from playclock.errors import BadRequest

SECRET = "".join(["a-secret", "-of-somebody-else"])
LOG = logging.getLogger("playclock.engine")

def test_nothing():
    LOG.warning("all is well")

def test_a_log(): LOG.warning("key %s", SECRET)
def test_a_log_below_the_level(): LOG.debug("", extra={"fields": {"key": SECRET}})
def test_a_traceback():
    try:
        raise ValueError(SECRET)
    except ValueError:
        LOG.exception("it failed")
def test_output(): sys.stderr.write(SECRET)
def test_a_process(): subprocess.run([sys.executable, "-c", f"import sys; sys.exit('{SECRET}')"], capture_output=True)
def test_a_refusal(): BadRequest("malformed", {"key": SECRET})
def test_a_grpc_error(): grpc.aio.AioRpcError(grpc.StatusCode.INTERNAL, grpc.aio.Metadata(), grpc.aio.Metadata(), SECRET)
def test_an_http_answer(): client(400).get("http://x/v1")
def test_metrics(): client(200).get("http://x/metrics")
def test_a_generated_key(): LOG.warning("pck_" + "x" * 43)

async def test_an_ott():
    async with Engine() as engine:
        world = World(engine)
        await world.provision()
        LOG.warning("token %s", await world.ott())

def client(status):
    answer = httpx.Response(status, stream=httpx.ByteStream(SECRET.encode()))
    return httpx.Client(transport=httpx.MockTransport(lambda request: answer))
"""
LEAKING = LEAKS.count("test_") - 1


def test_each_kind_of_leak_fails_the_test_that_leaks(tmp_path: Path) -> None:
    (tmp_path / "test_leaking.py").write_text(LEAKS)
    ini = "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
    (tmp_path / "pytest.ini").write_text(ini)
    done = subprocess.run(
        [*(sys.executable, "-m", "pytest", "-q", "-p", "tests.leaks", "-p", "no:randomly", "-p", "no:schemathesis"), "-n", "1"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    failed = {
        line.split("::")[1].split()[0] for line in done.stdout.splitlines() if line.startswith(("ERROR test", "FAILED test"))
    }
    assert len(failed) == LEAKING, done.stdout
    assert "test_nothing" not in failed
    assert "a-secret-of-somebody-else" not in done.stdout


def test_an_ott_that_was_issued_is_no_longer_a_uuid_like_any_other() -> None:
    net = Net(frozenset())
    ott = "a1b2c3d4-e5f6-4890-abcd-ef1234567890"
    net.hear("log", f"session gs_{ott}")
    assert net.found() == []
    net.otts.add(ott)
    net.hear("log", f"token {ott} was used")
    assert net.found() == ["log: ...token <<a1b*** of 36 characters>> was used..."]
    assert net.found() == []


def test_the_secrets_of_the_tests_are_read_from_their_sources() -> None:
    assert {"dev-game-key", "dev-launcher-secret", "the-key-of-the-game", "operator-token", "hunter2"} <= known_secrets()
    assert secrets_in('NEW_SECRET: Final = "never-seen-before"\napi_keys=["one-of-two-keys", "two-of-two-keys"]') == {
        "never-seen-before",
        "one-of-two-keys",
        "two-of-two-keys",
    }
    assert secrets_in('session_token = "ls_4b1d3c5e-8a34-4a6b-9f38-1f5a0d3f2b6c"; token_name = "session_token"') == set()
