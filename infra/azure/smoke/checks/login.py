"""Logging in: the challenge, and the two ways to answer it."""

import re

from infra.azure.smoke.checking import Room
from infra.azure.smoke.credentials import basic
from infra.azure.smoke.findings import Differs, NotChecked
from infra.azure.smoke.site import Site

room = Room("login")

_FIELD = re.compile(r'(\w+)="([^"]*)"')
_WRONG = "not the password of anybody"


async def _challenge(site: Site) -> dict[str, str]:
    """Ask without logging in, and read the challenge; raises Differs."""
    answer = (await site.wire.ask("GET", "/v2/")).expect(401)
    told = answer.header("WWW-Authenticate")
    if not told.startswith("Bearer "):
        raise Differs(f"WWW-Authenticate is {told or 'missing'}: does something before the app ask")
    return dict(_FIELD.findall(told))


@room.check("realm", "who is not logged in is sent to the realm https://LOGIN_SERVER/oauth2/token")
async def realm(site: Site) -> str:
    """See where clients would send the password."""
    told, wanted = (await _challenge(site)).get("realm", ""), site.wire.server.realm
    if told != wanted:
        raise Differs(
            f"realm {told or 'missing'} in place of {wanted}: what stands before the app has to"
            " hand on the name that was asked for, in Host or X-Forwarded-Host"
        )
    return told


@room.check("service", "the challenge names the login server as the service")
async def service(site: Site) -> str:
    """See for whom tokens would be."""
    told = (await _challenge(site)).get("service", "")
    if told != site.wire.server.name:
        raise Differs(f"service {told or 'missing'} in place of {site.wire.server.name}")
    return told


@room.check("Basic", "the user's name and password are taken as Authorization: Basic")
async def takes_basic(site: Site) -> str:
    """Log in as simple clients do."""
    if site.login.identity_token:
        raise NotChecked(
            "docker has an identity token in place of the password: give --username and"
            " --password-stdin"
        )
    answer = await site.wire.ask("GET", "/v2/", {"Authorization": site.login.basic})
    return f"{answer.expect(200).status} for {site.login.name}"


@room.check("refusal", "a wrong password is refused with 401")
async def refuses(site: Site) -> str:
    """Log in as nobody may."""
    wrong = {"Authorization": basic(site.login.name, _WRONG)}
    return str((await site.wire.ask("GET", "/v2/", wrong)).expect(401).status)


@room.check("token", "/oauth2/token gives an access token, which is taken as Authorization: Bearer")
async def takes_token(site: Site) -> str:
    """Log in as docker does."""
    token = await site.token(f"repository:{site.repository}:pull")
    bearer = {"Authorization": f"Bearer {token}"}
    answer = await site.wire.ask("GET", "/v2/", bearer)
    return f"{answer.expect(200).status} with a token of {len(token)} characters"
