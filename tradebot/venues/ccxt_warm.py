"""How does no order wait for a connection to be opened? Asked by the ccxt venue: one is used before it is too old.

What is asked on it is the time, which also shows soon that a clock was set.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from tradebot.exchange.budget import HeldBack, asking
from tradebot.exchange.construction import Ccxt

REUSED_S: Final = 10.0
"""aiohttp closes a connection that nothing was asked on for 15 s; the next request would dial and agree on TLS."""


async def keep_warm(trading: Ccxt, ask_time: Callable[[], Awaitable[object]], reused_s: float = REUSED_S) -> None:
    """Let `ask_time` ask for the time over the connection of orders, that of `trading`, until cancelled.

    Not on an instance that spaces its requests: an order would wait behind the question.
    """
    from ccxt.base.errors import BaseError  # type: ignore[import-untyped]

    while not trading.enableRateLimit:
        await asyncio.sleep(reused_s)
        with suppress(BaseError, HeldBack), asking("poll"):  # the venue's health hears of it where it was asked
            await ask_time()
