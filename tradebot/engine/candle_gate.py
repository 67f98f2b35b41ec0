"""Can a whole candle pass without a decision? Asked by the simulated shell, once a candle.

A candle whose four quotes all lie inside the symbol's band changes nothing but the window: it is taken at once.
Any other is walked price by price. A symbol that a gate common to all symbols holds back, and whose candle reaches its
buy trigger, can pass only while no such gate opens within the candle: that is for the shell to watch.
"""

from __future__ import annotations

from enum import IntEnum

from tradebot.engine.anchors import Candle, CandleShape
from tradebot.engine.desk import SymbolState
from tradebot.engine.engine import Engine


class Passage(IntEnum):
    """What becomes of a candle."""

    TAKEN = 0
    HELD = 1  # may pass, as long as no common gate opens
    WALK = 2


TAKEN, HELD, WALK = Passage


class CandleGate:
    """Takes the candles that can change nothing."""

    def __init__(self, engine: Engine, shape: CandleShape) -> None:
        profile = engine.desk.profile
        self.symbols = list(engine.symbols.values())
        self.shape = shape
        self.down, self.up, self.span_ms = shape.down, shape.up, shape.times[2]
        self.closes_only = profile.market.decide_on == "candle_close"
        self.on = profile.engine.band

    def offer(self, candle: Candle) -> Passage:
        """Take the candle if it can change nothing; say what is to be done with it."""
        open_ms, index, _, high, low, close, volume = candle
        symbol = self.symbols[index]
        down, up = self.down, self.up
        if self.closes_only:
            bid, ask = close * down, close * up
        else:
            bid, ask = low * down, high * up
        close_ms = open_ms + self.span_ms
        if bid <= symbol.lo or ask >= symbol.hi or close_ms >= symbol.wake_ms or not self.on:
            return WALK
        if symbol.blocked and bid <= symbol.trigger_lo:
            return HELD
        symbol.bid, symbol.ask, symbol.seen_ms = close * down, close * up, close_ms  # from here on as `take`
        if self.closes_only:
            symbol.anchor.record((bid + ask) * 0.5, volume, close_ms)
        else:
            symbol.anchor.record_candle(self.shape, candle)
        return TAKEN

    def take(self, symbol: SymbolState, candle: Candle) -> None:
        """Record a candle as its four quotes would have been."""
        close, close_ms = candle[5], candle[0] + self.span_ms
        symbol.bid, symbol.ask, symbol.seen_ms = bid, ask, _ = close * self.down, close * self.up, close_ms
        if self.closes_only:
            symbol.anchor.record((bid + ask) * 0.5, candle[6], close_ms)
        else:
            symbol.anchor.record_candle(self.shape, candle)

    def pass_price(self, symbol: SymbolState, price: float, at_ms: int, volume: float, *, closes: bool) -> bool:
        """Take one price of a candle that is walked, if it lies inside the band; return whether it was taken."""
        shape = self.shape
        bid, ask = price * shape.down, price * shape.up
        if closes or not self.closes_only:
            if not self.on or bid <= symbol.lo or ask >= symbol.hi or at_ms >= symbol.wake_ms:
                return False
            symbol.anchor.record((bid + ask) * 0.5, volume, at_ms)
        symbol.bid, symbol.ask, symbol.seen_ms = bid, ask, at_ms
        return True
