"""What do live prices cost? From the bytes of a frame to the event, and in CPU and memory for many symbols."""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, get_args

import pytest

from tests.feeds.loopback import Heard, MarketServer, TestClock, made
from tradebot.config.sections.ccxt_feed import CcxtFeed
from tradebot.domain.events import Event
from tradebot.exchange.construction import disconnect
from tradebot.exchange.instruments import instruments_of
from tradebot.feeds.ccxt_counts import FeedTold
from tradebot.feeds.ccxt_fast import FastReader
from tradebot.feeds.ccxt_live import CcxtLive
from tradebot.feeds.ccxt_results import CcxtResults
from tradebot.feeds.ccxt_sockets import Sockets
from tradebot.runtime.clock import WallClock

Decoder = Literal["fast", "general"]
NOW = 1_700_000_000_000
LEVELS = [[f"{100 + at / 100:.8f}", f"{1 + at:.8f}"] for at in range(20)]
FRAMES = {
    "bookTicker": {"u": 1, "s": "BTCUSDT", "b": "100.10000000", "B": "2.5", "a": "100.20000000", "A": "3.5"},
    "trade": {"e": "trade", "E": NOW, "s": "BTCUSDT", "t": 1, "p": "100.1", "q": "0.5", "T": NOW, "m": True, "M": True},
    "depth": {"e": "depthUpdate", "E": NOW, "s": "BTCUSDT", "U": 1, "u": 1, "b": LEVELS, "a": LEVELS},
}
MEASURED = 5_000
SECONDS = 5


def frames(kind: str) -> list[str]:
    """Return frames that differ as a stream's do: rising ids."""
    name = {"bookTicker": "u", "trade": "t", "depth": "u"}[kind]
    made = []
    for number in range(2, MEASURED + 2):
        frame: dict[str, Any] = {**FRAMES[kind], name: number}
        if kind == "depth":
            frame["U"] = number
            frame["b"] = [[f"{99 - at / 100:.8f}", f"{1 + (at + number) % 7:.8f}"] for at in range(20)]
        made.append(json.dumps(frame, separators=(",", ":")))
    return made


async def cost_us(decoder: Decoder, kind: str) -> float:
    """Return the CPU time, in µs, from a frame's text, as ccxt's client holds it, to the published event."""
    told: list[Event] = []
    levels = 20 if kind == "depth" else 0
    clock = TestClock(NOW)
    exchange = made("http://127.0.0.1:9", clock, markets=[("BTC/USDT", "BTCUSDT")])
    exchange.number = float
    counts = FeedTold(Heard(), "binance")
    sockets = Sockets(exchange, counts, 20.0, 82_800.0)
    snapshot = {"bids": [[99.0, 1.0]], "asks": [[100.0, 1.0]], "nonce": 1, "timestamp": NOW, "symbol": "BTC/USDT"}
    if decoder == "fast":
        fast = FastReader(exchange, ["BTC/USDT"], levels, told.append, counts, clock.now_ms, lambda: 0)
        sockets.on_text = partial(fast.take, sockets)
        if fast.books is not None:
            fast.books.begin("BTC/USDT", snapshot)
    else:
        sockets.on_result = CcxtResults(["BTC/USDT"], levels, told.append, clock.now_ms, lambda: 0).take
        exchange.orderbooks["BTC/USDT"] = exchange.order_book(snapshot)
    take = exchange.client("ws://127.0.0.1:9/stream/ws/0").handle_text_or_binary_message
    before, texts = len(told), frames(kind)
    begun = time.process_time()
    for text in texts:
        take(text)
    took = time.process_time() - begun
    assert len(told) == before + MEASURED
    await disconnect(exchange)
    return took / MEASURED * 1e6


@pytest.mark.benchmark
@pytest.mark.parametrize("kind", FRAMES)
def test_the_cost_of_a_frame(show: Callable[..., None], kind: str) -> None:
    figures = {decoder: min(asyncio.run(cost_us(decoder, kind)) for _ in range(3)) for decoder in get_args(Decoder)}
    show(**{f"{decoder}_us": took for decoder, took in figures.items()}, ratio=figures["general"] / figures["fast"])
    assert figures["fast"] < figures["general"]


async def listen(base_url: str, symbols: int, decoder: Decoder, events: int) -> dict[str, float]:
    """Run a feed in this process until it told so many events; return what it took."""
    heard = Heard()
    names = [f"S{at:03d}/USDT" for at in range(symbols)]
    exchange = made(base_url, TestClock())
    await exchange.load_markets()
    by_name = {one.symbol: one for one in instruments_of(exchange.markets, "USDT")}
    await disconnect(exchange)
    feed = CcxtLive(
        lambda: made(base_url, TestClock()),
        CcxtFeed(decoder=decoder),
        [by_name[name] for name in names],
        WallClock(),
        heard,
        offset_ms=lambda: 0,
    )
    task = asyncio.create_task(feed.run(heard.publish))
    await heard.until(lambda: bool(heard.events), 60)
    begun, cpu, first = time.monotonic(), time.process_time(), len(heard.events)
    await heard.until(lambda: len(heard.events) >= first + events, 120)
    took_s, cpu_s = time.monotonic() - begun, time.process_time() - cpu
    task.cancel()
    await asyncio.wait([task])
    rss_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"cpu_share": cpu_s / took_s, "event_us": cpu_s / events * 1e6, "per_s": events / took_s, "rss_mb": rss_mb}


async def serve(symbols: int, decoder: Decoder) -> dict[str, float]:
    """Tell a feed in another process five messages a second and symbol; return what it took there."""
    ids = [f"S{at:03d}USDT" for at in range(symbols)]
    async with MarketServer(ids) as server:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", __name__, server.base_url, str(symbols), decoder, str(symbols * 5 * SECONDS)),
            stdout=asyncio.subprocess.PIPE,
        )
        telling = asyncio.create_task(_tell(server, ids))
        assert child.stdout is not None
        said = await child.stdout.read()
        assert await child.wait() == 0
        telling.cancel()
        await asyncio.wait([telling])
        figures: dict[str, float] = json.loads(said)
        return figures


async def _tell(server: MarketServer, ids: list[str]) -> None:
    await server.subscribed(*(f"{one.lower()}@{what}" for one in ids for what in ("bookTicker", "trade")))
    loop, number = asyncio.get_running_loop(), 0
    begun = loop.time()
    by_stream = {stream: socket for socket in server.open() for stream in socket.streams}
    while True:
        for one in ids:
            number += 1
            kind = "trade" if number % 5 == 0 else "bookTicker"
            name = "t" if kind == "trade" else "u"
            at = {"T": time.time_ns() // 1_000_000} if kind == "trade" else {}
            await by_stream[f"{one.lower()}@{kind}"].tell({**FRAMES[kind], "s": one, name: number, **at})
            if number % 25 == 0:
                await asyncio.sleep(max(0.0, begun + number / (5 * len(ids)) - loop.time()))


@pytest.mark.benchmark
@pytest.mark.parametrize("decoder", get_args(Decoder))
@pytest.mark.parametrize("symbols", [50, 200, 500])
def test_many_symbols(show: Callable[..., None], symbols: int, decoder: Decoder) -> None:
    figures = asyncio.run(serve(symbols, decoder))
    show(**figures)
    assert figures["cpu_share"] < 1


if __name__ == "__main__":
    print(json.dumps(asyncio.run(listen(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])))))  # type: ignore[arg-type]
