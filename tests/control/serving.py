"""What is a bot for the commands' tests? A process that serves the control door of a small bot until it is stopped."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.control.little_bot import LittleBot, served

ROOT = Path(__file__).resolve().parents[2]


async def serve(folder: Path, draft: str, path: str) -> None:
    """Serve the door, and tell a record whenever somebody begins to listen."""
    bot = LittleBot(path=path, draft=draft)
    async with served(folder, bot):
        print("open", flush=True)
        heard = 0
        while not bot.stopped.is_set():
            await asyncio.wait({asyncio.ensure_future(bot.stopped.wait())}, timeout=0.02)
            if bot.joined > heard:
                heard = bot.joined
                bot.tell(
                    b'{"time":"2026-11-22T02:41:07.123Z","level":"INFO","event_type":"BOT_STARTED","message":"demo"}'
                )
                bot.tell(b'{"lost":3}')


@contextmanager
def bot_process(folder: Path, draft: str = "valid", path: str = "prod.toml") -> Iterator[subprocess.Popen[str]]:
    """Yield the process once its door is open; it is killed at the end where it still lives."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.control.serving", str(folder), draft, path],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "open\n"
            yield process
        finally:
            process.kill()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
