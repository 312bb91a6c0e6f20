"""Attributes: what may be done to a repository, a manifest or a tag (ACR 1.7)."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Self


@dataclass(frozen=True, slots=True)
class Attributes:
    """What is allowed; all of it, unless somebody has said otherwise."""

    delete_enabled: bool = True
    write_enabled: bool = True
    list_enabled: bool = True
    read_enabled: bool = True

    @classmethod
    def read(cls, values: Mapping[str, object]) -> Self:
        """Read what `values` gave, among other things."""
        return cls(**{name: bool(values.get(name, True)) for name in cls.__slots__})

    def values(self) -> Mapping[str, bool]:
        """Give them by name."""
        return asdict(self)

    @property
    def allow_deletion(self) -> bool:
        """Whether it may be deleted: that is a change, too."""
        return self.delete_enabled and self.write_enabled


FREE = Attributes()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody wants of attributes; None leaves one as it is."""

    delete_enabled: bool | None = None
    write_enabled: bool | None = None
    list_enabled: bool | None = None
    read_enabled: bool | None = None

    def on(self, there: Attributes) -> Attributes:
        """Give what attributes are to become."""
        said = {name: value for name, value in asdict(self).items() if value is not None}
        return replace(there, **said)
