"""Pauses that take no time."""


async def no_pause(_: float) -> None:
    """Let others go on at once."""
