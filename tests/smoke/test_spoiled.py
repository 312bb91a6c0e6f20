"""What is wrong with a deployment is told by the check that names it, and by no other."""

import re
from pathlib import Path

import pytest

from infra.azure.smoke.bodies import KIB, MIB
from tests.smoke import faults
from tests.smoke.conftest import QUICK, Run
from tests.smoke.faults import under
from tests.smoke.spoiling import Fault, spoiled
from tests.support.authority import Authority
from tests.support.hosts import Registry

pytestmark = [pytest.mark.protocol, pytest.mark.xdist_group("smoke")]

PUBLIC = "registry.example.com"

FAULTS: dict[str, Fault] = {
    "login realm": faults.rewrites("www-authenticate", "https://", "http://"),
    "login service": faults.rewrites("www-authenticate", 'service="', 'service="another.'),
    "login Basic": faults.answers(lambda it: _is_basic(it.headers) and it.path == "/v2/", 401),
    "login refusal": faults.answers(lambda it: _is_basic(it.headers) and it.path == "/v2/", 200),
    "login token": faults.answers(under("GET", part="/oauth2/token"), 500),
    "route base": faults.answers(lambda it: it.path == "/v2", 301, location="/v2/"),
    "route upper case": faults.answers(under("GET", part="/V2/"), 404),
    "route %2F": faults.answers(under("GET", part="%2F"), 404),
    "route unknown path": faults.answers(under("GET", part="/nothing/here"), 404),
    "route wrong method": faults.answers(under("PUT", part="/v2/_catalog"), 404),
    "route headers": faults.answers(lambda it: it.path == "/none", 404),
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
    "size without a length": faults.refuses_bodies("transfer-encoding", 512 * KIB),
    "delete manifest": faults.caches_tags(),
    "delete the rest": faults.answers(under("DELETE", part="/blobs/sha256:"), 500),
}

HANGS = {
    "route line feed": under("GET", part="%0A"),
    "strangers invocation id": under("GET", has="x-ms-invocation-id"),
}


def _is_basic(headers: dict[str, str]) -> bool:
    return headers.get("authorization", "").startswith("Basic ")


@pytest.mark.parametrize("check", FAULTS)
def test_a_fault_is_told_by_the_check_that_names_it(
    run: Run, registry: Registry, check: str
) -> None:
    with spoiled(registry.url, FAULTS[check]) as port:
        seen = run(PUBLIC, "--connect", f"127.0.0.1:{port}", *QUICK)
    assert seen.differs == {check}, [seen.of(one) for one in seen.differs]
    assert seen.code == 1


@pytest.mark.parametrize("check", HANGS)
def test_a_request_that_never_ends_is_told_by_the_check_that_sent_it(
    run: Run, registry: Registry, check: str
) -> None:
    with spoiled(registry.url, faults.hangs(HANGS[check])) as port:
        seen = run(PUBLIC, "--connect", f"127.0.0.1:{port}", *QUICK, patience=2)
    assert seen.differs == {check}


def test_an_upload_that_is_cut_off_is_told_with_its_time(run: Run, registry: Registry) -> None:
    with spoiled(registry.url, faults.nothing, body_seconds=1) as port:
        seen = run(PUBLIC, "--connect", f"127.0.0.1:{port}", *QUICK, "--slow", "2")
    assert seen.differs == {"size slow upload"}
    assert seen.of("size slow upload").startswith("504 after ")


def test_a_limit_that_nobody_named_is_told_with_what_passes(run: Run, registry: Registry) -> None:
    with spoiled(registry.url, faults.refuses_bodies("content-length", MIB)) as port:
        seen = run(PUBLIC, "--connect", f"127.0.0.1:{port}", *QUICK, "--largest", "2MiB")
    assert seen.differs == {"size with a length"}
    told = seen.of("size with a length")
    assert re.match(r"up to 1 MiB; 2 MiB: 500 after .*; if this is the Functions host, say", told)


def test_where_nobody_gets_a_token_the_rest_is_not_checked(run: Run, registry: Registry) -> None:
    with spoiled(registry.url, FAULTS["login token"]) as port:
        seen = run(PUBLIC, "--connect", f"127.0.0.1:{port}", *QUICK)
    assert {"route tags", "push image", "read 304", "size slow upload", "time warm"} <= (
        seen.not_checked
    )
    assert "login token tells why" in seen.of("push image")


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
