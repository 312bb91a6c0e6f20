"""Who can write storage and wrap with the vault's public half, but not sign."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.storage.master_key.document import Document, DocumentUnreadable, State
from shared.storage.master_key.kept import drawn
from shared.storage.master_key.signing import Signing
from shared.storage.memory.vault import MemoryVault
from shared.storage.ports import VaultRefused

NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)


@pytest.fixture
def vault() -> MemoryVault:
    return MemoryVault()


@pytest.fixture
def signing(vault: MemoryVault) -> Signing:
    return Signing(vault, "account")


@pytest.fixture
async def document(vault: MemoryVault) -> Document:
    return Document("account", NOW, [await drawn(vault, State.CURRENT, NOW)])


@pytest.fixture
async def body(signing: Signing, document: Document) -> bytes:
    return await signing.signed(document)


def encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def changed(body: bytes, **values: Any) -> bytes:
    return json.dumps({**json.loads(body), **values}).encode()


async def test_what_is_signed_is_read(signing: Signing, body: bytes, document: Document) -> None:
    assert await signing.read(body) == document


async def test_its_form_is_that_of_a_jws(body: bytes, vault: MemoryVault) -> None:
    said = json.loads(body)
    version = [*vault._versions][-1]
    assert [*said] == ["protected", "payload", "header", "signature"]
    assert said["header"] == {"kid": f"{vault.key}/{version}"}
    protected = json.loads(urlsafe_b64decode(said["protected"] + "=="))
    assert protected == {"alg": "PS256", "typ": "registry-master-key"}


async def test_a_key_of_somebody_else_that_is_wrapped_well_is_refused(
    signing: Signing, body: bytes, vault: MemoryVault
) -> None:
    planted = Document("account", NOW, [await drawn(vault, State.CURRENT, NOW)])
    payload = encoded(planted.text())
    for one in (
        changed(body, payload=payload),
        changed(body, payload=payload, signature=""),
        changed(body, signature=encoded(b"\0" * 32)),
    ):
        with pytest.raises(DocumentUnreadable, match="somebody else has written it: bring"):
            await signing.read(one)


async def test_what_the_vault_has_signed_for_another_purpose_is_refused(
    signing: Signing, document: Document, vault: MemoryVault
) -> None:
    protected = encoded(json.dumps({"alg": "PS256", "typ": "JWT"}).encode())
    payload = encoded(document.text())
    signature = await vault.sign(f"{protected}.{payload}".encode())
    forged = {
        "protected": protected,
        "payload": payload,
        "header": {"kid": f"{vault.key}/{signature.version}"},
        "signature": encoded(signature.data),
    }
    with pytest.raises(DocumentUnreadable, match="somebody else has written it"):
        await signing.read(json.dumps(forged).encode())


async def test_another_algorithm_is_refused(signing: Signing, body: bytes) -> None:
    protected = encoded(json.dumps({"alg": "none", "typ": "registry-master-key"}).encode())
    with pytest.raises(DocumentUnreadable, match="somebody else has written it"):
        await signing.read(changed(body, protected=protected))


async def test_without_a_signature_it_is_refused(signing: Signing, document: Document) -> None:
    for body in (document.text(), b"{}", b"[]", b"7", b"null", b'{"header": 1}'):
        with pytest.raises(DocumentUnreadable, match="is not signed, so anybody may have written"):
            await signing.read(body)


@pytest.mark.parametrize(
    "values",
    [
        {"header": {}},
        {"header": None},
        {"header": [["kid", "x"]]},
        {"signature": None},
        {"signature": 3},
        {"signature": "é"},
        {"signature": "A"},
        {"payload": "\ud800"},
    ],
)
async def test_what_is_signed_in_no_known_form_is_refused(
    signing: Signing, body: bytes, values: dict[str, Any]
) -> None:
    with pytest.raises(DocumentUnreadable):
        await signing.read(changed(body, **values))


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"{", b"[" * 60_000], ids=["empty", "bytes", "cut", "deep"]
)
async def test_what_is_no_json_is_told(signing: Signing, body: bytes) -> None:
    with pytest.raises(DocumentUnreadable, match=r"^cannot be read .*: bring the last one"):
        await signing.read(body)


async def test_the_key_of_another_vault_is_told_and_not_asked(
    body: bytes, vault: MemoryVault
) -> None:
    other = MemoryVault("https://other.test/keys/k")
    told = f"is signed with {vault.key}, and REGISTRY_KEY_VAULT_KEY is {other.key}"
    with pytest.raises(DocumentUnreadable, match=told):
        await Signing(other, "account").read(body)
    assert other.calls == []


async def test_what_others_have_written_is_told_in_a_line(signing: Signing, body: bytes) -> None:
    kid = "https://other.test/keys/k\nERROR another line" + "." * 10_000 + "/1"
    with pytest.raises(DocumentUnreadable) as caught:
        await signing.read(changed(body, header={"kid": kid}))
    assert (len(str(caught.value)) < 500, "\n" in str(caught.value)) == (True, False)


async def test_a_version_that_the_vault_does_not_have_is_refused(
    signing: Signing, body: bytes, vault: MemoryVault
) -> None:
    for version in ("0" * 32, ""):
        with pytest.raises(VaultRefused):
            await signing.read(changed(body, header={"kid": f"{vault.key}/{version}"}))


async def test_nothing_is_written_that_could_not_be_read(
    signing: Signing, document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def other(*_: object) -> bool:
        return False

    monkeypatch.setattr(MemoryVault, "verify", other)
    with pytest.raises(VaultRefused, match="does not know what it has signed"):
        await signing.signed(document)


@pytest.mark.parametrize(
    "kid", ["\x1b]0;a title\x07", "\ud800", "\u202egnp", "https://a.test/keys/b\x9b2J"]
)
async def test_what_another_key_calls_itself_is_told_in_letters_alone(
    signing: Signing, body: bytes, kid: str
) -> None:
    with pytest.raises(DocumentUnreadable) as told:
        await signing.read(changed(body, header={"kid": f"{kid}/1"}))
    assert str(told.value).isprintable()


@pytest.mark.parametrize("letter", [b"\xff", b"[", b"1"])
async def test_what_is_no_document_is_not_told_whole(signing: Signing, letter: bytes) -> None:
    with pytest.raises(DocumentUnreadable, match="cannot be read") as told:
        await signing.read(letter * 60_000)
    assert len(str(told.value)) < 400
