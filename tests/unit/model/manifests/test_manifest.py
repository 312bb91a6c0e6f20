import json
import tracemalloc
from contextlib import suppress

import pytest

from shared.errors import ManifestInvalid
from shared.model.digest import Digest
from shared.model.manifests import manifest as manifests
from shared.model.manifests.manifest import MANIFEST_BYTES, Manifest, read_manifest
from shared.model.manifests.media_types import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST

CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"

type Json = dict[str, object]


def descriptor(content: bytes, media_type: str = "a/b") -> Json:
    return {"mediaType": media_type, "digest": str(Digest.of(content)), "size": len(content)}


def changed(document: Json, **changes: object) -> Json:
    return {key: value for key, value in {**document, **changes}.items() if value is not ...}


IMAGE: Json = {
    "schemaVersion": 2,
    "mediaType": OCI_MANIFEST,
    "config": descriptor(b"config", CONFIG_TYPE),
    "layers": [descriptor(b"one"), descriptor(b"two")],
}
INDEX: Json = {
    "schemaVersion": 2,
    "mediaType": OCI_INDEX,
    "manifests": [descriptor(b"child", OCI_MANIFEST)],
}


CAPITALS = {**descriptor(b"x"), "Digest": str(Digest.of(b"y"))}
LONG_S = "layer\N{LATIN SMALL LETTER LONG S}"
FORM = "application/x-www-form-urlencoded"


def read(document: object, media_type: str = "") -> Manifest:
    return read_manifest(json.dumps(document).encode(), media_type)


REFUSED: list[tuple[str, object, str, str]] = [
    ("a list", [], OCI_MANIFEST, "must be a JSON object"),
    ("a number", 1, OCI_MANIFEST, "must be a JSON object"),
    ("null", None, OCI_MANIFEST, "must be a JSON object"),
    ("mediaType a number", changed(IMAGE, mediaType=1), "", "mediaType must be a string"),
    ("two media types", IMAGE, OCI_INDEX, "Content-Type is .*, but the manifest is"),
    ("no media type at all", {"schemaVersion": 2}, "", "the request has no Content-Type"),
    ("a long media type", changed(IMAGE, mediaType="a/" + "b" * 254), "", "too long"),
    ("a media type not in ASCII", changed(IMAGE, mediaType="a/ä"), "", "not ASCII"),
    ("a media type with a line break", changed(IMAGE, mediaType="a/b\r\nX: y"), "", "printable"),
    ("schema 1 by its type", {}, SCHEMA_1, "docker schema 1"),
    ("schema 1 by its version", changed(IMAGE, schemaVersion=1), "", "docker schema 1"),
    ("an image of schema 3", changed(IMAGE, schemaVersion=3), "", "schemaVersion must be 2"),
    ("an index without schema", changed(INDEX, schemaVersion=...), "", "schemaVersion must be 2"),
    ("an image without config", changed(IMAGE, config=...), "", "config must be a descriptor"),
    ("an image's config null", changed(IMAGE, config=None), "", "config must be a descriptor"),
    ("nothing but nulls", dict.fromkeys(IMAGE), "", "the request has no Content-Type"),
    ("a config that is a list", changed(IMAGE, config=[]), "", "config must be a descriptor"),
    ("layers an object", changed(IMAGE, layers={}), "", "layers must be a list"),
    ("a layer null", changed(IMAGE, layers=[None]), "", r"layers\[0\] must be a descriptor"),
    ("blobs a string", changed(IMAGE, blobs="x"), "", "blobs must be a list"),
    ("manifests of an image", changed(IMAGE, manifests=1), "", "both an index and an image"),
    (
        "an index and an image at once",
        changed(IMAGE, manifests=[]),
        "",
        "both an index and an image",
    ),
    ("the same the other way", changed(INDEX, layers=[]), "", "both an index and an image"),
    ("layers in capitals", changed(IMAGE, layers=..., Layers=[]), "", "'Layers' stands twice"),
    ("layers with a long s", changed(IMAGE, **{LONG_S: []}), "", "stands twice"),
    ("a digest in capitals", changed(IMAGE, config=CAPITALS), "", "'Digest' stands twice"),
    ("a layer's", changed(IMAGE, layers=[CAPITALS]), "", "'Digest' stands twice"),
    ("an image as a form", changed(IMAGE, mediaType=...), FORM, "but the manifest is"),
    ("subject a string", changed(IMAGE, subject="x"), "", "subject must be a descriptor"),
    ("subject an empty object", changed(IMAGE, subject={}), "", "subject.mediaType must be"),
    ("artifactType a number", changed(IMAGE, artifactType=1), "", "artifactType must be a string"),
    ("annotations a list", changed(IMAGE, annotations=[]), "", "annotations must be an object"),
    ("an annotation a number", changed(IMAGE, annotations={"a": 1}), "", "annotations must be"),
    (
        "an artifact's bad config",
        {"mediaType": "a/b+json", "config": {}},
        "",
        "config.mediaType must be",
    ),
]


