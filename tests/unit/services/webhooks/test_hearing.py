"""Which events a webhook hears of, and what it says why not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.events import (
    BlobWithdrawn,
    Cause,
    Event,
    ManifestDeleted,
    ManifestPushed,
    ManifestRotted,
    RepositoryDeleted,
    TagDeleted,
)
from shared.model.names import RepositoryName
from shared.model.webhooks.webhook import Action, Scope, Webhook
from shared.services.webhooks.hearing import hears
from shared.storage import ages

APP = RepositoryName("team/app")
AT = datetime(2026, 1, 2, tzinfo=UTC)
DIGEST = f"sha256:{'a' * 64}"
SUBJECT = f"sha256:{'b' * 64}"
LIST = f"sha256-{'b' * 64}"
BY = Cause("somebody")
PUSHED = ManifestPushed(DIGEST, "v1", "application/json", 2, BY, AT)
UNTAGGED = replace(PUSHED, tag="")
DELETED = ManifestDeleted(DIGEST, "application/json", BY, AT)
ALL = Webhook("hook1", "w", AT, actions=frozenset(Action))
PUSHES = replace(ALL, actions=frozenset({Action.PUSH}))
APPS = replace(ALL, scope=Scope("team/app"))
ONE = replace(ALL, scope=Scope("team/app", "v1"))
TAGGED = replace(ALL, is_tagged_only=True)

HEARD: list[tuple[str, Webhook, Event]] = [
    ("a push", ALL, PUSHED),
    ("a push without a tag", ALL, UNTAGGED),
    ("a deletion", ALL, DELETED),
    ("what the registry deleted as it had rotted", ALL, ManifestRotted(DIGEST, "a/b", BY, AT)),
    ("a push to a repository", APPS, PUSHED),
    ("a push to a repository without a tag", APPS, UNTAGGED),
    ("a deletion from a repository", APPS, DELETED),
    ("a push of a tag", ONE, PUSHED),
    ("a push with a tag, of tagged only", TAGGED, PUSHED),
    ("a deletion, of tagged only", TAGGED, DELETED),
    ("what happened a little before, by another clock", replace(ALL, created=AT + ages.L), PUSHED),
]

NOT_HEARD: list[tuple[str, Webhook, Event, str]] = [
    ("the deletion of a tag", ALL, TagDeleted("v1", BY, AT), "pushes and deletions alone"),
    ("that of a repository itself", ALL, RepositoryDeleted("d", BY, AT), "deletions alone"),
    ("a blob", ALL, BlobWithdrawn(DIGEST, BY, AT), "pushes and deletions alone"),
    ("another action", PUSHES, DELETED, "hears of push, and not of delete"),
    ("another tag", ONE, replace(PUSHED, tag="v2"), "does not cover team/app:v2"),
    ("no tag, in the scope of one", ONE, UNTAGGED, "is of one tag, and this has none"),
    ("a deletion, in the scope of a tag", ONE, DELETED, "is of one tag, and this has none"),
    (
        "another repository",
        replace(ALL, scope=Scope("team")),
        PUSHED,
        "its scope team:* does not cover team/app:v1",
    ),
    (
        "what happened before",
        replace(ALL, created=AT + ages.L + timedelta(seconds=1)),
        PUSHED,
        "was made after this happened, at 2026-01-02 00:01:41",
    ),
    ("no tag, of tagged only", TAGGED, UNTAGGED, "has no tag (--tagged-only)"),
    ("a list of referrers", TAGGED, replace(PUSHED, tag=LIST), "name a digest"),
    ("a signature by its tag", TAGGED, replace(PUSHED, tag=f"{LIST}.sig"), "name a digest"),
    ("a referrer", TAGGED, replace(PUSHED, subject=SUBJECT), "refers to another manifest"),
    ("a referrer's end", TAGGED, replace(DELETED, subject=SUBJECT), "refers to another manifest"),
]


@pytest.mark.parametrize(
    ("webhook", "event"), [row[1:] for row in HEARD], ids=[r[0] for r in HEARD]
)
def test_it_hears_of(webhook: Webhook, event: Event) -> None:
    verdict = hears(webhook, event, APP)
    assert verdict.is_heard, verdict.why


@pytest.mark.parametrize(
    ("webhook", "event", "why"), [row[1:] for row in NOT_HEARD], ids=[row[0] for row in NOT_HEARD]
)
def test_it_does_not_hear_of(webhook: Webhook, event: Event, why: str) -> None:
    verdict = hears(webhook, event, APP)
    assert not verdict.is_heard
    assert why in verdict.why


def test_it_says_why_it_hears() -> None:
    assert hears(ALL, PUSHED, APP).why == "it hears of push everywhere"
    assert hears(ONE, PUSHED, APP).why == "it hears of push in its scope team/app:v1"
