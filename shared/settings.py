"""Settings: the only reader of the environment. All faults are told at once."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from shared.model.login_server import host_of, read_login_server
from shared.model.outbound.egress import Address, AddressInvalid, Allowed

_NAME = re.compile(r"[a-z0-9]{5,50}")
_VAULT_KEY = re.compile(r"https://[a-z0-9][a-z0-9.:-]*/keys/[0-9A-Za-z-]{1,127}")
_MASTER_KEY_LENGTH = 32
_MASTER_KEY_BYTES = 1_023  # OpenSSL seals with no more
_SERVICES = ("blobServiceUri", "queueServiceUri", "tableServiceUri")

LONGEST_URL_LIFE = timedelta(days=7) - timedelta(minutes=5)
"""An identity signs with keys that Azure lends for seven days; clocks may differ by the rest."""

_MOST_DAYS = 365
_SCRUB_BYTES = 100 * 1024**3
_WORDS = {"true": True, "false": False}

PLANES = ("all", "http", "events")
"""Which functions a process has: all, those with an HTTP trigger, or the others."""


class SettingsInvalid(ValueError):
    """One or more settings cannot be used; the message names each, and what it must be."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the registry is told from outside. The README's table says what each one means."""

    registry_name: str
    login_server: str
    root_domain: str
    admin_password: str
    master_key: str
    key_vault_key: str
    blob_redirects: bool
    sparse_manifests: bool
    anonymous_access: str
    mount_discovery: str
    soft_delete_days: int
    upload_lifetime: timedelta
    grace: timedelta
    url_lifetime: timedelta
    scrub_bytes_per_day: int
    outbound_allowed: Allowed
    outbound_proxy: str
    webhook_event_days: int
    plane: str
    storage: Mapping[str, str]

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Self:
        """Read the settings; raises SettingsInvalid."""
        reader = _Reader(os.environ if env is None else env)  # noqa: TID251 - the one reader
        settings = cls(
            registry_name=reader.matching("REGISTRY_NAME", "registry", _NAME),
            login_server=reader.login_server("REGISTRY_LOGIN_SERVER"),
            root_domain=reader.domain("REGISTRY_ROOT_DOMAIN"),
            admin_password=reader.text("REGISTRY_ADMIN_PASSWORD", ""),
            master_key=reader.master_key("REGISTRY_MASTER_KEY", "REGISTRY_KEY_VAULT_KEY"),
            key_vault_key=reader.key_vault_key("REGISTRY_KEY_VAULT_KEY"),
            blob_redirects=reader.flag("REGISTRY_BLOB_REDIRECTS", default=True),
            sparse_manifests=reader.flag("REGISTRY_SPARSE_MANIFESTS", default=False),
            anonymous_access=reader.one_of("REGISTRY_ANONYMOUS_ACCESS", ("none", "pull", "all")),
            mount_discovery=reader.one_of("REGISTRY_MOUNT_DISCOVERY", ("token", "caller")),
            soft_delete_days=reader.days("REGISTRY_SOFT_DELETE_DAYS", 7),
            upload_lifetime=reader.seconds("REGISTRY_UPLOAD_SECONDS", 7 * 86_400),
            grace=reader.seconds("REGISTRY_GRACE_SECONDS", 86_400),
            url_lifetime=reader.seconds("REGISTRY_BLOB_URL_SECONDS", 1_200, LONGEST_URL_LIFE),
            scrub_bytes_per_day=reader.number("REGISTRY_SCRUB_BYTES_PER_DAY", _SCRUB_BYTES),
            outbound_allowed=reader.allowed("REGISTRY_OUTBOUND_ALLOW"),
            outbound_proxy=reader.proxy("REGISTRY_OUTBOUND_PROXY"),
            webhook_event_days=reader.days("REGISTRY_WEBHOOK_EVENT_DAYS", 7, least=1),
            plane=reader.one_of("REGISTRY_PLANE", PLANES),
            storage=reader.connection("AzureWebJobsStorage"),
        )
        reader.check()
        return settings

    def lasting(self, days: int) -> timedelta:
        """Give for how long what is deleted can come back: where it cannot, the grace period."""
        return timedelta(days=days) or self.grace


