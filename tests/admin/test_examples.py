"""The commands of the examples' pages make the webhooks that the pages speak of."""

import asyncio
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from shared.assembly.webhooks import seal_of
from shared.model.master_keys import MasterKeys
from shared.storage.rows.webhooks.webhooks import Webhooks
from tests.admin.conftest import Run
from tests.examples import pages
from tests.examples.cases import EXAMPLES, Make
from tests.examples.commands import Made, made_by
from tests.support.app import GENERATION, Memory


@pytest.fixture(autouse=True)
def no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """No name is known here, so none is asked for outside."""

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)


def kept(memory: Memory, environment: dict[str, str], name: str) -> Made:
    """Give the webhook that is kept, but for what is drawn."""

    async def read() -> Made:
        webhook = await Webhooks(memory.rows, GENERATION).find(name)
        assert webhook
        seal = seal_of(MasterKeys(environment["REGISTRY_MASTER_KEY"]), GENERATION)
        return Made(webhook, seal.open(webhook.sealed, webhook.id))

    return asyncio.run(read())


@pytest.mark.parametrize("make", EXAMPLES)
def test_a_page_s_command_makes_its_webhook(
    make: Make,
    registry: None,
    environment: dict[str, str],
    memory: Memory,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    example = make()
    monkeypatch.chdir(tmp_path)
    for name, text in example.files.items():
        (tmp_path / name).write_text(text)
    arguments = pages.parts(example.page)[example.webhook].arguments

    result = run("webhook", "create", *arguments)

    assert (result.exit_code, result.stderr) == (0, "")
    wanted, there = made_by(arguments, example.files), kept(memory, environment, example.webhook)
    assert there.callback == wanted.callback
    drawn = {name: getattr(there.webhook, name) for name in ("id", "created", "sealed")}
    assert there.webhook == replace(wanted.webhook, **drawn)
