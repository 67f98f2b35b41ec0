"""How does a test look into a real run? Wired and run in this process, looked at between two cycles, ended in order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.integration.processes import PATIENCE_S
from tradebot.runtime.bot import Bot
from tradebot.runtime.coordinator import Ending
from tradebot.runtime.generations import choose
from tradebot.runtime.leftovers import held
from tradebot.runtime.signals import Signals
from tradebot.runtime.wiring import Makers, Options, Run, wire

Look = Callable[[Run, Bot], Awaitable[None]]


def run_and_look(profile: Path, look: Look) -> Ending:
    """Run `profile`, do `look` while it trades, and end it; what `look` raises is raised here, after the end."""
    with Signals() as signals:
        before = held()
        run = wire(choose(str(profile), {}), Options(), signals, print, Makers())
        with run.close:
            return asyncio.run(_main(run, Bot(run, before), look))


async def _main(run: Run, bot: Bot, look: Look) -> Ending:
    main = asyncio.ensure_future(bot.main())
    try:
        await asyncio.wait_for(look(run, bot), PATIENCE_S)
    finally:
        run.coordinator.request("the test has seen enough")
        await main
    return main.result()
