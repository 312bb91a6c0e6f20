"""Registering: webhooks are made, changed and removed by operators.

Whoever delivers reads a webhook's row before each attempt, so a change takes effect at once: no
attempt begins by what was. Deliveries change the same row, its health; so a change is made by the
row's ETag, and made again on what is there then. All of it can be repeated: a secret that is in use
already is not put in its own place.

Of two who make a webhook of one name, the insert decides. Who hears that the name is taken may have
taken it himself, by a call that the SDK repeated: the id tells.
"""

import secrets
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared.events import Cause, ManifestPushed
from shared.model.names import RepositoryName
from shared.model.outbound.posting import Forbidden, Poster
from shared.model.webhooks.callbacks import CallbackSeal, CallbackUnreadable
from shared.model.webhooks.webhook import (
    Action,
    Callback,
    Form,
    Health,
    Hmac,
    Scope,
    Secret,
    Webhook,
    WebhookInvalid,
    parse_name,
)
from shared.services.webhooks.configuration.checking import check
from shared.services.webhooks.hearing import Verdict, hears
from shared.services.webhooks.requests.masking import origin_of
from shared.services.webhooks.requests.posting import split_uri
from shared.services.webhooks.requests.signatures import signing
from shared.storage.ports import Conflict, NotFound, Unavailable
from shared.storage.stores import Stores

MOST = 500
"""How many webhooks a registry may have (ACR 4.1)."""

MOST_SECRETS = 4
"""How many secrets of a webhook may sign at once, while they are replaced."""

MOST_COUNTED = 1_000
"""How many deliveries are counted that wait for a webhook: they may be many more."""

OVERLAP = timedelta(hours=24)
"""For how long a secret that is replaced signs as well, unless something else is wished for."""

_PLAIN = [
    "is_enabled",
    "actions",
    "form",
    "hmacs",
    "is_tagged_only",
    "retries_4xx",
    "seconds",
    "ca",
]
_TRIES = 8
_SECRET_BYTES = 32


class NoWebhook(LookupError):
    """There is no webhook of this name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is wished for of a webhook; None is as it is, or of a new one as usual.

    Another `secret` than the one in use takes its place, and that one signs as well for the
    `overlap`; an empty one takes all of them away. An `overlap` that is wished for shortens that of
    secrets which were replaced before, too.
    """

    uri: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] | None = field(default=None, repr=False)
    secret: str | None = field(default=None, repr=False)
    overlap: timedelta | None = None
    is_enabled: bool | None = None
    scope: str | None = None
    actions: frozenset[Action] | None = None
    form: Form | None = None
    hmacs: tuple[Hmac, ...] | None = None
    is_tagged_only: bool | None = None
    retries_4xx: bool | None = None
    seconds: int | None = None
    ca: str | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """What a webhook would make of a push."""

    webhook: Webhook
    verdict: Verdict


