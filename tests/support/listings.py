"""What a registry lists, asked over plain HTTP."""

from tests.support import flows
from tests.support.hosts import Registry


def tags(registry: Registry, repository: str) -> list[str]:
    """List the tags of a repository."""
    with flows.connect(registry, repository, "pull,metadata_read") as client:
        answer = client.get(f"/v2/{repository}/tags/list").raise_for_status()
        listed: list[str] = answer.json()["tags"]
        return listed


def referrers(registry: Registry, repository: str, subject: str) -> dict[str, str]:
    """List the digests that refer to a subject, with their artifact types."""
    with flows.connect(registry, repository, "pull") as client:
        answer = client.get(f"/v2/{repository}/referrers/{subject}").raise_for_status()
        return {each["digest"]: each["artifactType"] for each in answer.json()["manifests"]}


def status(registry: Registry, repository: str, reference: str) -> int:
    """Tell with which status a manifest is answered."""
    with flows.connect(registry, repository, "pull") as client:
        answer = client.head(
            f"/v2/{repository}/manifests/{reference}", headers={"Accept": flows.ACCEPT}
        )
        return answer.status_code
