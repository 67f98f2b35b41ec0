"""What does a client see of an exchange whose process is stopped?"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.sandbox.faults_kit import wire
from tests.sandbox.rehearsal_kit import until

ROOT = Path(__file__).resolve().parents[2]


@asynccontextmanager
async def process() -> AsyncIterator[tuple[str, int]]:
    """Serve an exchange in a process of its own; yield its address and its process id."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.sandbox.rehearsal_process"),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert child.stdout is not None
        yield (await asyncio.wait_for(child.stdout.readline(), 30)).decode().strip(), child.pid
    finally:
        assert child.stdin is not None
        child.stdin.close()
        try:
            assert await asyncio.wait_for(child.wait(), 10) == 0
        finally:
            if child.returncode is None:
                child.kill()


def state_of(process_id: int) -> str:
    """Return what a process does, in the kernel's letter."""
    return Path(f"/proc/{process_id}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to see that a process is stopped")
def test_a_stopped_process_takes_connections_answers_none_and_goes_on_later() -> None:
    async def run() -> None:
        async with (
            process() as (url, process_id),
            aiohttp.ClientSession() as session,
            wire(session, f"{url}/ws") as client,
        ):
            stopping = {"for_ms": 1_500, "how": "stopped"}
            async with session.post(f"{url}/sandbox/freeze", json=stopping) as answer:
                assert answer.status == 200
            await until(lambda: state_of(process_id) == "T")
            with pytest.raises(TimeoutError):
                await session.get(f"{url}/api/v3/time", timeout=aiohttp.ClientTimeout(total=0.2))
            assert state_of(process_id) == "T"
            assert (await client.ask("LIST_SUBSCRIPTIONS"))["result"] == []
            assert state_of(process_id) != "T"
            async with session.get(f"{url}/api/v3/time") as answer:
                assert answer.status == 200

    asyncio.run(run())
