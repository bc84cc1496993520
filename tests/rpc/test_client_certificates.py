"""What a call knows of its client's certificate, and that nobody looks for one where none is verified."""

import grpc
import grpc.aio
import pytest
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc
from playclock.engine import OPERATOR, Engine
from playclock.rpc import server as rpc_server
from playclock.rpc.call import Call, ClientIdentity
from playclock.rpc.dispatch import Dispatcher
from playclock.v1 import ListSessionsRequest, ListSessionsResponse, SessionServiceStub

from tests.authority import Authority

METHOD = "/playclock.v1.SessionService/ListSessions"
OPERATORS = (("authorization", "Bearer operator-token"),)


async def identity_of_a_call(engine: Engine, authority: Authority, client: Authority | None) -> ClientIdentity | None:
    """Make a call over TLS, with a client's certificate where somebody signs one, and return what its handler is told."""
    told = []

    async def list_sessions(_request: Message, call: Call) -> ListSessionsResponse:
        assert call.caller == OPERATOR
        told.append(call.identify())
        return ListSessionsResponse()

    dispatcher = Dispatcher(engine)
    dispatcher.methods[METHOD].handler = list_sessions
    server = grpc.aio.server()
    identify = rpc_server._identify if client else rpc_server._nobody_verified
    server.add_generic_rpc_handlers((rpc_server._Handlers(dispatcher, identify),))
    leaf = authority.issue()
    chain = [(leaf.private_key_pem.bytes(), leaf.cert_chain_pems[0].bytes())]
    credentials = grpc.ssl_server_credentials(chain, client.pem if client else None, require_client_auth=client is not None)
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    mine = {}
    if client is not None:
        shown = client.issue("lobby.example", "billing.example", common_name="lobby")
        mine = {"private_key": shown.private_key_pem.bytes(), "certificate_chain": shown.cert_chain_pems[0].bytes()}
    async with grpc.aio.secure_channel(f"127.0.0.1:{port}", grpc.ssl_channel_credentials(authority.pem, **mine)) as channel:
        await SessionServiceStub(channel).ListSessions(ListSessionsRequest(), metadata=OPERATORS, timeout=10)
        check = health_pb2_grpc.HealthStub(channel).Check  # open to all, also to those who are identified
        assert (await check(health_pb2.HealthCheckRequest())).status == health_pb2.HealthCheckResponse.SERVING
    await server.stop(None)
    return told[0]


@pytest.fixture
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("servers"))


async def test_a_call_tells_whom_a_verified_certificate_names(
    engine: Engine, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> None:
    clients = Authority(tmp_path_factory.mktemp("clients"))
    assert await identity_of_a_call(engine, authority, clients) == ClientIdentity(
        "lobby", ("lobby.example", "billing.example"), ()
    )


async def test_a_call_without_one_names_nobody(engine: Engine, authority: Authority) -> None:
    assert await identity_of_a_call(engine, authority, None) is None
