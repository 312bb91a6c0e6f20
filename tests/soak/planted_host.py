"""python -m tests.soak.planted_host: the fast host, with the fault that is named in PLANTED."""

import os
import random
from collections.abc import Callable, Mapping
from typing import Any, cast

from shared.model.names import RepositoryName
from shared.services.content.pushes import Pushes
from shared.services.events.fan_out import FanOut
from shared.services.garbage.garbage import Garbage
from shared.services.webhooks import attempting
from shared.services.webhooks.outcomes import Outcome, Verdict, judge
from shared.services.webhooks.telling import Telling
from shared.storage.ports import Row
from shared.storage.rows.contents import Contents
from tests.support import scaled_host

_SOME = 0.05
_DRAWS = random.Random(0)


def _acknowledge_what_is_not_written() -> None:
    write = Pushes._write

    async def some(self: Pushes, *args: Any) -> None:
        if _DRAWS.random() > _SOME:
            await write(self, *args)

    cast("Any", Pushes)._write = some


class _Blind:
    """The rows of repositories as the collector sees them: without edges."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents

    def __getattr__(self, name: str) -> Any:
        return getattr(self._contents, name)

    async def edges(self, *_: Any) -> list[Row]:
        return []


def _heed_no_edge() -> None:
    begin = Garbage.__init__

    def blinded(self: Garbage, *args: Any, **more: Any) -> None:
        begin(self, *args, **more)
        cast("Any", self)._contents = _Blind(self._contents)

    cast("Any", Garbage).__init__ = blinded


def _lose_what_is_handed_on() -> None:
    hand_on = FanOut._hand_on

    async def some(self: FanOut, repository: RepositoryName, row: Row, *webhooks: Any) -> None:
        if _DRAWS.random() > _SOME:
            await hand_on(self, repository, row, *webhooks)

    cast("Any", FanOut)._hand_on = some


def _forget_a_webhook() -> None:
    hand = Telling._hand

    async def some(self: Telling, *of_what: Any) -> None:
        if _DRAWS.random() > _SOME:
            await hand(self, *of_what)

    cast("Any", Telling)._hand = some


def _take_an_error_for_success() -> None:
    def judged(answer: Any, *more: Any) -> Outcome:
        is_error = getattr(answer, "status", 0) == 500
        return Outcome(Verdict.DELIVERED) if is_error else judge(answer, *more)

    vars(attempting)["judge"] = judged


FAULTS: Mapping[str, Callable[[], None]] = {
    "a push that is acknowledged and not written": _acknowledge_what_is_not_written,
    "a collector that heeds no edge": _heed_no_edge,
    "an event that is lost on its way": _lose_what_is_handed_on,
    "a fan-out that forgets a webhook": _forget_a_webhook,
    "a delivery that counts although it was answered with 500": _take_an_error_for_success,
}


if __name__ == "__main__":
    FAULTS[os.environ["PLANTED"]]()  # noqa: TID251 - a host
    scaled_host.main()
