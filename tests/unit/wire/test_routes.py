import pytest

from shared.errors import RouteUnknown, Unsupported
from shared.model.digest import Digest
from shared.model.names import RepositoryName, Tag
from shared.wire import routes

APP = RepositoryName("team/app")
DIGEST = Digest.of(b"")


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("a/manifests/b", ("a", "b")),
        ("a/b/manifests/c", ("a/b", "c")),
        ("manifests/manifests/manifests", ("manifests", "manifests")),
        ("a/manifests/manifests/b", ("a/manifests", "b")),
        ("a/manifests/b/manifests/c", ("a/manifests/b", "c")),
        ("a%2Fb/manifests/sha256%3Aab", ("a/b", "sha256:ab")),
        ("a%2fb%2Fmanifests/sha256%3aab", ("a/b", "sha256:ab")),
        ("a%252Fb/manifests/c", ("a%252Fb", "c")),
        ("a%253Ab/manifests/%61", ("a%253Ab", "%61")),
    ],
)
def test_a_path_is_cut_at_its_last_keyword(path: str, wanted: tuple[str, str]) -> None:
    assert routes.MANIFEST.read(path) == wanted


def test_uploads_may_end_with_a_slash_or_not() -> None:
    assert routes.UPLOADS.read("a/blobs/uploads/") == ("a", "")
    assert routes.UPLOADS.read("a/blobs/uploads") == ("a", "")


@pytest.mark.parametrize(
    "path", ["", "a/MANIFESTS/b", "manifests/b", "a/manifests/", "a/manifests/b%2F"]
)
def test_a_path_of_another_shape_is_unknown(path: str) -> None:
    with pytest.raises(RouteUnknown):
        routes.MANIFEST.read(path)


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("", "GET HEAD"),
        ("a", ""),
        ("a/manifests", ""),
        ("_catalogue", ""),
        ("_catalog", "GET HEAD"),
        ("_CATALOG", "GET HEAD"),
        ("a/manifests/b", "GET HEAD PUT DELETE"),
        ("a/MANIFESTS/b", ""),
        ("a%2Fb/manifests/c", "GET HEAD PUT DELETE"),
        ("a%2Fmanifests%2Fc", ""),
        ("a/manifests/c%2F", ""),
        ("a\nb/tags/list", ""),
        ("a/blobs/b", "GET HEAD DELETE"),
        ("a/blobs/uploads/", "POST"),
        ("a/blobs/uploads", "GET HEAD DELETE POST"),
        ("a/blobs/uploads/x", "GET HEAD PATCH PUT DELETE"),
        ("a/tags/list", "GET HEAD"),
        ("a/tags/lists", ""),
        ("a/referrers/b", "GET HEAD"),
    ],
)
def test_a_path_has_its_methods_or_is_unknown(path: str, methods: str) -> None:
    assert routes.methods_of(path) == methods.split()


def test_a_refusal_tells_a_path_from_an_operation() -> None:
    refusal = routes.refusal(["GET", "HEAD"])
    assert type(refusal) is Unsupported
    assert refusal.headers == {"Allow": "GET, HEAD"}
    assert type(routes.refusal([])) is RouteUnknown


def test_what_a_path_does_not_take_is_all_the_rest() -> None:
    assert routes.TOKEN.others == ["HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"]


def test_urls_are_relative_and_lead_back_to_their_route() -> None:
    assert routes.manifest_url(APP, Tag("v1")) == "/v2/team/app/manifests/v1"
    assert routes.blob_url(APP, DIGEST) == f"/v2/team/app/blobs/{DIGEST}"
    assert routes.upload_url(APP, "id", "token") == (
        "/v2/team/app/blobs/uploads/id?_nouploadcache=false&_state=token"
    )
    assert routes.tags_url(APP) == "/v2/team/app/tags/list"
    assert routes.referrers_url(APP, DIGEST) == f"/v2/team/app/referrers/{DIGEST}"
