"""Objects are verified: by the trigger of new blobs, and by the queue where that is not enough."""

import json
import uuid
from types import SimpleNamespace

import pytest

from infra.devhost.worker import InvocationFailed, TypedData
from shared.model.digest import Digest
from shared.services.verification import hashing, scrub, verification
from shared.storage import keys
from shared.storage.messages.verifying import ToVerify
from shared.storage.ports import Unavailable
from tests.support.app import GENERATION, Memory, Site, indexed
from tests.support.event_grid import SCHEMAS, event
from tests.support.images import blob, image
from tests.support.messages import addressed, letter_of

CONNECTION = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=a2V5;BlobEndpoint=http://x/a"
CONTENT = blob(b"some content")
QUEUE = keys.VERIFICATION


@pytest.fixture
def connection(environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the worker makes a client of; nobody is connected to."""
    monkeypatch.setenv("AzureWebJobsStorage", CONNECTION)


async def fire(name: str) -> None:
    """Let the host tell of a new blob."""
    worker, functions = indexed()
    (function,) = [f for f in functions if f.name == "verify_blob"]
    named = {"Connection": "AzureWebJobsStorage", "ContainerName": "content", "BlobName": name}
    reference = SimpleNamespace(
        version="1.0",
        source="AzureStorageBlobs",
        content_type="application/json",
        content=json.dumps(named).encode(),
    )
    inputs = {function.trigger["name"]: TypedData(model_binding_data=reference)}
    await worker.invoke(function, inputs, {}, str(uuid.uuid4()))


def content(memory: Memory, digest: str = CONTENT.digest) -> tuple[str, object]:
    """Give the object of a blob, and when it was verified."""
    partition = keys.blob_partition(GENERATION, Digest.parse(digest))
    row = memory.rows._tables[keys.BLOBS][partition][keys.CONTENT]
    return str(row.values["object"]), row.values.get("verified")


def test_the_trigger_is_told_by_event_grid_and_loads_no_blob(worker: None) -> None:
    (function,) = [f for f in indexed()[1] if f.name == "verify_blob"]
    assert function.trigger["path"] == "content/{name}"
    assert function.trigger["source"] == "EventGrid"
    assert function.trigger["properties"]["SupportsDeferredBinding"]


@pytest.mark.usefixtures("connection")
async def test_a_new_blob_is_verified(site: Site) -> None:
    await site.push_blob("team/app", CONTENT)
    name, before = content(site.memory)
    await fire(name)
    assert before is None
    assert content(site.memory) == (name, site.clock())


@pytest.mark.usefixtures("connection")
async def test_bad_bytes_are_not_served_until_they_are_pushed_again(site: Site) -> None:
    pushed = image(seed=1, layers=1)
    await site.push("team/app", pushed, "v1")
    layer = pushed.blobs[-1]
    name, _ = content(site.memory, layer.digest)
    container = site.memory.objects._container
    assert container
    object.__setattr__(container.objects[name], "data", b"rotten")
    await fire(name)
    site.clock.move(seconds=2)
    await site.deliver()
    path = f"/v2/team/app/blobs/{layer.digest}"
    assert (await site.call("HEAD", path)).status_code == 404
    await site.push_blob("elsewhere", layer)
    site.clock.move(seconds=2)
    await site.deliver()
    answer = await site.call("GET", path)
    assert (answer.status_code, answer.content) == (200, layer.content)


@pytest.mark.usefixtures("connection")
async def test_an_object_without_rows_is_looked_at_later(site: Site) -> None:
    await site.push_blob("team/app", CONTENT)
    name, _ = content(site.memory)
    partition = keys.blob_partition(GENERATION, Digest.parse(CONTENT.digest))
    rows = site.memory.rows._tables[keys.BLOBS].pop(partition)
    await fire(name)
    site.memory.rows._tables[keys.BLOBS][partition] = rows
    site.clock.move(minutes=15, seconds=1)
    await site.wake()
    await site.deliver()
    assert content(site.memory)[1] == site.clock()


@pytest.mark.usefixtures("connection")
async def test_what_takes_too_long_goes_on_through_the_queue(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "LONGEST", -verification.LONGEST)
    monkeypatch.setattr(hashing, "_BLOCK_BYTES", CONTENT.size - 1)
    await site.push_blob("team/app", CONTENT)
    name, _ = content(site.memory)
    await fire(name)
    assert content(site.memory)[1] is None
    sent = addressed(site.memory.messages.sent)
    (body,) = [body for queue, body, _ in sent if queue == keys.VERIFICATION]
    assert ToVerify.read(body.encode()).part
    await site.deliver()
    assert content(site.memory)[1] == site.clock()


@pytest.mark.usefixtures("connection", "site")
async def test_what_is_no_object_of_ours_is_refused() -> None:
    with pytest.raises(InvocationFailed, match="names no object of a registry"):
        await fire("a/folder/of another")


async def test_a_message_that_names_no_object_is_tried_again(site: Site) -> None:
    await site.memory.messages.send(keys.VERIFICATION, "no message")
    await site.deliver()
    (again,) = [letter for queue, letter in map(letter_of, site.memory.messages.sent)]
    assert (again.body, again.tries) == ("no message", 1)


def test_a_timer_scrubs_every_hour(worker: None) -> None:
    (timer,) = [f for f in indexed()[1] if f.name == "scrub_blobs"]
    assert timer.trigger["type"] == "timerTrigger"
    assert timer.trigger["schedule"] == "0 17 * * * *"


async def test_the_scrub_verifies_what_is_there_within_the_budget(site: Site) -> None:
    await site.push_blob("team/app", CONTENT)
    site.clock.move(hours=1)
    await site.wake()
    assert content(site.memory)[1] == site.clock()


@pytest.mark.parametrize("is_large", [True, False])
async def test_what_the_scrub_leaves_to_the_queue_is_tried_until_it_comes_again(
    site: Site, monkeypatch: pytest.MonkeyPatch, is_large: bool
) -> None:
    """A large object, and one that it does not get to the end of."""
    if is_large:
        monkeypatch.setattr(scrub, "LARGE_BYTES", 0)
    monkeypatch.setattr(verification, "LONGEST", -verification.LONGEST)
    monkeypatch.setattr(hashing, "_BLOCK_BYTES", CONTENT.size - 1)
    await site.push_blob("team/app", CONTENT)
    site.memory.messages.sent.clear()
    site.clock.move(hours=1)
    await site.wake()
    (sent,) = [it for queue, it in map(letter_of, site.memory.messages.sent) if queue == QUEUE]
    assert (sent.is_of_rounds, sent.tries) == (True, 0)


@pytest.mark.parametrize("settings", [{"SCRUB_BYTES_PER_DAY": "0"}], indirect=True)
async def test_without_a_budget_nothing_is_scrubbed(site: Site) -> None:
    await site.push_blob("team/app", CONTENT)
    site.clock.move(hours=1)
    await site.wake()
    assert content(site.memory)[1] is None


async def tell(site: Site, said: object) -> None:
    """Let Event Grid put a message on the queue, and let all be done that follows."""
    await site.memory.messages.send(keys.BLOB_EVENTS, json.dumps(said))
    await site.deliver()


@pytest.mark.parametrize("schema", SCHEMAS)
async def test_an_event_on_the_queue_has_an_object_verified(site: Site, schema: str) -> None:
    await site.push_blob("team/app", CONTENT)
    name, before = content(site.memory)
    await tell(site, event(name, schema=schema))
    assert before is None
    assert content(site.memory) == (name, site.clock())


async def test_several_events_in_a_message_are_each_verified(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = blob(b"some other content")
    for one in (CONTENT, other):
        await site.push_blob("team/app", one)
    named = [content(site.memory, one.digest)[0] for one in (CONTENT, other)]
    refused = event("a/name/of another")
    await tell(site, [refused, event("x", container="theirs"), *map(event, named)])
    for one in (CONTENT, other):
        assert content(site.memory, one.digest)[1] == site.clock()
    (again,) = [it for queue, it in map(letter_of, site.memory.messages.sent) if it.tries]
    assert (json.loads(again.body)["subject"], again.tries) == (refused["subject"], 1)


async def test_an_event_that_fails_is_a_letter_that_every_version_reads(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.push_blob("team/app", CONTENT)
    name, _ = content(site.memory)
    await site.deliver()
    with monkeypatch.context() as patch:
        patch.setattr(site.memory.objects, "facts", _busy)
        await tell(site, event(name))
    (again,) = [one for one in map(letter_of, site.memory.messages.sent) if one[1].tries]
    assert (again[0], ToVerify.read(again[1].body.encode()).name) == (keys.VERIFICATION, name)
    site.clock.move(minutes=15)
    await site.wake()
    await site.deliver()
    assert content(site.memory)[1] is not None


async def test_an_event_may_come_twice_late_and_for_what_is_gone(site: Site) -> None:
    await site.push_blob("team/app", CONTENT)
    name, _ = content(site.memory)
    for _ in range(2):
        await tell(site, event(name))
        site.clock.move(days=8)
    container = site.memory.objects._container
    assert container
    container.objects.clear()
    await tell(site, event(f"{GENERATION}/{'0' * 32}"))
    assert not [it for _, it in map(letter_of, site.memory.messages.sent) if it.tries]


async def test_an_event_that_cannot_be_read_is_tried_again(site: Site) -> None:
    await tell(site, {"eventType": 7})
    ((queue, again),) = map(letter_of, site.memory.messages.sent)
    assert (queue, again.tries) == (keys.BLOB_EVENTS, 1)
    assert again.why == "ValueError: it does not say what kind of event it is"


async def _busy(*_: object, **__: object) -> None:
    raise Unavailable("nobody answers")