class Registering:
    """The webhooks of one registry generation, as operators see them.

    `poster` says which addresses nothing may be posted to.
    """

    def __init__(self, stores: Stores, seal: CallbackSeal, poster: Poster) -> None:
        self._stores = stores
        self._webhooks = stores.webhooks
        self._clock = stores.clock
        self._seal = seal
        self._poster = poster

    async def create(self, name: str, wish: Wish) -> Webhook:
        """Make a webhook; raises WebhookInvalid, and nothing is made."""
        now = self._clock()
        webhook = Webhook(parse_name(name), self._stores.new_id(), now)
        made, callback = _changed(webhook, Callback(""), wish, now)
        await self._check(made, callback)
        made = replace(made, sealed=self._seal.close(callback, made.id))
        if len(await self._webhooks.all()) >= MOST:
            raise WebhookInvalid(f"there are {MOST} webhooks, and may be no more: delete one")
        try:
            return await self._webhooks.create(made)
        except Conflict:
            there = await self._webhooks.find(name)
        if there and there.id == made.id:
            return there
        taken = there.name if there else name
        raise WebhookInvalid(
            f"there is a webhook {taken} already, and a name is the same in whichever letters: take"
            " another name, or update it"
        )

    async def update(self, name: str, wish: Wish) -> Webhook:
        """Change a webhook; raises NoWebhook, or WebhookInvalid, and nothing is changed.

        Where it is enabled, or told otherwise where and how it posts, what its receiver did before
        is forgotten, and what waits is delivered.
        """
        first = there = await self.show(name)
        for _ in range(_TRIES):
            changed = await self._wished(there, wish)
            if changed.is_enabled and not (there.is_enabled and changed.health == there.health):
                await self._stores.delivering.drain(there.name, there.id)
            try:
                return await self._webhooks.change(changed)
            except (Conflict, NotFound):
                there = await self.show(name)
            if there.id != first.id:
                raise _none(name)
        raise Unavailable(f"webhook {name} is being changed too often")

    async def delete(self, name: str) -> None:
        """Remove a webhook, with all that waits for it; raises NoWebhook."""
        first = there = await self.show(name)
        for _ in range(_TRIES):
            try:
                await self._webhooks.delete(there)
            except (Conflict, NotFound):
                found = await self._webhooks.find(name)
                if found is None or found.id != first.id:
                    return
                there = found
            else:
                return
        raise Unavailable(f"webhook {name} is being changed too often")

    async def all(self) -> Sequence[Webhook]:
        """Give all, by name."""
        return await self._webhooks.all(is_whole=True)

    async def has_failed(self, webhook: Webhook) -> bool:
        """Tell whether something for it failed for good, and was not sent again."""
        return await self._stores.deliveries.has_failed(webhook.id)

    async def count_waiting(self, webhook: Webhook) -> int:
        """Tell how many deliveries wait for it; MOST_COUNTED where it is more."""
        return await self._stores.deliveries.count_waiting(webhook.id, MOST_COUNTED)

    async def show(self, name: str) -> Webhook:
        """Give one; raises NoWebhook."""
        webhook = await self._webhooks.find(parse_name(name))
        if webhook is None:
            raise _none(name)
        return webhook

    def callback(self, webhook: Webhook) -> Callback:
        """Give what is secret of a webhook; raises CallbackUnreadable."""
        return self._seal.open(webhook.sealed, webhook.id)

    def address(self, webhook: Webhook) -> str:
        """Give what anybody may see of where a webhook posts to; raises CallbackUnreadable."""
        return origin_of(self.callback(webhook).uri)

    async def explain(self, repository: RepositoryName, tag: str) -> Sequence[Heard]:
        """Say of each webhook whether it would hear of a push to this tag, or to none."""
        pushed = ManifestPushed("", tag, "", 0, Cause(""), self._clock())
        return [Heard(it, hears(it, pushed, repository)) for it in await self._webhooks.all()]

    async def _wished(self, there: Webhook, wish: Wish) -> Webhook:
        """Give a webhook as it is wished for; raises WebhookInvalid.

        What is sealed stays as it is where nothing of it is another, but for secrets that sign no
        more: attempts under way tell by that whether they still speak for its receiver.
        """
        now = self._clock()
        sealed = self._before(there, wish)
        before = replace(sealed, secrets=signing(sealed.secrets, now))
        changed, callback = _changed(there, before, wish, now)
        await self._check(changed, callback)
        if callback == before:
            return changed
        return replace(changed, sealed=self._seal.close(callback, there.id))

    def _before(self, there: Webhook, wish: Wish) -> Callback:
        """Give what is secret of a webhook; of one that cannot be read, if all is given anew."""
        try:
            return self.callback(there)
        except CallbackUnreadable:
            if wish.uri is None:
                raise
            return Callback("")

    async def _check(self, webhook: Webhook, callback: Callback) -> None:
        """Raise WebhookInvalid for one that cannot be."""
        if webhook.actions == {Action.DELETE} and webhook.scope.tag != "*":
            raise WebhookInvalid(
                f"scope {webhook.scope} is of one tag, and deletions have none: it could never"
                f" match; {webhook.scope.repository}:* hears of them"
            )
        check(webhook, callback)
        try:
            await self._poster.check(split_uri(callback.uri)[0])
        except Forbidden as error:
            raise WebhookInvalid(f"{error}; the app needs that setting, too") from None


def new_secret() -> str:
    """Draw a secret, in the form of Standard Webhooks."""
    return f"whsec_{b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()}"


def _none(name: str) -> NoWebhook:
    return NoWebhook(f"there is no webhook {name}")


def _changed(
    webhook: Webhook, callback: Callback, wish: Wish, now: datetime
) -> tuple[Webhook, Callback]:
    """Give a webhook as it is wished for."""
    values = {name: getattr(wish, name) for name in _PLAIN}
    changed = replace(
        webhook,
        **{name: value for name, value in values.items() if value is not None},
        scope=webhook.scope if wish.scope is None else Scope.parse(wish.scope),
        health=_health(webhook.health, wish),
    )
    return changed, Callback(
        callback.uri if wish.uri is None else wish.uri,
        callback.headers if wish.headers is None else wish.headers,
        _secrets(callback.secrets, wish, now),
    )


def _health(there: Health, wish: Wish) -> Health:
    """Forget what a receiver did, where it may do otherwise from now on."""
    forgotten = replace(there.forgotten(), begun=there.begun + 1)
    if wish.is_enabled:
        return replace(forgotten, disabled="")
    how = (wish.uri, wish.headers, wish.secret, wish.seconds, wish.ca, wish.form, wish.hmacs)
    is_as_before = all(part is None for part in how)
    return there if is_as_before else forgotten


def _secrets(there: Sequence[Secret], wish: Wish, now: datetime) -> Sequence[Secret]:
    """Give the secrets that sign from now on, the newest first; raises WebhookInvalid."""
    valid = signing(there, now)
    newest = valid[0].text if wish.secret is None and valid else wish.secret
    if not newest:
        return []
    end = now + (OVERLAP if wish.overlap is None else wish.overlap)
    olds = [_ending(secret, wish, end) for secret in valid if secret.text != newest]
    olds = [secret for secret in olds if secret.until and now < secret.until]
    if len(olds) >= MOST_SECRETS:
        raise WebhookInvalid(
            f"{len(olds)} secrets sign already, as they were replaced one after the other: wait"
            " until one of them ends, or let them end sooner (--overlap)"
        )
    return [Secret(newest), *olds]


def _ending(secret: Secret, wish: Wish, end: datetime) -> Secret:
    """Give a secret that is not the newest, with its end: the one it has, or a sooner one."""
    if secret.until is None:
        return replace(secret, until=end)
    return secret if wish.overlap is None else replace(secret, until=min(end, secret.until))
