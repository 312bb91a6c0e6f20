"""What is wrong with a deployment is told by the check that names it, and by no other."""

import re
from collections.abc import Mapping
from itertools import chain
from pathlib import Path

import pytest

from infra.azure.smoke.asking.bodies import KIB, MIB
from infra.azure.smoke.checks import ROOMS
from tests.smoke import faults, test_memory, test_smoke, test_strangers
from tests.smoke.conftest import QUICK, Run
from tests.smoke.faults import under
from tests.smoke.spoiling import Asked, Fault, spoiled
from tests.support.authority import Authority
from tests.support.hosts import Registry

pytestmark = [pytest.mark.protocol, pytest.mark.xdist_group("smoke")]

PUBLIC = "registry.example.com"


def is_basic(asked: Asked) -> bool:
    """Tell the requests of `docker login` by a simple client."""
    has = asked.headers.get("authorization", "").startswith("Basic ")
    return has and asked.path == "/v2/"


FAULTS: Mapping[str, Mapping[str, Fault]] = {
    "login": {
        "login realm": faults.rewrites("www-authenticate", "https://", "http://"),
        "login service": faults.rewrites("www-authenticate", 'service="', 'service="another.'),
        "login Basic": faults.answers(is_basic, 401),
    },
    "routes": {
        "login refusal": faults.answers(is_basic, 200),
        "route base": faults.answers(lambda it: it.path == "/v2", 301, location="/v2/"),
        "route upper case": faults.answers(under("GET", part="/V2/"), 404),
        "route catalog": faults.answers(under("GET", part="/v2/_catalog"), 404),
        "route manifests": faults.answers(under("GET", part="/of/four/manifests/"), 404),
        "route blobs": faults.answers(under("GET", part="/of/four/blobs/sha256:"), 404),
        "route uploads": faults.answers(under("GET", part="/of/four/blobs/uploads/"), 404),
        "route tags": faults.answers(under("GET", part="/of/four/tags/list"), 404),
        "route %2F": faults.answers(under("GET", part="%2F"), 404),
        "route referrers": faults.answers(under("GET", part="/referrers/"), 404),
        "route last slash": faults.answers(lambda it: it.path.endswith("/blobs/uploads"), 404),
        "route unknown path": faults.answers(under("GET", part="/nothing/here"), 404),
        "route wrong method": faults.answers(under("PUT", part="/v2/_catalog"), 404),
        "route headers": faults.answers(lambda it: it.path == "/none", 404),
    },
    "pushes": {
        "push image": faults.loses("docker-content-digest", under("PUT", part="/manifests/")),
        "push one POST": faults.answers(lambda it: "/uploads/?digest=" in it.target, 202),
        "push pieces": faults.loses("range", under("GET", part="/blobs/uploads/")),
        "push wrong digest": faults.takes_any_digest,
        "push 100-continue": faults.answers(under("PUT", has="expect"), 417),
    },
    "reads": {
        "read manifest": faults.writes_json_anew,
        "read HEAD of a manifest": faults.loses("content-length", under("HEAD", part="/manifests")),
        "read HEAD of a blob": faults.loses("content-length", under("HEAD", part="/blobs/")),
        "read 304": faults.drops("if-none-match", under("GET")),
        "read end of a blob": faults.drops("range", under("GET")),
        "read tags": faults.loses("link", under("GET")),
    },
    "a closed redirect, and a cache": {
        "blob redirect": faults.redirects_to_a_login,
        "size without a length": faults.refuses_bodies("transfer-encoding", 512 * KIB),
        "delete manifest": faults.caches_tags(),
    },
    "a redirect without ranges": {
        "blob range": faults.redirects_without_ranges(),
        "delete the rest": faults.answers(under("DELETE", part="/blobs/sha256:"), 500),
    },
}
"""By the check that names it; those of a group are independent, and in force at once."""

HANGS = {
    "time cold": faults.nth(2, lambda it: it.path == "/v2/"),
    "route line feed": under("GET", part="%0A"),
    "strangers invocation id": under("GET", has="x-ms-invocation-id"),
    "time warm": faults.nth(2, under("GET", part="/manifests/one")),
}

UNMEASURED = {
    "push stream",
    "push wrong digest",
    "size without a length",
    "size slow upload",
}
"""The checks that send a body without saying how long it is."""


@pytest.mark.parametrize("group", FAULTS)
def test_a_fault_is_told_by_the_check_that_names_it(
    run: Run, registry: Registry, group: str
) -> None:
    planted = FAULTS[group]
    with spoiled(registry.url, faults.together(*planted.values())) as port:
        seen = run(PUBLIC, "--connect", f"127.0.0.1:{port}", *QUICK)
    assert seen.differs == planted.keys(), [seen.of(one) for one in seen.differs]
    assert seen.code == 1


def test_a_request_that_never_ends_is_told_by_the_check_that_sent_it(
    run: Run, registry: Registry
) -> None:
    planted = faults.together(*map(faults.hangs, HANGS.values()))
    with spoiled(registry.url, planted) as port:
        here = ("--connect", f"127.0.0.1:{port}", "--cold", "0.1")
        seen = run(PUBLIC, *here, *QUICK, patience=2)
    assert seen.differs == HANGS.keys()


def test_a_proxy_that_wants_a_length_is_told_by_all_that_send_none(
    run: Run, registry: Registry
) -> None:
    wants_a_length = faults.answers(under("PATCH", has="transfer-encoding"), 411)
    with spoiled(registry.url, wants_a_length) as port:
        seen = run(PUBLIC, "--connect", f"127.0.0.1:{port}", *QUICK)
    assert seen.differs == UNMEASURED
    assert all("411" in seen.of(check) for check in UNMEASURED)


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
    no_token = faults.answers(under("GET", part="/oauth2/token"), 500)
    with spoiled(registry.url, no_token) as port:
        seen = run(PUBLIC, "--connect", f"127.0.0.1:{port}", *QUICK)
    assert seen.differs == {"login token"}
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


ELSEWHERE = {
    "login token": test_where_nobody_gets_a_token_the_rest_is_not_checked,
    "storage verification": test_smoke.test_an_object_that_nobody_verifies_is_told,
    "storage webhook": test_smoke.test_a_receiver_that_is_never_reached_is_told,
    "strangers control byte": test_strangers.test_a_control_byte_that_is_taken_differs,
    "strangers hang up": test_strangers.test_a_server_that_loses_heart_differs,
    "size with a length": test_a_limit_that_nobody_named_is_told_with_what_passes,
    "size memory": test_memory.test_where_less_than_a_quarter_is_left_that_differs,
}


def test_each_check_is_seen_to_fail() -> None:
    checks = {check.name for room in ROOMS for check in room.checks}
    planted = {*chain(*FAULTS.values())}
    assert checks == planted | HANGS.keys() | UNMEASURED | ELSEWHERE.keys()
