"""What the specifications ask of a registry: each requirement with its section and its words.

The distribution specification binds clients too; those sentences are left out, and so is what
binds only registries of another kind (`NOT_OURS` says which, and why). Below them stand what RFC
9110 and the wire protocol of Azure Container Registry ask beyond it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pytest


@dataclass(frozen=True, slots=True)
class Requirement:
    """A sentence that a test shows, and the section where it stands."""

    section: str
    text: str


def shows[F: Callable[..., object]](*names: str) -> Callable[[F], F]:
    """Say which requirements a test shows."""
    return pytest.mark.shows(*names)


def _table(source: str) -> dict[str, Requirement]:
    """Read lines of `name: text` below lines of `# section`."""
    found: dict[str, Requirement] = {}
    section = ""
    for line in filter(None, map(str.strip, source.splitlines())):
        if line.startswith("# "):
            section = line.removeprefix("# ")
            continue
        name, _, text = line.partition(": ")
        if name in found:
            raise ValueError(f"{name} stands in the table twice")
        found[name] = Requirement(section, text)
    return found


REQUIREMENTS = _table("""
# Requirements
all-1: Registries MUST support all APIs in the Pull category.
all-2: Registries SHOULD also support Push, Content Discovery and Content Management.
all-3: A registry claiming one of these categories MUST implement all APIs in it.
# Pulling manifests
pull-1: <name> MUST match the regular expression of names.
pull-2: A tag MUST be at most 128 characters in length and MUST match the expression of tags.
pull-3: The registry SHOULD NOT include parameters on the Content-Type header.
pull-4: Content-Type SHOULD match what the client pushed as the manifest's Content-Type.
pull-5: A GET of an existing manifest MUST provide the expected manifest, with 200.
pull-6: A successful response MUST contain the digest in the header Docker-Content-Digest.
pull-7: If the manifest is not found in the repository, the code MUST be 404.
# Pulling blobs
pull-8: A GET of an existing blob MUST provide the expected blob, with 200.
pull-9: A successful response MUST contain the digest of the blob in Docker-Content-Digest.
pull-10: The value of this header MUST be a digest matching that of the response body.
pull-11: If the blob is not found in the repository, the code MUST be 404.
pull-12: A registry SHOULD support the Range header in accordance with RFC 9110.
# Checking if content exists in the registry
head-1: A HEAD of an existing blob or manifest MUST return 200.
head-2: A successful response MUST contain the digest in Docker-Content-Digest.
head-3: A successful response MUST contain the size in bytes in Content-Length.
head-4: If the blob or manifest is not found in the repository, the code MUST be 404.
# Push
push-1: A registry MUST accept a manifest with a subject that does not exist in the repository.
push-2: A manifest rejected for content that is not there MUST result in MANIFEST_BLOB_UNKNOWN.
# Pushing blobs
push-3: If the digest is invalid or its algorithm not supported, the code SHOULD be 400.
# POST then PUT
push-4: The POST MUST be answered 202 and MUST include Location.
push-5: The Location MUST contain a UUID representing a unique session ID.
push-6: The PUT MUST be answered 201 and MUST have Location, a pullable blob URL.
# Single POST
push-7: A single POST MUST be answered 201 and MUST include Location, a pullable blob URL.
push-8: The digest MUST match the blob's digest, Content-Length its length.
# Pushing a blob in chunks
chunk-1: digest-algorithm is the algorithm the registry should use for the blob.
chunk-2: If there is a minimum chunk size, the POST SHOULD have OCI-Chunk-Min-Length.
chunk-3: Each chunk MUST be answered 202, with Location and Range.
chunk-4: The end of Range is the position of the last uploaded byte.
chunk-5: If a chunk is uploaded out of order, the registry MUST respond 416.
chunk-6: The final chunk MAY come with PATCH or with the closing PUT.
chunk-7: Closing the session MUST be answered 201, with Location, a pullable blob URL.
chunk-8: If the final chunk is uploaded out of order, the registry MUST respond 416.
chunk-9: A GET of an active upload MUST be answered 204, with Location and Range.
# Cancel a blob upload
cancel-1: If successful, the response SHOULD be 204.
cancel-2: The server SHOULD eventually time out unfinished uploads.
# Mounting a blob from another repository
mount-1: A successful mount MUST be answered 201, with Location, the URL of the blob.
mount-2: The registry MAY treat from as optional, and cross-mount the blob if it can be found.
mount-3: If the registry is unable to mount the requested blob, it SHOULD return a 202.
# Pushing Manifests
manifest-1: The registry SHOULD ignore parameters on the Content-Type header.
manifest-2: The list of blobs MAY be empty.
manifest-3: The registry MUST store the manifest in the exact bytes provided by the client.
manifest-4: The answer MUST be 201 and MUST have Location, a pullable manifest URL.
manifest-5: Docker-Content-Digest MUST be equal to the client provided digest.
manifest-6: A registry that supports tag parameters SHOULD support at least 10 per request.
manifest-7: It MAY return a 414 if too many tags are included in the request.
manifest-8: It MUST include an OCI-Tag header for each accepted tag.
manifest-9: An attempt to pull a nonexistent repository MUST return 404.
manifest-10: A registry SHOULD enforce some limit on the size of manifests, with 413.
manifest-11: Registries SHOULD support manifest pushes of at least 4 megabytes.
# Pushing Manifests with Subject
subject-1: The answer MUST have OCI-Subject with the digest of the subject.
# Listing Tags
tags-1: Assuming a repository is found, this request MUST return 200.
tags-2: The tags MUST be in lexical or ASCIIbetical order.
tags-3: The response MUST be JSON with name and tags.
tags-4: Without a Link header, the response MUST include n results, if there are as many.
tags-5: Link MUST be set according to RFC 5988 with rel="next".
tags-6: When n is zero, this endpoint MUST return an empty list and MUST NOT include Link.
tags-7: last is the value of a tag; up to n tags after it are returned, without itself.
tags-8: When using last, n is OPTIONAL.
# Listing Referrers
referrers-1: Assuming a repository is found, this request MUST return 200.
referrers-2: The registry MUST NOT return a 404 to a referrers API request.
referrers-3: If the request is invalid, 400 MUST be returned.
referrers-4: The response MUST be an image index, with its Content-Type.
referrers-5: artifactType MUST be that of the image manifest or index, if present.
referrers-6: If it is missing in an image manifest, it MUST be the config's mediaType.
referrers-7: If it is missing in an index, it MUST be omitted.
referrers-8: The descriptors MUST include the annotations.
referrers-9: If there are no matching referrers, an empty manifest list MUST be returned.
referrers-10: Link MUST be included when the list is longer than one response, with rel="next".
referrers-11: The registry SHOULD support filtering on artifactType.
referrers-12: If a filter was applied, the response MUST have OCI-Filters-Applied.
# Content Management
delete-1: Deleting a tag MUST be answered 202; a GET of it will return a 404.
delete-2: Deleting a manifest MUST be answered 202.
delete-3: If the repository does not exist, the response MUST be 404.
delete-4: A GET of a deleted manifest and of any tag that pointed to it will return a 404.
delete-5: Deleting a blob MUST be answered 202.
delete-6: If the blob is not found, a 404 MUST be returned.
# Enabling the Referrers API
enable-1: Image manifests listed under a fallback tag and with a valid subject MUST be included.
enable-2: All newly pushed image manifests with a valid subject MUST be included.
# Referrers Tag Schema
fallback-1: The tag is the algorithm, a dash and the encoded part, each truncated.
fallback-2: Keeping the content of this tag is the responsibility of clients.
fallback-3: Clients MAY use a conditional push for registries that support ETag conditions.
# API
api-1: Where nothing else is said, implementations SHOULD follow RFC 9110.
api-2: If the response to /v2/ is 200, the registry implements this specification.
api-3: If the body of a 4XX is JSON, it MUST have the format of errors.
api-4: The code MUST contain only uppercase letters and underscores, and MUST be one listed.
api-5: A 429 SHOULD include Retry-After.
# Content negotiation
accept-1: The manifest is served in the media type that the Accept header asks for.
# Extensions
extension-1: A registry MAY support no extension, and answer UNSUPPORTED.
extension-2: Lists of extensions SHOULD align with the pagination of content discovery.
""")
"""The distribution specification's requirements of registries, main branch."""

