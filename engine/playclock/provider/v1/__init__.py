"""Messages and stubs of playclock.provider.v1, generated from `proto/`. All but this file is written by `scripts/generate`.

    from playclock.provider.v1 import ChargeProviderServiceServicer, OpenChargeRequest

Types come from the stubs beside the modules.
"""

from playclock.provider.v1.charge_provider_service_pb2 import *  # noqa: F403
from playclock.provider.v1.charge_provider_service_pb2_grpc import *  # noqa: F403
