"""Attempting: one POST to a webhook's receiver, and what is written down of it.

What is secret goes into the request alone. The attempt that is kept has the address without its
path, the names of the webhook's own headers, which secrets signed, and of the answer what does not
repeat any of those.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from shared.model.outbound.posting import ANSWER_BYTES, NoReply, Poster, Posting, Reply
from shared.model.webhooks.callbacks import CallbackSeal, CallbackUnreadable
from shared.model.webhooks.webhook import Callback, Webhook
from shared.services.webhooks.outcomes import Outcome, Verdict, judge
from shared.services.webhooks.requests.bodies import Notice
from shared.services.webhooks.requests.masking import masked_headers, masked_reply, origin_of
from shared.services.webhooks.requests.posting import posting_of
from shared.services.webhooks.requests.signatures import fingerprint, signing
from shared.storage.rows.webhooks.attempts import Attempt
from shared.storage.rows.webhooks.deliveries import Delivery

MOST_AT_ONCE = 4
"""How many attempts run at once, for each webhook and process."""

MOST_IN_ALL = 8
"""As long as so many run in a process, each webhook has one: slow receivers leave room for others.

What finds no place within a second or so is put off. The host gives the function of the queue 24
(`host.json`).
"""

_log = logging.getLogger(__name__)

_HEADERS_BYTES = 8 * 1024
_WORD_CHARACTERS = 200


class Underway:
    """Which attempts run in this process now, counted by webhook."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    @property
    def count(self) -> int:
        """Tell how many run, for whichever webhook."""
        return self._counts.total()

    @contextmanager
    def place(self, webhook: str) -> Iterator[bool]:
        """Take a place for a while; False where none is free."""
        if not self.has_room(webhook):
            yield False
            return
        self._counts[webhook] += 1
        try:
            yield True
        finally:
            self._counts[webhook] -= 1
            if not self._counts[webhook]:
                del self._counts[webhook]

    def has_room(self, webhook: str) -> bool:
        """Tell whether one more may run for a webhook."""
        own = self._counts[webhook]
        return not own or (own < MOST_AT_ONCE and self.count < MOST_IN_ALL)


@dataclass(frozen=True, slots=True)
class Attempting:
    """Posts to the receivers of one registry generation.

    `host` is the registry's login server, `ticks` count seconds that never go back.
    """

    poster: Poster
    seal: CallbackSeal
    host: str
    clock: Callable[[], datetime]
    ticks: Callable[[], float]

    async def attempt(self, webhook: Webhook, delivery: Delivery) -> tuple[Outcome, Attempt]:
        """Deliver once, as the webhook was read just now; tell what comes of it.

        Whatever goes wrong here itself is a failure as one of the receiver is. What another's
        exception says may be secret: its kind alone is told.
        """
        at, began = self.clock(), self.ticks()
        try:
            return await self._attempt(webhook, delivery, at)
        except CallbackUnreadable as error:
            why = str(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the delivery goes on
            why = f"the registry failed at it by itself: {type(error).__name__}"
            _log.error("webhook %s: an attempt: %s", webhook.name, why)
        attempt = Attempt(delivery.attempts + 1, at, self.ticks() - began, "", why=why)
        return Outcome(Verdict.AGAIN, why), attempt

    async def _attempt(
        self, webhook: Webhook, delivery: Delivery, at: datetime
    ) -> tuple[Outcome, Attempt]:
        began = self.ticks()
        callback = self.seal.open(webhook.sealed, webhook.id)
        notice = Notice(delivery.name, delivery.at, self.host, delivery.repository, delivery.event)
        posting = posting_of(webhook, callback, notice, at)
        answer = await self._post(posting, callback)
        seconds = self.ticks() - began
        kept = _kept(delivery.attempts + 1, at, seconds, posting, callback, answer)
        used = [fingerprint(webhook.id, secret) for secret in signing(callback.secrets, at)]
        return judge(answer, webhook, self.clock()), replace(kept, secret=" ".join(used))

    async def _post(self, posting: Posting, callback: Callback) -> Reply | NoReply:
        try:
            reply = await self.poster.post(posting)
        except NoReply as error:
            return error
        short = reply.reason[:_WORD_CHARACTERS]
        return masked_reply(
            replace(reply, reason=short, body=reply.body[:ANSWER_BYTES]), callback, posting
        )


def _kept(
    number: int,
    at: datetime,
    seconds: float,
    posting: Posting,
    callback: Callback,
    answer: Reply | NoReply,
) -> Attempt:
    sent = Attempt(
        number,
        at,
        seconds,
        origin_of(posting.url),
        sent=posting.body,
        sent_headers=masked_headers(posting, callback),
    )
    if isinstance(answer, NoReply):
        return replace(sent, why=str(answer))
    return replace(
        sent,
        status=answer.status,
        reason=answer.reason,
        version=answer.version[:_WORD_CHARACTERS],
        headers=_cut(answer.headers),
        body=answer.body,
    )


def _cut(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Leave out the headers for which there is no room."""
    kept: dict[str, str] = {}
    left = _HEADERS_BYTES
    for name, value in headers.items():
        left -= len(name) + len(value)
        if left >= 0:
            kept[name] = value
    return kept
