"""Is the exchange fit to trade on, is our clock right, and which symbols does it trade? Watched for the ccxt venue.

What is found becomes events for the engine; nothing here stops or sends an order.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from tradebot.config.sections.exchange import Exchange
from tradebot.domain.events import ClockSeen, Event, SymbolStatusSeen, VenueStateSeen
from tradebot.domain.venue_facts import DELISTED
from tradebot.exchange.budget import Budget, asking
from tradebot.exchange.clock_offset import ClockOffset, judged
from tradebot.exchange.construction import Ccxt
from tradebot.exchange.evidence import evidence_of
from tradebot.exchange.health import Health, Verdict
from tradebot.ports import Clock, Log

Gauge = Callable[[str, float], None]

CLOCK_GAUGE: Final = "clock_offset_ms"
_LOOK_S: Final = 1.0  # how often bans of other processes and the age of a lost stream are looked at
_TRADED: Final = "TRADING"
_NO_SYMBOL: Final = "-1121"
_AT_ONCE: Final = 100  # symbols asked for in one request: the address stays short


class Watch:
    """Watches one exchange until its tasks are cancelled. `watched` are the symbols whose trading matters.

    `compare` asks for a comparison of orders where the exchange tells no time.
    """

    def __init__(
        self,
        settings: Exchange,
        budget: Budget,
        offset: ClockOffset,
        clock: Clock,
        deliver: Callable[[Event], None],
        log: Log,
        gauge: Gauge,
        compare: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._budget = budget
        self._offset = offset
        self._clock = clock
        self._deliver = deliver
        self._log = log
        self._gauge = gauge
        self._compare = compare
        self._halted: dict[str, str] = {}
        self._suspected = asyncio.Event()
        self._clock_unknown = False
        self.tells_time = True
        """Whether the exchange can be asked for its time."""
        self.health = Health(settings.health, budget, clock, self._tell)

    def begin(self, markets: Mapping[str, Any], watched: Iterable[str]) -> None:
        """Tell how everything stands at the start; `markets` are ccxt's, just loaded."""
        self._tell(self.health.verdict)
        if self._offset.known:
            self._tell_clock()
        self._offset.on_measured = self._tell_clock  # whoever measures: a refused timestamp is news at once
        for symbol in watched:
            market = markets.get(symbol)
            traded = market is not None and market.get("active") is not False
            self._take(symbol, "" if traded else _status_of(market))
            if traded:
                self._deliver(SymbolStatusSeen(symbol, tradable=True, reason=_TRADED, at_ms=self._clock.now_ms()))

    def halted(self, symbol: str, why: str) -> None:
        """Take from a refusal that a symbol is not traded; it is asked about from here on."""
        self._take(symbol, DELISTED if why.startswith(_NO_SYMBOL) else why)
        self._suspected.set()

    async def keep_fit(self) -> None:
        """Judge all the time, and ask for a sign of life while the exchange is not fit and bans nobody."""
        settings = self._settings.health
        waited_s, look_s = 0.0, min(_LOOK_S, float(settings.probe_interval_s))
        while True:
            await asyncio.sleep(look_s)
            self.health.judge()
            waited_s += look_s
            if self.health.verdict.state == "up" or self._budget.closed_until_ms > self._clock.now_ms():
                waited_s = 0.0
            elif waited_s >= settings.probe_interval_s:
                waited_s = 0.0
                if self.tells_time:
                    await self._measure()
                else:
                    self._compare()

    async def keep_time(self) -> None:
        """Measure the clock every interval."""
        while True:
            await asyncio.sleep(float(self._settings.clock_interval_s))
            await self._measure()

    async def keep_markets(self, exchange: Ccxt, watched: Callable[[], Iterable[str]]) -> None:
        """Ask which of the `watched` symbols are traded, oftener while one of them is not."""
        settings = self._settings.health
        while True:
            await self._wait_s(float(settings.halted_interval_s if self._halted else settings.markets_interval_s))
            symbols = sorted({*watched(), *self._halted})
            try:
                found = await statuses(exchange, symbols)
            except Exception as error:  # noqa: BLE001 - the border to ccxt: what is known stays known, it is asked again
                self._log.emit("system", "DEBUG", "VENUE_MARKETS_UNKNOWN", type(error).__name__)
                continue
            for symbol in symbols:
                if symbol in found:
                    self._take(symbol, found[symbol])

    async def _wait_s(self, limit_s: float) -> None:
        try:
            async with asyncio.timeout(limit_s):
                await self._suspected.wait()
                self._suspected.clear()
                await asyncio.sleep(float(self._settings.health.halted_interval_s))
        except TimeoutError:
            return

    def _take(self, symbol: str, halted: str) -> None:
        """Take a symbol's status: why it is halted, "" where it is traded."""
        now = self._clock.now_ms()
        known = self._halted.get(symbol, "")
        if halted and (not known or (halted == DELISTED != known)):
            self._halted[symbol] = halted
            self._deliver(SymbolStatusSeen(symbol, tradable=False, reason=halted, at_ms=now))
        elif not halted and self._halted.pop(symbol, ""):
            self._deliver(SymbolStatusSeen(symbol, tradable=True, reason=_TRADED, at_ms=now))

    async def _measure(self) -> None:
        try:
            with asking("safety"):
                await self._offset.measure()
        except Exception as error:  # noqa: BLE001 - the border to ccxt: what was measured stays in use
            if not self._clock_unknown:
                self._clock_unknown = True
                self._log.emit("system", "WARNING", "VENUE_CLOCK_UNKNOWN", type(error).__name__)
            return
        self._clock_unknown = False

    def _tell_clock(self) -> None:
        offset_ms, settings = self._offset.offset_ms, self._settings
        self._gauge(CLOCK_GAUGE, offset_ms)
        state, limit_ms = judged(offset_ms, settings.warn_clock_offset_ms, settings.max_clock_offset_ms)
        self._deliver(ClockSeen(state, offset_ms, limit_ms, self._clock.now_ms()))

    def _tell(self, verdict: Verdict) -> None:
        now = self._clock.now_ms()
        self._deliver(VenueStateSeen(verdict.state, verdict.reason, verdict.until_ms, now))


