"""Which trades must the small strategy make? A seeded market and an obviously right loop; asked by the oracle's tests.

The strategy: anchor[i] = highest close of the 60 candles before i. Flat at the close of candle i >= 60, and it is at
or below anchor * 0.985: buy 100 quote at the next open. Long, and a close is at or above entry * 1.01 or at or below
entry * 0.98: sell everything at the next open. Fee 0.1 % of every fill, in quote.
"""

from __future__ import annotations

import csv
import io
import math
import random
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from msgspec import Struct

T0_MS = 1_704_067_200_000
MINUTE_MS = 60_000
LOOKBACK, DIP, TAKE, STOP, QUOTE = 60, 0.985, 1.01, 0.98, 100.0
FEE = Decimal("0.001")

Candle = tuple[float, float, float, float, float]
"""open, high, low, close, volume"""


class Expected(Struct, frozen=True):
    """A trade that must be made: candles in which it is entered and left, at their opens, and its PnL as floats say."""

    entry_candle: int
    exit_candle: int
    entry: float
    exit: float
    pnl: float


def market(seed: int, length: int) -> list[Candle]:
    """Return a random walk with jumps, on a grid of 0.0001."""
    draw = random.Random(seed)
    price = round(math.exp(draw.uniform(math.log(20), math.log(500))), 4)
    candles: list[Candle] = []
    for _ in range(length):
        jump = draw.gauss(0.0, 0.012) if draw.random() < 0.02 else 0.0
        open_ = round(price * (1 + draw.gauss(0.0, 0.0001)), 4)
        close = round(price * math.exp(draw.gauss(0.0, 0.0008) + jump), 4)
        high = round(max(open_, close) * (1 + abs(draw.gauss(0.0, 0.0003))), 4)
        low = round(min(open_, close) * (1 - abs(draw.gauss(0.0, 0.0003))), 4)
        candles.append((open_, high, low, close, round(draw.lognormvariate(3, 1), 3)))
        price = close
    return candles


def expected(candles: Sequence[Candle]) -> list[Expected]:
    """Return every closed trade; a decision on the last candle is not executed, an open position is no trade."""
    trades: list[Expected] = []
    closes = [candle[3] for candle in candles]
    entry, entry_at, holding = 0.0, 0, False
    for i in range(LOOKBACK, len(candles) - 1):
        following = candles[i + 1][0]
        if holding and (closes[i] >= entry * TAKE or closes[i] <= entry * STOP):
            pnl = QUOTE / entry * following * (1 - float(FEE)) - QUOTE * (1 + float(FEE))
            trades.append(Expected(entry_at, i + 1, entry, following, pnl))
            holding, entry_at = False, i + 1
        elif not holding and closes[i] <= max(closes[i - LOOKBACK : i]) * DIP:
            entry, entry_at, holding = following, i + 1, True
    return trades


def write_csv(folder: Path, symbol: str, candles: Sequence[Candle]) -> Path:
    """Write candles as a recording of `symbol` (BASE-QUOTE)."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("ts", "open", "high", "low", "close", "volume"))
    writer.writerows((T0_MS + i * MINUTE_MS, *candle) for i, candle in enumerate(candles))
    path = folder / f"{symbol}.1m.csv"
    path.write_text(out.getvalue())
    return path
