"""The receiver of the examples, which is ours: asked as it is, with a new journal each time."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from infra.examples.receiver.receiver import name_of, receiver_of
from shared.model.outbound.posting import Posting
from tests.examples.events import HOST
from tests.examples.receivers.asked import Answer, Asked


@dataclass(frozen=True, slots=True)
class Own:
    """It does its work before it answers, so that the answer can say what was done."""

    secret: str

    def hears(self, posting: Posting) -> Answer:
        did: list[str] = []

        def work(push: Any) -> bool:
            did.append(name_of(push))
            return True

        with TemporaryDirectory() as folder:
            receiver = receiver_of(self.secret, HOST, Path(folder) / "pushes.db", work)
            verdict = receiver.take(Asked(posting).headers, posting.body)
            receiver.work_off()
        return Answer(verdict.value, tuple(did))
