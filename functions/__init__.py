"""Triggers: host types in, a response out. No rules, no storage."""

from functions import oauth2
from functions.acr import fallback as acr_fallback
from functions.jobs import fan_out, garbage, later, poison, upkeep, verification, webhooks
from functions.v2 import base, blobs, catalog, fallback, manifests, referrers, tags, uploads

BLUEPRINTS = (
    acr_fallback.bp,
    base.bp,
    blobs.bp,
    catalog.bp,
    fallback.bp,
    fan_out.bp,
    garbage.bp,
    later.bp,
    manifests.bp,
    oauth2.bp,
    poison.bp,
    referrers.bp,
    tags.bp,
    upkeep.bp,
    uploads.bp,
    verification.bp,
    webhooks.bp,
)
"""Every blueprint of the app; the only list of them."""
