"""What is listened to at an exchange, and how is it listened to again after a loss? Asked by the live feed.

A subscription is one call of ccxt's, held open: its answer ends only with an error, since what comes is taken before
ccxt wakes anybody. So many symbols stand in one call as fit on one connection (Binance: at most 1,024 streams on one,
5 messages a second to it, 300 connections in 5 minutes from one address; ccxt: 200 symbols in one call).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Any, Literal

from msgspec import Struct

from tradebot.domain.errors import CannotStart
from tradebot.exchange.budget import HeldBack
from tradebot.feeds.ccxt_counts import FeedTold
from tradebot.feeds.ccxt_sockets import Sockets

MOST_SYMBOLS = 200
_FEWER_SYMBOLS = {"kucoin": 100}
"""Most symbols that ccxt takes in one call, and where it takes fewer."""

MOST_DIALS, DIALS_WINDOW_S = 200, 300.0
FIRST_WAIT_S, MOST_WAIT_S = 0.2, 30.0
STEADY_S = 60.0
"""A subscription that has held for so long begins its waits anew after a loss."""

_DEPTHS = {"kraken": (10, 25, 100, 500, 1000), "bybit": (1, 50, 200, 1000)}
"""Levels of a book that an exchange's stream can be asked for, where it takes no other; no number elsewhere."""

What = Literal["quotes", "trades", "depth"]


class Subscription(Struct, frozen=True):
    """One call: what of which symbols."""

    what: What
    symbols: tuple[str, ...]

    def __str__(self) -> str:
        """Return what an operator reads."""
        more = f" and {len(self.symbols) - 1} more" if len(self.symbols) > 1 else ""
        return f"{self.what} of {self.symbols[0]}{more}"


def plan(exchange: Any, symbols: Sequence[str], whats: Sequence[What], on_a_socket: int) -> list[Subscription]:
    """Return the calls that listen to `whats` of every symbol.

    Raises CannotStart where the exchange has no stream for one of `whats`.
    """
    planned: list[Subscription] = []
    for what in whats:
        many, one = _METHODS[what]
        if any(exchange.has.get(name) for name in many):
            size = min(on_a_socket, _FEWER_SYMBOLS.get(exchange.id, MOST_SYMBOLS))
        elif any(exchange.has.get(name) for name in one):
            size = 1
        else:
            raise CannotStart(f"{exchange.id}: ccxt has no stream of its {what}")
        planned += [Subscription(what, part) for part in _parts(tuple(symbols), size)]
    return planned


def _parts(symbols: tuple[str, ...], size: int) -> Iterator[tuple[str, ...]]:
    for start in range(0, len(symbols), size):
        yield symbols[start : start + size]


_METHODS: dict[What, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "quotes": (("watchBidsAsks", "watchTickers"), ("watchTicker",)),
    "trades": (("watchTradesForSymbols",), ("watchTrades",)),
    "depth": (("watchOrderBookForSymbols",), ("watchOrderBook",)),
}
"""ccxt's names of the streams by `exchange.has`: of many symbols in one call, the best first, or of one."""


def _calling(exchange: Any, subscription: Subscription, levels: int) -> Callable[[], Any]:
    """Return what makes the call; parameters are passed anew each time, since ccxt writes into its own defaults."""
    symbols = list(subscription.symbols)
    many, one = _METHODS[subscription.what]
    name = next((name for name in many if exchange.has.get(name)), None)
    arguments: list[Any] = [symbols]
    if name is None:
        name = next(name for name in one if exchange.has.get(name))
        arguments = [symbols[0]]
    if subscription.what == "depth":
        depths = _DEPTHS.get(exchange.id, ())
        arguments.append(next((depth for depth in depths if depth >= levels), depths[-1] if depths else None))
    elif subscription.what == "trades":
        arguments += [None, None]
    method = getattr(exchange, _snake(name))
    return lambda: method(*arguments, {})


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


class Dials:
    """At most `most` connections in `window_s`: whoever comes beyond that waits."""

    def __init__(self, most: int = MOST_DIALS, window_s: float = DIALS_WINDOW_S) -> None:
        self._most = most
        self._window_s = window_s
        self._dialled: deque[float] = deque()

    async def take(self) -> None:
        """Return when a connection may be made."""
        loop = asyncio.get_running_loop()
        while True:
            now = loop.time()
            while self._dialled and self._dialled[0] <= now - self._window_s:
                self._dialled.popleft()
            if len(self._dialled) < self._most:
                self._dialled.append(now)
                return
            await asyncio.sleep(self._dialled[0] + self._window_s - now)


async def hold(
    exchange: Any, subscription: Subscription, levels: int, sockets: Sockets, told: FeedTold, dials: Dials
) -> None:
    """Listen until cancelled, and again after every loss, with growing waits.

    Raises CannotStart where the exchange will not serve it (a symbol it does not know, a call it does not have).
    """
    ccxt = import_module("ccxt")
    never = (ccxt.BadSymbol, ccxt.NotSupported, ccxt.ArgumentsRequired, ccxt.AuthenticationError)
    call, loop, wait_s = _calling(exchange, subscription, levels), asyncio.get_running_loop(), FIRST_WAIT_S
    task = asyncio.current_task()
    while True:
        await dials.take()
        begun = loop.time()
        try:
            await call()
            cause = "ccxt answered with something that is no price"
        except sockets.moved:
            wait_s = FIRST_WAIT_S
            continue
        except never as error:
            raise CannotStart(f"{exchange.id}: no {subscription}: {error}") from error
        except (ccxt.NetworkError, HeldBack) as error:
            cause = f"{type(error).__name__}: {error}"
        except ccxt.BaseError as error:
            cause = f"{type(error).__name__}: {error}"
            sockets.forget(task)
        except asyncio.CancelledError:
            if task is None or task.cancelling():
                raise
            cause = "ccxt gave the connection up"  # it cancels whoever waits on a client that it closes
        if loop.time() - begun >= STEADY_S:
            wait_s = FIRST_WAIT_S
        told.failed(str(subscription), cause, wait_s)
        await asyncio.sleep(wait_s)
        wait_s = min(2 * wait_s, MOST_WAIT_S)
