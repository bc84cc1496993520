"""Who may hear what is wrong with a request: a stranger hears of missing credentials first, and of nothing else."""

from playclock.v1 import auth_service_pb2, auth_service_pb2_grpc

from playclock_http.refusal import Refusal
from playclock_http.upstream import Metadata, Upstream


class Callers:
    """Asks the engine who calls. Requests that are refused anyway pay for it, and those with large bodies."""

    def __init__(self, upstream: Upstream) -> None:
        self._verify_caller = auth_service_pb2_grpc.AuthServiceStub(upstream.channel).VerifyCaller
        self._deadline_sec = upstream.deadline_sec

    async def who(self, metadata: Metadata) -> str:
        """Return the id of whom the engine knows by the metadata. Raises AioRpcError where it knows nobody."""
        caller = await self._verify_caller(
            auth_service_pb2.VerifyCallerRequest(), timeout=self._deadline_sec, metadata=metadata
        )
        found: str = caller.id
        return found

    async def may_hear(self, refusal: Refusal, metadata: Metadata) -> Refusal:
        """Return the refusal if the engine knows the caller by the metadata. Raises AioRpcError where it does not."""
        await self._verify_caller(auth_service_pb2.VerifyCallerRequest(), timeout=self._deadline_sec, metadata=metadata)
        return refusal
