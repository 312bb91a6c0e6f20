"""queue: the letters that fail, in all registries of a storage account."""

from collections.abc import AsyncIterator
from typing import Annotated

import typer

from infra.admin.app import Group
from infra.admin.opening import AdminError, Desk, Misuse
from infra.admin.output import Answer, Listing, said, table
from shared.services.letters.failing import Failing

# No `type` statement: behind one typer finds neither name nor help.
LetterId = Annotated[str, typer.Argument(metavar="ID", help="As `queue list` shows it.")]

queue = Group("queue", "What the registry does behind its queues, where that fails.")


async def _failing(desk: Desk) -> AsyncIterator[Failing]:
    async with desk.opened() as here:
        async for one in here.failing.all():
            yield one


@queue.command("list")
async def list_failing(desk: Desk) -> Listing:
    """List what failed: why, how often, and when it is tried again."""
    return Listing(Failing, _failing(desk), "nothing fails")


@queue.command("show")
async def show(desk: Desk, letter: LetterId) -> Answer:
    """Show what failed with the whole message, as it was sent."""
    async with desk.opened() as here:
        found = await here.failing.find(letter)
    if found is None:
        raise AdminError(
            f"nothing that failed is kept under the ID {letter!r}: see queue list; what the host"
            " gave up is shown once it waits again, within minutes"
        )
    return _with_body(*found, "")


@queue.command("drop")
async def drop(desk: Desk, letter: LetterId) -> Answer:
    """Forget for good what nobody could read, and show it for the last time."""
    async with desk.opened() as here:
        found = await here.failing.drop(letter)
    if found is None:
        raise AdminError(
            f"nothing that is unreadable has the ID {letter!r}: see queue list; what waits, and"
            " what the host gave up, comes back by itself and cannot be dropped"
        )
    return _with_body(*found, f"letter {letter} of queue {found[0].queue} is dropped; it said:")


def _with_body(failing: Failing, body: str, sentence: str) -> Answer:
    shown = [sentence] if sentence else [table(Failing, [failing])]
    message = {"message": sentence} if sentence else {}
    return Answer({**message, "letter": failing, "body": body}, [*shown, "", body])


@queue.command("retry")
async def retry(
    desk: Desk,
    letter: Annotated[str, typer.Argument(metavar="[ID]", help="As `queue list` shows it.")] = "",
    *,
    every: Annotated[bool, typer.Option("--all", help="Try all that failed.")] = False,
) -> Answer:
    """Try now what failed, one or all; what fails again is tried when it is due, as before."""
    if bool(letter) == every:
        raise Misuse("name one ID, as queue list shows it, or say --all")
    async with desk.opened() as here:
        if every:
            count = await here.failing.retry_all()
        elif await here.failing.retry(letter):
            count = 1
        else:
            raise AdminError(
                f"nothing that failed and can be sent has the ID {letter!r}: see queue list; what"
                " the host gave up is tried again within minutes, or with --all; of queue later,"
                " what cannot be read comes back by itself"
            )
    return said(f"{count} of what failed {'is' if count == 1 else 'are'} tried now", count=count)
