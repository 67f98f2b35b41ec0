"""What is a synthetic symbol's price at a time? A pure function of seed, symbol and time; asked by its market.

Wall time is cut into blocks. Each block begins and ends at the symbol's slow level, which is itself a function of time,
and walks between them second by second: regimes that follow each other as a Markov chain, sudden moves that partly
recover, and the noise of the regime. Nothing is remembered: a bot that is stopped and started again meets the prices
that the market has by then, as it would on an exchange, and a start costs one block a symbol.

Only + − × ÷ are used, so every machine computes the same prices.
"""

from __future__ import annotations

from random import Random
from typing import Literal

from tradebot.config.sections.feed import SyntheticFeed

Regime = Literal["calm", "up", "down", "stressed"]

BLOCK_S = 900
"""Length of a block: long beside a regime, short enough to be walked at once."""

_FOLLOWERS: dict[Regime, tuple[Regime, ...]] = {
    "calm": ("up", "down", "stressed"),
    "up": ("calm", "calm", "stressed"),
    "down": ("calm", "stressed", "stressed"),
    "stressed": ("calm", "up", "down"),
}
_REGIMES: tuple[Regime, ...] = ("calm", "up", "down", "stressed")
_DRIFTS: dict[Regime, float] = {"calm": 0.0, "up": 1.0, "down": -1.0, "stressed": 0.0}

_WAVES_S = (3_600, 14_400, 57_600, 230_400)
"""Spans of the slow level's waves: an hour, four, sixteen, and some days."""

_DECADES = (0.01, 0.1, 1.0, 1.0, 10.0, 10.0, 100.0, 1_000.0, 10_000.0)
_LEAST, _MOST = 0.2, 5.0
"""How far a price may walk from where its block began, and its level from the symbol's own."""

_WORST_SECOND = -0.5
_HEAT_KEPT = 0.7
"""Share of a sudden move's widening that is left a second later."""


def bell(rng: Random) -> float:
    """Return a bell-shaped random number of mean 0 and deviation 1, within ±3, from additions alone."""
    return (rng.random() + rng.random() + rng.random() - 1.5) * 2.0


class PricePath:
    """The price of one symbol over time, and how wide its spread stands: 1 in calm times, more under stress."""

    def __init__(self, settings: SyntheticFeed, symbol: str, seed: int) -> None:
        self._settings = settings
        self._name = f"{seed}/{symbol}"
        rng = Random(self._name)  # noqa: S311  (a market, not a secret)
        decade = rng.choice(_DECADES)
        self.scale = decade * (1.0 + 9.0 * rng.random())
        """The symbol's own level, in quote; it never changes."""
        self.decimals = 2
        while decade < 100.0 and self.decimals < 6:  # about four digits after the first
            decade *= 10.0
            self.decimals += 1
        self._phase_ms = rng.randrange(BLOCK_S) * 1000  # symbols begin their blocks at different times
        self._origin_ms = 0
        self._prices: list[float] = []
        self._widths: list[float] = []

    def at(self, now_ms: float) -> tuple[float, float]:
        """Return (price in quote, width of the spread as a multiple) at a time in ms UTC."""
        seconds = (now_ms - self._origin_ms) / 1000.0
        if not self._prices or not 0.0 <= seconds < BLOCK_S:
            block = int(now_ms + self._phase_ms) // (BLOCK_S * 1000)
            self._walk(block)
            seconds = (now_ms - self._origin_ms) / 1000.0
        second = int(seconds)
        before, after = self._prices[second], self._prices[second + 1]
        return before + (after - before) * (seconds - second), self._widths[second]

    def _level(self, block: int) -> float:
        """Return the slow level at the beginning of `block`, in quote."""
        now_s = block * BLOCK_S
        sway = 0.0
        for span_s in _WAVES_S:
            index, rest = divmod(now_s, span_s)
            share = rest / span_s
            smooth = share * share * (3.0 - 2.0 * share)
            before, after = self._wave(span_s, index), self._wave(span_s, index + 1)
            sway += before + (after - before) * smooth
        off = 1.0 + sway * self._settings.wander_bps / 10_000.0 / 2.0
        return self.scale * min(max(off, _LEAST), _MOST)

    def _wave(self, span_s: int, index: int) -> float:
        return bell(Random(f"{self._name}/{span_s}/{index}"))  # noqa: S311

    def _walk(self, block: int) -> None:
        """Compute the block's prices: a free walk, bent so that it ends at the next block's level."""
        self._origin_ms = block * BLOCK_S * 1000 - self._phase_ms
        start, end = self._level(block), self._level(block + 1)
        steps, self._widths = self._steps(Random(f"{self._name}/{block}"))  # noqa: S311
        bend = end / start / steps[-1] - 1.0
        self._prices = [start * step * (1.0 + bend * second / BLOCK_S) for second, step in enumerate(steps)]

    def _steps(self, rng: Random) -> tuple[list[float], list[float]]:
        """Return the walk as multiples of its beginning (BLOCK_S + 1 of them) and each second's width."""
        s = self._settings
        noise, drift = s.volatility_bps / 10_000.0, s.trend_bps_per_s / 10_000.0
        jumps, jump = s.jumps_per_hour / 3600.0, s.jump_bps / 10_000.0
        regime, price, owed, heat = rng.choice(_REGIMES), 1.0, 0.0, 0.0
        steps, widths = [price], []
        for _ in range(BLOCK_S):
            if rng.random() * s.regime_s < 1.0:
                regime = rng.choice(_FOLLOWERS[regime])
            width = s.stress_factor if regime == "stressed" else 1.0
            back = owed / s.recovery_s
            owed -= back
            move = _DRIFTS[regime] * drift + bell(rng) * noise * width + back
            for _ in range(arrivals(jumps, rng)):
                strength = abs(bell(rng))
                leap = strength * jump * (-1.0 if rng.random() < s.drop_share else 1.0)
                owed -= leap * s.recovery_share
                heat += strength
                move += leap
            price = min(max(price * (1.0 + max(move, _WORST_SECOND)), _LEAST), _MOST)
            steps.append(price)
            widths.append(width + heat)
            heat *= _HEAT_KEPT
        return steps, widths


def arrivals(rate: float, rng: Random) -> int:
    """Return how many things happen, `rate` of them on average."""
    whole = int(rate)
    return whole + (rng.random() < rate - whole)
