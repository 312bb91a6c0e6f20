"""Routes: every path of the API reaches its function, and what is no path is answered as one."""

from infra.azure.smoke.asking.wire import Answer
from infra.azure.smoke.checking import Room
from infra.azure.smoke.findings import Differs
from infra.azure.smoke.site import Site, deep

room = Room("route")

_NOTHING = "sha256:" + "0" * 64
_OWN_HEADERS = {
    "Docker-Distribution-API-Version": "registry/2.0",
    "X-Content-Type-Options": "nosniff",
}


async def _missing(site: Site, path: str, code: str, method: str = "GET") -> str:
    """Ask for what is not there: the code tells which function was asked."""
    answer = await site.ask(method, path)
    return f"{answer.expect(404, code=code).status} {answer.code}"


@room.check("base", "/v2/ and /v2 are the root of the API")
async def base(site: Site) -> str:
    """Ask with and without the last slash."""
    answers = [await site.ask("GET", path) for path in ("/v2/", "/v2")]
    return ", ".join(str(answer.expect(200).status) for answer in answers)


@room.check("upper case", "/V2/ is the root of the API, too")
async def upper_case(site: Site) -> str:
    """Ask as no client should."""
    return str((await site.ask("GET", "/V2/")).expect(200).status)


@room.check("catalog", "/v2/_catalog lists repositories")
async def catalog(site: Site) -> str:
    """List one repository at the most."""
    answer = (await site.ask("GET", "/v2/_catalog?n=1")).expect(200)
    if "repositories" not in answer.json():
        raise Differs(f"{answer.asked}: no list of repositories: {answer.shown}")
    return str(answer.status)


@room.check("manifests", "a manifest that is not there is 404 MANIFEST_UNKNOWN, in four segments")
async def manifests(site: Site) -> str:
    """Ask for a tag of a name of four segments."""
    return await _missing(site, f"/v2/{deep(site.repository)}/manifests/none", "MANIFEST_UNKNOWN")


@room.check("blobs", "a blob that is not there is 404 BLOB_UNKNOWN, in four segments")
async def blobs(site: Site) -> str:
    """Ask for a blob of a name of four segments."""
    return await _missing(site, f"/v2/{deep(site.repository)}/blobs/{_NOTHING}", "BLOB_UNKNOWN")


@room.check("uploads", "an upload that nobody began is 404 BLOB_UPLOAD_UNKNOWN")
async def uploads(site: Site) -> str:
    """Ask how far it is."""
    path = f"/v2/{deep(site.repository)}/blobs/uploads/none?_state=none"
    return await _missing(site, path, "BLOB_UPLOAD_UNKNOWN")


@room.check("tags", "the tags of a repository that is not there are 404 NAME_UNKNOWN")
async def tags(site: Site) -> str:
    """List the tags of a name of four segments."""
    return await _missing(site, f"/v2/{deep(site.repository)}/tags/list", "NAME_UNKNOWN")


@room.check("%2F", "a slash of a name may be written as %2F")
async def encoded(site: Site) -> str:
    """List the tags of a name that is written so."""
    name = deep(site.repository).replace("/", "%2F")
    return await _missing(site, f"/v2/{name}/tags/list", "NAME_UNKNOWN")


@room.check("referrers", "the referrers of a digest that nobody knows are an empty index")
async def referrers(site: Site) -> str:
    """List them."""
    answer = (await site.ask("GET", f"{site.path}/referrers/{_NOTHING}")).expect(200)
    if answer.json().get("manifests") != []:
        raise Differs(f"{answer.asked}: no empty list of manifests: {answer.shown}")
    return str(answer.status)


@room.check("last slash", "an upload begins at blobs/uploads/ and at blobs/uploads")
async def last_slash(site: Site) -> str:
    """Begin two uploads, and give them up."""
    answers = []
    for path in (f"{site.path}/blobs/uploads/", f"{site.path}/blobs/uploads"):
        answers.append((await site.ask("POST", path)).expect(202))
        site.made.begun(answers[-1].header("Location"))
    return ", ".join(str(answer.status) for answer in answers)


@room.check("unknown path", "a path under /v2 that is none is 404 with the specification's error")
async def unknown(site: Site) -> str:
    """Ask for what the API does not have."""
    return await _missing(site, f"{site.path}/nothing/here", "UNSUPPORTED")


@room.check("wrong method", "a method that a path does not take is 405 with Allow")
async def wrong_method(site: Site) -> str:
    """Ask for what the path does not do."""
    answer = (await site.ask("PUT", "/v2/_catalog")).expect(405, code="UNSUPPORTED")
    if "GET" not in answer.header("Allow"):
        raise Differs(f"{answer.asked}: Allow is {answer.header('Allow') or 'missing'}")
    return f"{answer.status}, Allow: {answer.header('Allow')}"


@room.check("line feed", "a path with %0A is 404, at once")
async def line_feed(site: Site) -> str:
    """Ask for what the worker's web server refuses: no invocation may wait for it."""
    answer = await site.ask("GET", f"{site.path}%0A/tags/list")
    return f"{answer.expect(404).status} after {answer.seconds:.1f} s"


@room.check("headers", "every answer has the two headers of host.json, the host's own 404, too")
async def headers(site: Site) -> str:
    """Look at an answer of the app, and at one of the host."""
    for answer in (await site.wire.ask("GET", "/v2/"), await site.wire.ask("GET", "/none")):
        _check_headers(answer)
    return ", ".join(f"{name}: {value}" for name, value in _OWN_HEADERS.items())


def _check_headers(answer: Answer) -> None:
    for name, value in _OWN_HEADERS.items():
        if answer.header(name) != value:
            told = answer.header(name) or "missing"
            raise Differs(f"{answer.asked}: {answer.status} with {name} {told}")
