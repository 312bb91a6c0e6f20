"""Reading: a manifest is understood, which takes up to a second for a large one.

A large one is read in a thread, so that others' requests go on meanwhile; and one after the other,
so that what a process needs for it is what one takes.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from shared.model.manifests.manifest import Manifest, read_manifest

_IN_PLACE = 64 * 1024

_one = ThreadPoolExecutor(1, "manifests")


async def understood(body: bytes, media_type: str, algorithm: str) -> Manifest:
    """Understand a manifest that is pushed; raises as `read_manifest`."""
    if len(body) <= _IN_PLACE:
        return read_manifest(body, media_type, algorithm)
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_one, read_manifest, body, media_type, algorithm)
