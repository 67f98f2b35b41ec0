"""What is a sandbox exchange that can be stopped? A process that serves one until its input ends."""

from __future__ import annotations

import asyncio
import sys

from tests.sandbox.rehearsal_kit import rehearsing


async def serve() -> None:
    """Serve an exchange until the input ends."""
    async with rehearsing() as rehearsal:
        print(rehearsal.url, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve())
