"""Requests for tokens: GET with Basic credentials, POST with a form (ACR 2.4, 2.5)."""

from contextlib import aclosing
from urllib.parse import parse_qsl

from starlette.requests import Request

from shared.auth.gate import basic_credentials
from shared.auth.issuer import Asked
from shared.auth.scopes import parse_scopes
from shared.errors import SizeInvalid, Unauthorized
from shared.services.turns.turns import paced
from shared.wire.request import authorization

_FORM_BYTES = 64 * 1024
_FIELDS = 100


async def read(request: Request) -> Asked:
    """Read who asks for a token, and for what; raises Unauthorized where that cannot be read.

    Nobody has logged in yet, so a form that comes too slowly is sent away: raises TooManyRequests.
    A form that names nobody may come with Basic credentials.
    """
    name, password = _basic(request)
    if request.method == "GET":
        return _from_query(request, name, password)
    pairs = await _form(request)
    fields = dict(pairs)
    if fields.get("username") or fields.get("password"):
        name, password = fields.get("username", ""), fields.get("password", "")
    return Asked(
        grant=fields.get("grant_type", ""),
        service=fields.get("service", ""),
        scopes=parse_scopes(value for name, value in pairs if name == "scope"),
        name=name,
        password=password,
        refresh_token=fields.get("refresh_token", ""),
        is_offline=fields.get("access_type") == "offline",
    )


def _basic(request: Request) -> tuple[str, str]:
    header = authorization(request)
    read = basic_credentials(header)
    if header and read is None:
        raise Unauthorized(
            "the Authorization header must be Basic, with a user name and a password"
        )
    return read or ("", "")


def _from_query(request: Request, name: str, password: str) -> Asked:
    query = request.query_params
    return Asked(
        grant="password",
        service=query.get("service", ""),
        scopes=parse_scopes(query.getlist("scope")),
        name=name,
        password=password,
    )


async def _form(request: Request) -> list[tuple[str, str]]:
    body = bytearray()
    async with aclosing(paced(request.stream())) as pieces:
        async for piece in pieces:
            body += piece
            if len(body) > _FORM_BYTES:
                raise SizeInvalid(f"a form may have at most {_FORM_BYTES} bytes")
    text = body.decode("utf-8", "replace")
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=_FIELDS)
    except ValueError:
        raise SizeInvalid(f"a form may have at most {_FIELDS} fields") from None
