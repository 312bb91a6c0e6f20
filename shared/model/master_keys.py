"""Master keys: what all secrets of a deployment are sealed with, or derived from.

As a rule there is one. While it is replaced there are several: each opens, and the current one
seals.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class MasterKeys:
    """All master keys that open something, the `current` one before the `others`."""

    current: str = field(repr=False)
    others: Sequence[str] = field(default=(), repr=False)

    @property
    def all(self) -> Sequence[str]:
        """All of them, the current one first."""
        return self.current, *self.others

    def derived(self, purpose: str, generation: str) -> Sequence[bytes]:
        """Give 32 bytes of each key, for one purpose and one registry; the current key's first.

        They tell nothing of the master key, or of what is derived for another use.
        """
        text = f"{purpose} of {generation}".encode()
        return [hmac.digest(key.encode(), text, hashlib.sha256) for key in self.all]
