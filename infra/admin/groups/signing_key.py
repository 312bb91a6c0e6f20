"""signing-key: what signs a registry's tokens."""

from typing import Annotated

import typer

from infra.admin.app import Group
from infra.admin.opening import Desk
from infra.admin.output import Answer, said
from shared.auth.tokens import retirement
from shared.bootstrap import now

signing_key = Group("signing-key", "The key that signs a registry's tokens.")


@signing_key.command("rotate")
async def rotate(
    desk: Desk,
    *,
    at_once: Annotated[
        bool, typer.Option("--at-once", help="Refuse all tokens that are out: the key has leaked.")
    ] = False,
) -> Answer:
    """Make a new signing key; the one before it is accepted until its tokens have ended."""
    async with desk.opened() as here:
        keys = here.record.signing_keys
        ends = retirement(keys)
        retired = [it.kid for it in keys if at_once or (it.kid in ends and ends[it.kid] < now())]
        kid = await here.records.rotate(here.record, now(), retired)
    return said(
        f"{desk.registry} has the new key {kid}; {len(retired)} older ones are removed",
        registry=desk.registry,
        key=kid,
        removed=retired,
    )