async def statuses(exchange: Ccxt, symbols: list[str]) -> dict[str, str]:
    """Return why each of `symbols` is halted, "" where it is traded. Raises what asking raises.

    Binance is asked for these alone, in parts; one that it does not know fails its part, which is asked for in halves.
    """
    if exchange.id != "binance":
        markets = {market["symbol"]: market for market in await exchange.fetch_markets() if market.get("spot")}
        return {symbol: _halted_as(markets.get(symbol)) for symbol in symbols}
    found: dict[str, str] = {}
    parts = [symbols[at : at + _AT_ONCE] for at in range(0, len(symbols), _AT_ONCE)]
    while parts:
        part = parts.pop()
        ids = {str(exchange.markets[symbol]["id"]): symbol for symbol in part if symbol in exchange.markets}
        found.update((symbol, DELISTED) for symbol in part if symbol not in exchange.markets)
        if not ids:
            continue
        try:
            answer = await exchange.publicGetExchangeInfo({"symbols": json.dumps(list(ids), separators=(",", ":"))})
        except Exception as error:
            evidence = evidence_of(error)
            if evidence is None or evidence.venue_code != _NO_SYMBOL:
                raise
            if len(part) == 1:
                found[part[0]] = DELISTED
            else:
                parts += [part[: len(part) // 2], part[len(part) // 2 :]]
            continue
        for row in answer["symbols"]:
            status = str(row["status"])
            found[ids[row["symbol"]]] = "" if status == _TRADED else status
    return found


def _halted_as(market: Mapping[str, Any] | None) -> str:
    return "" if market is not None and market.get("active") is not False else _status_of(market)


def _status_of(market: Mapping[str, Any] | None) -> str:
    if market is None:
        return DELISTED
    info = market.get("info")
    status = info.get("status") if isinstance(info, Mapping) else None
    return str(status) if status else "not active"
