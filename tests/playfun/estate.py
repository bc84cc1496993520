"""The estate of these tests: two developers."""

from typing import Final

from playclock.v1.provisioning_service_pb2 import Developer, Provisioning

from .callers import DEVELOPER, RIVAL, RIVAL_SECRET, SECRET

ESTATE: Final = Provisioning(
    developers=[Developer(id=DEVELOPER, secret=SECRET), Developer(id=RIVAL, secret=RIVAL_SECRET)],
)