@pytest.mark.parametrize(
    ("document", "media_type", "message"),
    [case[1:] for case in REFUSED],
    ids=[case[0] for case in REFUSED],
)
def test_what_is_not_a_manifest_is_refused(document: object, media_type: str, message: str) -> None:
    with pytest.raises(ManifestInvalid, match=message):
        read(document, media_type)


@pytest.mark.parametrize("media_type", ["", OCI_MANIFEST, "application/json"])
@pytest.mark.parametrize("body", [b"", b"{", b"\xff{}", b'{"a": NaN}', b"[" * 5_000])
def test_what_is_not_json_is_refused(body: bytes, media_type: str) -> None:
    with pytest.raises(ManifestInvalid, match="not JSON"):
        read_manifest(body, media_type)


def test_too_many_descriptors_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifests, "REFERENCES", 3)
    read(IMAGE)
    with pytest.raises(ManifestInvalid, match="at most 3 descriptors"):
        read(changed(IMAGE, blobs=INDEX["manifests"]))


@pytest.mark.parametrize("media_type", [OCI_MANIFEST, DOCKER_MANIFEST])
def test_an_image_has_a_config_and_layers(media_type: str) -> None:
    image = read(changed(IMAGE, mediaType=media_type), media_type)
    wanted = [Digest.of(content) for content in (b"config", b"one", b"two")]
    assert [blob.digest for blob in image.blobs] == wanted
    assert (image.media_type, image.children, image.subject) == (media_type, (), None)


@pytest.mark.parametrize("media_type", [OCI_INDEX, DOCKER_LIST])
def test_an_index_has_children(media_type: str) -> None:
    index = read(changed(INDEX, mediaType=media_type), media_type)
    assert [child.digest for child in index.children] == [Digest.of(b"child")]
    assert (index.media_type, index.blobs) == (media_type, ())


def test_an_artifact_may_have_any_of_the_usual_lists() -> None:
    document = {
        "mediaType": "application/vnd.example+json",
        "blobs": [descriptor(b"one")],
        "manifests": [descriptor(b"child")],
    }
    artifact = read(document)
    assert {blob.digest for blob in artifact.blobs} == {Digest.of(b"one")}
    assert [child.digest for child in artifact.children] == [Digest.of(b"child")]


def test_an_artifact_need_not_be_json() -> None:
    artifact = read_manifest(b"\x00text", "text/plain")
    assert artifact == Manifest(b"\x00text", Digest.of(b"\x00text"), "text/plain", is_typed=False)


@pytest.mark.parametrize(
    ("document", "guess"),
    [(changed(IMAGE, mediaType=...), OCI_MANIFEST), (changed(INDEX, mediaType=...), OCI_INDEX)],
)
def test_a_manifest_without_any_type_is_known_by_its_lists(document: Json, guess: str) -> None:
    assert read(document).media_type == guess


def test_the_bytes_are_kept_and_hashed_as_they_are() -> None:
    body = b" " + json.dumps(IMAGE, indent=3).encode() + b"\n"
    manifest = read_manifest(body, OCI_MANIFEST, "sha512")
    assert (manifest.body, manifest.digest) == (body, Digest.of(body, "sha512"))


@pytest.mark.parametrize(
    ("document", "artifact_type"),
    [
        (IMAGE, CONFIG_TYPE),
        (changed(IMAGE, artifactType="x/y"), "x/y"),
        (changed(IMAGE, artifactType=""), CONFIG_TYPE),
        (INDEX, None),
        (changed(INDEX, artifactType="x/y"), "x/y"),
    ],
)
def test_the_artifact_type_of_an_image_is_its_configs_unless_it_has_one(
    document: Json, artifact_type: str | None
) -> None:
    assert read(document).artifact_type == artifact_type


def test_a_referrer_shows_type_size_artifact_type_and_annotations() -> None:
    document = changed(IMAGE, subject=descriptor(b"s"), annotations={"k": "v"}, artifactType="x/y")
    manifest = read(document)
    assert manifest.subject
    assert manifest.subject.digest == Digest.of(b"s")
    assert manifest.as_referrer() == {
        "mediaType": OCI_MANIFEST,
        "digest": str(manifest.digest),
        "size": len(manifest.body),
        "artifactType": "x/y",
        "annotations": {"k": "v"},
    }


def test_a_referrer_without_extras_shows_none() -> None:
    assert set(read(INDEX).as_referrer()) == {"mediaType", "digest", "size"}


