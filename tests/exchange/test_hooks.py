"""Does ccxt, listened to by hooks, leave nothing behind that nobody asked for?"""

from __future__ import annotations

import asyncio
import gc
import socket
from typing import Any

import pytest

from tests.exchange.little_exchange import in_loop
from tradebot.config.sections.exchange import Exchange
from tradebot.domain.errors import TradebotError
from tradebot.exchange.budget import Budget
from tradebot.exchange.construction import connect, disconnect
from tradebot.exchange.credentials import Credentials
from tradebot.exchange.dialects import dialect_of
from tradebot.exchange.hooks import Taps
from tradebot.runtime.clock import WallClock


def closed_port() -> int:
    """Return a port at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@in_loop
async def test_a_user_stream_that_is_refused_is_told_to_who_waits_and_to_no_log() -> None:
    heard: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: heard.append(context))
    settings = Exchange.model_validate({"base_url": f"http://127.0.0.1:{closed_port()}"})
    taps = Taps(Budget(WallClock()), dialect_of("binance"), urgent=True)
    exchange = connect(settings, taps, credentials=Credentials("key", "secret"))
    try:
        with pytest.raises(Exception, match="Cannot connect") as refused:
            await exchange.ensure_user_data_stream_ws_subscribe_signature("spot")
        assert not isinstance(refused.value, TradebotError)
    finally:
        await disconnect(exchange)
    del exchange, refused
    gc.collect()
    await asyncio.sleep(0)
    assert heard == []
