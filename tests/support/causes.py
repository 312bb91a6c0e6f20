"""Who changes something in tests."""

from shared.events import Cause

ME, YOU, THEM, ANOTHER = (Cause(name) for name in ("me", "you", "them", "another"))