@pytest.mark.parametrize("value", [None, ...])
def test_a_list_that_is_null_or_absent_is_empty(value: object) -> None:
    image = read(changed(IMAGE, layers=value, blobs=value, manifests=value))
    assert ([blob.digest for blob in image.blobs], image.children) == ([Digest.of(b"config")], ())
    index = read(changed(INDEX, manifests=value, layers=value))
    assert (index.blobs, index.children) == ((), ())


def test_what_is_null_is_absent() -> None:
    optional = dict.fromkeys(("subject", "artifactType", "annotations", "blobs", "manifests"))
    absent = read(IMAGE)
    null = read(changed(IMAGE, **optional))
    shown = ("media_type", "blobs", "children", "subject", "artifact_type", "annotations")
    assert [getattr(null, name) for name in shown] == [getattr(absent, name) for name in shown]
    assert read(changed(IMAGE, mediaType=None), OCI_MANIFEST).media_type == OCI_MANIFEST
    assert read(changed(IMAGE, mediaType=None, manifests=None)).media_type == OCI_MANIFEST
    assert read(changed(IMAGE, mediaType=None, layers=None)).media_type == OCI_MANIFEST
    assert read({"config": None, "layers": None, "blobs": None}, "a/b+json").blobs == ()


def test_an_annotation_that_is_null_is_absent() -> None:
    manifest = read(changed(IMAGE, annotations={"a": None, "b": "", "c": "d"}))
    assert manifest.annotations == {"b": "", "c": "d"}


@pytest.mark.parametrize("known", [OCI_MANIFEST, DOCKER_MANIFEST, OCI_INDEX, DOCKER_LIST])
def test_a_known_type_is_known_in_any_case(known: str) -> None:
    document = changed(IMAGE if "index" not in known and "list" not in known else INDEX)
    for own, announced in ((known, known.upper()), (known.upper(), known), (known.title(), "")):
        manifest = read(changed(document, mediaType=own), announced)
        assert manifest.media_type == known
        assert manifest.blobs or manifest.children


def test_types_compare_without_case_and_are_what_the_document_says() -> None:
    assert read({"mediaType": "a/b+json"}, "A/B+JSON").media_type == "a/b+json"
    assert read_manifest(b"text", "Text/Plain").media_type == "Text/Plain"
    with pytest.raises(ManifestInvalid, match="not JSON"):
        read_manifest(b"text", "a/b+JSON")
    with pytest.raises(ManifestInvalid, match="docker schema 1"):
        read({}, SCHEMA_1.upper())


@pytest.mark.parametrize(
    "content",
    [
        b'{"a":[' + b",".join([b"{}"] * 1_390_000) + b"]}",
        b'{"a":[' + b",".join([b"[]"] * 1_390_000) + b"]}",
        b'{"a":[' + b",".join([b'{"a":1}'] * 520_000) + b"]}",
        b'{"a":[' + b",".join([b'"ab"'] * 830_000) + b"]}",
        b"{" + b",".join(b'"%06x":1' % number for number in range(250_000)) + b"}",
        b'{"a":[' + b",".join([b'{"a":1}'] * 99_998 + [b'"abc"'] * 150_000) + b"]}",
    ],
    ids=["objects", "lists", "one key", "strings", "keys", "both"],
)
def test_no_manifest_takes_many_times_its_size(content: bytes) -> None:
    assert len(content) <= MANIFEST_BYTES
    tracemalloc.start()
    try:
        with suppress(ManifestInvalid):
            read_manifest(content, "application/vnd.test+json")
        assert tracemalloc.get_traced_memory()[1] < 64 * 1024 * 1024
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "body",
    [
        b'{"mediaType": "a/b", "mediaType": "a/c"}',
        b'{"mediaType": "a/b", "mediaT\\u0079pe": "a/c"}',
        b'{"blobs": [{"size": 1, "size": 2}]}',
        b'{"subject": {"digest": "a", "digest": "b"}}',
    ],
)
def test_a_key_that_stands_twice_is_refused(body: bytes) -> None:
    with pytest.raises(ManifestInvalid, match="stands twice"):
        read_manifest(body, "a/b")


def test_annotations_and_what_is_not_known_are_free() -> None:
    free = {"Layers": "1", "layers": "2", "Size": "3"}
    document = changed(IMAGE, annotations=free, other={"Digest": 1}, X=1, x=2)
    assert read(document).annotations == free


@pytest.mark.parametrize("text", ["9" * 5_000, "1e99", "-0", "[" * 500 + "]" * 500])
def test_what_is_not_looked_at_may_be_anything(text: str) -> None:
    assert read_manifest(b'{"x": %s}' % text.encode(), "a/b").media_type == "a/b"


def test_types_are_compared_without_case() -> None:
    assert read(IMAGE, OCI_MANIFEST.upper()).media_type == OCI_MANIFEST
