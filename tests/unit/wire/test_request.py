import pytest
from starlette.requests import ClientDisconnect

from shared.errors import (
    DigestInvalid,
    HostInvalid,
    ManifestTooLarge,
    NameInvalid,
    RouteUnknown,
    SizeInvalid,
    TagInvalid,
)
from shared.model.digest import Digest
from shared.wire import routes
from shared.wire.request import Call, content_length, credentials, host
from tests.unit.wire.conftest import request

DIGEST = Digest.of(b"")


def test_a_call_names_a_repository_and_a_reference() -> None:
    call = Call.read(request(path="/v2/team/app/manifests/latest"), routes.MANIFEST)
    assert (call.repository, call.reference) == ("team/app", "latest")
    call = Call.read(request(path=f"/v2/team/app/manifests/{DIGEST}"), routes.MANIFEST)
    assert (call.reference, call.digest) == (DIGEST, DIGEST)


@pytest.mark.parametrize("path", ["team%2Fapp/manifests/a", "team%2fapp%2Fmanifests%2fa"])
def test_a_path_may_come_percent_encoded(path: str) -> None:
    call = Call.read(request(path=f"/v2/{path}"), routes.MANIFEST)
    assert (call.repository, call.reference) == ("team/app", "a")


def test_a_malformed_name_tag_or_digest_has_its_own_error() -> None:
    with pytest.raises(NameInvalid):
        Call.read(request(path="/v2/Team/manifests/a"), routes.MANIFEST)
    with pytest.raises(RouteUnknown):
        Call.read(request(path="/v2/team/MANIFESTS/a"), routes.MANIFEST)
    with pytest.raises(TagInvalid):
        _ = Call.read(request(path="/v2/a/manifests/.a"), routes.MANIFEST).reference
    with pytest.raises(DigestInvalid):
        _ = Call.read(request(path="/v2/a/blobs/a"), routes.BLOB).digest


@pytest.mark.parametrize(
    ("header", "media_type"),
    [
        ("", ""),
        ("a/b", "a/b"),
        (" a/b ; charset=utf-8", "a/b"),
        (
            "application/vnd.oci.image.manifest.v1+json",
            "application/vnd.oci.image.manifest.v1+json",
        ),
    ],
)
def test_a_media_type_has_no_parameters(header: str, media_type: str) -> None:
    call = Call(request(headers={"Content-Type": header}), DIGEST, "")  # type: ignore[arg-type]
    assert call.media_type == media_type
    assert not call.is_head


def test_lines_of_one_header_are_put_together() -> None:
    call = Call(request(headers={"If-Match": '"a"'}), DIGEST, "")  # type: ignore[arg-type]
    call.request.scope["headers"] += [(b"if-match", b'"b"'), (b"range", b"")]
    assert call.header("If-Match") == '"a", "b"'
    assert (call.has("range"), call.header("range")) == (True, "")
    assert (call.has("if-range"), call.header("if-range")) == (False, "")


def test_credentials_are_what_the_request_says_of_its_caller() -> None:
    read = credentials(request(headers={"Authorization": "Bearer x", "Host": "Reg:5000"}))
    assert (read.authorization, read.host, read.scheme) == ("Bearer x", "reg:5000", "https")
    assert credentials(request()).authorization == ""


@pytest.mark.parametrize("authorization", [" ", "\t"])
def test_a_blank_header_says_nothing_of_the_caller(authorization: str) -> None:
    assert credentials(request(headers={"Authorization": authorization})).authorization == ""


def test_several_headers_that_say_who_is_asking_are_one_that_nobody_can_read() -> None:
    twice = [("Authorization", "Bearer x"), ("Authorization", "Basic Og==")]
    assert credentials(request(more=twice)).authorization == "Bearer x, Basic Og=="


