"""What is wrong with a deployment is told by the check that names it, and by no other."""

from pathlib import Path

import pytest

from tests.smoke import faults
from tests.smoke.conftest import Run
from tests.smoke.faults import under
from tests.smoke.spoiling import Fault, spoiled
from tests.support.authority import Authority
from tests.support.hosts import Registry

pytestmark = [pytest.mark.protocol, pytest.mark.xdist_group("smoke")]

QUICK = ("--largest", "1MiB", "--slow", "0.2", "--requests", "2")
PUBLIC = "registry.example.com"

FAULTS: dict[str, Fault] = {
    "login realm": faults.rewrites("www-authenticate", "https://", "http://"),
    "login service": faults.rewrites("www-authenticate", 'service="', 'service="another.'),
    "login Basic": faults.answers(lambda it: _is_basic(it.headers) and it.path == "/v2/", 401),
    "login token": faults.answers(under("GET", part="/oauth2/token"), 500),
    "route base": faults.answers(lambda it: it.path == "/v2", 301, location="/v2/"),
    "route upper case": faults.answers(under("GET", part="/V2/"), 404),
    "route %2F": faults.answers(under("GET", part="%2F"), 404),
    "route line feed": faults.hangs(under("GET", part="%0A")),
    "route headers": faults.answers(lambda it: it.path == "/none", 404),
    "strangers invocation id": faults.hangs(under("GET", has="x-ms-invocation-id")),
    "push pieces": faults.loses("range", under("GET", part="/blobs/uploads/")),
    "push wrong digest": faults.takes_any_digest,
    "push 100-continue": faults.answers(under("PUT", has="expect"), 417),
    "read manifest": faults.writes_json_anew,
    "read HEAD of a manifest": faults.loses("content-length", under("HEAD", part="/manifests/")),
    "read HEAD of a blob": faults.loses("content-length", under("HEAD", part="/blobs/")),
    "read 304": faults.drops("if-none-match", under("GET")),
    "read end of a blob": faults.drops("range", under("GET")),
    "read tags": faults.loses("link", under("GET")),
    "blob redirect": faults.redirects_to_a_login,
    "blob range": faults.redirects_without_ranges(),
    "size with a length": faults.refuses_bodies("content-length"),
    "size without a length": faults.refuses_bodies("transfer-encoding"),
    "delete manifest": faults.caches_tags(),
    "delete the rest": faults.answers(under("DELETE", part="/blobs/sha256:"), 500),
}


def _is_basic(headers: dict[str, str]) -> bool:
    return headers.get("authorization", "").startswith("Basic ") and "Tm9i" not in headers


@pytest.mark.parametrize("check", FAULTS)
def test_a_fault_is_told_by_the_check_that_names_it(
    run: Run, registry: Registry, check: str
) -> None:
    with spoiled(registry.url, FAULTS[check]) as port:
        seen = run(PUBLIC, "--connect", f"127.0.0.1:{port}", *QUICK)
    assert seen.differs == {check}, [seen.of(one) for one in seen.differs]
    assert seen.code == 1


def test_an_upload_that_is_cut_off_is_told_with_its_time(run: Run, registry: Registry) -> None:
    with spoiled(registry.url, faults.nothing, body_seconds=1.5) as port:
        seen = run(PUBLIC, "--connect", f"127.0.0.1:{port}", *QUICK, "--slow", "3")
    assert seen.differs == {"size slow upload"}
    assert seen.of("size slow upload").startswith("504 after ")


def test_where_nobody_gets_a_token_the_rest_is_not_checked(run: Run, registry: Registry) -> None:
    with spoiled(registry.url, FAULTS["login token"]) as port:
        seen = run(PUBLIC, "--connect", f"127.0.0.1:{port}", *QUICK)
    assert {"route tags", "push image", "read 304", "size slow upload", "time warm"} <= (
        seen.not_checked
    )
    assert "login token tells why" in seen.of("push image")


def test_a_receiver_that_is_never_reached_is_told(
    run: Run, registry: Registry, settings: dict[str, str], environment: dict[str, str]
) -> None:
    environment |= settings
    nobody = "http://127.0.0.1:1/"
    seen = run(registry.login_server, *QUICK, "--receiver", nobody, "--wait", "3")
    assert seen.differs == {"storage webhook"}
    assert "Connection refused" in seen.of("storage webhook")


def test_an_object_that_nobody_verifies_is_told(
    run: Run, registry: Registry, settings: dict[str, str], environment: dict[str, str]
) -> None:
    environment |= settings
    seen = run(registry.login_server, *QUICK, "--wait", "0")
    assert seen.differs == {"storage verification"}
    assert seen.of("storage verification").startswith("not verified within 0 s")


def test_over_tls_nothing_differs_and_the_name_is_what_certificates_say(
    run: Run, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority()
    (tmp_path / "authority.pem").write_text(authority.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    with spoiled(registry.url, faults.nothing, tls=authority.context(PUBLIC)) as port:
        seen = run(PUBLIC, "--connect", f"127.0.0.1:{port}", *QUICK, is_plain=False)
    assert seen.differs == set()
    assert seen.of("login realm") == f"https://{PUBLIC}/oauth2/token"
    assert seen.of("push 100-continue") == "100, then 201"
