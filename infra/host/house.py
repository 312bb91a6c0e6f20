"""A house: the connections of one port, which of them work, and which has to go when it is full.

A connection works from a request's head to the end of the answer; before and after it rests. There
are some places more than may work at once, so that who comes to ask how we are finds one; and where
all are taken, the one that has rested longest is closed for who comes.
"""

from typing import Protocol


class Guest(Protocol):
    """A connection, as its house sees it."""

    @property
    def may_go(self) -> bool:
        """Tell whether it can be closed, so that its client loses nothing."""

    def go(self) -> None:
        """Close it."""


class House:
    """Counts guests; those that rest stand in the order in which they began to."""

    def __init__(self, most: int, spare: int = 0) -> None:
        """Let so many work at once, and some more be there."""
        self._most, self._places = most, most + spare
        self._guests: set[Guest] = set()
        self._resting: dict[Guest, None] = {}
        self._closed = 0

    def enter(self, guest: Guest) -> bool:
        """Let a guest in, who rests at first; False where all places are taken by who works."""
        if len(self._guests) >= self._places and not self._make_room():
            return False
        self._guests.add(guest)
        self.rest(guest)
        return True

    def work(self, guest: Guest) -> bool:
        """Note that a guest works; False where too many do."""
        self._resting.pop(guest, None)
        return len(self._guests) - len(self._resting) <= self._most

    def rest(self, guest: Guest) -> None:
        """Note that a guest rests, unless it has left."""
        if guest in self._guests:
            self._resting[guest] = None

    def leave(self, guest: Guest) -> None:
        """Forget a guest."""
        self._guests.discard(guest)
        self._resting.pop(guest, None)

    def closed(self) -> int:
        """Tell how many had to go since this was last asked."""
        closed, self._closed = self._closed, 0
        return closed

    def _make_room(self) -> bool:
        guest = next((each for each in self._resting if each.may_go), None)
        if guest is None:
            return False
        self.leave(guest)
        self._closed += 1
        guest.go()
        return True
