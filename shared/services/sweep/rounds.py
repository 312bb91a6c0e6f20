"""Rounds: a timer goes on with the sweep of each registry, page by page, for some minutes.

Registries take turns, so that a large one holds up no other; one that fails is left until the next
tick. A round begins DAY after the one before began, or when that ends: a tick in between is a call
for each registry. Two ticks at once sweep a page twice, and each goes on from its end.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta

from shared.services.sweep.sweep import Sweep
from shared.storage.ages import Span

_log = logging.getLogger(__name__)

DAY = timedelta(days=1)
_TICK = timedelta(minutes=4)


async def go_on(sweeps: Sequence[Sweep], ticks: Callable[[], float]) -> None:
    """Sweep pages until there is nothing to do or time is over; raises what the first to fail did.

    `ticks` counts seconds that never go back.
    """
    span, failed = Span(ticks, _TICK), list[Exception]()
    while sweeps and not span.is_over:
        sweeps = [sweep for sweep in sweeps if await _has_more(sweep, failed)]
    if failed:
        raise failed[0]


async def _has_more(sweep: Sweep, failed: list[Exception]) -> bool:
    """Sweep a page; False where a round is over, or fails."""
    try:
        return await sweep.go_on_with_round(DAY)
    except Exception as error:  # noqa: BLE001 - whatever it is, other registries are waiting
        _log.warning("a sweep goes on at the next tick: %r", error)
        failed.append(error)
        return False
