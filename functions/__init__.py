"""Triggers: host types in, a response out. No rules, no storage."""

import azure.functions as func

from functions import oauth2
from functions.acr import fallback as acr_fallback
from functions.jobs import fan_out, garbage, later, poison, upkeep, verification, webhooks
from functions.v2 import base, blobs, catalog, fallback, manifests, referrers, tags, uploads

_HTTP = (
    acr_fallback.bp,
    base.bp,
    blobs.bp,
    catalog.bp,
    fallback.bp,
    manifests.bp,
    oauth2.bp,
    referrers.bp,
    tags.bp,
    uploads.bp,
)
_EVENTS = (
    fan_out.bp,
    garbage.bp,
    later.bp,
    poison.bp,
    upkeep.bp,
    verification.bp,
    webhooks.bp,
)
_PLANES = {"all": _HTTP + _EVENTS, "http": _HTTP, "events": _EVENTS}


def blueprints(plane: str) -> tuple[func.Blueprint, ...]:
    """Give the blueprints of a plane (`Settings.plane`); here is the only list of them.

    `http` are the functions with an HTTP trigger, `events` those behind queues, objects and timers.
    """
    return _PLANES[plane]
