"""How often a call is tried, how long each try may take, and how long we wait before the next."""

import random

# A call that carries no content has 15 s in all (`answers`): time enough to leave a connection that
# has died for another, and that one, too. One that carries content has longer for each try.
RETRIES = 3
CONNECT_SECONDS = 5
READ_SECONDS = 6
CONTENT_SECONDS = 30
FIRST_PAUSE = 0.2


def pause(tries: int) -> float:
    """Give the seconds to wait after so many tries: about 0.2, 0.6 and 1.8."""
    longest = FIRST_PAUSE * 3.0 ** (tries - 1)
    return random.uniform(longest / 2, longest)  # noqa: S311 - spreads load, keeps no secret
