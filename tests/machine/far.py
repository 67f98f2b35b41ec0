"""What does the exchange hold, and what did it hold a while ago? Asked by the machine's network and its checks.

The exchange is the sandbox's own core. Its answers to questions may be as old as the network says: every order, trade
and balance is kept with the time from which it stood so.
"""

from __future__ import annotations

from bisect import bisect_right
from decimal import Decimal
from typing import Any, Final

from msgspec import Struct

from tradebot.domain.events import BookSeen
from tradebot.domain.market import Instrument
from tradebot.domain.numbers import ZERO
from tradebot.sandbox.exchange import Exchange
from tradebot.sandbox.market_rules import rules_of
from tradebot.sandbox.orders import AccountEvent, ExecutionReport, FeeRates, OrderRequest, OwnTrade
from tradebot.sandbox.store import Store
from tradebot.sandbox.userdata_events import message_of
from tradebot.sandbox.wire_errors import ApiError

D = Decimal
KEY: Final = "key"
PREFIX: Final = "t-"
T0: Final = 1_704_067_200_000
PAIRS: Final = ("AAA/USDT", "BBB/USDT", "CCC/USDT")
INSTRUMENTS: Final = tuple(
    Instrument(name, name[:3], "USDT", D("0.01"), D("0.001"), D("0.001"), min_notional=D(5)) for name in PAIRS
)
BALANCES: Final = {"USDT": D(700), "BNB": D(3), "AAA": D(5), "BBB": ZERO, "CCC": ZERO}
WIRE: Final = {name: name.replace("/", "") for name in PAIRS}

_UNIFIED: Final = {"NEW": "open", "PARTIALLY_FILLED": "open", "FILLED": "closed", "CANCELED": "canceled"}

Row = dict[str, Any]


class FarOrder(Struct):
    """One order as it really is. `worst_quote` is the most a buy can still cost in all, before fees."""

    order_id: int
    client_id: str
    symbol: str
    side: str
    amount: Decimal
    worst_quote: Decimal
    status: str = "NEW"
    executed: Decimal = ZERO
    cost: Decimal = ZERO

    @property
    def alive(self) -> bool:
        """Whether it can still be filled."""
        return self.status in {"NEW", "PARTIALLY_FILLED"}


class Past:
    """Values with the time from which each stood."""

    def __init__(self) -> None:
        self._times: list[int] = []
        self._values: list[Any] = []

    def put(self, at_ms: int, value: Any) -> None:
        """Let something stand from here on."""
        self._times.append(at_ms)
        self._values.append(value)

    def at(self, at_ms: int) -> Any:
        """Return what stood then, None where nothing did yet."""
        index = bisect_right(self._times, at_ms)
        return self._values[index - 1] if index else None

    def until(self, at_ms: int) -> list[Any]:
        """Return everything up to then."""
        return self._values[: bisect_right(self._times, at_ms)]


