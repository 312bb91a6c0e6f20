"""Webhooks told by the dev host: receivers are real servers, and few of them behave."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
import standardwebhooks

from infra.devhost.storage import Azurite
from shared import administration
from shared.assembly.webhooks import seal_of
from shared.model.master_keys import MasterKeys
from shared.model.webhooks.webhook import Callback, Secret, Webhook
from shared.settings import Settings
from shared.storage.rows.webhooks.deliveries import Delivery, State
from shared.storage.stores import Stores
from tests.support import flows, receivers
from tests.support.emulators import scratch
from tests.support.hosts import Host, Registry, running, settings_of
from tests.support.images import image
from tests.support.receivers import Received, Receiver, answers, in_turn
from tests.support.waiting import until

pytestmark = [
    pytest.mark.protocol,
    pytest.mark.direct("what is sent out does not pass the front"),
    pytest.mark.timeout(900),
    pytest.mark.xdist_group("soak"),  # what takes seconds elsewhere must not meet a soak
]

SECRET = "a secret of webhooks, to be told to nobody"
SOON = 90
PUSHES = 40
SECONDS = 0.3
"""Between two pushes: 200 a minute."""

HEALTHY_SECONDS = 10
"""Within which the healthy receiver has nearly all of them, on a machine that does other things."""


class World:
    """A host with webhooks, and what its storage says of them."""

    def __init__(self, host: Host, registry: Registry, settings: Mapping[str, str]) -> None:
        self.host = host
        self.registry = registry
        self.settings = Settings.from_env(settings)
        self.hooks: dict[str, Webhook] = {}

    def hook(self, name: str, url: str, **more: object) -> None:
        """Make a webhook."""
        self.hooks[name] = self._asked(lambda stores: self._made(stores, name, url, more))

    async def _made(
        self, stores: Stores, name: str, url: str, more: Mapping[str, object]
    ) -> Webhook:
        seal = seal_of(MasterKeys(self.settings.master_key), stores.generation)
        drawn = stores.new_id()
        sealed = seal.close(Callback(url, {}, [Secret(SECRET)]), drawn)
        return await stores.webhooks.create(
            Webhook(name, drawn, stores.clock(), sealed, **more)  # type: ignore[arg-type]
        )

    def there(self, name: str) -> Webhook:
        """Read a webhook."""
        found = self._asked(lambda stores: stores.webhooks.find(name))
        assert found
        return found

    def deliveries(self, name: str) -> Sequence[Delivery]:
        """Read what was for a webhook."""
        drawn = self.hooks[name].id
        return self._asked(lambda stores: stores.deliveries.page(drawn, limit=1_000))

    def states(self, name: str) -> list[State]:
        """Read what has become of it."""
        return [one.state for one in self.deliveries(name)]

    def _asked[Said](self, ask: Callable[[Stores], Awaitable[Said]]) -> Said:
        async def run() -> Said:
            name = self.settings.registry_name
            async with administration.administration(self.settings, name) as here:
                assert here
                return await ask(here.jobs.stores)

        return asyncio.run(run())


@pytest.fixture
def module(request: pytest.FixtureRequest) -> str:
    """The host to run; a test has its own by `indirect`."""
    own: str = getattr(request, "param", "infra.devhost")
    return own


@pytest.fixture(scope="module")
def storage() -> Iterator[Azurite]:
    """An emulator of these tests' own: other hosts would take messages, with another master key."""
    with scratch("webhooks") as folder, Azurite(folder / "data") as emulator:
        yield emulator


@pytest.fixture
def world(storage: Azurite, tmp_path: Path, module: str) -> Iterator[World]:
    settings = settings_of(storage, REGISTRY_OUTBOUND_ALLOW="127.0.0.0/8", TIME_FACTOR="20")
    settings["REGISTRY_NAME"] = f"hooks{time.time_ns()}"[:30]
    with running(settings, tmp_path / "log", module=module) as (host, registry):
        httpx.get(f"{registry.url}/v2/")
        yield World(host, registry, settings)


def verified(received: Received) -> str:
    """Check a request's signature, and give its id."""
    standardwebhooks.Webhook(SECRET.encode()).verify(received.body, dict(received.headers))
    return received.headers["webhook-id"]


MISBEHAVIOUR = {
    "refuses": receivers.answers(503),
    "breaksoff": receivers.breaks_off_at_once,
    "breaksbefore": receivers.breaks_off_before_the_body,
    "breaksafter": receivers.breaks_off_after_the_body,
    "hangsup": receivers.hangs_up,
    "halves": receivers.says(b"HTTP/1.1 2"),
    "silent": receivers.is_silent,
    "readsnothing": receivers.reads_nothing,
    "busy": receivers.is_busy("1"),
    "unauthorised": receivers.answers(401),
    "floods": receivers.floods_interim_answers(),
}


