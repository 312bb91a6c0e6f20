"""App Service's deployment webhook, by Kudu (projectkudu/kudu and Azure-App-Service/KuduLite,
Kudu.Services/Docker/DockerController; its address: `az webapp deployment container show-cd-url` and
Microsoft's documentation).

What stands before it wants the publishing credentials as Basic, or answers 401. Kudu never reads
the body: every POST restarts the app where `DOCKER_ENABLE_CI` is true, a ping and a deletion too,
and is answered with 200 in any case. A Windows app without containers answers 404.
"""

from base64 import b64encode
from dataclasses import dataclass

from shared.model.outbound.posting import Posting
from tests.examples.receivers.asked import Answer, Asked


@dataclass(frozen=True, slots=True)
class Kudu:
    """An app with its publishing credentials."""

    app: str
    user: str
    password: str
    is_ci_enabled: bool = True

    def hears(self, posting: Posting) -> Answer:
        asked = Asked(posting)
        pair = b64encode(f"{self.user}:{self.password}".encode()).decode()
        if asked.header("Authorization") != f"Basic {pair}":
            return Answer(401)
        if asked.path not in {"/api/registry/webhook", "/docker/hook"}:
            return Answer(404)
        return Answer(200, (f"restart {self.app}",) if self.is_ci_enabled else ())
