"""Secrets that are derived from the master key, each for one purpose and one registry."""

import hashlib
import hmac


def derived(master_key: str, purpose: str, generation: str) -> bytes:
    """Give 32 bytes that tell nothing of the master key, or of what is derived for another use."""
    return hmac.digest(master_key.encode(), f"{purpose} of {generation}".encode(), hashlib.sha256)
