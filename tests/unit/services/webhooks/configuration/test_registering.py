"""Webhooks are made, changed and removed; what is refused changes nothing."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.model.names import RepositoryName
from shared.model.outbound.posting import Forbidden, Posting, Reply
from shared.model.webhooks.callbacks import CallbackSeal, CallbackUnreadable
from shared.model.webhooks.webhook import (
    Action,
    Health,
    Hmac,
    Scope,
    Secret,
    Webhook,
    WebhookInvalid,
)
from shared.services.webhooks.configuration import registering as module
from shared.services.webhooks.configuration.registering import (
    MOST_SECRETS,
    NoWebhook,
    Registering,
    Wish,
    new_secret,
)
from shared.services.webhooks.requests.signatures import signing
from shared.storage import keys
from shared.storage.messages.delivering import Task, ToDeliver
from shared.storage.ports import Conflict, Unavailable
from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.clock import Clock
from tests.support.messages import letter_of
from tests.unit.services.conftest import Before

NAME = "hook1"
URI = "https://user:pw@ci.example/hook?token=t"
NEW = Wish(uri=URI)
DAY = timedelta(days=1)


@pytest.fixture
def seal() -> CallbackSeal:
    return CallbackSeal(b"k" * 32)


class Outside:
    """What may be posted to, and what was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def check(self, url: str) -> None:
        self.asked.append(url)
        if "forbidden" in url:
            raise Forbidden("http://forbidden is a private address")

    async def post(self, posting: Posting) -> Reply:
        raise NotImplementedError


@pytest.fixture
def outside() -> Outside:
    return Outside()


@pytest.fixture
def webhooks(stores: Stores, seal: CallbackSeal, outside: Outside) -> Registering:
    return Registering(stores, seal, outside)


def drained(memory: Memory) -> list[tuple[str, str]]:
    """What was sent to have what waits delivered: to which webhook, by name and id."""
    letters = [letter_of(message) for message in memory.messages.sent]
    asked = [ToDeliver.read(it.body.encode()) for queue, it in letters if queue == keys.DELIVERIES]
    assert {one.task for one in asked} <= {Task.DRAIN}
    return [(one.name, one.id) for one in asked]


def texts(webhooks: Registering, webhook: Webhook) -> list[str]:
    return [secret.text for secret in webhooks.callback(webhook).secrets]


async def test_a_webhook_is_made_and_what_is_secret_is_sealed(
    webhooks: Registering, prepared: Memory, outside: Outside
) -> None:
    headers = {"Authorization": "Bearer b"}
    made = await webhooks.create(NAME, replace(NEW, headers=headers, secret="a secret of ours"))
    assert (made.name, made.is_enabled) == (NAME, True)
    assert made.actions == {Action.PUSH}
    callback = webhooks.callback(await webhooks.show(NAME))
    assert (callback.uri, callback.headers) == (URI, headers)
    assert callback.secrets == [Secret("a secret of ours")]
    assert outside.asked == ["https://ci.example/hook?token=t"]
    kept = str(prepared.rows._tables[keys.WEBHOOKS])
    for secret in ("user", "token", "Bearer", "a secret"):
        assert secret not in kept


async def test_a_name_is_taken_in_whichever_letters(webhooks: Registering) -> None:
    made = await webhooks.create(NAME, NEW)
    with pytest.raises(WebhookInvalid, match="is a webhook hook1 already, and a name is the same"):
        await webhooks.create("HOOK1", replace(NEW, scope="other"))
    assert await webhooks.all() == [made]


async def test_of_two_who_make_one_name_one_wins(webhooks: Registering, stores: Stores) -> None:
    made = await asyncio.gather(
        *(webhooks.create(NAME, NEW) for _ in range(4)), return_exceptions=True
    )
    won = [one for one in made if isinstance(one, Webhook)]
    assert len(won) == 1
    assert await webhooks.all() == won


