"""What cosign does with a key of its own: sign, verify, attest; no transparency log."""

import base64
import json
import secrets
from pathlib import Path

import pytest

from tests.support import flows, listings
from tests.support.clients import ClientError
from tests.support.go_clients import Program, by_address, logged_in
from tests.support.hosts import Registry
from tests.support.images import image

pytestmark = [pytest.mark.protocol, pytest.mark.clients, pytest.mark.xdist_group("circle")]

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
HTTP = "--allow-http-registry"
SIGN = ("--yes", "--key=cosign.key", HTTP)
OFFLINE = ("--signing-config=offline.json",)
CLASSIC = ("--new-bundle-format=false",)
CLASSIC_OFFLINE = (*CLASSIC, "--use-signing-config=false", "--tlog-upload=false")


@pytest.fixture
def cosign(tmp_path: Path, registry: Registry) -> Program:
    client = logged_in("cosign", tmp_path, by_address(registry))
    client.run("generate-key-pair")
    client.run("signing-config", "create", "--out=offline.json")
    return client


@pytest.fixture
def repository() -> str:
    return f"circle/cosign-{secrets.token_hex(4)}"


@pytest.fixture
def here(registry: Registry, repository: str) -> str:
    return f"{by_address(registry).login_server}/{repository}"


def verified(cosign: Program, name: str, *options: str, key: str = "cosign.pub") -> list[str]:
    """Verify the signatures of an image and give the digests that they sign."""
    found = cosign.run(
        "verify", f"--key={key}", "--insecure-ignore-tlog", HTTP, "--output=json", *options, name
    )
    return [each["critical"]["image"]["docker-manifest-digest"] for each in json.loads(found)]


@pytest.mark.parametrize("mode", ["tag", "referrer"])
def test_a_signed_image_is_verified(
    mode: str, cosign: Program, registry: Registry, repository: str, here: str
) -> None:
    built = image(len(mode))
    flows.push(registry, repository, built, "v1")
    options, offline = (CLASSIC, CLASSIC_OFFLINE) if mode == "tag" else ((), OFFLINE)
    with pytest.raises(ClientError, match=r"no (matching )?signatures"):
        verified(cosign, f"{here}:v1", *options)
    cosign.run("sign", *SIGN, *offline, f"{here}@{built.digest}")
    assert verified(cosign, f"{here}:v1", *options) == [built.digest]
    signature = built.digest.replace(":", "-") + ".sig"
    kinds = listings.referrers(registry, repository, built.digest).values()
    if mode == "tag":
        assert (listings.tags(registry, repository), list(kinds)) == ([signature, "v1"], [])
    else:
        assert (listings.tags(registry, repository), list(kinds)) == (["v1"], [BUNDLE])
    assert flows.pull(registry, repository, "v1") == flows.pulled(built)


def test_the_signature_of_another_key_is_refused(
    cosign: Program, registry: Registry, repository: str, here: str
) -> None:
    built = image(10)
    flows.push(registry, repository, built, "v1")
    cosign.run("sign", *SIGN, *OFFLINE, f"{here}@{built.digest}")
    cosign.run("generate-key-pair", "--output-key-prefix=other")
    with pytest.raises(ClientError):
        verified(cosign, f"{here}:v1", key="other.pub")


def test_an_attestation_is_a_referrer_with_its_statement(
    cosign: Program, registry: Registry, repository: str, here: str
) -> None:
    built = image(11)
    flows.push(registry, repository, built, "v1")
    (cosign.folder / "predicate.json").write_text('{"answer": 42}')
    attested = f"{here}@{built.digest}"
    about = ("--predicate=predicate.json", "--type=custom")
    cosign.run("attest", *SIGN, *OFFLINE, *about, attested)
    cosign.run(
        "verify-attestation",
        "--key=cosign.pub",
        "--insecure-ignore-tlog",
        "--type=custom",
        HTTP,
        attested,
    )
    ((digest, kind),) = listings.referrers(registry, repository, built.digest).items()
    assert kind == BUNDLE
    (bundle,) = [
        json.loads(content)
        for content in flows.pull(registry, repository, digest).blobs.values()
        if b"dsseEnvelope" in content
    ]
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    assert statement["subject"][0]["digest"] == {"sha256": built.digest.removeprefix("sha256:")}
    assert json.loads(statement["predicate"]["Data"]) == {"answer": 42}


def test_a_signed_image_is_copied_with_its_signature(
    cosign: Program, registry: Registry, repository: str, here: str
) -> None:
    built = image(12)
    flows.push(registry, repository, built, "v1")
    cosign.run("sign", *SIGN, *CLASSIC_OFFLINE, f"{here}@{built.digest}")
    cosign.run("save", HTTP, "--dir=saved", f"{here}:v1")
    cosign.run("load", HTTP, "--dir=saved", f"{here}/loaded:v1")
    assert verified(cosign, f"{here}/loaded:v1", *CLASSIC) == [built.digest]
    assert flows.pull(registry, f"{repository}/loaded", "v1") == flows.pulled(built)
