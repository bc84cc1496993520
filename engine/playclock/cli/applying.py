"""Sends a provisioning file to an engine, in this process or elsewhere."""

import grpc.aio

from playclock.cli.rpc_failures import violations_of
from playclock.provisioning import ProvisioningFile
from playclock.tomlfile import ConfigurationError
from playclock.v1.provisioning_service_pb2 import ApplyProvisioningRequest, ApplyProvisioningResponse
from playclock.v1.provisioning_service_pb2_grpc import ProvisioningServiceStub


async def apply_file(
    channel: grpc.aio.Channel,
    file: ProvisioningFile,
    *,
    check: bool = False,
    metadata: tuple[tuple[str, str], ...] = (),
) -> ApplyProvisioningResponse:
    """Apply the file, or only check it, and return what changed or would change.

    Raises ConfigurationError with the line of each thing that does not fit, AioRpcError for every other failure.
    """
    request = ApplyProvisioningRequest(provisioning=file.message, validate_only=check)
    try:
        return await ProvisioningServiceStub(channel).ApplyProvisioning(request, metadata=metadata, timeout=30)
    except grpc.aio.AioRpcError as error:
        violations = violations_of(error)
        if not violations:
            raise
    raise ConfigurationError(file.place(field, problem) for field, problem in violations)
