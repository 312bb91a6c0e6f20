"""Looking: all checks, one after the other, and what they made removed in any case."""

import sys

import httpx

from infra.admin.opening import Desk
from infra.admin.output import Answer, cell, progress
from infra.azure.smoke.asking.wire import Server, Wire
from infra.azure.smoke.checks import ROOMS
from infra.azure.smoke.checks.leaving import clean
from infra.azure.smoke.credentials import Login
from infra.azure.smoke.findings import Differs, Finding, broken
from infra.azure.smoke.options import Options
from infra.azure.smoke.report import Looked, report
from infra.azure.smoke.site import Site


class Unreachable(Exception):
    """The registry does not answer at all; says why, and what to look at."""


async def look(
    server: Server, login: Login, options: Options, desk: Desk | None, no_desk: str
) -> Answer:
    """Look at a registry, and give the report; raises Unreachable."""
    async with Wire(server) as wire:
        await _reach(wire)
        site = Site(wire, login, options, desk, no_desk)
        try:
            findings = await _findings(site)
        finally:
            for left in await clean(site):
                print(f"smoke: left in {site.repository}: {cell(left)}", file=sys.stderr)
    return report(Looked(server.name, site.began, site.repository), findings)


async def _reach(wire: Wire) -> None:
    try:
        await wire.ask("GET", "/v2/")
    except (Differs, httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        where = f"{wire.server.base}"
        raise Unreachable(
            f"{where}: {broken(error)}. Is this the login server, does its name lead there (else"
            " --connect), and does it speak TLS (else --plain-http)?"
        ) from error


async def _findings(site: Site) -> list[Finding]:
    checks = [check for room in ROOMS for check in room.checks]
    findings = []
    with progress("looking", len(checks)) as steps:
        for check in checks:
            steps.say(check.name)
            findings.append(await check.run(site))
            steps.advance()
    return findings