class Far:
    """The exchange, its clock, its memory, and the account's news that nobody has taken yet."""

    def __init__(self, rates: FeeRates) -> None:
        self.now = T0
        """True time in ms."""
        self.store = Store(None)
        self.exchange = Exchange(rules_of(INSTRUMENTS), self.store, T0)
        self.orders: dict[int, FarOrder] = {}
        self.own: dict[str, list[FarOrder]] = {}
        self.trades: dict[tuple[str, str], OwnTrade] = {}
        """Trades of own orders, by (symbol, trade id)."""
        self.client_of: dict[int, str] = {}
        self.foreign: dict[str, Decimal] = {}
        """What of each asset came or went otherwise than by own orders."""
        self.taken: set[str] = set()
        """Assets of which others took something."""
        self.news: list[Row] = []
        self.listening = False
        self._rows: dict[int, Past] = {}
        self._trade_rows: dict[str, Past] = {name: Past() for name in PAIRS}
        self._balances = Past()
        self._pairs = {wire: name for name, wire in WIRE.items()}
        self.exchange.open_account(KEY, BALANCES, rates)
        self.exchange.subscribe_account(KEY, self._on_event)
        self._keep_balances()

    # -- what happens ---------------------------------------------------------------------------------

    def show(self, symbol: str, bid: float, ask: float, size: float) -> None:
        """Let the book of a symbol stand so."""
        bids = ((bid, size), (round(bid - 0.05, 2), size * 3))
        asks = ((ask, size), (round(ask + 0.05, 2), size * 3))
        self.exchange.on_market(BookSeen(symbol, bids, asks, self.now), self.now)

    def place(self, request: OrderRequest) -> Row:
        """Place an order; return the answer, its fills in it. Raises ApiError."""
        placed = self.exchange.place(KEY, request, self.now)
        row = self._row(placed.order.order_id)
        return row | {"trades": [_trade_row(self._pairs[trade.symbol], trade) for trade in placed.trades]}

    def cancel(self, symbol: str, client_id: str) -> Row:
        """Cancel an order by its client id; the answer names the cancel's own, as Binance's does. Raises ApiError."""
        done = self.exchange.cancel(KEY, WIRE[symbol], None, client_id, "cancel", self.now)
        row = self._row(done.order.order_id)
        return row | {"clientOrderId": "cancel", "info": {"origClientOrderId": client_id}}

    def move(self, asset: str, amount: Decimal) -> None:
        """Let something come into the account, or leave it (less than nothing). Raises ApiError."""
        self.exchange.deposit(KEY, asset, amount, self.now)
        self._foreign(asset, amount)

    # -- what is answered, as it stood `lag_ms` ago -------------------------------------------------------

    def order(self, symbol: str, order_id: int | None, client_id: str, lag_ms: int) -> Row | None:
        """Return an order by its id, else the latest of the client's."""
        if order_id is None:
            named = [order.order_id for order in self.orders.values() if order.client_id == client_id]
            if not named:
                return None
            order_id = named[-1]
        past = self._rows.get(order_id)
        found: Row | None = past.at(self.now - lag_ms) if past else None
        return found if found is not None and found["symbol"] == symbol else None

    def listed(self, symbol: str | None, lag_ms: int, *, only_open: bool, since_ms: int = 0) -> list[Row]:
        """Return orders of a symbol, or of all."""
        rows = [past.at(self.now - lag_ms) for past in self._rows.values()]
        return [
            row
            for row in rows
            if row is not None
            and symbol in {None, row["symbol"]}
            and (not only_open or row["status"] == "open")
            and row["timestamp"] >= since_ms
        ]

    def traded(self, symbol: str, lag_ms: int, *, order_id: str = "", from_id: int = 0, since_ms: int = 0) -> list[Row]:
        """Return trades of a symbol."""
        return [
            row
            for row in self._trade_rows[symbol].until(self.now - lag_ms)
            if order_id in {"", row["order"]} and int(row["id"]) >= from_id and row["timestamp"] >= since_ms
        ]

    def balances(self, lag_ms: int) -> dict[str, tuple[Decimal, Decimal]]:
        """Return (free, locked) by asset."""
        found: dict[str, tuple[Decimal, Decimal]] = self._balances.at(max(T0, self.now - lag_ms))
        return found

    def total(self, asset: str) -> Decimal:
        """Return what the account really has of an asset."""
        held = self.exchange.balances(KEY).get(asset)
        return held.total if held else ZERO

    # -- keeping ------------------------------------------------------------------------------------------

    def _on_event(self, event: AccountEvent) -> None:
        if isinstance(event, ExecutionReport):
            self._on_report(event)
        self._keep_balances()
        if self.listening:
            self.news.append(message_of(event))

    def _on_report(self, report: ExecutionReport) -> None:
        client_id, symbol = report.orig_client_id or report.client_id, self._pairs[report.symbol]
        order = self.orders.get(report.order_id)
        if order is None:
            worst = report.quote_amount or report.price * report.amount
            order = FarOrder(report.order_id, client_id, symbol, report.side, report.amount, worst)
            self.orders[report.order_id] = order
            self.client_of[report.order_id] = client_id
            self._rows[report.order_id] = Past()
            if client_id.startswith(PREFIX):
                self.own.setdefault(client_id, []).append(order)
        order.status, order.executed, order.cost = report.status, report.executed, report.cost
        self._rows[report.order_id].put(self.now, _order_row(report, client_id, symbol))
        if report.trade_id >= 0:
            self._keep_trade(report, client_id, symbol)

    def _keep_trade(self, report: ExecutionReport, client_id: str, symbol: str) -> None:
        trade = OwnTrade(
            report.trade_id, KEY, report.order_id, report.symbol, report.side, report.last_price, report.last_amount,
            report.last_cost, report.fee, report.fee_asset or "", report.maker, report.at_ms,
        )  # fmt: skip
        self._trade_rows[symbol].put(self.now, _trade_row(symbol, trade))
        if client_id.startswith(PREFIX):
            self.trades[symbol, str(trade.trade_id)] = trade
            return
        for asset, amount in flows(trade, symbol).items():
            self._foreign(asset, amount)

    def _foreign(self, asset: str, amount: Decimal) -> None:
        self.foreign[asset] = self.foreign.get(asset, ZERO) + amount
        if amount < 0:
            self.taken.add(asset)

    def _keep_balances(self) -> None:
        held = self.exchange.balances(KEY)
        self._balances.put(self.now, {asset: (each.free, each.locked) for asset, each in held.items()})

    def _row(self, order_id: int) -> Row:
        row: Row = self._rows[order_id].at(self.now)
        return row


def flows(trade: OwnTrade, symbol: str) -> dict[str, Decimal]:
    """Return what a trade moved, by asset."""
    base, _, quote = symbol.partition("/")
    sign = 1 if trade.side == "BUY" else -1
    moved = {base: sign * trade.amount, quote: -sign * trade.cost}
    moved[trade.fee_asset] = moved.get(trade.fee_asset, ZERO) - trade.fee
    return moved


def refusal_of(error: ApiError) -> tuple[int, Row]:
    """Return status and body of a refusal."""
    return error.status, error.body()


def _order_row(report: ExecutionReport, client_id: str, symbol: str) -> Row:
    return {
        "id": str(report.order_id),
        "clientOrderId": client_id,
        "symbol": symbol,
        "status": _UNIFIED.get(report.status, "expired"),
        "amount": str(report.amount),
        "filled": str(report.executed),
        "timestamp": report.created_ms,
        "lastUpdateTimestamp": report.at_ms,
        "trades": None,
        "info": {"clientOrderId": client_id},
    }


def _trade_row(symbol: str, trade: OwnTrade) -> Row:
    return {
        "id": str(trade.trade_id),
        "order": str(trade.order_id),
        "symbol": symbol,
        "price": str(trade.price),
        "amount": str(trade.amount),
        "fee": {"cost": str(trade.fee), "currency": trade.fee_asset},
        "takerOrMaker": "maker" if trade.maker else "taker",
        "timestamp": trade.at_ms,
        "info": {},
    }
