"""`playclock serve --tls-cert`: real processes, real handshakes, certificates made on the fly."""

import http.client
import socket
import ssl
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from playclock.v1 import AuthServiceStub, VerifyCallerRequest

from tests.authority import LONG_AGO, Authority, Pair

if TYPE_CHECKING:
    from tests.cli.conftest import Run, Start

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
PORTS = ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"]
SERVE = ["serve", "--store", "memory://", *PORTS]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def pair(authority: Authority) -> Pair:
    return authority.pair("server")


def channel(address: str, authority: Authority, client: Pair | None = None) -> grpc.Channel:
    """Return a channel of its own connection."""
    mine = (
        {} if client is None else {"private_key": client.key.read_bytes(), "certificate_chain": client.certificate.read_bytes()}
    )
    credentials = grpc.ssl_channel_credentials(authority.pem, **mine)
    return grpc.secure_channel(address, credentials, options=[("grpc.use_local_subchannel_pool", 1)])


def check(channel: grpc.Channel) -> int:
    request = health_pb2.HealthCheckRequest()
    return int(health_pb2_grpc.HealthStub(channel).Check(request, timeout=10, wait_for_ready=False).status)


def is_served(address: str, authority: Authority, client: Pair | None = None) -> bool:
    """Say whether a gRPC call is answered over a new connection."""
    with channel(address, authority, client) as connected:
        try:
            return bool(check(connected) == health_pb2.HealthCheckResponse.SERVING)
        except grpc.RpcError:
            return False


def shown_by(address: str, authority: Authority) -> tuple[str, str, str]:
    """Shake hands, and return the certificate's number, the version of TLS and the cipher."""
    host, port = address.rsplit(":", 1)
    context = ssl.create_default_context(cafile=str(authority.file))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection((host, int(port)), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=host) as tls,
    ):
        shown, cipher = tls.getpeercert(), tls.cipher()
        assert shown is not None
        assert cipher is not None
        return str(shown["serialNumber"]), str(tls.version()), cipher[0]


def rest(address: str, authority: Authority) -> http.client.HTTPSConnection:
    context = ssl.create_default_context(cafile=str(authority.file))
    return http.client.HTTPSConnection(address, timeout=10, context=context)


def ask(connection: http.client.HTTPConnection) -> int:
    connection.request("GET", "/openapi.json")
    answer = connection.getresponse()
    answer.read()
    return answer.status


def ask_once(address: str, authority: Authority) -> int:
    with closing(rest(address, authority)) as connection:
        return ask(connection)


def test_both_ports_speak_tls_and_nothing_else(start: "Start", authority: Authority, pair: Pair) -> None:
    ready = start(*SERVE, *pair.options).ready()
    assert is_served(ready["grpc"], authority)
    assert ask_once(ready["http"], authority) == 200
    for address in (ready["grpc"], ready["http"]):
        _, version, cipher = shown_by(address, authority)
        assert version == "TLSv1.2"
        assert cipher.startswith("ECDHE-")
        assert cipher.endswith(("GCM-SHA256", "GCM-SHA384", "POLY1305"))
    with grpc.insecure_channel(ready["grpc"]) as plain, pytest.raises(grpc.RpcError):
        check(plain)
    clear = closing(http.client.HTTPConnection(ready["http"], timeout=10))
    with clear as connection, pytest.raises((http.client.BadStatusLine, ConnectionError)):
        ask(connection)


def test_other_machines_are_let_in_by_tls(start: "Start", authority: Authority, pair: Pair) -> None:
    ready = start("serve", "--store", "memory://", "--http", "0.0.0.0:0", "--grpc", "0.0.0.0:0", *pair.options).ready()
    assert is_served(ready["grpc"].replace("0.0.0.0", "127.0.0.1"), authority)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_renewed_certificate_is_for_new_connections_and_old_ones_live_on(
    start: "Start", authority: Authority, pair: Pair, workers: int
) -> None:
    process = start("serve", "--store", "sqlite:///play.db", *PORTS, *pair.options, "--workers", str(workers))
    ready = process.ready()
    number, *_ = shown_by(ready["http"], authority)
    with channel(ready["grpc"], authority) as old:
        check(old)
        old_rest = rest(ready["http"], authority)
        assert ask(old_rest) == 200
        sock = old_rest.sock
        pair.write(authority.issue())
        for _ in range(workers):
            process.wait_for_log("a new certificate is in force")
        numbers = {shown_by(ready[port], authority)[0] for port in ("grpc", "http") for _ in range(8)}
        assert len(numbers) == 1
        assert number not in numbers
        check(old)
        assert ask(old_rest) == 200
        assert old_rest.sock is sock
        old_rest.close()


