import pytest

from shared.storage.stores import Stores
from tests.support.app import Memory
from tests.support.clock import Clock
from tests.support.webhooks import Rig


@pytest.fixture
def rig(stores: Stores, memory: Memory, clock: Clock) -> Rig:
    return Rig(stores, memory, clock)
