"""Start: the settings, held to what the rooms that go by them rely on."""

from collections.abc import Mapping

from shared.auth.passwords import PASSWORD_LENGTH
from shared.settings import Settings, SettingsInvalid
from shared.storage import ages

_LEAST_GRACE = 4
"""The shortest grace period in L: a call may take effect L late, a holder is young for twice that,
and some have to spare."""


def read_settings(env: Mapping[str, str] | None = None) -> Settings:
    """Read the settings, and hold them to what is relied on; raises SettingsInvalid."""
    settings = Settings.from_env(env)
    least = int((_LEAST_GRACE * ages.L).total_seconds())
    if settings.grace.total_seconds() < least:
        raise SettingsInvalid(
            f"REGISTRY_GRACE_SECONDS must be at least {least}:"
            " a request that is under way relies on what it has seen for about that long"
        )
    if len(settings.admin_password) > PASSWORD_LENGTH:
        raise SettingsInvalid(
            f"REGISTRY_ADMIN_PASSWORD must have at most {PASSWORD_LENGTH:,} characters:"
            " nobody is let in with a longer one"
        )
    return settings
