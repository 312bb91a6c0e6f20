"""The relay, with a model behind it in place of the network."""

from dataclasses import dataclass, replace

import httpx

from infra.examples.relay.relay import Answer as Told
from infra.examples.relay.relay import Relay
from shared.model.outbound.posting import Posting
from tests.examples.receivers.asked import Answer
from tests.examples.receivers.behind_relays import GitHub, Slack, Teams


@dataclass(slots=True)
class Relayed:
    """A receiver: what it sets going is what the one behind it does."""

    relay: Relay
    behind: GitHub | Slack | Teams

    def hears(self, posting: Posting) -> Answer:
        told, did = self.told(posting)
        return Answer(told.status, did)

    def told(self, posting: Posting) -> tuple[Told, tuple[str, ...]]:
        did: list[str] = []

        def behind(request: httpx.Request) -> httpx.Response:
            asked = Posting(str(request.url), request.headers, request.content, 1)
            answer = self.behind.hears(asked)
            did.extend(answer.did)
            return httpx.Response(answer.status, stream=httpx.ByteStream(b""))

        relay = replace(self.relay, transport=httpx.MockTransport(behind))
        return relay.answer(posting.headers, posting.body), tuple(did)
