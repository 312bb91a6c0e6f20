"""Ages: the one span of time that invariants over several calls to storage may rely on."""

from datetime import timedelta

L = timedelta(seconds=100)
"""How late a call to storage can take effect, its repetitions with it (they end within this).

Who relies on two calls of one request together makes them within this. A row older than twice this
was not written by a request that is still under way. Ages are the store's own (`Row.age`).
"""
