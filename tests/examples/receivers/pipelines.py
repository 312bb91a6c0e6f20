"""Azure Pipelines' incoming webhook: not public, so after its documentation (resources.webhooks,
the sprint notes that brought it, azure-devops-docs#10706) and what senders report
(wso2/api-platform#3311).

The address bears the webhook's name and nothing secret. Where the service connection has a secret,
the header that it names must bear HMAC with SHA-1 of the body, in hexadecimal: some send it with
`sha1=` before it, as GitHub does, some bare; without that header the answer is 500
(`RequiredHeaderSignatureNotFound`). A pipeline runs where all its filters' paths have their values.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.model.outbound.posting import Posting
from tests.examples.receivers.asked import Answer, Asked, at


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A pipeline that is subscribed, with its filters and what it reads of the body."""

    name: str
    filters: Mapping[str, str]
    reads: Sequence[str]


@dataclass(frozen=True, slots=True)
class AzurePipelines:
    """An incoming webhook of an organization, and the pipelines that are subscribed to it."""

    organization: str
    webhook: str
    header: str
    secret: str
    pipelines: Sequence[Pipeline]

    def hears(self, posting: Posting) -> Answer:
        asked = Asked(posting)
        at_home = f"/{self.organization}/_apis/public/distributedtask/webhooks/{self.webhook}"
        if asked.path != at_home or asked.query.get("api-version") != "6.0-preview":
            return Answer(404)
        mac = hmac.new(self.secret.encode(), asked.body, hashlib.sha1).hexdigest()
        if asked.header(self.header).removeprefix("sha1=").lower() != mac:
            return Answer(500)
        event = asked.json()
        return Answer(
            200,
            tuple(
                " ".join([pipeline.name, *(at(event, path) for path in pipeline.reads)])
                for pipeline in self.pipelines
                if all(at(event, path) == value for path, value in pipeline.filters.items())
            ),
        )
