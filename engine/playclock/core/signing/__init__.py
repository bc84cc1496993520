"""Signatures over what arrived: one check, four dialects.

A dialect reads from a request who claims to have signed which text and when (a `Proof`), and believes nothing; `check` holds
the proof against the signer's secrets and the time. No dialect sees a secret to verify, and `check` knows no dialect.
"""

from playclock.core.signing.launcher import NONCE, launcher_text, sign_launcher
from playclock.core.signing.mac import verify
from playclock.core.signing.proof import HttpRequest, Proof, check, is_proof_of
from playclock.core.signing.schemes import PROOFS, Scheme
from playclock.core.signing.window import check_window

__all__ = [
    "NONCE",
    "PROOFS",
    "HttpRequest",
    "Proof",
    "Scheme",
    "check",
    "check_window",
    "is_proof_of",
    "launcher_text",
    "sign_launcher",
    "verify",
]
