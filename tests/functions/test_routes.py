"""Each path goes to the right function."""

from collections.abc import Sequence

import pytest

from infra.devhost.functions import router
from infra.devhost.http.router import decode_path
from infra.devhost.worker import Function
from tests.support.app import Site, indexed

DIGEST = "sha256:" + "0" * 64

TABLE = [
    ("GET", "/v2", "base_get"),
    ("GET", "/v2/", "base_get"),
    ("HEAD", "/v2/", "base_get"),
    ("POST", "/v2/", "z_fallback"),
    ("GET", "/v2/_catalog", "catalog_list"),
    ("HEAD", "/v2/_catalog", "catalog_list"),
    ("DELETE", "/v2/_catalog", "z_fallback"),
    ("GET", "/v2/a/manifests/latest", "manifest_get"),
    ("HEAD", "/v2/a/b/c/manifests/latest", "manifest_get"),
    ("GET", f"/v2/a/manifests/{DIGEST}", "manifest_get"),
    ("PUT", "/v2/a/manifests/latest", "manifest_put"),
    ("DELETE", "/v2/a/manifests/latest", "manifest_delete"),
    ("POST", "/v2/a/manifests/latest", "z_fallback"),
    ("GET", "/v2/manifests/manifests/manifests", "manifest_get"),
    ("GET", "/v2/a/manifests/", "z_fallback"),
    ("GET", "/v2/a/manifests", "z_fallback"),
    ("GET", "/v2/a/manifests/b/c", "z_fallback"),
    ("GET", f"/v2/a/blobs/{DIGEST}", "blob_get"),
    ("HEAD", f"/v2/a/blobs/{DIGEST}", "blob_get"),
    ("DELETE", f"/v2/a/blobs/{DIGEST}", "blob_delete"),
    ("PUT", f"/v2/a/blobs/{DIGEST}", "z_fallback"),
    ("GET", f"/v2/blobs/uploads/blobs/{DIGEST}", "blob_get"),
    ("POST", "/v2/a/blobs/uploads/", "upload_start"),
    ("POST", "/v2/a/blobs/uploads", "upload_start"),
    ("GET", "/v2/a/blobs/uploads/", "z_fallback"),
    ("PATCH", "/v2/a/blobs/uploads/x", "upload_append"),
    ("PUT", "/v2/a/blobs/uploads/x", "upload_commit"),
    ("GET", "/v2/a/blobs/uploads/x", "upload_status"),
    ("DELETE", "/v2/a/blobs/uploads/x", "upload_cancel"),
    ("HEAD", "/v2/a/blobs/uploads/x", "upload_status"),
    ("POST", "/v2/a/blobs/uploads/x", "z_fallback"),
    ("GET", "/v2/a/tags/list", "tag_list"),
    ("HEAD", "/v2/a/tags/list", "tag_list"),
    ("GET", "/v2/tags/list/tags/list", "tag_list"),
    ("POST", "/v2/a/tags/list", "z_fallback"),
    ("GET", "/v2/a/tags/lists", "z_fallback"),
    ("GET", f"/v2/a/referrers/{DIGEST}", "referrer_list"),
    ("HEAD", f"/v2/a/referrers/{DIGEST}", "referrer_list"),
    ("DELETE", f"/v2/a/referrers/{DIGEST}", "z_fallback"),
    ("GET", "/v2/team%2Fapp/manifests/latest", "manifest_get"),
    ("GET", f"/v2/team%2fapp/blobs/{DIGEST.replace(':', '%3A')}", "blob_get"),
    ("GET", "/v2/a/../b/manifests/latest", "manifest_get"),
    ("GET", "/v2/a//manifests/latest", "manifest_get"),
    ("GET", "/v2/whatever", "z_fallback"),
    ("OPTIONS", "/v2/a/manifests/latest", "z_fallback"),
    ("GET", "/oauth2/token", "token_issue"),
    ("POST", "/oauth2/token", "token_issue"),
    *(
        (method, "/oauth2/token", "z_token_fallback")
        for method in ("HEAD", "PUT", "PATCH", "DELETE", "OPTIONS")
    ),
    *(
        (method, "/acr/v1/team%2Fapp/_manifests/latest", "z_acr_fallback")
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    ),
    ("GET", "/acr", "z_acr_fallback"),
    ("GET", "/acr/", "z_acr_fallback"),
    ("GET", "/ACR/V1/_catalog", "z_acr_fallback"),
    ("GET", "/acre", None),
    ("TRACE", "/v2/", None),
    ("GET", "/v2/x%0Ay", None),
    ("GET", "/v2/a%0A/manifests/latest", None),
    ("GET", "/v2/a/manifests/latest%0A", None),
    ("GET", "/v2/a/tags/list%0A", None),
    ("POST", "/v2/a/blobs/uploads/%0A", None),
    ("GET", "/acr/v1%0A", None),
    ("GET", "/acr/%0A", None),
    ("GET", "/", None),
    ("GET", "/v1/", None),
    ("GET", "/v20/a/manifests/latest", None),
]


@pytest.fixture
def functions(worker: None) -> Sequence[Function]:
    return [function for function in indexed()[1] if function.kind == "httpTrigger"]


@pytest.mark.parametrize(("method", "path", "name"), TABLE)
def test_a_path_goes_to_its_function(
    functions: Sequence[Function], method: str, path: str, name: str | None
) -> None:
    found = router(functions, "").find(method, decode_path(path.encode()))
    assert (found[0].name if found else None) == name


def test_every_function_is_in_the_table(functions: Sequence[Function]) -> None:
    wanted = {(method.upper(), f.name) for f in functions for method in f.trigger["methods"]}
    missing = wanted - {(method, name) for method, _, name in TABLE}
    assert missing <= {(method, "z_fallback") for method in ("HEAD", "PATCH")}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/whatever", 404),
        ("GET", "/v2/a/manifests", 404),
        ("POST", "/v2/a/manifests/latest", 405),
        ("PUT", "/v2/a/tags/list", 405),
        ("DELETE", "/v2/_catalog", 405),
        ("GET", "/v2/a/blobs/uploads/", 405),
        ("HEAD", "/v2/whatever", 404),
        ("OPTIONS", "/v2/a/tags/lists", 404),
        ("POST", "/v2/", 405),
        ("GET", "/acr/v1/_catalog", 501),
        ("DELETE", "/acr/v1/team%2Fapp", 501),
        ("GET", "/v2/A/MANIFESTS/b", 404),
        ("GET", "/v2/a%2Fmanifests%2Fb", 404),
        ("GET", "/nowhere", 404),
    ],
)
async def test_what_is_no_function_has_the_specifications_answer(
    site: Site, method: str, path: str, status: int
) -> None:
    answer = await site.call(method, path)
    assert answer.status_code == status
    if method != "HEAD" and path != "/nowhere":
        assert answer.json()["errors"][0]["code"] == "UNSUPPORTED"