async def test_an_answer_that_was_lost_is_no_failure(
    webhooks: Registering, prepared: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK sends an insert again whose answer it did not get."""
    commit = prepared.rows.commit

    async def twice(*arguments: Any) -> Any:
        await commit(*arguments)
        return await commit(*arguments)

    monkeypatch.setattr(prepared.rows, "commit", twice)
    made = await webhooks.create(NAME, NEW)
    monkeypatch.undo()
    assert await webhooks.show(NAME) == made


async def test_a_registry_has_so_many_webhooks(
    webhooks: Registering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    await webhooks.create("hook1", NEW)
    await webhooks.create("hook2", NEW)
    with pytest.raises(WebhookInvalid, match="there are 2 webhooks, and may be no more"):
        await webhooks.create("hook3", NEW)


REFUSED: list[tuple[str, Wish, str]] = [
    ("a forbidden address", Wish(uri="http://forbidden/hook?token=t"), "is a private address"),
    ("a scope with a star", replace(NEW, scope="team/*"), "could never match"),
    ("a scope without a tag", replace(NEW, scope="repo:"), "could never match"),
    ("a scope with a capital", replace(NEW, scope="Team/app"), "could never match"),
    (
        "a tag's deletions",
        replace(NEW, scope="a:v1", actions=frozenset({Action.DELETE})),
        "deletions have none",
    ),
    ("a header with a line break", replace(NEW, headers={"A": "b\nC: d"}), "line break"),
    ("a header of ours", replace(NEW, headers={"webhook-id": "b"}), "registry's own to send"),
    ("a malformed address", Wish(uri="ftp://a/?token=t"), "must begin with https:// or http://"),
    ("an unreadable CA", replace(NEW, ca="nothing"), "holds no certificates"),
    ("a secret that is none", replace(NEW, secret="whsec_AAAA"), "holds 3 bytes"),
    ("an HMAC without a secret", replace(NEW, hmacs=(Hmac("A", "sha1"),)), "needs a secret"),
    ("too long a time", replace(NEW, seconds=61), "1 to 60"),
]


@pytest.mark.parametrize(
    ("wish", "why"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
async def test_what_is_refused_changes_nothing(
    webhooks: Registering, prepared: Memory, wish: Wish, why: str
) -> None:
    with pytest.raises(WebhookInvalid, match=why) as refused:
        await webhooks.create(NAME, wish)
    assert "token" not in str(refused.value)
    assert await webhooks.all() == []
    made = await webhooks.create(NAME, NEW)
    with pytest.raises(WebhookInvalid, match=why):
        await webhooks.update(NAME, replace(wish, is_enabled=True))
    assert await webhooks.all() == [made]
    assert drained(prepared) == []


@pytest.mark.parametrize("name", ["", "four", "a b c d", "häkchen", "a" * 51, "a/b/c", "hook-1"])
async def test_a_name_has_a_form(webhooks: Registering, name: str) -> None:
    for call in (
        webhooks.create(name, NEW),
        webhooks.update(name, NEW),
        webhooks.show(name),
        webhooks.delete(name),
    ):
        with pytest.raises(WebhookInvalid, match="is not a webhook's name"):
            await call


async def test_what_is_not_named_stays(webhooks: Registering) -> None:
    hmacs = (Hmac("X-Hub-Signature", "sha1"),)
    first = replace(NEW, headers={"A": "b"}, secret="s", scope="a:*", hmacs=hmacs, ca="", seconds=5)
    made = await webhooks.create(NAME, first)
    changed = await webhooks.update("HOOK1", Wish(is_tagged_only=True))
    assert changed == replace(made, is_tagged_only=True)
    changed = await webhooks.update(NAME, Wish(headers={}, hmacs=(), scope="", seconds=60))
    assert (changed.scope, changed.hmacs, changed.seconds) == (Scope(), (), 60)
    callback = webhooks.callback(changed)
    assert (callback.uri, callback.headers) == (URI, {})
    assert await webhooks.show(NAME) == changed


async def test_a_webhook_that_is_not_there_is_told(webhooks: Registering) -> None:
    for call in (webhooks.update(NAME, NEW), webhooks.show(NAME), webhooks.delete(NAME)):
        with pytest.raises(NoWebhook, match="there is no webhook hook1"):
            await call


async def test_one_that_is_made_again_inherits_nothing(
    webhooks: Registering, stores: Stores, seal: CallbackSeal
) -> None:
    made = await webhooks.create(NAME, replace(NEW, secret="s"))
    await stores.webhooks.change(replace(made, health=Health(5, made.created, "503")))
    await webhooks.delete(NAME)
    again = await webhooks.create(NAME, NEW)
    assert again.id != made.id
    assert again.health == Health()
    assert texts(webhooks, again) == []
    with pytest.raises(CallbackUnreadable):
        webhooks.callback(replace(again, sealed=made.sealed))


async def test_a_secret_is_rotated_and_the_old_one_signs_for_a_day(
    webhooks: Registering, clock: Clock
) -> None:
    await webhooks.create(NAME, replace(NEW, secret="old"))
    changed = await webhooks.update(NAME, Wish(secret="new"))
    until = clock() + DAY
    assert webhooks.callback(changed).secrets == [Secret("new"), Secret("old", until)]
    clock.move(hours=1)
    again = await webhooks.update(NAME, Wish(secret="new"))
    assert webhooks.callback(again).secrets == [Secret("new"), Secret("old", until)]
    clock.move(hours=23)
    changed = await webhooks.update(NAME, Wish(scope="team/app:*"))
    assert changed.sealed == again.sealed  # an attempt under way still speaks for its receiver
    assert signing(webhooks.callback(changed).secrets, clock()) == [Secret("new")]
    changed = await webhooks.update(NAME, Wish(secret="newest"))
    assert texts(webhooks, changed) == ["newest", "new"]


async def test_an_old_secret_ends_when_it_is_told_to(webhooks: Registering, clock: Clock) -> None:
    await webhooks.create(NAME, replace(NEW, secret="old"))
    later = await webhooks.update(NAME, Wish(secret="new", overlap=timedelta(hours=2)))
    assert webhooks.callback(later).secrets[1].until == clock() + timedelta(hours=2)
    at_once = await webhooks.update(NAME, Wish(secret="newest", overlap=timedelta()))
    assert texts(webhooks, at_once) == ["newest"]
    gone = await webhooks.update(NAME, Wish(secret=""))
    assert texts(webhooks, gone) == []


@pytest.mark.parametrize("secret", [None, "new"])
async def test_a_leaked_secret_ends_though_its_successor_is_in_use(
    webhooks: Registering, clock: Clock, secret: str | None
) -> None:
    await webhooks.create(NAME, replace(NEW, secret="leaked"))
    await webhooks.update(NAME, Wish(secret="new"))
    later = await webhooks.update(NAME, Wish(secret=secret, overlap=timedelta(hours=48)))
    assert webhooks.callback(later).secrets[1].until == clock() + DAY
    sooner = await webhooks.update(NAME, Wish(secret=secret, overlap=timedelta(hours=2)))
    assert webhooks.callback(sooner).secrets[1].until == clock() + timedelta(hours=2)
    ended = await webhooks.update(NAME, Wish(secret=secret, overlap=timedelta()))
    assert texts(webhooks, ended) == ["new"]


async def test_a_rotation_is_taken_back(webhooks: Registering) -> None:
    await webhooks.create(NAME, replace(NEW, secret="old"))
    await webhooks.update(NAME, Wish(secret="new"))
    back = await webhooks.update(NAME, Wish(secret="old"))
    first, second = webhooks.callback(back).secrets
    assert (first, second.text) == (Secret("old"), "new")


async def test_so_many_secrets_sign_at_once(webhooks: Registering, clock: Clock) -> None:
    await webhooks.create(NAME, replace(NEW, secret="0"))
    for number in range(1, MOST_SECRETS):
        await webhooks.update(NAME, Wish(secret=str(number)))
    with pytest.raises(WebhookInvalid, match="4 secrets sign already"):
        await webhooks.update(NAME, Wish(secret="5"))
    clock.move(hours=24)
    assert texts(webhooks, await webhooks.update(NAME, Wish(secret="5"))) == ["5", "3"]


async def test_a_secret_is_drawn_in_the_form_of_standard_webhooks() -> None:
    first, second = new_secret(), new_secret()
    assert first != second
    assert first.startswith("whsec_")
    assert len(first) == 50


async def test_what_a_delivery_writes_meanwhile_is_kept(
    webhooks: Registering, stores: Stores, prepared: Memory, before: Before
) -> None:
    made = await webhooks.create(NAME, replace(NEW, secret="old"))

    async def fail() -> None:
        there = await webhooks.show(NAME)
        await stores.webhooks.change(replace(there, health=Health(3)))

    before(prepared.rows, "commit", fail)
    changed = await webhooks.update(NAME, Wish(scope="a:*"))
    assert changed == replace(made, health=Health(3), scope=Scope("a"))


async def test_a_rotation_whose_answer_was_lost_is_made_once(
    webhooks: Registering, prepared: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    await webhooks.create(NAME, replace(NEW, secret="old"))
    commit = prepared.rows.commit
    lost = iter([True, False])

    async def losing(*arguments: Any) -> Any:
        answer = await commit(*arguments)
        if next(lost):
            raise Conflict("the SDK repeated it")
        return answer

    monkeypatch.setattr(prepared.rows, "commit", losing)
    assert texts(webhooks, await webhooks.update(NAME, Wish(secret="new"))) == ["new", "old"]


@pytest.mark.parametrize("call", ["update", "delete"])
async def test_one_that_is_made_anew_meanwhile_is_left_alone(
    webhooks: Registering, prepared: Memory, before: Before, call: str
) -> None:
    await webhooks.create(NAME, NEW)
    made: list[Webhook] = []

    async def anew() -> None:
        await webhooks.delete(NAME)
        made.append(await webhooks.create(NAME, NEW))

    before(prepared.rows, "commit", anew)
    if call == "delete":
        await webhooks.delete(NAME)
    else:
        with pytest.raises(NoWebhook):
            await webhooks.update(NAME, Wish(seconds=1))
    assert await webhooks.all() == made


async def test_one_that_a_delivery_changes_meanwhile_is_removed(
    webhooks: Registering, stores: Stores, prepared: Memory, before: Before
) -> None:
    made = await webhooks.create(NAME, NEW)

    async def fail() -> None:
        await stores.webhooks.change(replace(made, health=Health(1)))

    before(prepared.rows, "commit", fail)
    await webhooks.delete(NAME)
    assert await webhooks.all() == []


async def test_what_never_holds_still_is_told_so(
    webhooks: Registering, prepared: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    await webhooks.create(NAME, NEW)

    async def conflicting(*_: object) -> None:
        raise Conflict("row")

    monkeypatch.setattr(prepared.rows, "commit", conflicting)
    for call in (webhooks.update(NAME, Wish(seconds=1)), webhooks.delete(NAME)):
        with pytest.raises(Unavailable, match="is being changed too often"):
            await call


async def test_enabling_forgets_what_was_and_delivers_what_waits(
    webhooks: Registering, stores: Stores, prepared: Memory
) -> None:
    made = await webhooks.create(NAME, replace(NEW, is_enabled=False))
    bad = Health(5, made.created, "503 Busy", "410 Gone", "3-a", made.created, failing=made.created)
    await stores.webhooks.change(replace(made, health=bad))
    kept = await webhooks.update(NAME, Wish(is_tagged_only=True))
    assert (kept.health, drained(prepared)) == (bad, [])
    there = await webhooks.update(NAME, Wish(is_enabled=True))
    assert (there.is_enabled, there.health) == (True, Health(probe="3-a"))
    assert drained(prepared) == [(NAME, made.id)]
    disabled = await webhooks.update(NAME, Wish(is_enabled=False))
    assert not disabled.is_enabled
    assert len(drained(prepared)) == 1


@pytest.mark.parametrize(
    "wish", [Wish(uri="http://b"), Wish(headers={}), Wish(secret="n"), Wish(seconds=1), Wish(ca="")]
)
async def test_one_that_posts_otherwise_is_no_longer_held(
    webhooks: Registering, stores: Stores, prepared: Memory, wish: Wish
) -> None:
    made = await webhooks.create(NAME, NEW)
    await stores.webhooks.change(replace(made, health=Health(5, made.created, "503 Busy")))
    assert (await webhooks.update(NAME, wish)).health == Health()
    assert drained(prepared) == [(NAME, made.id)]


async def test_one_that_is_disabled_by_its_receiver_says_so_until_it_is_enabled(
    webhooks: Registering, stores: Stores, prepared: Memory
) -> None:
    made = await webhooks.create(NAME, NEW)
    gone = Health(0, None, "", "410 Gone")
    await stores.webhooks.change(replace(made, health=gone, is_enabled=False))
    changed = await webhooks.update(NAME, Wish(uri="http://b"))
    assert (changed.is_enabled, changed.health, drained(prepared)) == (False, gone, [])


async def test_it_explains_who_hears_of_a_push(webhooks: Registering) -> None:
    await webhooks.create("all01", NEW)
    await webhooks.create("one01", replace(NEW, scope="team/app:v1"))
    await webhooks.create("deleted", replace(NEW, actions=frozenset({Action.DELETE})))
    app = RepositoryName("team/app")
    heard = await webhooks.explain(app, "v1")
    assert [(it.webhook.name, it.verdict.is_heard) for it in heard] == [
        ("all01", True),
        ("deleted", False),
        ("one01", True),
    ]
    heard = await webhooks.explain(app, "")
    assert [it.verdict.why for it in heard] == [
        "it hears of push everywhere",
        "it hears of delete, and not of push",
        "its scope team/app:v1 is of one tag, and this has none",
    ]
