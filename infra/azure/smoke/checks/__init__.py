"""The checks, in the order in which they run: what is cold first, what removes all last."""

from infra.azure.smoke.checks.leaving import leaving
from infra.azure.smoke.checks.login import login
from infra.azure.smoke.checks.pushes import pushes
from infra.azure.smoke.checks.reads import reads
from infra.azure.smoke.checks.redirects import redirects
from infra.azure.smoke.checks.routes import routes
from infra.azure.smoke.checks.sizes import sizes
from infra.azure.smoke.checks.storage import storage
from infra.azure.smoke.checks.strangers import strangers
from infra.azure.smoke.checks.times import cold, warm

ROOMS = (
    cold,
    login,
    routes,
    strangers,
    pushes,
    reads,
    redirects,
    storage,
    sizes,
    warm,
    leaving,
)
