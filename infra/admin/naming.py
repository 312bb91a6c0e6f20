"""Names as operators have them: as clients print them, with the login server and a digest."""

import re

from infra.admin.opening import AdminError, Desk, Misuse
from shared.model.digest import Digest
from shared.model.names import RepositoryName, parse_repository, parse_tag

_LIFE = re.compile(r"[0-9a-f]{32}")


def repository_of(desk: Desk, text: str) -> RepositoryName:
    """Read a repository's name, which may come with its login server; raises NameInvalid."""
    return parse_repository(_without_server(desk, text))


def scope_of(desk: Desk, text: str) -> str:
    """Give a webhook's scope as it was typed, but for the login server."""
    return _without_server(desk, text)


def manifest_of(desk: Desk, text: str, digest: str = "") -> tuple[RepositoryName, Digest]:
    """Read a repository and a digest: two texts, or one as `docker images --digests` prints it.

    Raises NameInvalid, DigestInvalid, TagInvalid, AdminError.
    """
    name, at, own = text.partition("@")
    if at and digest:
        raise Misuse(f"{text} has a digest already: leave out {digest}")
    if not (own or digest):
        raise Misuse(f"say which digest of {text}: REPOSITORY DIGEST, or REPOSITORY@DIGEST")
    if at and ":" in name.rpartition("/")[2]:
        name, _, tag = name.rpartition(":")
        parse_tag(tag)
    return repository_of(desk, name), Digest.parse(own or digest)


def life_of(text: str) -> str:
    """Read the ID of a life, as `deleted list` prints it; raises AdminError."""
    if not _LIFE.fullmatch(text):
        raise AdminError(f"{text!r} is not the ID of a life: deleted list -o json shows them")
    return text


def _without_server(desk: Desk, text: str) -> str:
    server, slash, name = text.partition("/")
    is_server = ":" in server or server in _servers(desk)
    return name if slash and is_server else text


def _servers(desk: Desk) -> set[str]:
    settings = desk.settings
    named = {settings.login_server, f"{desk.registry}.{settings.root_domain}"}
    return named - {"", f"{desk.registry}."}
