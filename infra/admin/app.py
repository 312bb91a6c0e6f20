"""How commands are made: groups of them, the options that all have, and how they end.

A group is a module of its own beside this one, named in `commands.py`:

    deleted = Group("deleted", "What was deleted and can come back.")

    @deleted.command("list")
    async def list_deleted(desk: Desk, repository: Annotated[str, Argument()] = "") -> Listing:
        \"\"\"List what can come back.\"\"\"

The function is given a `Desk`, and whatever arguments and options it declares as typer has them;
it returns an `Answer` or a `Listing` (`output.py`), or raises. What several of them take is a
dataclass, whose fields are declared as arguments and options are. A function is plain where it
asks somebody something first, and then gives a coroutine. A group without a name has commands of
their own: `rebuild`. Options that all have may stand anywhere: `admin -o json gc run` is `admin gc
run -o json`; the last one counts.

A command ends with 0; with 1 and one line on standard error where it could not do what it was
asked to, or with 1 and an answer that says what was not done; with 2 where it was called wrongly
(`Misuse`).
"""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from azure.core.exceptions import ClientAuthenticationError

from infra.admin.bundles import declared, gathered, spread
from infra.admin.opening import AdminError, Misuse, desk
from infra.admin.output import Answer, Listing, Output, cell, show
from infra.devhost.settings import StartError
from shared.errors import RegistryError
from shared.settings import SettingsInvalid
from shared.storage.ports import StorageError
from shared.storage.rows.registries import StateRefused

_STRANGER = (
    "nobody is logged in here who may ask storage: az login, or azd auth login, and the command"
    " again; or set AzureWebJobsStorage to a connection string"
)

type Command = Callable[..., Awaitable[Answer] | Awaitable[Listing]]

# No `type` statements: behind one typer finds neither name nor help.
_Data = Annotated[
    Path | None,
    typer.Option("--data", help="The DATA of a `make run`, whether that runs now or not."),
]
_Format = Annotated[
    Output | None, typer.Option("-o", "--output", help="Tables, or one JSON document.")
]
_Registry = Annotated[
    str | None,
    typer.Option("--registry", metavar="NAME", help="Which registry; REGISTRY_NAME, unless given."),
]


@dataclass(slots=True)
class _Chosen:
    """The options that all commands have, as far as they are given."""

    data: Path | None = None
    output: Output = Output.TABLE
    registry: str = ""


class Group:
    """Commands that belong together, under a name or without one."""

    def __init__(self, name: str, told: str) -> None:
        self.name = name
        self.typer = _typer(told, _choose if name else None)

    def command[Function: Command](self, name: str) -> Callable[[Function], Function]:
        """Make a function, given a Desk first, a command of this group."""

        def add(function: Function) -> Function:
            self.typer.command(name, help=inspect.getdoc(function))(_command(function))
            return function

        return add


def assembled(*groups: Group) -> typer.Typer:
    """Put groups together."""
    told = (
        "Work on a registry, with the settings of the app, from the environment. In Azure: with"
        " those that the deployment tells in the end, as whoever `az login` says."
    )
    app = _typer(told, _choose)
    for group in groups:
        app.add_typer(group.typer, name=group.name or None)
    return app


def _typer(told: str, callback: Callable[..., None] | None) -> typer.Typer:
    return typer.Typer(
        help=told,
        callback=callback,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )


def _choose(
    context: typer.Context,
    data: _Data = None,
    output: _Format = None,
    registry: _Registry = None,
) -> None:
    chosen = context.ensure_object(_Chosen)
    chosen.data = data or chosen.data
    chosen.output = output or chosen.output
    chosen.registry = registry or chosen.registry


def _command(function: Command) -> Callable[..., None]:
    """Give the function that typer is to see: with the options that all have."""
    common = [*inspect.signature(_choose).parameters.values()]
    own = [*inspect.signature(function).parameters.values()][1:]

    def command(context: typer.Context, **given: Any) -> None:
        _choose(context, **{it.name: given.pop(it.name) for it in common[1:]})
        _run(context.obj, function, gathered(own, given))

    return declared(command, [*spread(own), *spread(common)])


def _run(chosen: _Chosen, function: Command, given: dict[str, Any]) -> None:
    """Do the work and say what it gave; a failure is one line."""
    logging.getLogger("azure.identity").setLevel(logging.ERROR)  # it warns of each way it tried
    try:
        with desk(chosen.data, chosen.registry) as here:
            is_done = asyncio.run(_done(function(here, **given), chosen.output))
    except Misuse as error:
        _fail(str(error), 2)
    except (AdminError, RegistryError, SettingsInvalid, StartError, StateRefused) as error:
        _fail(str(error))
    except StorageError as error:
        if isinstance(error.__cause__, ClientAuthenticationError):
            _fail(_STRANGER)
        where = f"; does the `make run` of {chosen.data} still run?" if chosen.data else ""
        _fail(f"{error}{where}")
    if not is_done:
        raise typer.Exit(1)


async def _done(work: Awaitable[Answer | Listing], output: Output) -> bool:
    answer = await work
    await show(answer, output)
    return isinstance(answer, Listing) or answer.is_done


def _fail(message: str, code: int = 1) -> NoReturn:
    """End the command with one line on standard error."""
    typer.echo(f"admin: {cell(' '.join(message.split()))}", err=True)
    raise typer.Exit(code)