BEYOND = _table("""
# RFC 9110
rfc-1: 8.8.3, 13.1.2: a GET or HEAD with a matching If-None-Match is answered 304.
rfc-2: 13.1.1: a PUT whose If-Match does not match is answered 412.
rfc-3: 13.1.2: a PUT with If-None-Match: * is answered 412 where there is something already.
rfc-4: 14.1.2, 15.3.7: a range is answered 206 with Content-Range.
rfc-5: 14.2: a range that is not understood, or several, may be passed over.
rfc-6: 15.5.17: a range outside is answered 416 with the length.
rfc-7: 12.5.1: Accept may list media types with weights.
rfc-8: 9.3.2: a HEAD is answered as the GET, without the body.
rfc-9: 15.4.8: a 307 leads to the content, with Range and without credentials.
rfc-10: RFC 3986, 2.4: percent-encoded and plain paths name the same.
rfc-11: 13.1.1: a GET or HEAD whose If-Match does not match is answered 412.
rfc-12: 13.1.5: a range of content that If-Range does not name is answered with the whole.
rfc-13: 9.3.7, 15.5.6: OPTIONS and a 405 tell the methods of the path in Allow.
# Azure Container Registry
acr-1: 1.3: the catalog lists repositories in order, by n and last, with Link.
acr-2: 1.4: serve what is stored; never convert.
acr-3: 1.4: a manifest has at most 4 MiB.
acr-4: 0.4: the Location of each upload step is relative.
acr-5: 0.9: deletes answer 202, with Docker-Content-Digest where a blob goes.
acr-6: 0.11: every pair of a Link's query has its `=`, and there is no Link on the last page.
acr-7: 1.5: 416 tells in Range how far the upload is, and the session lives on.
acr-8: 2.1: a 401 names realm, service and scope; a mount asks for both repositories.
""")
"""What is asked beyond it."""

