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
    ("path", "error"),
    [
        ("", RouteUnknown),
        ("a", RouteUnknown),
        ("a/manifests", RouteUnknown),
        ("_catalogue", RouteUnknown),
        ("_catalog", Unsupported),
        ("a/manifests/b", Unsupported),
        ("a%2Fb/manifests/c", Unsupported),
        ("a/blobs/uploads/x", Unsupported),
        ("a/tags/list", Unsupported),
        ("a/tags/lists", RouteUnknown),
    ],
)
def test_a_refusal_tells_a_path_from_an_operation(path: str, error: type[Exception]) -> None:
    assert type(routes.refusal(path)) is error


def test_urls_are_relative_and_lead_back_to_their_route() -> None:
    assert routes.manifest_url(APP, Tag("v1")) == "/v2/team/app/manifests/v1"
    assert routes.blob_url(APP, DIGEST) == f"/v2/team/app/blobs/{DIGEST}"
    assert routes.upload_url(APP, "id", "token") == (
        "/v2/team/app/blobs/uploads/id?_nouploadcache=false&_state=token"
    )
    assert routes.tags_url(APP) == "/v2/team%2Fapp/tags/list"
    assert routes.TAGS.read(routes.tags_url(APP).removeprefix("/v2/")) == (APP, "")
    shown = routes.referrers_url(APP, DIGEST).removeprefix("/v2/")
    assert routes.REFERRERS.read(shown) == (APP, str(DIGEST))
    assert ":" not in shown
