"""master-key: what all secrets of a deployment are sealed with, where a vault wraps it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import typer
from rich.table import Table

from infra.admin.app import Group
from infra.admin.opening import AdminError, Desk
from infra.admin.output import Answer, progress, said, table
from shared.administration import rotation
from shared.services.master_key.rotation import Rotated, Rotation, RotationRefused, Step
from shared.storage.master_key.document import KeptKey, State
from shared.storage.master_key.object import Found

master_key = Group("master-key", "The master key, where a vault wraps it.")

_GIVEN = (
    "REGISTRY_MASTER_KEY gives the master key here, and nothing else than that setting changes it:"
    " this command is for one that is kept in storage and wrapped by a vault"
    " (REGISTRY_KEY_VAULT_KEY). If that key has leaked: set another one; have it make new signing"
    " keys (delete the rows in the partitions keys|… of the table registries); and give webhooks"
    " their URI and secrets anew (webhook update)"
)
_USES = {
    State.ANNOUNCED: "gets known, and seals next",
    State.CURRENT: "seals",
    State.SEALING: "sealed before; rows are being sealed anew",
    State.OPENING: "opens uploads under way",
}
_UNREADABLE = "cannot be opened with any master key, and stay as they are:"
_WEBHOOKS = "these webhooks wait for their secrets (webhook update NAME --uri … --secret …):"
_COSTS = (
    "a new master key would log everybody out, and every webhook would have to be given its URI,"
    " headers and secrets anew; images are not concerned. If that is what you want, say --yes"
)


_SHARES = (
    "whoever knows the master key there knows it here. If the content of that account was brought"
    " here, say --yes, and master-key rotate after; else somebody has put that object here: bring"
    " the one of this account back"
)


@dataclass(frozen=True, slots=True)
class Shown:
    """A master key, as it is shown: never itself."""

    id: str
    state: str
    since: datetime
    made: datetime
    vault_version: str
    use: str


@master_key.command("show")
async def show(desk: Desk) -> Answer:
    """Show which master keys there are, since when, and which version of the vault's key wraps."""
    async with _opened(desk) as here:
        found = await here.found()
        if found is None:
            raise AdminError("there is no master key in this storage yet")
        return _shown(here, found)


@master_key.command("rotate")
async def rotate(desk: Desk) -> Answer:
    """Replace the master key while the registry runs; or go on where that was cut off."""
    async with _opened(desk) as here:
        with progress("master-key rotate") as steps:

            def tell(step: Step, count: int) -> None:
                steps.say(f"master-key rotate: {step} {count:,}")

            done = await here.run(tell)
    return _rotated(done)


@master_key.command("replace")
async def replace(
    desk: Desk,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do it: what it costs is known.")] = False,
) -> Answer:
    """Make another master key in the place of one that is lost: what it has sealed is lost."""
    async with _opened(desk) as here:
        why = await here.lost()
        if not why:
            raise AdminError("the master key is not lost: master-key rotate replaces it at no cost")
        if not yes:
            raise AdminError(f"{why}. If this is not for good, mend it; {_COSTS}")
        done = await here.replace_lost()
    names = [row.key for row in done.unreadable if row.is_webhook]
    keys = len(done.unreadable) - len(names)
    sentence = (
        f"the master key is now {done.current}; {keys} signing keys are removed: log in again"
    )
    document = {
        "message": sentence,
        "current": done.current,
        "signing_keys_removed": keys,
        "webhooks_unreadable": names,
    }
    return Answer(document, [sentence, *([_WEBHOOKS, *names] if names else [])])


@master_key.command("adopt")
async def adopt(
    desk: Desk,
    *,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do it: that content was brought here.")
    ] = False,
) -> Answer:
    """Take over the master key of the storage account from which content was brought here."""
    async with _opened(desk) as here:
        account = await here.foreign()
        if account is None:
            raise AdminError("the master key is of this storage account already")
        if not yes:
            raise AdminError(f"it was written for the storage account {account}: {_SHARES}")
        await here.adopt()
    return said(f"the master key of the storage account {account} is taken over", was_of=account)


@asynccontextmanager
async def _opened(desk: Desk) -> AsyncIterator[Rotation]:
    try:
        async with rotation(desk.settings) as here:
            if here is None:
                raise AdminError(_GIVEN)
            yield here
    except RotationRefused as error:
        raise AdminError(str(error)) from error


def _shown(here: Rotation, found: Found) -> Answer:
    rows = [_row(key) for key in found.document.keys]
    kept = found.document
    sentence = f"wrapped and signed with {here.vault_key}, at {kept.written}, for {kept.account}"
    lines: list[str | Table] = [sentence, table(Shown, rows)]
    document: dict[str, object] = {
        "vault_key": here.vault_key,
        "written": kept.written,
        "account": kept.account,
        "keys": rows,
    }
    if kept.of(State.OPENING):
        left = here.opens_until(found)
        document["needed_seconds"] = left
        lines.append(
            f"those that only open are needed for another {left}, and removed by a rotation after"
        )
    return Answer(document, lines)


def _row(key: KeptKey) -> Shown:
    version, use = key.wrapped.version, _USES[key.state]
    return Shown(key.id, str(key.state), key.since, key.made, version, use)


def _rotated(done: Rotated) -> Answer:
    sentence = (
        f"the master key is now {done.current}; {done.sealed} rows are sealed anew,"
        f" {len(done.removed)} older keys are removed"
    )
    if not done.unreadable:
        return said(sentence, current=done.current, sealed=done.sealed, removed=done.removed)
    rows = [f"{row.table} {row.partition} {row.key}" for row in done.unreadable]
    document = {
        "message": sentence,
        "current": done.current,
        "sealed": done.sealed,
        "removed": done.removed,
        "unreadable": rows,
    }
    return Answer(document, [sentence, f"{len(rows)} rows {_UNREADABLE}", *rows], is_done=False)
