"""The checks, in the order in which they run: what is cold first, what removes all last."""

from infra.azure.smoke.checks import (
    leaving,
    login,
    memory,
    pushes,
    reads,
    redirects,
    routes,
    sizes,
    storage,
    strangers,
    times,
)

ROOMS = (
    times.cold,
    login.room,
    routes.room,
    strangers.room,
    pushes.room,
    reads.room,
    redirects.room,
    storage.room,
    sizes.room,
    times.warm,
    memory.room,
    leaving.room,
)
