"""Requests for tokens: GET with Basic credentials, POST with a form (ACR 2.4, 2.5)."""

from urllib.parse import parse_qsl

from starlette.requests import Request

from shared.auth.gate import basic_credentials
from shared.auth.issuer import Asked
from shared.auth.scopes import parse_scopes
from shared.errors import SizeInvalid

_FORM_BYTES = 64 * 1024
_FIELDS = 100


async def read(request: Request) -> Asked:
    """Read who asks for a token, and for what."""
    if request.method == "GET":
        return _from_query(request)
    pairs = await _form(request)
    fields = dict(pairs)
    return Asked(
        grant=fields.get("grant_type", ""),
        service=fields.get("service", ""),
        scopes=parse_scopes(value for name, value in pairs if name == "scope"),
        name=fields.get("username", ""),
        password=fields.get("password", ""),
        refresh_token=fields.get("refresh_token", ""),
        is_offline=fields.get("access_type") == "offline",
    )


def _from_query(request: Request) -> Asked:
    query = request.query_params
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    name, password = basic_credentials(value.strip()) if kind.lower() == "basic" else ("", "")
    return Asked(
        grant="password",
        service=query.get("service", ""),
        scopes=parse_scopes(query.getlist("scope")),
        name=name,
        password=password,
    )


async def _form(request: Request) -> list[tuple[str, str]]:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _FORM_BYTES:
            raise SizeInvalid(f"a form may have at most {_FORM_BYTES} bytes")
    text = body.decode("utf-8", "replace")
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=_FIELDS)
    except ValueError:
        raise SizeInvalid(f"a form may have at most {_FIELDS} fields") from None
