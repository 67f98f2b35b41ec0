"""How do an exchange's live prices come in? Asked by the wiring of paper and live runs; it is a `ports.Feed`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from tradebot.config.sections.ccxt_feed import CcxtFeed
from tradebot.domain.errors import CannotStart
from tradebot.domain.events import Event
from tradebot.domain.market import Instrument
from tradebot.exchange.budget import HeldBack
from tradebot.exchange.construction import disconnect
from tradebot.feeds.ccxt_counts import FeedCounts, FeedTold
from tradebot.feeds.ccxt_fast import FAST, FastReader
from tradebot.feeds.ccxt_results import CcxtResults
from tradebot.feeds.ccxt_sockets import Sockets
from tradebot.feeds.ccxt_subscriptions import Dials, What, hold, plan
from tradebot.ports import Clock, Log

CLOSE_S = 3.0
"""Longest time in which sockets are closed politely at the end."""

_SHORTEST_S = 0.05
_SHORTEST_PING_S = 0.5


class CcxtLive:
    """Best bid and ask, trades and books of `instruments`, through ccxt's connections.

    `connect` makes a ccxt.pro exchange, in the running loop (`exchange.construction.connect`); each run makes one and
    closes it. Its sockets, handlers and number type are the feed's own, so it is shared with nobody; where its markets
    are set already, they are not asked for. `offset_ms` tells what our clock is minus the exchange's (`ClockOffset`).
    `keep_alive_s` is how often each socket is asked for a sign of life, `renew_after_s` at which age it is replaced.
    `beside` returns what else runs on the exchange as long as it is listened to.

    A symbol without news stays silent here, and is marked stale by its age where it is decided upon; a connection
    without news is closed and opened anew, which the log tells as FEED_* records.
    """

    synthetic = False

    def __init__(
        self,
        connect: Callable[[], Any],
        settings: CcxtFeed,
        instruments: Sequence[Instrument],
        clock: Clock,
        log: Log,
        *,
        offset_ms: Callable[[], int],
        keep_alive_s: float = 5.0,
        renew_after_s: float = 82_800.0,
        beside: Callable[[Any], Sequence[Coroutine[Any, Any, None]]] = lambda _exchange: (),
        listing: Any = None,
    ) -> None:
        self._connect = connect
        self._settings = settings
        self._instruments = tuple(instruments)
        self._clock = clock
        self._log = log
        self._offset_ms = offset_ms
        self._keep_alive_s = keep_alive_s
        self._renew_after_s = renew_after_s
        self._beside = beside
        self.listing = listing
        """The instance of ccxt, closed, that was asked for the markets when the feed was made; None where none was."""
        self.counts = FeedCounts()
        """What happened in the present run."""

    def instruments(self) -> Sequence[Instrument]:
        """Return the symbols it prices, with the exchange's filters."""
        return self._instruments

    async def run(self, publish: Callable[[Event], None]) -> None:
        """Publish what the exchange tells until cancelled.

        Raises CannotStart where the exchange has no such stream or does not know a symbol, and ccxt's error where its
        markets cannot be loaded.
        """
        exchange = self._connect()
        try:
            if not exchange.markets:
                await self._load(exchange)
            await self._listen(exchange, publish)
        finally:
            await _close(exchange)

    async def _load(self, exchange: Any) -> None:
        """Load the markets once the exchange wants requests at all: a ban is waited for, and counts as no fault."""
        told = FeedTold(self._log, exchange.id)
        while True:
            try:
                await exchange.load_markets()
            except HeldBack as held:
                wait_s = max(_SHORTEST_S, (held.until_ms - self._clock.now_ms()) / 1000)
                told.failed("markets", str(held), wait_s)
                await asyncio.sleep(wait_s)
            else:
                return

    async def _listen(self, exchange: Any, publish: Callable[[Event], None]) -> None:
        settings, symbols = self._settings, [one.symbol for one in self._instruments]
        if unknown := sorted(set(symbols) - set(exchange.markets)):
            symbols = [symbol for symbol in symbols if symbol in exchange.markets]
            text = f"{exchange.id} does not trade {', '.join(unknown)}"
            if not symbols:
                raise CannotStart(text)
            self._log.emit("system", "WARNING", "FEED_SYMBOLS_GONE", f"{text}: no prices of them", symbols=unknown)
        told = FeedTold(self._log, exchange.id)
        self.counts = count = told.count
        keep_alive_ms = round(1000 * ping_interval_s(self._keep_alive_s, settings.silence_s))
        exchange.streaming["keepAlive"] = keep_alive_ms
        exchange.number = float  # books of text would be sorted as text
        whats: list[What] = ["quotes"]
        if settings.trades:
            whats.append("trades")
        if settings.depth_levels:
            whats.append("depth")
        subscriptions = plan(exchange, symbols, whats, settings.streams_per_socket)

        def counted(event: Event) -> None:
            count.events += 1
            publish(event)

        sockets = Sockets(exchange, told, settings.silence_s, self._renew_after_s)
        parts: list[Coroutine[Any, Any, None]] = [sockets.watch(), *self._beside(exchange)]
        if settings.decoder == "fast" and exchange.id in FAST:
            fast = FastReader(
                exchange, symbols, settings.depth_levels, counted, told, self._clock.now_ms, self._offset_ms
            )
            sockets.on_text = partial(fast.take, sockets)
            parts += fast.parts()
        else:
            results = CcxtResults(symbols, settings.depth_levels, counted, self._clock.now_ms, self._offset_ms)
            sockets.on_result = results.take
        dials = Dials()
        for subscription in subscriptions:
            parts.append(hold(exchange, subscription, settings.depth_levels, sockets, told, dials))
        try:
            async with asyncio.TaskGroup() as group:
                for part in parts:
                    group.create_task(part)
        except* Exception as errors:  # noqa: BLE001 - the first fault of the parts is raised on, for the feed's supervisor
            raise _first(errors) from None
        finally:
            sockets.end()


def ping_interval_s(keep_alive_s: float, silence_s: float) -> float:
    """Return how often a socket is asked for a sign of life: it has to answer before its silence ends it.

    Never oftener than twice a second: pings count as messages, of which Binance takes five a second on a market stream,
    subscriptions included.
    """
    return max(_SHORTEST_PING_S, min(keep_alive_s, silence_s / 2))


def _first(errors: BaseExceptionGroup[Exception]) -> Exception:
    """Return the first error of a group of groups."""
    one: Exception | BaseExceptionGroup[Exception] = errors
    while isinstance(one, BaseExceptionGroup):
        one = one.exceptions[0]
    return one


async def _close(exchange: Any) -> None:
    """Close the connections, politely as long as that takes little time; a peer that is gone answers nothing."""
    try:
        await asyncio.wait_for(disconnect(exchange), CLOSE_S)
    except TimeoutError:
        await exchange.tradebot_session.close()