def test_an_unfit_certificate_leaves_the_old_one_in_force(start: "Start", authority: Authority, pair: Pair) -> None:
    process = start(*SERVE, *pair.options)
    ready = process.ready()
    before = [shown_by(ready[port], authority)[0] for port in ("grpc", "http")]
    pair.key.write_bytes(b"half a key")
    process.wait_for_log("a new certificate is not fit, and the old one stays in force")
    assert [shown_by(ready[port], authority)[0] for port in ("grpc", "http")] == before
    assert is_served(ready["grpc"], authority)
    pair.write(authority.issue())
    process.wait_for_log("a new certificate is in force")
    assert shown_by(ready["grpc"], authority)[0] != before[0]


def test_grpc_asks_for_clients_certificates_where_their_authority_is_named(
    start: "Start", authority: Authority, pair: Pair, tmp_path: Path
) -> None:
    clients, strangers = Authority(tmp_path, "clients"), Authority(tmp_path, "strangers")
    process = start(*SERVE, *pair.options, "--tls-client-ca", str(clients.file))
    ready = process.ready()
    old = clients.pair("old", "lobby.example", not_after=LONG_AGO)
    assert is_served(ready["grpc"], authority, clients.pair("lobby", "lobby.example"))
    assert not is_served(ready["grpc"], authority)
    assert not is_served(ready["grpc"], authority, strangers.pair("stranger", "lobby.example"))
    assert not is_served(ready["grpc"], authority, old)
    assert ask_once(ready["http"], authority) == 200
    clients.file.write_bytes(strangers.pem)
    process.wait_for_log("a new certificate is in force")
    assert is_served(ready["grpc"], authority, strangers.pair("stranger", "lobby.example"))
    assert not is_served(ready["grpc"], authority, clients.pair("lobby", "lobby.example"))


def test_commands_reach_an_engine_by_tls_and_show_it_their_certificate(
    start: "Start", run: "Run", authority: Authority, pair: Pair
) -> None:
    token = {"PLAYCLOCK_SECURITY_OPERATOR_TOKENS": "token"}
    ready = start(*SERVE, *pair.options, "--tls-client-ca", str(authority.file), **token).ready()
    client = authority.pair("operator", "operator.example")
    to = ["--engine", ready["grpc"], "--token", "token"]
    listed = run("sessions", "list", *to, *client.options, "--tls-ca", str(authority.file), "--json")
    assert (listed.returncode, listed.stdout) == (0, "[]\n")
    unsigned = run("sessions", "list", *to, *client.options)
    assert (unsigned.returncode, unsigned.stdout) == (1, "")
    assert "cannot prove to be that host: name who signed its certificate by --tls-ca" in unsigned.stderr
    both = run("sessions", "list", *to, *client.options, "--insecure")
    assert (both.returncode, both.stdout) == (2, "")
    assert "--insecure speaks clear text" in both.stderr
    other = authority.pair("other", "operator.example")
    mixed = run("sessions", "list", *to, "--tls-cert", str(client.certificate), "--tls-key", str(other.key))
    assert (mixed.returncode, mixed.stdout) == (2, "")
    assert "other.key is not the private key of the certificate in" in mixed.stderr


def test_by_tls_nobody_is_taken_for_an_engine_who_speaks_none(start: "Start", run: "Run", authority: Authority) -> None:
    ready = start(*SERVE).ready()
    called = run("sessions", "list", "--engine", ready["grpc"], "--tls-ca", str(authority.file))
    assert (called.returncode, called.stdout) == (1, "")
    assert "speaks no TLS: add --insecure where the network itself is trusted" in called.stderr


