"""What do the tests of the sandbox's core trade on? A market shown by hand, and an account that hears everything."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

from tradebot.domain.events import BookSeen, TradeSeen
from tradebot.domain.market import Instrument
from tradebot.sandbox.exchange import Exchange
from tradebot.sandbox.market_rules import SymbolRules, rules_of
from tradebot.sandbox.orders import (
    AccountEvent,
    ExecutionReport,
    FeeRates,
    OrderRequest,
    Placed,
    PositionChanged,
    Prevention,
    WireSide,
    WireTif,
    WireType,
)
from tradebot.sandbox.store import Store

KEY = "key"
D = Decimal
T0 = 1_700_000_000_000
RATES = FeeRates(D(10), D(20))
INSTRUMENTS = (
    Instrument("BTC/USDT", "BTC", "USDT", D("0.01"), D("0.001"), D("0.001"), min_notional=D(5)),
    Instrument("BNB/USDT", "BNB", "USDT", D("0.1"), D("0.01"), D("0.01"), min_notional=D(5)),
)
BALANCES = {"USDT": D(10_000), "BTC": D(5), "BNB": D(10)}


class Floor:
    """An exchange in memory or in `path`, and all its account was told."""

    def __init__(
        self,
        path: Path | None = None,
        rates: FeeRates = RATES,
        rules: list[SymbolRules] | None = None,
        balances: Mapping[str, Decimal] = BALANCES,
    ) -> None:
        self.store = Store(path)
        self.exchange = Exchange(rules or rules_of(INSTRUMENTS), self.store, T0)
        self.now = T0
        self.new = self.exchange.open_account(KEY, balances, rates)
        self.heard: list[AccountEvent] = []
        self.exchange.subscribe_account(KEY, self.heard.append)
        self._named = 0

    def book(
        self,
        bids: tuple[tuple[float, float], ...] = ((99.0, 1.0), (98.0, 1.0)),
        asks: tuple[tuple[float, float], ...] = ((101.0, 1.0), (102.0, 1.0)),
        pair: str = "BTC/USDT",
    ) -> None:
        """Show a book."""
        self.now += 1
        self.exchange.on_market(BookSeen(pair, bids, asks, self.now), self.now)

    def trade(self, price: float, size: float, *, buyer_taker: bool, pair: str = "BTC/USDT") -> None:
        """Let somebody trade."""
        self.now += 1
        self.exchange.on_market(TradeSeen(pair, price, size, buyer_taker, self.now), self.now)

    def order(
        self,
        side: WireSide,
        amount: str,
        price: str = "0",
        *,
        kind: WireType = "LIMIT",
        tif: WireTif = "GTC",
        quote: str = "0",
        name: str = "",
        stp: Prevention = "NONE",
        symbol: str = "BTCUSDT",
    ) -> Placed:
        """Place an order."""
        self.now += 1
        self._named += 1
        request = OrderRequest(
            symbol, side, kind, name or f"order-{self._named}", tif, D(amount), D(price), D(quote), stp
        )
        return self.exchange.place(KEY, request, self.now)

    def reports(self) -> list[tuple[str, str]]:
        """Return (execution, status) of every report heard."""
        return [(each.execution, each.status) for each in self.heard if isinstance(each, ExecutionReport)]

    def free(self, asset: str) -> Decimal:
        """Return what is free of an asset."""
        return self.exchange.balances(KEY)[asset].free

    def locked(self, asset: str) -> Decimal:
        """Return what is locked of an asset."""
        return self.exchange.balances(KEY)[asset].locked

    def told(self) -> dict[str, tuple[Decimal, Decimal]]:
        """Return (free, locked) of each asset as the positions heard last had them."""
        return {
            asset: (free, locked)
            for each in self.heard
            if isinstance(each, PositionChanged)
            for asset, free, locked in each.balances
        }
