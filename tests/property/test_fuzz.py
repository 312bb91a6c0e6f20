"""Whatever a client sends, it gets an answer of the specification, soon, and never a 500."""

import asyncio
import json
import time
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from starlette.types import Message, Scope

from tests.support.app import LOGIN_SERVER, NAME, PASSWORD, Site
from tests.support.images import DOCKER, EMPTY_CONFIG, OCI, blob

SECONDS = 2
ON_ONE_SITE = settings(
    max_examples=4 * settings().max_examples,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
METHODS = st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
PRINTABLE = st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f")
DIGEST = blob(EMPTY_CONFIG).digest


async def answered(
    site: Site,
    method: str,
    path: str,
    query: str = "",
    headers: list[tuple[str, str]] | None = None,
    body: bytes = b"",
) -> tuple[int, dict[str, str], bytes]:
    """Send a request as its bytes are, not as a client would mend them."""
    sent = {"host": LOGIN_SERVER, **dict(headers or [])}
    scope: Scope = {
        "type": "http",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode("latin-1"),
        "query_string": query.encode("latin-1"),
        "headers": [(k.encode(), v.encode("latin-1")) for k, v in sent.items()],
    }
    received: list[Message] = []
    to_send = iter([body])

    async def receive() -> Message:
        for content in to_send:
            return {"type": "http.request", "body": content, "more_body": False}
        await asyncio.Event().wait()  # the client stays until it has its answer
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        received.append(message)

    began = time.perf_counter()
    await site.app(scope, receive, send)
    assert time.perf_counter() - began < SECONDS
    head = {k.decode("latin-1"): v.decode("latin-1") for k, v in received[0]["headers"]}
    content = b"".join(message.get("body", b"") for message in received[1:])
    return received[0]["status"], head, content


def check(status: int, headers: dict[str, str], content: bytes, method: str = "GET") -> None:
    assert status < 500
    assert all(value.isprintable() for value in headers.values())
    if status == 405:
        assert headers["allow"]
        assert method not in headers["allow"].split(", ")
    if status >= 400 and content and method != "HEAD":
        entries = json.loads(content)["errors"]
        assert entries
        assert all({"code", "message"} <= set(entry) for entry in entries)


@pytest.fixture
async def basic(site: Site) -> tuple[str, str]:
    request = site.client.build_request("GET", "/")
    flow = httpx.BasicAuth(NAME, PASSWORD).auth_flow(request)
    return "authorization", next(flow).headers["Authorization"]


WORDS = st.sampled_from(
    [
        "a",
        "A",
        "team",
        "manifests",
        "blobs",
        "uploads",
        "tags",
        "list",
        "referrers",
        "_catalog",
        "latest",
        DIGEST,
        "sha256:x",
        "",
        ".",
        "..",
        "%2F",
        "%252F",
        "%2e%2e",
        "%00",
        "%0d%0aX:",
        "%ff",
        "%E6%97%A5",
        "%",
        ";",
        "a" * 300,
    ]
)
PATHS = st.one_of(
    st.lists(WORDS, max_size=6).map(lambda words: "/v2/" + "/".join(words)),
    st.text(PRINTABLE, max_size=30).map(lambda text: "/v2/" + text),
)
QUERIES = st.one_of(
    st.text(PRINTABLE, max_size=40),
    st.lists(
        st.tuples(
            st.sampled_from(
                ["n", "last", "digest", "mount", "from", "_state", "tag", "artifactType", "scope"]
            ),
            st.one_of(
                st.sampled_from(["", "0", "-1", "9" * 30, DIGEST, "a", "%00", "%ff", "x" * 3_000]),
                st.text(PRINTABLE, max_size=20),
            ),
        ),
        max_size=4,
    ).map(lambda pairs: "&".join(f"{name}={value}" for name, value in pairs)),
)


@ON_ONE_SITE
@given(METHODS, PATHS, QUERIES, st.binary(max_size=20))
@example("GET", "/v2/a/tags/list", "last=%ff%00'", b"")
@example("GET", "/v2/_catalog", "last=%f0%9f%98%80&n=1", b"")
@example("GET", "/v2/a/referrers/" + DIGEST, "artifactType=%27%20or%20%27", b"")
async def test_any_path_and_query_get_an_answer(
    site: Site, basic: tuple[str, str], method: str, path: str, query: str, body: bytes
) -> None:
    check(*await answered(site, method, path, query, [basic], body), method)


HEADERS = st.sampled_from(
    [
        "authorization",
        "range",
        "content-range",
        "content-type",
        "if-match",
        "if-none-match",
        "if-range",
        "if-modified-since",
        "accept",
        "host",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-ms-client-request-id",
    ]
)
VALUES = st.one_of(
    st.text(PRINTABLE, max_size=40),
    st.sampled_from(
        [
            "",
            "*",
            "Basic",
            "Bearer",
            "Basic \xe4",
            "Basic Og==",
            "Bearer " + "." * 9_000,
            "Bearer " + "WyIi" * 4_000 + ".e30.e30",
            "bytes=0-0,1-1",
            "bytes=99-1",
            "1-0",
            "[::::]",
            "[",
            'W/"x", "y"',
            "," * 5_000,
            "x" * 60_000,
            "text/html; charset=\xff",
        ]
    ),
)
PLACES = st.sampled_from(
    [
        ("GET", "/v2/"),
        ("GET", "/v2/_catalog"),
        ("GET", "/v2/a/manifests/latest"),
        ("PUT", "/v2/a/manifests/latest"),
        ("GET", f"/v2/a/blobs/{DIGEST}"),
        ("POST", "/v2/a/blobs/uploads/"),
        ("PATCH", "/v2/a/blobs/uploads/x"),
        ("GET", "/oauth2/token"),
        ("POST", "/oauth2/token"),
    ]
)


@ON_ONE_SITE
@given(PLACES, st.lists(st.tuples(HEADERS, VALUES), max_size=3), st.booleans())
async def test_any_header_gets_an_answer(
    site: Site,
    basic: tuple[str, str],
    place: tuple[str, str],
    headers: list[tuple[str, str]],
    is_known: bool,
) -> None:
    await site.push_blob("a", blob(EMPTY_CONFIG))
    sent = [basic, *headers] if is_known else headers
    check(*await answered(site, *place, headers=sent, body=b"{}"), place[0])


JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=5),
        st.sampled_from([DIGEST, OCI.manifest, "sha256:x", "a/b\r\nX: y"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
DESCRIPTOR = st.one_of(
    JSON,
    st.fixed_dictionaries(
        {"mediaType": st.just("a/b"), "digest": st.just(DIGEST), "size": st.just(2)},
        optional={"annotations": JSON, "urls": JSON, "platform": JSON},
    ),
)
MANIFESTS = st.fixed_dictionaries(
    {},
    optional={
        "schemaVersion": st.one_of(st.just(2), JSON),
        "mediaType": st.one_of(st.sampled_from([OCI.manifest, OCI.index]), JSON),
        "config": DESCRIPTOR,
        "layers": st.one_of(st.lists(DESCRIPTOR, max_size=3), JSON),
        "manifests": st.one_of(st.lists(DESCRIPTOR, max_size=3), JSON),
        "blobs": st.one_of(st.lists(DESCRIPTOR, max_size=3), JSON),
        "subject": DESCRIPTOR,
        "artifactType": st.one_of(st.just("a/b"), JSON),
        "annotations": st.one_of(st.dictionaries(st.text(max_size=3), st.text(max_size=3)), JSON),
    },
)
TYPES = st.sampled_from(
    ["", OCI.manifest, OCI.index, DOCKER.manifest, DOCKER.index, "a/b+json", "text/plain"]
)


async def put(site: Site, basic: tuple[str, str], media_type: str, body: bytes) -> int:
    """Push a manifest; what was taken has to come back as it was, and to go away."""
    headers = [basic, ("content-type", media_type)] if media_type else [basic]
    status, head, content = await answered(site, "PUT", "/v2/a/manifests/x", "", headers, body)
    check(status, head, content)
    if status == 201:
        location = head["location"]
        status_of_get, head, content = await answered(site, "GET", location, "", [basic])
        check(status_of_get, head, b"")
        assert content == body
        check(*await answered(site, "GET", location.replace("manifests", "referrers"), "", [basic]))
        assert (await answered(site, "DELETE", location, "", [basic]))[0] == 202
    return status


@ON_ONE_SITE
@given(MANIFESTS, TYPES)
async def test_any_manifest_is_taken_or_refused(
    site: Site, basic: tuple[str, str], document: dict[str, Any], media_type: str
) -> None:
    await site.push_blob("a", blob(EMPTY_CONFIG))
    try:
        body = orjson.dumps(document)
    except TypeError:  # a number that JSON writers know and orjson does not
        body = json.dumps(document).encode()
    await put(site, basic, media_type, body)


GOOD = {"mediaType": "a/b", "digest": DIGEST, "size": 2}
IMAGE = {"schemaVersion": 2, "mediaType": OCI.manifest, "config": GOOD, "layers": [GOOD]}
MEMBERS = json.dumps(IMAGE)[1:-1]

STRANGE: list[tuple[str, bytes, int]] = [
    ("deep", b'{"x":' * 900 + b"1" + b"}" * 900, 400),
    ("deep inside", b"{%s,%s1%s}" % (MEMBERS.encode(), b'"x":[' * 1, b"]"), 201),
    ("far too deep", b'{"x":' * 200_000, 400),
    ("huge numbers", b'{%s,"x":%s}' % (MEMBERS.encode(), b"9" * 100_000), 400),
    ("a huge size", json.dumps(IMAGE).replace(": 2}", ": 1e400}").encode(), 400),
    ("duplicate keys", b'{"layers":1,"config":1,%s}' % MEMBERS.encode(), 400),
    ("duplicate keys at last", b'{%s,"layers":1}' % MEMBERS.encode(), 400),
    ("many keys", json.dumps({**IMAGE, **{f"k{n}": n for n in range(50_000)}}).encode(), 201),
    (
        "10,000 annotations",
        json.dumps({**IMAGE, "annotations": {f"k{n}": "v" for n in range(10_000)}}).encode(),
        201,
    ),
    ("10,000 layers", json.dumps({**IMAGE, "layers": [GOOD] * 9_999}).encode(), 201),
    ("10,001 layers", json.dumps({**IMAGE, "layers": [GOOD] * 10_000}).encode(), 400),
    ("a lone surrogate", b'{%s,"x":"\\ud800"}' % MEMBERS.encode(), 400),
    ("a byte order mark", b"\xef\xbb\xbf" + json.dumps(IMAGE).encode(), 400),
    ("another encoding", json.dumps(IMAGE).encode("utf-16"), 400),
    ("blanks", b" " * 1_000_000 + json.dumps(IMAGE).encode(), 201),
    ("nothing", b"", 400),
    ("zeros", b"\0" * 1_000, 400),
]


@pytest.mark.parametrize(
    ("body", "status"), [case[1:] for case in STRANGE], ids=[case[0] for case in STRANGE]
)
async def test_a_strange_manifest_is_taken_or_refused(
    site: Site, basic: tuple[str, str], body: bytes, status: int
) -> None:
    await site.push_blob("a", blob(EMPTY_CONFIG))
    assert await put(site, basic, OCI.manifest, body) == status


@pytest.mark.parametrize("count", [1_000, 9_999])
async def test_of_thousands_of_missing_layers_the_first_are_named_soon(
    site: Site, basic: tuple[str, str], count: int
) -> None:
    layers = [{**GOOD, "digest": f"sha256:{number:064x}"} for number in range(count)]
    body = json.dumps({**IMAGE, "layers": layers}).encode()
    headers = [basic, ("content-type", OCI.manifest)]
    await site.push_blob("a", blob(EMPTY_CONFIG))
    status, _, content = await answered(site, "PUT", "/v2/a/manifests/x", "", headers, body)
    assert status == 404
    named = [error["detail"]["digest"] for error in json.loads(content)["errors"]]
    assert named == [layer["digest"] for layer in layers[: len(named)]]
    assert len(named) >= 200