class _Reader:
    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._faults: list[str] = []

    def check(self) -> None:
        if self._faults:
            raise SettingsInvalid("; ".join(self._faults))

    def text(self, name: str, default: str) -> str:
        return self._env.get(name) or default

    def matching(self, name: str, default: str, shape: re.Pattern[str]) -> str:
        value = self.text(name, default)
        if not shape.fullmatch(value):
            self._faults.append(f"{name}={value!r} must be 5 to 50 lower-case letters and digits")
        return value

    def login_server(self, name: str) -> str:
        value = self.text(name, "")
        read = read_login_server(value)
        if value and not read:
            self._faults.append(f"{name}={value!r} must be a host, or a host and a port")
        return read or ""

    def domain(self, name: str) -> str:
        value = self.text(name, "").lower().strip(".")
        if value and (read_login_server(value) != value or host_of(value) != value):
            self._faults.append(
                f"{name}={value!r} must be a host's name alone, such as example.com"
            )
        return value

    def master_key(self, name: str, other: str) -> str:
        """Read a master key; empty where `other` says what wraps one that is kept."""
        value = self.text(name, "")
        if self.text(other, ""):
            if value:
                self._faults.append(f"{name} and {other} are both set: keep one of the two")
            return ""
        data = value.encode(errors="ignore")
        is_short, is_long = len(value) < _MASTER_KEY_LENGTH, len(data) > _MASTER_KEY_BYTES
        if is_short or is_long or data.decode() != value:  # an environment may hold other bytes
            self._faults.append(
                f"{name} must be a secret of {_MASTER_KEY_LENGTH} or more random characters,"
                f" in at most {_MASTER_KEY_BYTES:,} bytes"
                + ("" if value else f"; or set {other}, and one is made and kept")
            )
        return value

    def key_vault_key(self, name: str) -> str:
        value = self.text(name, "").rstrip("/")
        if value and not _VAULT_KEY.fullmatch(value):
            self._faults.append(
                f"{name}={value!r} must be the identifier of a Key Vault key without its version,"
                " https://NAME.vault.azure.net/keys/KEY"
            )
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        value = self.text(name, str(default)).lower()
        if value not in _WORDS:
            self._faults.append(f"{name}={value!r} must be true or false")
        return _WORDS.get(value, default)

    def one_of(self, name: str, choices: tuple[str, ...]) -> str:
        value = self.text(name, choices[0])
        if value not in choices:
            self._faults.append(f"{name}={value!r} must be one of {', '.join(choices)}")
        return value

    def seconds(self, name: str, default: int, longest: timedelta = timedelta.max) -> timedelta:
        value = self.text(name, str(default))
        if not re.fullmatch(r"[1-9]\d{0,8}", value, re.ASCII):
            self._faults.append(f"{name}={value!r} must be a whole number of seconds, 1 or more")
            return timedelta(seconds=default)
        span = timedelta(seconds=int(value))
        if span > longest:
            most = int(longest.total_seconds())
            self._faults.append(f"{name}={value!r} must be at most {most}: Azure signs no longer")
        return span

    def number(self, name: str, default: int) -> int:
        value = self.text(name, str(default))
        if not re.fullmatch(r"\d{1,18}", value, re.ASCII):
            self._faults.append(f"{name}={value!r} must be a whole number, 0 or more")
            return default
        return int(value)

    def days(self, name: str, default: int, least: int = 0) -> int:
        value = self.text(name, str(default))
        is_number = re.fullmatch(r"\d{1,3}", value, re.ASCII)
        if not is_number or not least <= int(value) <= _MOST_DAYS:
            self._faults.append(
                f"{name}={value!r} must be a whole number of days, {least} to {_MOST_DAYS}"
            )
            return default
        return int(value)

    def allowed(self, name: str) -> Allowed:
        try:
            return Allowed.read(self.text(name, ""))
        except ValueError as error:
            self._faults.append(f"{name}: {error}")
            return Allowed()

    def proxy(self, name: str) -> str:
        value = self.text(name, "")
        try:
            is_one = not value or Address.parse(value).target == "/"
        except AddressInvalid:
            is_one = False
        if not is_one:  # not told what it is: it may hold a password
            self._faults.append(
                f"{name} must be http://HOST:PORT or https://HOST:PORT, with USER:PASSWORD@ before"
                " the host if the proxy asks for that"
            )
        return value

    def connection(self, name: str) -> Mapping[str, str]:
        """Give a connection: its string under the empty key, or its parts (`NAME__part`)."""
        parts = {
            key.removeprefix(name).removeprefix("__"): value
            for key, value in self._env.items()
            if (key == name or key.startswith(f"{name}__")) and value
        }
        if not parts:
            self._faults.append(f"{name} must be a connection string, or {name}__… its parts")
        elif not parts.keys() & {"", "accountName"}:
            missing = [f"{name}__{part}" for part in _SERVICES if part not in parts]
            if missing:
                self._faults.append(
                    f"{' and '.join(missing)} must be set too, or {name}__accountName"
                )
        return parts
