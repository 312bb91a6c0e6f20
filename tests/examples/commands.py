"""`webhook create`, as the pages use it: what a command line makes."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass

from shared.model.webhooks.webhook import (
    Action,
    Callback,
    Form,
    Hmac,
    Scope,
    Secret,
    Webhook,
    parse_name,
)
from tests.examples.events import before


@dataclass(frozen=True, slots=True)
class Made:
    """A webhook, and what is secret of it."""

    webhook: Webhook
    callback: Callback


def made_by(arguments: list[str], files: Mapping[str, str]) -> Made:
    """Make what a page's command makes, with these files beside it."""
    given = _parser().parse_args(arguments)
    read = {name: _read(value or "", files) for name, value in vars(given).items() if name in _READ}
    secrets = [Secret(read["secret"])] if read["secret"] else []
    webhook = Webhook(
        name=parse_name(given.name),
        id="0" * 32,
        created=before(),
        scope=Scope.parse(given.scope),
        actions=frozenset(Action(each) for each in given.action or [Action.PUSH]),
        form=Form(given.form),
        hmacs=tuple(_hmac(each) for each in given.hmac),
        is_tagged_only=given.tagged_only,
        retries_4xx=given.retry_4xx,
        seconds=given.timeout,
    )
    lines = [line for each in given.header for line in _read(each, files).splitlines()]
    headers = dict(each.partition("=")[::2] for each in lines)
    return Made(webhook, Callback(read["uri"], headers, secrets))


_READ = {"uri", "secret"}


def _read(value: str, files: Mapping[str, str]) -> str:
    return files[value.removeprefix("@")] if value.startswith("@") else value


def _hmac(text: str) -> Hmac:
    header, _, algorithm = text.partition("=")
    algorithm, _, bare = algorithm.partition(":")
    assert algorithm in {"sha1", "sha256"}
    assert bare in {"", "bare"}
    return Hmac(header, algorithm, is_bare=bool(bare))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("name")
    parser.add_argument("--uri", required=True)
    parser.add_argument("--action", action="append")
    parser.add_argument("--header", action="append", default=[])
    parser.add_argument("--hmac", action="append", default=[])
    parser.add_argument("--secret")
    parser.add_argument("--scope", default="")
    parser.add_argument("--form", default="acr")
    parser.add_argument("--timeout", type=int, default=10)
    parser.add_argument("--tagged-only", action="store_true")
    parser.add_argument("--retry-4xx", action="store_true")
    return parser
