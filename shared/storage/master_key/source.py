"""Where the master keys come from; here the one that the settings give."""

from typing import Protocol

from shared.model.master_keys import MasterKeys


class MasterKeySource(Protocol):
    """Gives the master keys."""

    async def read(self) -> MasterKeys:
        """Give them as they are now; raises StateRefused, Unavailable."""
        ...

    def wrong(self, name: str) -> str:
        """Say of a registry that was made with another master key what to do."""
        ...


class GivenKey:
    """The master key that the settings give."""

    def __init__(self, key: str) -> None:
        self._keys = MasterKeys(key)

    async def read(self) -> MasterKeys:
        """Give it."""
        return self._keys

    def wrong(self, name: str) -> str:
        """Say that another one belongs into the setting."""
        return (
            f"REGISTRY_MASTER_KEY is not the one that registry {name} was made with:"
            " put that one back"
        )
