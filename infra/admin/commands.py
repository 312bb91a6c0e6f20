"""All commands: the only list of their groups."""

from infra.admin.admin_user import admin_user
from infra.admin.app import assembled
from infra.admin.deleted import deleted
from infra.admin.gc import gc
from infra.admin.queue import queue
from infra.admin.rebuild import rebuild
from infra.admin.registry import registry
from infra.admin.scrub import scrub
from infra.admin.signing_key import signing_key

app = assembled(admin_user, deleted, gc, queue, registry, scrub, signing_key, rebuild)
