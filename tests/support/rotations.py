"""Two hosts over one storage in memory and one vault, and what clients do all the time.

Each host reads a registry anew every 60 seconds, the second one half of that after the first.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from inspect import isasyncgenfunction
from typing import Any, cast

from shared.assembly.jobs import Jobs
from shared.assembly.webhooks import registering_of, seal_of
from shared.auth.gate import Credentials
from shared.auth.issuer import Asked
from shared.bootstrap import Registries
from shared.model.digest import Digest
from shared.model.master_keys import MasterKeys
from shared.model.names import RepositoryName
from shared.model.progress import Progress, ProgressSeal
from shared.services.content.uploads import Part
from shared.services.master_key.rotation import Rotated, Rotation
from shared.services.master_key.sealing import Sealing
from shared.services.webhooks.configuration.registering import Registering, Wish
from shared.services.webhooks.replaying import Replays
from shared.settings import Settings
from shared.storage import keys
from shared.storage.master_key.document import State
from shared.storage.master_key.kept import KeptKeys
from shared.storage.master_key.signing import Signing
from shared.storage.memory.vault import MemoryVault
from shared.storage.messages.delivering import ToDeliver
from shared.storage.ports import Objects, Ports, Rows
from tests.support.app import NAME, PASSWORD, Memory
from tests.support.clock import Clock
from tests.support.master_keys import ACCOUNT, key_object
from tests.support.messages import letter_of
from tests.support.webhooks import ScriptedPoster

SERVER = "registry.test"
REPOSITORY = RepositoryName("team/app")
HOOK, URI = "hooka", "https://hook.example/hook"
LIFETIME = timedelta(hours=2)
_STEP = 30


async def _stream(content: bytes) -> AsyncIterator[bytes]:
    if content:
        yield content


class Died(Exception):
    """The process ended here."""


_EFFECTS = frozenset({"commit", "put", "replace"})


@dataclass
class Dying:
    """Counts the calls of ports that have effects, and dies once one of them has had its effect.

    Who dies before it is as one who died after the call before; and who dies as it reads, too.
    """

    at: int = 0
    count: int = 0
    meanwhile: Callable[[], Any] | None = None

    def over(self, port: object) -> Any:
        """Give a port whose calls are counted."""
        return _Counted(port, self)

    async def call(self, name: str, work: Callable[[], Any]) -> Any:
        """Make a call, or die."""
        done = await work()
        self.count += name in _EFFECTS
        if self.count == self.at and name in _EFFECTS:
            raise Died
        if self.meanwhile:
            await self.meanwhile()
        return done


class _Counted:
    def __init__(self, port: object, dying: Dying) -> None:
        self._port, self._dying = port, dying

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._port, name)
        if not callable(call) or isasyncgenfunction(call):
            return call

        async def counted(*args: Any, **kwargs: Any) -> Any:
            return await self._dying.call(name, lambda: call(*args, **kwargs))

        return counted


@dataclass
class World:
    """The hosts, and what clients hold in their hands."""

    memory: Memory
    clock: Clock
    vault: MemoryVault = field(default_factory=MemoryVault)
    poster: ScriptedPoster = field(default_factory=ScriptedPoster)
    hosts: list[Registries] = field(default_factory=list)
    sessions: list[str] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    secret: str = "the first secret"

    @property
    def settings(self) -> Settings:
        """Give those of all hosts."""
        return Settings.from_env(
            {
                "AzureWebJobsStorage": "memory",
                "REGISTRY_KEY_VAULT_KEY": self.vault.key,
                "REGISTRY_NAME": NAME,
                "REGISTRY_ADMIN_PASSWORD": PASSWORD,
                "REGISTRY_UPLOAD_SECONDS": str(int(LIFETIME.total_seconds())),
            }
        )

    async def start(self) -> None:
        """Start the hosts, make a webhook, and log in."""
        await self.memory.prepare()
        for _ in range(2):
            self.hosts.append(Registries(self.settings, Ports(*self.memory.ports())))
            await self.hosts[-1].at(SERVER)
            self.clock.move(seconds=_STEP)
        webhooks = self.webhooks(await self.jobs(0))
        await webhooks.create(HOOK, Wish(uri=URI, secret=self.secret))
        await self.go_on()

    async def jobs(self, host: int) -> Jobs:
        """Give what a host has behind its queues."""
        here = self.hosts[host]
        return await here.jobs((await here.at(SERVER)).generation)

    def webhooks(self, jobs: Jobs) -> Registering:
        """Give the webhooks as operators see them."""
        return registering_of(jobs.master_keys, jobs.stores, self.poster)

    async def go_on(self) -> None:
        """Log in, continue uploads and read webhooks, each at both hosts in turn."""
        for mine, other in ((0, 1), (1, 0)):
            await self._log_in(mine, other)
            await self._upload(mine, other)
            await self._verify(mine, other)
            await self._deliver(other)

    async def _log_in(self, mine: int, other: int) -> None:
        here, there = await self.hosts[mine].at(SERVER), await self.hosts[other].at(SERVER)
        asked = Asked("password", "", (), NAME, PASSWORD, is_offline=True)
        issued = await here.issuer.issue(asked, SERVER)
        self.logins.append(str(issued["refresh_token"]))
        for token in (self.logins[0], self.logins[-1]):
            assert await there.gate.redeem(token, SERVER)
        credentials = Credentials(f"Bearer {issued['access_token']}", SERVER, "https")
        await there.gate.admit_known(credentials)

    async def _upload(self, mine: int, other: int) -> None:
        uploads = (await self.hosts[mine].at(SERVER)).uploads
        self.sessions.append(uploads.token(uploads.start(), REPOSITORY, NAME))
        uploads = (await self.hosts[other].at(SERVER)).uploads
        for token in {self.sessions[0], self.sessions[-1]}:
            opened = uploads.open(token, REPOSITORY, NAME)
            content = opened.id.encode()
            appended = await uploads.append(opened, Part(_stream(content)))
            again = uploads.token(appended, REPOSITORY, NAME)
            ends = (await self.hosts[mine].at(SERVER)).uploads
            whole = ends.open(again, REPOSITORY, NAME)
            await ends.commit(REPOSITORY, whole, Digest.of(content), Part(_stream(b"")))

    async def _verify(self, mine: int, other: int) -> None:
        progress = Progress.start("g/1", '"1"', Digest.of(b"").algorithm)
        seals = [
            ProgressSeal(*jobs.master_keys.derived("verification", jobs.stores.generation))
            for jobs in (await self.jobs(mine), await self.jobs(other))
        ]
        assert seals[1].open(seals[0].close(progress)) == progress

    async def _deliver(self, host: int) -> None:
        jobs, count = await self.jobs(host), len(self.poster.posted)
        webhook = await self.webhooks(jobs).show(HOOK)
        callback = self.webhooks(jobs).callback(webhook)
        assert (callback.uri, callback.secrets[0].text) == (URI, self.secret)
        await Replays(jobs.stores).ping(webhook)
        sent = [it for it in self.memory.messages.sent if it.queue == keys.DELIVERIES]
        self.memory.messages.sent.clear()
        for message in sent:
            await self.hosts[host].deliver(ToDeliver.read(letter_of(message)[1].body.encode()))
        assert len(self.poster.posted) == count + 1

    async def give_secret(self, host: int, secret: str) -> None:
        """Change the webhook's secret."""
        await self.webhooks(await self.jobs(host)).update(
            HOOK, Wish(secret=secret, overlap=timedelta())
        )
        self.secret = secret

    def forget(self) -> None:
        """Let clients begin anew: what they hold has ended by now."""
        self.sessions.clear()
        self.logins.clear()

    async def sleep(self, seconds: float) -> None:
        """Let time pass, and clients go on meanwhile."""
        while seconds > 0:
            self.clock.move(seconds=min(_STEP, seconds))
            seconds -= _STEP
            await self.go_on()

    def rotation(self, dying: Dying | None = None) -> Rotation:
        """Give an operator's rotation."""
        rows, objects, messages, beside = self.memory.ports()
        over = (dying or Dying()).over
        ports = Ports(cast("Rows", over(rows)), objects, messages, cast("Objects", over(beside)))
        sealing = Sealing(ports.rows, seal_of)
        signing = Signing(over(self.vault), ACCOUNT)
        return Rotation(ports, signing, sealing, self.clock, self.sleep, LIFETIME)

    async def rotate(self, dying: Dying | None = None) -> Rotated:
        """Rotate, while clients go on."""
        return await self.rotation(dying).run(lambda _, __: None)

    async def states(self) -> dict[str, State]:
        """Tell what each key is used for, by its id."""
        found = await key_object(self.memory.beside, self.vault).find()
        assert found
        return {key.id: key.state for key in found.document.keys}

    async def check(self) -> None:
        """See that every row is sealed with the key that seals."""
        found = await key_object(self.memory.beside, self.vault).find()
        assert found
        ports = Ports(*self.memory.ports())
        master_keys = await KeptKeys(ports, Signing(self.vault, ACCOUNT), self.clock).read()
        rows = Sealing(self.memory.rows, seal_of)
        alone = MasterKeys(master_keys.current)
        assert (await rows.look(alone)).unreadable == []
