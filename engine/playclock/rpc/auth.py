"""AuthService: messages to answers."""

from playclock.engine import Role
from playclock.rpc.call import Call
from playclock.v1.auth_service_pb2 import VerifyCallerRequest, VerifyCallerResponse

_ROLES = {
    Role.GAME: VerifyCallerResponse.ROLE_GAME,
    Role.LAUNCHER: VerifyCallerResponse.ROLE_LAUNCHER,
    Role.OPERATOR: VerifyCallerResponse.ROLE_OPERATOR,
}


class AuthServicer:
    """Tells who calls. That the call got here is the check."""

    async def VerifyCaller(self, request: VerifyCallerRequest, call: Call) -> VerifyCallerResponse:  # noqa: ARG002
        """Tell whose credentials the call carries."""
        return VerifyCallerResponse(role=_ROLES[call.caller.role], id=call.caller.id)
