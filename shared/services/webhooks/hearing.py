"""Hearing: which webhooks are told of an event, and in words why one is, or is not.

A deletion has no tag: the scope of one tag never hears of it. What happened before a webhook was
made is not for it; hosts' clocks differ, by less than L.
"""

import re
from dataclasses import dataclass

from shared.events import Event, ManifestDeleted, ManifestPushed
from shared.model.names import RepositoryName
from shared.model.webhooks.webhook import Action, Webhook
from shared.storage import ages

_OF_A_DIGEST = re.compile(r"sha(?:256|512)-[0-9a-f]{64}.*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a webhook hears of an event, and why, as the end of a sentence."""

    is_heard: bool
    why: str


def action_of(event: Event) -> Action | None:
    """Give the action that an event is for webhooks; None for what they are never told of.

    Each manifest that goes with its repository is an event of its own.
    """
    match event:
        case ManifestPushed():
            return Action.PUSH
        case ManifestDeleted():
            return Action.DELETE
    return None


def hears(webhook: Webhook, event: Event, repository: RepositoryName) -> Verdict:
    """Tell whether a webhook, enabled or not, hears of what happened to a repository."""
    action = action_of(event)
    if action is None:
        return Verdict(is_heard=False, why="webhooks are told of pushes and deletions alone")
    if why := _why_not(webhook, event, action, repository):
        return Verdict(is_heard=False, why=why)
    where = f"in its scope {webhook.scope}" if webhook.scope.repository else "everywhere"
    return Verdict(is_heard=True, why=f"it hears of {action} {where}")


def _why_not(webhook: Webhook, event: Event, action: Action, repository: RepositoryName) -> str:
    tag = event.tag if isinstance(event, ManifestPushed) else ""
    if action not in webhook.actions:
        return f"it hears of {', '.join(sorted(webhook.actions))}, and not of {action}"
    if not webhook.scope.covers(repository, tag):
        return _outside(webhook, repository, tag)
    if webhook.created > event.at + ages.L:
        return f"it was made after this happened, at {webhook.created:%Y-%m-%d %H:%M:%S}"
    return _left_out(event, tag) if webhook.is_tagged_only else ""


def _outside(webhook: Webhook, repository: RepositoryName, tag: str) -> str:
    scope = webhook.scope
    if scope.repository == repository and not tag:
        return f"its scope {scope} is of one tag, and this has none"
    return f"its scope {scope} does not cover {repository}{f':{tag}' if tag else ''}"


def _left_out(event: Event, tag: str) -> str:
    """Say what --tagged-only leaves out of pushes and deletions; a deletion never has a tag."""
    if getattr(event, "subject", ""):
        return "it leaves out what refers to another manifest (--tagged-only)"
    if isinstance(event, ManifestPushed) and not tag:
        return "it leaves out what has no tag (--tagged-only)"
    if _OF_A_DIGEST.fullmatch(tag):
        return "it leaves out tags that name a digest, of signatures and the like (--tagged-only)"
    return ""