def test_every_receiver_that_behaves_at_last_hears_of_a_push_signed(world: World) -> None:
    with ExitStack() as stack:
        served = {
            name: stack.enter_context(Receiver(in_turn(manner, answers())))
            for name, manner in MISBEHAVIOUR.items()
        }
        for name, receiver in served.items():
            world.hook(name, receiver.url("/hook"), seconds=2)
        flows.push(world.registry, "team/app", image(seed=1, layers=1), "v1")
        until(lambda: all(receiver.connections > 1 for receiver in served.values()), SOON)
        until(lambda: world.states("silent") == [State.DELIVERED], SOON)
        time.sleep(3)
        assert {name: world.states(name) for name in served} == {
            name: [State.DELIVERED] for name in served
        }
        for name, receiver in served.items():
            whole = [one for one in receiver.received if one.is_whole]
            ids = {verified(one) for one in whole}
            assert len(ids) == 1, name
            assert receiver.connections == 2, name
            assert b'"repository":"team/app","tag":"v1"' in whole[-1].body


def test_a_redirection_is_not_followed_and_a_refusal_is_final(world: World) -> None:
    with Receiver() as secret, ExitStack() as stack:
        manners = {
            "redirects": receivers.redirects(secret.url("/latest/meta-data")),
            "complains": answers(400),
            "gonegone": answers(410),
            "dripping": receivers.drips(0.01),
        }
        served = {name: stack.enter_context(Receiver(it)) for name, it in manners.items()}
        for name, receiver in served.items():
            world.hook(name, receiver.url(), seconds=2)
        world.hook("forbidden", "http://169.254.169.254/latest/")
        flows.push(world.registry, "team/app", image(seed=1, layers=1), "v1")
        wanted = {
            "redirects": State.FAILED,
            "complains": State.FAILED,
            "gonegone": State.KEPT,
            "dripping": State.DELIVERED,  # its status was 200
        }
        until(lambda: all(receiver.connections for receiver in served.values()), SOON)
        until(lambda: world.deliveries("forbidden")[0].attempts > 0, SOON)
        time.sleep(12)
        assert {name: world.states(name) for name in served} == {
            name: [state] for name, state in wanted.items()
        }
        assert [receiver.connections for receiver in served.values()] == [1] * len(served)
        assert secret.connections == 0
        assert not world.there("gonegone").is_enabled
        (one,) = world.deliveries("forbidden")
        assert "REGISTRY_OUTBOUND_ALLOW" in one.why


@pytest.mark.parametrize("module", ["tests.support.scaled_host"], indirect=True)
def test_a_host_that_is_killed_while_a_receiver_has_it_tells_it_once_more(world: World) -> None:
    with Receiver(in_turn(receivers.is_slow(30), answers())) as receiver:
        world.hook("slowly", receiver.url(), seconds=60)
        flows.push(world.registry, "team/app", image(seed=1, layers=1), "v1")
        receiver.wait_for(1, SOON)
        world.host.kill()
        world.host.start()
        receiver.wait_for(2, SOON)  # hidden for half a minute there, and not for ten
        until(lambda: world.states("slowly") == [State.DELIVERED], SOON)
        assert len({verified(one) for one in receiver.received}) == 1


def test_pushes_reach_a_healthy_receiver_within_seconds_beside_a_dead_one(world: World) -> None:
    with Receiver() as healthy, Receiver(receivers.is_silent) as dead:
        world.hook("healthy", healthy.url())
        world.hook("deaddead", dead.url(), seconds=2)
        pushed: dict[str, float] = {}
        built = image(seed=1, layers=1)
        flows.push(world.registry, "team/base", built, "v0")
        with flows.connect(world.registry, "team/base") as client:
            for number in range(PUSHES):
                began = time.monotonic()
                flows.push_manifest(client, "team/base", built.manifest, f"t{number}")
                pushed[f't{number}"'] = time.time()
                time.sleep(max(0.0, SECONDS - (time.monotonic() - began)))
        got = healthy.wait_for(PUSHES + 1, SOON)
        late = sorted(
            next(one.at for one in got if tag.encode() in one.body) - moment
            for tag, moment in pushed.items()
        )
        percentile = statistics.quantiles(late, n=100)[98]
        print(f"half within {late[len(late) // 2]:.2f} s, 99% within {percentile:.2f} s")  # noqa: T201
        assert percentile < HEALTHY_SECONDS
        until(lambda: world.there("deaddead").health.held is not None, SOON)
        before = dead.connections
        with flows.connect(world.registry, "team/base") as client:
            for number in range(PUSHES):
                flows.push_manifest(client, "team/base", built.manifest, f"u{number}")
        healthy.wait_for(2 * PUSHES + 1, SOON)
        assert dead.connections - before <= 4  # probes
        dead.manner = answers()
        until(lambda: set(world.states("deaddead")) == {State.DELIVERED}, 180)
