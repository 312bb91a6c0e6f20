"""All commands: the only list of their groups."""

from infra.admin.app import assembled
from infra.admin.groups.admin_user import admin_user
from infra.admin.groups.deleted import deleted
from infra.admin.groups.gc import gc
from infra.admin.groups.master_key import master_key
from infra.admin.groups.queue import queue
from infra.admin.groups.rebuild import rebuild
from infra.admin.groups.registry import registry
from infra.admin.groups.scrub import scrub
from infra.admin.groups.signing_key import signing_key
from infra.admin.groups.webhooks.events import webhook

app = assembled(
    admin_user, deleted, gc, master_key, queue, registry, scrub, signing_key, webhook, rebuild
)
