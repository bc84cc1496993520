"""The four dialects by name."""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Final

from playclock.core.signing import agent, launcher, playfun, webhooks
from playclock.core.signing.proof import HttpRequest, Proof


class Scheme(Enum):
    """Whose way of signing."""

    LAUNCHER = "launcher"
    AGENT = "agent"
    PLAYFUN = "playfun"
    STANDARD_WEBHOOKS = "standard_webhooks"


PROOFS: Final[Mapping[Scheme, Callable[[HttpRequest], Proof]]] = {
    Scheme.LAUNCHER: launcher.proof_of,
    Scheme.AGENT: agent.proof_of,
    Scheme.PLAYFUN: playfun.proof_of,
    Scheme.STANDARD_WEBHOOKS: webhooks.proof_of,
}
"""Reads the proof in a request. Standard Webhooks name no signer."""
