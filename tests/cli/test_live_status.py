"""Is the live status drawn, and is nothing of it left when it ends?"""

from __future__ import annotations

import asyncio
import threading
from decimal import Decimal

from tests.runtime.telling import Told
from tradebot.cli.live_status import LiveStatus
from tradebot.runtime.status import Status


def test_a_status_is_drawn_again_and_again_and_its_thread_is_gone_when_it_ends() -> None:
    before = set(threading.enumerate())
    asked: list[int] = []
    again = threading.Event()

    def latest() -> Status | None:
        asked.append(len(asked))
        if len(asked) > 3:
            again.set()
        return Status("demo", True, "USDT", 1.0, True, ("A/USDT",), 1, 1, 2, 3, Decimal(4), Decimal(5), 0.1, 0)

    async def main() -> list[threading.Thread]:
        view = LiveStatus(latest, Told())
        await view.stop()
        await view.start()
        assert await asyncio.to_thread(again.wait, 30)
        await view.stop()
        await view.stop()
        return [thread for thread in threading.enumerate() if thread not in before and "status" in thread.name]

    assert asyncio.run(main()) == []