def test_a_facade_speaks_tls_both_ways(start: "Start", authority: Authority, pair: Pair) -> None:
    token = {"PLAYCLOCK_SECURITY_OPERATOR_TOKENS": "token"}
    estate = ["--provision", str(EXAMPLES / "provisioning.toml")]
    engine = start(*SERVE, *estate, *pair.options, "--tls-client-ca", str(authority.file), **token).ready()
    client, front = authority.pair("facade", "facade.example"), authority.pair("front")
    trust = ["--engine-tls-ca", str(authority.file), "--engine-tls-cert", str(client.certificate)]
    to = ["--engine", engine["grpc"], "--engine-token", "token", *trust, "--engine-tls-key", str(client.key)]
    process = start("facade", "--http", "127.0.0.1:0", *to, *front.options)
    ready = process.ready()
    number, *_ = shown_by(ready["http"], authority)
    with closing(rest(ready["http"], authority)) as connection:
        body = '{"ott": "a1b2c3d4-e5f6-7890-abcd-ef1234567890", "provider_user_id": "1"}'
        connection.request("POST", "/v1/game/session/verify", body, {"X-Api-Key": "dev-game-key"})
        answer = connection.getresponse()
        assert (answer.status, b"OTT_EXPIRED" in answer.read()) == (200, True)
    front.write(authority.issue())
    process.wait_for_log("a new certificate is in force")
    assert shown_by(ready["http"], authority)[0] != number


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--tls-cert", "server.pem"], "--tls-cert and --tls-key belong together"),
        (["--tls-key", "server.key"], "--tls-cert and --tls-key belong together"),
        (["--tls-client-ca", "ca.pem"], "--tls-client-ca needs a certificate of the server's own"),
        (["--tls-cert", "nowhere.pem", "--tls-key", "server.key"], "nowhere.pem cannot be read: No such file or directory"),
        (
            ["--tls-cert", "server.pem", "--tls-key", "other.key"],
            "other.key is not the private key of the certificate in server",
        ),
        (["--tls-cert", "old.pem", "--tls-key", "old.key"], "old.pem cannot serve: certificate has expired"),
        (["--tls-cert", "old.pem", "--tls-key", "old.key", "--workers", "2"], "old.pem cannot serve: certificate has expired"),
    ],
)
@pytest.mark.usefixtures("pair")
def test_what_keeps_it_from_starting_is_told_in_a_sentence(
    run: "Run", authority: Authority, options: list[str], sentence: str
) -> None:
    authority.pair("other")
    authority.pair("old", not_after=LONG_AGO)
    result = run("serve", "--store", "sqlite:///play.db", *PORTS, *options, PLAYCLOCK_LOG_LEVEL="error")
    assert (result.returncode, result.stdout) == (2, "")
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr


def test_an_operator_is_known_by_the_name_in_his_certificate(start: "Start", pair: Pair, authority: Authority) -> None:
    process = start(
        *(*SERVE, *pair.options, "--tls-client-ca", str(authority.file)),
        PLAYCLOCK_SECURITY_OPERATOR_CERTIFICATES="alice.internal",
    )
    address = process.ready()["grpc"]
    for name, id_ in (("alice.internal", "alice.internal"), ("bob.internal", None)):
        with channel(address, authority, authority.pair(name, name)) as known:
            call = AuthServiceStub(known).VerifyCaller
            if id_ is not None:
                assert call(VerifyCallerRequest(), timeout=10).id == id_
            else:
                with pytest.raises(grpc.RpcError, match="the call carries no credentials"):
                    call(VerifyCallerRequest(), timeout=10)


def test_operators_certificates_that_nobody_verifies_are_warned_of(start: "Start", pair: Pair) -> None:
    process = start(*SERVE, *pair.options, PLAYCLOCK_SECURITY_OPERATOR_CERTIFICATES="alice.internal")
    process.wait_for_log("operator_certificates count for nothing without --tls-client-ca")
