"""Jenkins, by two plugins.

Generic Webhook Trigger (jenkinsci/generic-webhook-trigger-plugin, GenericWebHookRequestReceiver,
HMACVerifier, Renderer): where its whitelist wants an HMAC, that is hexadecimal in any case, with
`sha256=` before it or bare, or the answer is 403. The token (query, header `token`, Bearer) finds
the jobs; none is 404. Variables are read of the body by JSONPath, one that is not there stays in
the filter's text as `$NAME`; jobs start where the expression is found in it. Any event that finds a
job is answered with 200, whether the job starts or not.

CloudBees Docker Hub/Registry Notification (jenkinsci/dockerhub-notification-plugin, JSONWebHook,
ACRWebHookPayload): the path bears an API token, or the answer is 403; everything else is answered
with 200. A push must have `request.host`, `target.repository` and a time that ISO 8601 knows, else
it is only logged that it could not be read. The name that jobs are configured with is
host/repository.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shared.model.outbound.posting import Posting
from tests.examples.receivers.asked import Answer, Asked, at

_ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")


@dataclass(frozen=True, slots=True)
class GenericTrigger:
    """A job with this trigger; `variables` are JSONPaths by name."""

    job: str
    token: str
    variables: Mapping[str, str]
    filter_text: str
    filter_expression: str


@dataclass(frozen=True, slots=True)
class JenkinsGenericTrigger:
    """Its jobs, and the whitelist's HMAC: header, secret."""

    jobs: Sequence[GenericTrigger]
    hmac_header: str = ""
    hmac_secret: str = ""
    started: list[Mapping[str, str]] = field(default_factory=list)

    def hears(self, posting: Posting) -> Answer:
        asked = Asked(posting)
        if asked.path != "/generic-webhook-trigger/invoke":
            return Answer(404)
        if self.hmac_header and not self._is_signed(asked):
            return Answer(403)
        token = asked.query.get("token") or asked.header("token")
        token = token or asked.header("Authorization").removeprefix("Bearer ")
        jobs = [job for job in self.jobs if job.token == token]
        if not jobs:
            return Answer(404)
        return Answer(200, tuple(job.job for job in jobs if self._starts(job, asked)))

    def _is_signed(self, asked: Asked) -> bool:
        given = asked.header(self.hmac_header).removeprefix("sha256=")
        mac = hmac.new(self.hmac_secret.encode(), asked.body, hashlib.sha256)
        return mac.hexdigest().upper() == given.upper()

    def _starts(self, job: GenericTrigger, asked: Asked) -> bool:
        event = asked.json()
        read = {name: at(event, path.removeprefix("$.")) for name, path in job.variables.items()}
        found = {name: value for name, value in read.items() if value}
        text = job.filter_text
        for name in sorted(found, key=lambda each: (-len(each), each)):
            text = text.replace(f"${name}", found[name]).replace(f"${{{name}}}", found[name])
        does_start = bool(re.search(job.filter_expression, text))
        self.started.extend([found] if does_start else [])
        return does_start


@dataclass(frozen=True, slots=True)
class JenkinsRegistryNotification:
    """Its API token, and its jobs by the image that they are configured with."""

    token: str
    jobs: Mapping[str, str]

    def hears(self, posting: Posting) -> Answer:
        asked = Asked(posting)
        if asked.path != f"/acr-webhook/{self.token}/notify":
            return Answer(403)
        event = asked.json()
        host, repository = at(event, "request.host"), at(event, "target.repository")
        is_read = host and repository and _ISO.fullmatch(at(event, "timestamp"))
        if at(event, "action") != "push" or not is_read:
            return Answer(200)
        job = self.jobs.get(f"{host}/{repository}")
        return Answer(200, (job,) if job else ())
