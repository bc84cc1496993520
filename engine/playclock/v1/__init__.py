"""Messages and stubs of playclock.v1, generated from `proto/`. All but this file is written by `scripts/generate`.

    from playclock.v1 import OpenSessionRequest, SessionServiceStub

Types come from the stubs beside the modules.
"""

from playclock.v1.account_service_pb2 import *  # noqa: F403
from playclock.v1.account_service_pb2_grpc import *  # noqa: F403
from playclock.v1.audit_service_pb2 import *  # noqa: F403
from playclock.v1.audit_service_pb2_grpc import *  # noqa: F403
from playclock.v1.auth_service_pb2 import *  # noqa: F403
from playclock.v1.auth_service_pb2_grpc import *  # noqa: F403
from playclock.v1.catalog_service_pb2 import *  # noqa: F403
from playclock.v1.catalog_service_pb2_grpc import *  # noqa: F403
from playclock.v1.delivery_service_pb2 import *  # noqa: F403
from playclock.v1.delivery_service_pb2_grpc import *  # noqa: F403
from playclock.v1.developer_game_service_pb2 import *  # noqa: F403
from playclock.v1.developer_game_service_pb2_grpc import *  # noqa: F403
from playclock.v1.error_reason_pb2 import *  # noqa: F403
from playclock.v1.game_link_service_pb2 import *  # noqa: F403
from playclock.v1.game_link_service_pb2_grpc import *  # noqa: F403
from playclock.v1.image_service_pb2 import *  # noqa: F403
from playclock.v1.image_service_pb2_grpc import *  # noqa: F403
from playclock.v1.key_service_pb2 import *  # noqa: F403
from playclock.v1.key_service_pb2_grpc import *  # noqa: F403
from playclock.v1.launch_service_pb2 import *  # noqa: F403
from playclock.v1.launch_service_pb2_grpc import *  # noqa: F403
from playclock.v1.limit_service_pb2 import *  # noqa: F403
from playclock.v1.limit_service_pb2_grpc import *  # noqa: F403
from playclock.v1.match_service_pb2 import *  # noqa: F403
from playclock.v1.match_service_pb2_grpc import *  # noqa: F403
from playclock.v1.openid_service_pb2 import *  # noqa: F403
from playclock.v1.openid_service_pb2_grpc import *  # noqa: F403
from playclock.v1.points_service_pb2 import *  # noqa: F403
from playclock.v1.points_service_pb2_grpc import *  # noqa: F403
from playclock.v1.provisioning_service_pb2 import *  # noqa: F403
from playclock.v1.provisioning_service_pb2_grpc import *  # noqa: F403
from playclock.v1.session_pb2 import *  # noqa: F403
from playclock.v1.session_service_pb2 import *  # noqa: F403
from playclock.v1.session_service_pb2_grpc import *  # noqa: F403
from playclock.v1.settlement_service_pb2 import *  # noqa: F403
from playclock.v1.settlement_service_pb2_grpc import *  # noqa: F403
from playclock.v1.wallet_service_pb2 import *  # noqa: F403
from playclock.v1.wallet_service_pb2_grpc import *  # noqa: F403