NOT_OURS = {
    "registries that do not support single request uploads SHOULD return 202": "ours does",
    "if tag, manifest or blob deletion is disabled, MUST respond 400 or 405": "it never is",
    "filters applied MUST be comma separated if there are several": "there is one",
    "a registry that uses ns SHOULD return OCI-Namespace": "ours is no proxy",
    "Warning headers MUST have warn-code 299 and at most 4096 bytes": "ours sends none",
    "Accept of schema 1 manifests": "ours stores none, and never converts",
}
"""Requirements that do not bind this registry, and why."""

CODES = frozenset(
    {
        "BLOB_UNKNOWN",
        "BLOB_UPLOAD_INVALID",
        "BLOB_UPLOAD_UNKNOWN",
        "DIGEST_INVALID",
        "MANIFEST_BLOB_UNKNOWN",
        "MANIFEST_INVALID",
        "MANIFEST_UNKNOWN",
        "NAME_INVALID",
        "NAME_UNKNOWN",
        "SIZE_INVALID",
        "UNAUTHORIZED",
        "DENIED",
        "UNSUPPORTED",
        "TOOMANYREQUESTS",
    }
)
"""The specification's codes of errors."""

OTHER_CODES = frozenset({"TAG_INVALID", "PAGINATION_NUMBER_INVALID", "RANGE_INVALID"})
"""Codes that ours sends beside them, as Azure's registry and docker's do: a known deviation."""