ASKED = [
    ("REG.example:8443", None, "reg.example:8443"),
    ("host.example.com.", None, "host.example.com"),
    ("127.0.0.1:51234", "reg.example", "reg.example"),
    ("127.0.0.1:51234", "REG.example.:8443", "reg.example:8443"),
    ("a b", "[::1]:7071", "[::1]:7071"),
    ("", "reg.example", "reg.example"),
]


@pytest.mark.parametrize(("name", "forwarded", "asked"), ASKED)
def test_the_name_asked_for_is_the_forwarded_one_where_there_is_one(
    name: str, forwarded: str | None, asked: str
) -> None:
    more = [] if forwarded is None else [("X-Forwarded-Host", forwarded)]
    assert host(request(headers={"Host": name}, more=more)) == asked


@pytest.mark.parametrize(
    "names", [[], [""], ["a b"], ["user@host"], ["a:b"], ["a,b"], ["a", "a"], ["x" * 60_000]]
)
@pytest.mark.parametrize("header", ["Host", "X-Forwarded-Host"])
def test_a_name_that_is_none_and_several_names_are_refused(header: str, names: list[str]) -> None:
    more = [(header, name) for name in names]
    headers = {"Host": "reg.example" if header != "Host" and names else ""}
    with pytest.raises(HostInvalid, match=r"header (X-Forwarded-)?Host must be a host"):
        host(request(headers=headers, more=more))


@pytest.mark.parametrize(
    ("name", "scheme", "wanted"),
    [
        ("localhost:7071", "http", "http"),
        ("a.localhost", "http", "http"),
        ("127.0.0.1:7071", "http", "http"),
        ("[::1]:7071", "http", "http"),
        ("localhost:7071", "https", "https"),
        ("reg.example", "http", "https"),
        ("reg.example:8080", "http", "https"),
        ("10.0.0.1", "http", "https"),
    ],
)
@pytest.mark.parametrize("header", ["Host", "X-Forwarded-Host"])
def test_tokens_are_asked_for_over_https_unless_here(
    header: str, name: str, scheme: str, wanted: str
) -> None:
    headers = {"Host": "127.0.0.1:51234", header: name}
    assert credentials(request(headers=headers, scheme=scheme)).scheme == wanted


@pytest.mark.parametrize("proto", ["https,http", "HTTPS", "http", ""])
def test_the_scheme_of_the_proxy_does_not_matter(proto: str) -> None:
    asked = request(scheme="http", headers={"X-Forwarded-Proto": proto})
    assert credentials(asked).scheme == "https"


@pytest.mark.parametrize(("text", "length"), [("", None), ("0", 0), ("42", 42)])
def test_a_length_may_be_announced(text: str, length: int | None) -> None:
    assert content_length(request(headers={"Content-Length": text})) == length


@pytest.mark.parametrize("text", ["-1", "+1", "1.0", "x", "1 2", "²", "9" * 5_000])
def test_a_length_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SizeInvalid):
        content_length(request(headers={"Content-Length": text}))


async def body_of(*pieces: bytes, limit: int = 10) -> bytes:
    call = Call(request(body=pieces), DIGEST, "")  # type: ignore[arg-type]
    return await call.body(limit)


async def test_a_body_within_the_limit_is_read() -> None:
    assert await body_of() == b""
    assert await body_of(b"12345", b"", b"67890") == b"1234567890"


@pytest.mark.parametrize("pieces", [[b"x" * 11], [b"12345", b"678901"], [b"x"] * 11])
async def test_a_body_over_the_limit_is_refused(pieces: list[bytes]) -> None:
    with pytest.raises(ManifestTooLarge, match="at most 10 bytes"):
        await body_of(*pieces)


async def test_a_body_far_over_the_limit_is_not_read_to_its_end() -> None:
    with pytest.raises(ManifestTooLarge):
        await body_of(*[b"x" * 10] * 5, b"gone")
    with pytest.raises(ClientDisconnect):
        await body_of(*[b"x" * 10] * 4, b"gone")
